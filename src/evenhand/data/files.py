"""Files of a published data set, refused in one sentence where they are missing or read otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from evenhand.errors import InputError


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
    for column in needed:
        if column not in frame.columns:
            raise InputError(f'{name}: {path} has no column "{column}"; it should have {", ".join(needed)}')
    if len(frame) == 0:
        raise InputError(f"{name}: {path} has no rows")
    return frame
