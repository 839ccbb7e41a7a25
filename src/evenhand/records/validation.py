"""Validates a data frame against the schema of its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from evenhand.errors import InputError, did_you_mean
from evenhand.records.schemas import ATTRIBUTE, LISTS, TABLES, Table


def validate(frame: pl.DataFrame, name: str, where: str | Path | None = None) -> pl.DataFrame:
    """Validate a frame, and return it with the schema's columns in order and with their types.

    An absent nullable column is filled with nulls, and a column that an older version did not have with its value in
    that version; integers and floats of another width are cast. Nothing else is changed.

    Args:
        frame: the rows.
        name: a key of `TABLES`.
        where: the file, for the error.

    Raises:
        InputError: an unknown table, a missing or unknown column, a type that does not fit, a forbidden null or NaN, a
            word that is not allowed, or two rows with the same key.
    """
    if name not in TABLES:
        raise InputError(f'there is no table "{name}"; {did_you_mean(name, TABLES)}')
    table = TABLES[name]
    place = f"table {name}" if where is None else f"table {name} ({where})"
    extra = [c for c in frame.columns if c not in table.columns and not (table.attributes and c.startswith(ATTRIBUTE))]
    if extra:
        raise InputError(f'{place} has no column "{extra[0]}"; {did_you_mean(extra[0], table.columns)}')
    older = table.older if not set(table.older) & set(frame.columns) else {}
    columns = []
    for column, kind in table.columns.items():
        if column not in frame.columns:
            if column not in table.nullable and column not in older:
                raise InputError(f'{place} lacks the column "{column}"')
            columns.append(pl.lit(None, dtype=kind).alias(column))
        else:
            columns.append(_typed(frame[column], kind, place))
    columns += [_typed(frame[c], LISTS, place) for c in frame.columns if c not in table.columns]
    frame = frame.select(columns).with_columns(**older)
    _check_values(frame, table, place)
    return frame


def from_rows(rows: Sequence[Mapping[str, Any]], name: str) -> pl.DataFrame:
    """Build a table from rows, validated."""
    return validate(pl.DataFrame(rows, infer_schema_length=None), name) if rows else TABLES[name].empty()


def repeated_rows(keys: pl.DataFrame) -> pl.Series | None:
    """A mask of the rows that occur more than once, bool [n]; None if all are distinct."""
    if keys.hash_rows().n_unique() == len(keys):  # rows with different hashes differ
        return None
    repeated = keys.is_duplicated()
    return repeated if repeated.any() else None


def _typed(series: pl.Series, kind: Any, place: str) -> pl.Series:
    found = series.dtype
    if isinstance(kind, pl.Array):
        if found == pl.Null:
            return series.cast(kind)
        if isinstance(found, pl.Array) and found.inner == kind.inner:
            return series
        width = str(kind.inner).lower()
        raise InputError(f"{place}: column {series.name} is {found}, not a fixed-size array of {width}")
    if found == kind:
        return series
    numeric = kind == pl.Float64 and found.is_numeric()
    widened = kind == pl.Int64 and found.is_integer()
    if found == pl.Null or numeric or widened:
        return series.cast(kind)
    if isinstance(kind, pl.List) and isinstance(found, pl.List) and found.inner in (pl.Null, kind.inner):
        return series.cast(kind)
    if isinstance(kind, pl.List) and isinstance(found, pl.List) and kind.inner.is_float() and found.inner.is_float():
        return series.cast(kind)
    raise InputError(f"{place}: column {series.name} is {found}, not {kind}")


def _check_values(frame: pl.DataFrame, table: Table, place: str) -> None:
    for column in frame.columns:
        series = frame[column]
        required = column in table.columns and column not in table.nullable
        if required and series.null_count():
            raise InputError(f"{place}: column {column} holds {series.null_count()} nulls, and may hold none")
        if series.dtype.is_float() and series.is_nan().any():
            raise InputError(f"{place}: column {column} holds NaN; a quantity that is not defined is null with a note")
    for column, words in table.words.items():
        wrong = frame.filter(pl.col(column).is_not_null() & ~pl.col(column).is_in(words))
        if len(wrong):
            raise InputError(f"{place}: {column} is {wrong[column][0]!r}, not one of {', '.join(words)}")
    if table.key:
        repeated = repeated_rows(frame.select(table.key))
        if repeated is not None:
            row = frame.select(table.key).filter(repeated).row(0, named=True)
            shown = ", ".join(f"{key} {value}" for key, value in row.items() if value is not None)
            raise InputError(f"{place}: more than one row for {shown}")
    for column, kind in table.columns.items():
        if isinstance(kind, pl.Array) and frame[column].null_count() < len(frame):
            flat = frame[column].drop_nulls().explode()
            if flat.is_nan().any() or flat.null_count():
                raise InputError(f"{place}: {column} hold NaN")
