"""Reads and writes tables as Parquet files, validated, and atomically."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from evenhand.atomic_files import replacing
from evenhand.errors import InputError, first_line, shortened
from evenhand.records.schemas import TABLES
from evenhand.records.validation import validate

UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""What polars raises for a damaged file; a panic is no subclass of `Exception`."""


def read(path: Path, name: str) -> pl.DataFrame:
    """Read the table in a Parquet file. Raises InputError if the file is missing or does not match the schema."""
    if not path.is_file():
        raise InputError(f"{path} is missing: it should hold the table {name}")
    try:
        frame = pl.read_parquet(path)
    except UNREADABLE as error:
        raise InputError(f"{path} is not a readable Parquet file: {shortened(first_line(error))}") from None
    return validate(frame, name, path)


def write(frame: pl.DataFrame, path: Path, name: str, metadata: Mapping[str, str] | None = None) -> None:
    """Validate a table and write it atomically; `metadata` (fingerprints, say) goes into the file's footer."""
    frame = validate(frame, name, path)
    # Through memory, because polars does not say that it was a full disk that made it fail.
    contents = io.BytesIO()
    frame.write_parquet(contents, metadata=dict(metadata or {}))
    with replacing(path) as aside:
        aside.write_bytes(contents.getbuffer())


def metadata(path: Path) -> dict[str, str]:
    """The metadata that `write` put into a file's footer."""
    return {key: value for key, value in pl.read_parquet_metadata(path).items() if not key.startswith("ARROW")}


def stacked(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Concatenate tables `predictions` of different numbers of classes.

    Logits of fewer classes are padded with −inf, probabilities with 0; nulls remain null.
    """
    if not frames:
        return TABLES["predictions"].empty()
    for column, filler in (("logits", -math.inf), ("probabilities", 0.0)):
        width = max(_width(frame, column) for frame in frames)
        frames = [_padded(frame, column, width, filler) for frame in frames]
    return pl.concat(frames)


def _width(frame: pl.DataFrame, column: str) -> int:
    return frame.schema[column].shape[0]  # pyright: ignore[reportAttributeAccessIssue]


def _padded(frame: pl.DataFrame, column: str, width: int, filler: float) -> pl.DataFrame:
    if _width(frame, column) == width:
        return frame
    inner = frame.schema[column].inner  # pyright: ignore[reportAttributeAccessIssue]
    more = pl.lit([filler] * (width - _width(frame, column)), dtype=pl.List(inner))
    known = pl.when(pl.col(column).is_not_null()).then(pl.col(column).arr.to_list().list.concat(more))
    return frame.with_columns(known.cast(pl.Array(inner, width)).alias(column))
