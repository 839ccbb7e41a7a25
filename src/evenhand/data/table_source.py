"""Reads a table from a file, a folder or the Hugging Face hub."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from evenhand.data.hub_access import hub_or_cache
from evenhand.errors import InputError, UnavailableError, first_line
from evenhand.tables.files import is_table, read_file

SPLIT = "split"
"""The column that names a row's split in a Hugging Face data set, added if the data set has no such column."""


@dataclass(frozen=True, eq=False)
class TableSource:
    """The rows of a table, and how to read the images that they name.

    Attributes:
        frame: the rows; an image column contains only the image's path or bytes.
        name: name in messages.
        folder: the folder to which image paths are relative.
        image_bytes: returns an image's bytes by row, if images are stored outside the frame.
    """

    frame: pl.DataFrame = field(repr=False)
    name: str
    folder: Path
    image_bytes: Callable[[int], bytes | Path] | None = None


def read_table(
    path: str, subset: str | None, image: str | None, below: Path | None, task: str = "task table"
) -> TableSource:
    """Read a table from a file, a Hugging Face folder or the hub.

    Args:
        path: a file (see `evenhand.tables.files`), a folder of a Hugging Face data set, or its hub id (`hub:ORG/NAME`,
            or `ORG/NAME` if there is no such file).
        subset: the configuration of a Hugging Face data set.
        image: the column that holds images.
        below: the folder of `--data`, in which relative paths are looked for first.
        task: the task that reads the table, for messages.

    Raises:
        InputError: there is no such table, or it cannot be read.
    """
    if path.startswith("hub:"):
        return _read_hub_dataset(path.removeprefix("hub:"), path, subset, image, task)
    candidates = [Path(path).expanduser()]
    if below is not None and not candidates[0].is_absolute():
        candidates.insert(0, below / path)
    file = next((candidate for candidate in candidates if candidate.exists()), None)
    if file is None:
        if not is_table(Path(path)) and re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", path):
            return _read_hub_dataset(path, path, subset, image, task)
        looked = " or ".join(str(candidate) for candidate in candidates)
        raise InputError(f"{task}: there is no file {looked}")
    if file.is_dir():
        return _read_hub_dataset(str(file), path, subset, image, task)
    try:
        frame = read_file(file)
    except InputError as error:
        raise InputError(f"{task}: {error}") from None
    return TableSource(frame, file.name, file.parent)


def _read_hub_dataset(place: str, asked: str, subset: str | None, image: str | None, task: str) -> TableSource:
    """Read a data set of the hub or of a folder with the library `datasets`, its splits concatenated."""
    import datasets
    from datasets.exceptions import DatasetGenerationError

    try:
        if (Path(place) / "state.json").is_file() or (Path(place) / "dataset_dict.json").is_file():
            loaded: Any = datasets.load_from_disk(place)
        else:
            loaded = _from_folder_or_hub(place, asked, subset, task)
        splits = dict(loaded) if isinstance(loaded, datasets.DatasetDict) else {"": loaded}
        data = datasets.concatenate_datasets(list(splits.values()))
    except InputError:
        raise
    except (OSError, ValueError, KeyError, DatasetGenerationError) as error:
        raise InputError(
            f'{task}: "{asked}" is not a file and cannot be read as a Hugging Face data set: {first_line(error)}'
        ) from None
    features = data.features
    binary = [name for name, kind in features.items() if isinstance(kind, datasets.Image | datasets.Audio)]
    frame: pl.DataFrame = data.remove_columns(binary).to_polars()  # pyright: ignore[reportAssignmentType]
    for name, kind in features.items():
        if isinstance(kind, datasets.ClassLabel):
            names = dict(enumerate(kind.names))
            frame = frame.with_columns(pl.col(name).replace_strict(names, default=None, return_dtype=pl.String))
    if SPLIT not in features and "" not in splits:
        rows = [name for name, part in splits.items() for _ in range(len(part))]
        frame = frame.with_columns(pl.Series(SPLIT, rows, dtype=pl.String))
    if image is None or image not in binary:
        return TableSource(frame, asked, Path(place))
    undecoded = data.cast_column(image, datasets.Image(decode=False)).select_columns([image])

    def image_bytes(row: int) -> bytes | Path:
        """Return an image's bytes, or its file."""
        kept: Any = undecoded[row][image]
        return kept["bytes"] if kept["bytes"] is not None else Path(kept["path"])

    return TableSource(frame, asked, Path(place), image_bytes)


def _from_folder_or_hub(place: str, asked: str, subset: str | None, task: str) -> Any:
    """Load a data set of a folder, or of the hub. Raises UnavailableError if the hub cannot be reached."""
    if Path(place).exists():
        return _load_hub_dataset(place, asked, subset, task)
    with hub_or_cache() as unreachable:
        try:
            return _load_hub_dataset(place, asked, subset, task)
        except (OSError, ValueError):
            if unreachable is None:
                raise
            raise UnavailableError(
                f'{task}: "{asked}" is not a file, and the hub cannot be reached ({unreachable})'
            ) from None


CONVERTED = "refs/convert/parquet"
"""The branch in which the hub keeps Parquet copies of data sets, in a folder for each configuration."""


def _load_hub_dataset(place: str, asked: str, subset: str | None, task: str) -> Any:
    """Load a data set of the hub, or its Parquet copy if a script makes it, because `datasets` no longer runs scripts.

    Raises:
        InputError: there is a script and no copy; the message says what to use instead.
    """
    import datasets
    from datasets.exceptions import DatasetGenerationError

    try:
        return datasets.load_dataset(place, subset)
    except RuntimeError as error:
        if "scripts are no longer supported" not in str(error):
            raise
    if not Path(place).exists():
        try:
            return datasets.load_dataset(place, data_dir=subset, revision=CONVERTED)
        except (OSError, ValueError, KeyError, DatasetGenerationError):
            pass
    copy = f"{subset or 'data'} in its branch {CONVERTED}"
    raise InputError(
        f'{task}: "{asked}" is made by a script, which the library datasets no longer runs, and the hub has no Parquet '
        f"copy of it ({copy}); give its rows as a file: path: a CSV, Parquet or JSONL table"
    )
