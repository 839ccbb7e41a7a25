"""The files or the hub's table of a published data set, refused in one sentence where they are missing or otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from evenhand.data.table_source import read_source
from evenhand.errors import InputError, first_line

_TABLES = (".csv", ".parquet")


def needed_folder(name: str, folder: Path | None) -> Path:
    """The folder of the data set `name`, which `--data DIR` must hold under that name."""
    if folder is None or not folder.is_dir():
        looked = "" if folder is None else f" ({folder} is no folder)"
        raise InputError(f"{name}: --data DIR must name a folder that holds {name}/{looked}")
    return folder


def text_of(name: str, path: Path) -> str:
    """A file's text. Raises InputError where it is missing or no UTF-8."""
    if not path.is_file():
        raise InputError(f"{name}: {path} is missing")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{name}: {path} is not UTF-8 text") from None


def words_of(name: str, path: Path, needed: Sequence[str], separator: str = ",") -> pl.DataFrame:
    """A file's table with every value as text, an empty one null.

    Args:
        name: of the data set, for messages.
        path: a file with a header.
        needed: columns that it must have; others are kept too.
        separator: of columns.

    Raises:
        InputError: the file is missing, is no such table, lacks a column, or has no rows.
    """
    text = text_of(name, path)
    try:
        frame = pl.read_csv(text.encode(), infer_schema=False, separator=separator, null_values="")
    except pl.exceptions.PolarsError:  # its message may quote the text
        raise InputError(f'{name}: {path} is no table with columns between "{separator}"') from None
    return _checked(frame, name, str(path), needed)


def table_of(name: str, hub: str, path: str | None, folder: Path | None, needed: Sequence[str]) -> pl.DataFrame:
    """The table of a data set that is kept on the Hugging Face hub, or in a folder of one's own.

    Args:
        name: of the data set, for messages.
        hub: its id on the hub.
        path: a file of the folder, or another `hub:ORG/NAME`; None: the one table in the folder, else the hub's.
        folder: `DIR/<name>` where `--data DIR` was given, else None. A folder without tables of its own is read as one
            of a Hugging Face data set.
        needed: columns that it must have; the others are kept too.

    Returns:
        Its rows, of all its parts; values of a CSV file are text.

    Raises:
        InputError: there is no such table, it cannot be read, lacks a column, or has no rows.
    """
    if path is not None and path.startswith("hub:"):
        return _checked(_from_hub(name, path), name, path, needed)
    if path is None and (folder is None or not folder.is_dir()):
        return _checked(_from_hub(name, f"hub:{hub}"), name, hub, needed)
    folder = needed_folder(name, folder)
    if path is None:
        tables = sorted(file.name for file in folder.iterdir() if file.suffix.lower() in _TABLES)
        if len(tables) > 1:
            raise InputError(f"{name}: {folder} holds several tables ({', '.join(tables)}); name one as path:")
        if not tables:
            return _checked(_from_hub(name, str(folder)), name, str(folder), needed)
        path = tables[0]
    file = folder / path
    if file.suffix.lower() == ".csv":
        return words_of(name, file, needed)
    if not file.is_file():
        raise InputError(f"{name}: {file} is missing")
    try:
        frame = pl.read_parquet(file)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{name}: {file} cannot be read as Parquet: {first_line(error)}") from None
    return _checked(frame, name, str(file), needed)


def _from_hub(name: str, place: str) -> pl.DataFrame:
    try:
        return read_source(place, None, None, None, name).frame
    except InputError as error:
        raise InputError(f"{error}; its table can also lie in DIR/{name}, with --data DIR") from None


def _checked(frame: pl.DataFrame, name: str, where: str, needed: Sequence[str]) -> pl.DataFrame:
    for column in needed:
        if column not in frame.columns:
            raise InputError(f'{name}: {where} has no column "{column}"; it should have {", ".join(needed)}')
    if len(frame) == 0:
        raise InputError(f"{name}: {where} has no rows")
    return frame


def numbers_of(frame: pl.DataFrame, name: str, column: str) -> np.ndarray:
    """float64 [n] of a column of numbers, or of numbers as text. Raises InputError where one is missing."""
    numbers = frame[column].cast(pl.Float64, strict=False).fill_nan(None)
    if numbers.null_count():
        raise InputError(
            f"{name}: the column {column} is no number in {numbers.null_count():,} of {len(numbers):,} rows, first in "
            f"row {numbers.is_null().arg_max()}"
        )
    return numbers.to_numpy()


def truth_of(frame: pl.DataFrame, name: str, column: str) -> np.ndarray:
    """bool [n] of a column of true and false, of 1 and 0, or of such words. Raises InputError for anything else."""
    words = frame[column].cast(pl.String).str.to_lowercase().str.strip_suffix(".0")
    truth = words.replace_strict(
        {"true": True, "1": True, "false": False, "0": False}, default=None, return_dtype=pl.Boolean
    )
    if truth.null_count():
        raise InputError(f"{name}: the column {column} is neither true nor false in row {truth.is_null().arg_max()}")
    return truth.to_numpy()


def text_units(texts: Sequence[str], ids: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """A unit for each text, copies in one: str [n], the id of the first; and a note of copies where there are some."""
    first: dict[str, str] = {}
    units = np.array([first.setdefault(text, example) for text, example in zip(texts, ids, strict=True)], dtype=object)
    copies = len(texts) - len(first)
    return units, [f"texts that repeat another row's: {copies:,}; copies are one unit"] if copies else []
