"""Finds the documents of a benchmark on this machine, reads them with a cache of their own, and counts them.

`datasets` keeps what it has read in a cache whose names do not tell folders of one name apart: two runs side by side
would read, or delete, each other's documents. So every task that reads local files gets a new cache in a temporary
folder, which is deleted with the task.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evenhand.errors import InputError
from evenhand.tasks.harness.hub_layout import CARD, has_card
from evenhand.tasks.harness.repository_layouts import LAYOUTS, converted

OF_FILES = ("json", "csv", "parquet", "text")
"""The names of data sets by which a task reads plain files."""

CACHE: Mapping[str, str] = {"verification_mode": "no_checks"}
"""What `datasets` is told besides the place of the cache: a card may give the sizes of other files."""


def local_folder(named: str, below: Path | None) -> Path | None:
    """Return the folder of `--data` that is read instead of the hub; None if there is none.

    Args:
        named: the data set on the hub, `ORG/NAME`.
        below: the folder of `--data`. In it the folder may be called NAME, or as the repository of the benchmark is.
    """
    if below is None:
        return None
    names = (named.rpartition("/")[2], *(LAYOUTS[named].folders if named in LAYOUTS else ()))
    return next((below / name for name in names if (below / name).is_dir()), None)


def local_source(named: str, config: Mapping[str, Any], below: Path | None, beside: Path | None) -> dict[str, Any]:
    """Return the settings that make a task read its documents from this machine; empty if it reads the hub's.

    Args:
        named: the task's data set: on the hub, or one of `OF_FILES`.
        config: the task's settings.
        below: the folder of `--data`.
        beside: the folder of the task's own file, for relative names of files.

    Raises:
        InputError: a folder without documents, or a file that is not there.
    """
    options = dict(config.get("dataset_kwargs") or {})
    if named in OF_FILES:
        if not _is_local(options.get("data_files")):
            return {}
        options["data_files"] = _resolved(options["data_files"], [place for place in (beside, below) if place])
        return {"dataset_kwargs": {**options, **CACHE, "cache_dir": _new_cache()}}
    folder = local_folder(named, below)
    if folder is None:
        return {}
    layout = LAYOUTS.get(named)
    of_repository = layout is not None and not has_card(folder) and bool(layout.found(folder))
    if not of_repository and not any(file.is_file() and file.name != CARD for file in folder.rglob("*")):
        wanted = f", or {layout.files} of the benchmark's repository" if layout else ""
        raise InputError(f"it has no files; it should hold those of {named} on the hub{wanted}")
    cache = _new_cache()
    source = {"dataset_path": str(folder), "dataset_kwargs": {**options, **CACHE, "cache_dir": cache}}
    if layout is not None and of_repository:
        written = Path(cache) / "documents" / folder.name
        written.mkdir(parents=True)
        try:
            converted(layout, folder, written)
        except InputError:
            discard(source)
            raise
        source["dataset_path"] = str(written)
    return source


def delete_with(task: Any, source: Mapping[str, Any]) -> None:
    """Delete the cache of a task's documents when the task is gone, at the latest when the process ends."""
    if source:
        weakref.finalize(task, shutil.rmtree, source["dataset_kwargs"]["cache_dir"], ignore_errors=True)


def discard(source: Mapping[str, Any]) -> None:
    """Delete the cache of a task that could not be loaded."""
    if source:
        shutil.rmtree(source["dataset_kwargs"]["cache_dir"], ignore_errors=True)


def check_counts(task: Any, source: Mapping[str, Any]) -> None:
    """Compare the number of documents read with the files, for every split whose files can be counted.

    Args:
        task: a task of the harness with its documents.
        source: what `local_source` returned for it.

    Raises:
        ValueError: other numbers.
    """
    if not source:
        return
    from datasets import load_dataset_builder

    config: Any = task.config
    options = dict(source["dataset_kwargs"])
    options.pop("trust_remote_code", None)
    options.pop("verification_mode")
    options.pop("split", None)
    builder = load_dataset_builder(config.dataset_path, config.dataset_name, **options)
    of_split: Mapping[str, Any] = builder.config.data_files or {}
    documents = task.dataset if isinstance(task.dataset, Mapping) else {}
    for split, files in of_split.items():
        counts = [_count(Path(str(file)), builder.config) for file in files]
        if str(split) not in documents or any(count is None for count in counts):
            continue
        number, wanted = len(documents[str(split)]), sum(count or 0 for count in counts)
        if number != wanted:
            raise ValueError(
                f"{number:,} documents of the split {split} were read, and the files have {wanted:,}; run it again "
                "when nothing else changes them"
            )


def _count(file: Path, config: Any) -> int | None:
    """Return the number of documents in a file, read without any cache; None for a format that is not counted here."""
    ending = file.suffix.lower()
    if ending == ".parquet":
        import pyarrow.parquet

        return pyarrow.parquet.ParquetFile(file).metadata.num_rows
    if ending in (".csv", ".tsv") and hasattr(config, "pd_read_csv_kwargs"):
        import pandas as pd

        options: dict[str, Any] = {**config.pd_read_csv_kwargs, "iterator": True, "chunksize": 10_000}
        with pd.read_csv(file, **options) as parts:
            return sum(len(part) for part in parts)
    if ending == ".json":
        try:
            whole = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            ending = ".jsonl"  # lines of JSON may have either ending
        else:
            field = getattr(config, "field", None)
            rows = whole.get(field) if field and isinstance(whole, dict) else whole
            return len(rows) if isinstance(rows, list) else None
    if ending == ".jsonl":
        with file.open("rb") as lines:
            return sum(bool(line.strip()) for line in lines)
    return None


def _is_local(files: Any) -> bool:
    """Return whether names of files, one, several or by split, are all on this machine."""
    if isinstance(files, Mapping):
        return bool(files) and all(_is_local(each) for each in files.values())
    if isinstance(files, list | tuple):
        return bool(files) and all(_is_local(each) for each in files)
    return isinstance(files, str) and "://" not in files


def _resolved(files: Any, places: list[Path]) -> Any:
    """Return names of files, those that are relative and lie in one of these folders with the folder."""
    if isinstance(files, Mapping):
        return {split: _resolved(each, places) for split, each in files.items()}
    if isinstance(files, list | tuple):
        return [_resolved(each, places) for each in files]
    found = next((place / files for place in places if any(place.glob(files))), None) if _relative(files) else None
    return str(found) if found is not None else files


def _relative(file: str) -> bool:
    return not Path(file).is_absolute()


def _new_cache() -> str:
    return tempfile.mkdtemp(prefix="evenhand-documents-")
