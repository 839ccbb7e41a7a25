"""Reads the files or the hub's table of a published data set, and refuses missing or malformed ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from evenhand import records
from evenhand.data.table_source import read_table
from evenhand.errors import InputError, UnavailableError, first_line

_TABLES = (".csv", ".parquet")


def require_folder(name: str, folder: Path | None) -> Path:
    """Return the folder of the data set `name` below `--data DIR`; raise UnavailableError if there is none."""
    if folder is None or not folder.is_dir():
        looked = "" if folder is None else f" ({folder} is no folder)"
        raise UnavailableError(f"{name}: --data DIR must name a folder that holds {name}/{looked}")
    return folder


def read_text(name: str, path: Path) -> str:
    """Return a file's text. Raises InputError if it is missing or not UTF-8."""
    if not path.is_file():
        raise InputError(f"{name}: {path} is missing")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{name}: {path} is not UTF-8 text") from None


def read_text_table(name: str, path: Path, needed: Sequence[str], separator: str = ",") -> pl.DataFrame:
    """Read a delimited file with every value as text and empty values as null.

    Args:
        name: name of the data set in messages.
        path: a file with a header.
        needed: columns that it must have; others are kept, too.
        separator: separator of columns.

    Raises:
        InputError: the file is missing, is not a table in this format, lacks a column, or has no rows.
    """
    text = read_text(name, path)
    try:
        frame = pl.read_csv(text.encode(), infer_schema=False, separator=separator, null_values="")
    except pl.exceptions.PolarsError:  # its message may quote the text
        raise InputError(f'{name}: {path} is not a table with columns separated by "{separator}"') from None
    return _check_table(frame, name, str(path), needed)


def read_published_table(
    name: str, hub: str, path: str | None, folder: Path | None, needed: Sequence[str]
) -> pl.DataFrame:
    """Read the table of a data set from a local folder or from the Hugging Face hub.

    Args:
        name: name of the data set in messages.
        hub: its id on the hub.
        path: a file of the folder, or another `hub:ORG/NAME`; None: the only table in the folder, else the hub's.
        folder: `DIR/<name>` if `--data DIR` was given, else None. A folder without tables is read as a copy of a
            Hugging Face data set.
        needed: columns that it must have; the others are kept, too.

    Returns:
        The rows of all its parts; values of a CSV file are text.

    Raises:
        InputError: there is no such table, it cannot be read, lacks a column, or has no rows.
    """
    if path is not None and path.startswith("hub:"):
        return _check_table(_read_from_hub(name, path), name, path, needed)
    if path is None and (folder is None or not folder.is_dir()):
        return _check_table(_read_from_hub(name, f"hub:{hub}"), name, hub, needed)
    folder = require_folder(name, folder)
    if path is None:
        tables = sorted(file.name for file in folder.iterdir() if file.suffix.lower() in _TABLES)
        if len(tables) > 1:
            raise InputError(f"{name}: {folder} holds several tables ({', '.join(tables)}); name one as path:")
        if not tables:
            return _check_table(_read_from_hub(name, str(folder)), name, str(folder), needed)
        path = tables[0]
    file = folder / path
    if file.suffix.lower() == ".csv":
        return read_text_table(name, file, needed)
    if not file.is_file():
        raise InputError(f"{name}: {file} is missing")
    try:
        frame = pl.read_parquet(file)
    except (*records.UNREADABLE, OSError) as error:
        raise InputError(f"{name}: {file} cannot be read as Parquet: {first_line(error)}") from None
    return _check_table(frame, name, str(file), needed)


def _read_from_hub(name: str, place: str) -> pl.DataFrame:
    """Read a table from the hub or a Hugging Face folder; an error message also names the folder for a local table."""
    try:
        return read_table(place, None, None, None, name).frame
    except InputError as error:
        raise type(error)(f"{error}; its table can also lie in DIR/{name}, with --data DIR") from None


def _check_table(frame: pl.DataFrame, name: str, where: str, needed: Sequence[str]) -> pl.DataFrame:
    """Return the table; raise InputError if it lacks a column or has no rows."""
    for column in needed:
        if column not in frame.columns:
            raise InputError(f'{name}: {where} has no column "{column}"; it should have {", ".join(needed)}')
    if len(frame) == 0:
        raise InputError(f"{name}: {where} has no rows")
    return frame


def numbers_in_column(frame: pl.DataFrame, name: str, column: str) -> np.ndarray:
    """Return a column of numbers, or of numbers as text, as float64 [n]. Raises InputError if one is missing."""
    numbers = frame[column].cast(pl.Float64, strict=False).fill_nan(None)
    if numbers.null_count():
        raise InputError(
            f"{name}: the column {column} is not a number in {numbers.null_count():,} of {len(numbers):,} rows, first "
            f"in row {numbers.is_null().arg_max()}"
        )
    return numbers.to_numpy()


def booleans_in_column(frame: pl.DataFrame, name: str, column: str) -> np.ndarray:
    """Return a column of true and false, or of 1 and 0, as bool [n]. Raises InputError for any other value."""
    words = frame[column].cast(pl.String).str.to_lowercase().str.strip_suffix(".0")
    truth = words.replace_strict(
        {"true": True, "1": True, "false": False, "0": False}, default=None, return_dtype=pl.Boolean
    )
    if truth.null_count():
        raise InputError(f"{name}: the column {column} is neither true nor false in row {truth.is_null().arg_max()}")
    return truth.to_numpy()


def text_units(texts: Sequence[str], ids: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Return a unit per text, shared by its copies, and a note that counts the copies.

    Units are str [n], the id of the first copy. Without copies there is no note.
    """
    first: dict[str, str] = {}
    units = np.array([first.setdefault(text, example) for text, example in zip(texts, ids, strict=True)], dtype=object)
    copies = len(texts) - len(first)
    return units, [f"texts that repeat another row's: {copies:,}; copies are one unit"] if copies else []
