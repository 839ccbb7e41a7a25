"""Compares two versions of a table cell by cell, and names the rows that differ by their keys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from evenhand import records

CURVE = ("setting", "split", "measure", "attribute", "group", "method", "x")
"""What a row of `curves` is about; that table has no key."""

RELATIVE, ABSOLUTE = 1e-12, 1e-14
FOUND = 1e-9
"""Relative tolerance of numbers that root finding or a simulation gave."""
LOOSE = ("p", "p_adjusted", "detectable", "x", "y")


@dataclass(frozen=True)
class Difference:
    """One difference between two tables.

    Attributes:
        column: None where rows or columns are missing or out of order.
        rows: how many rows differ so.
        lines: what to tell of the first of them.
    """

    column: str | None
    rows: int
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n    ".join(self.lines)


def differences(name: str, before: pl.DataFrame, after: pl.DataFrame, shown: int = 3) -> list[Difference]:
    """What differs in a table, none where the later one has the rows of the earlier one, in its order, and its columns.

    Text, whole numbers and nulls are compared exactly, other numbers to `RELATIVE` and `ABSOLUTE`, those of `LOOSE`
    to `FOUND`. Columns that the later one has besides are no difference.

    Args:
        shown: of how many rows to tell.
    """
    found = [
        Difference(column, max(len(before), 1), (f"the column {column} is missing",))
        for column in before.columns
        if column not in after.columns
    ]
    columns = [column for column in before.columns if column in after.columns]
    key = [column for column in (CURVE if name == "curves" else records.TABLES[name].key) if column in columns]
    # A curve's x is a number and may differ by what is tolerated: there the order of rows alone says which is which.
    rows = _rows(name, before, after, [column for column in key if column != "x"], shown)
    if rows:
        return [*found, *rows, *_shared(before, after, columns, key, shown)]
    return [*found, *_cells(before, after, columns, key, shown)]


def _rows(name: str, before: pl.DataFrame, after: pl.DataFrame, key: list[str], shown: int) -> list[Difference]:
    """Rows that only one table has, or that stand in another order."""
    if before.select(key).equals(after.select(key)):
        return []
    counted = [frame.group_by(key, maintain_order=True).len("rows") for frame in (before, after)]
    found = []
    for said, (own, other) in (("missing", counted), ("new", counted[::-1])):
        joined = own.join(other, on=key, how="left", nulls_equal=True, suffix="_other", maintain_order="left")
        only = joined.filter(pl.col("rows") > pl.col("rows_other").fill_null(0))
        if len(only):
            lines = [_place(row, key) for row in only.head(shown).iter_rows(named=True)]
            found.append(Difference(None, len(only), (f"{len(only)} keys of {name} have {said} rows", *lines)))
    if not found:
        at = next(
            place for place in range(len(before)) if before.select(key).row(place) != after.select(key).row(place)
        )
        first = _place(before.row(at, named=True), key)
        found.append(Difference(None, len(before), (f"rows stand in another order, first at row {at}", first)))
    return found


def _shared(
    before: pl.DataFrame, after: pl.DataFrame, columns: list[str], key: list[str], shown: int
) -> list[Difference]:
    """Cells of the rows that both have, where keys tell rows apart."""
    if before.select(key).is_duplicated().any() or after.select(key).is_duplicated().any():
        return []
    ours, theirs = (frame.select(columns) for frame in (before, after))
    pair = {"on": key, "how": "semi", "nulls_equal": True}
    ours, theirs = ours.join(theirs, **pair), theirs.join(ours, **pair)
    return _cells(ours.sort(key), theirs.sort(key), columns, key, shown)


def _cells(
    before: pl.DataFrame, after: pl.DataFrame, columns: list[str], key: list[str], shown: int
) -> list[Difference]:
    """Cells that differ, by column; both tables have the same rows."""
    found = []
    for column in columns:
        ours, theirs = before[column], after[column]
        if ours.dtype != theirs.dtype:
            found.append(Difference(column, len(ours), (f"{column} is {theirs.dtype} and was {ours.dtype}",)))
            continue
        if ours.dtype.is_float():
            same = _close(ours, theirs, FOUND if column in LOOSE else RELATIVE)
        else:
            same = ours.eq_missing(theirs).to_numpy()
        rows = np.flatnonzero(~same)
        if len(rows):
            lines = [
                f"{_place(before.row(int(row), named=True), key)}: {column} is {theirs[int(row)]!r} and was "
                f"{ours[int(row)]!r}"
                for row in rows[:shown]
            ]
            found.append(
                Difference(column, len(rows), (f"{column} differs in {len(rows)} of {len(ours)} rows", *lines))
            )
    return found


def _close(before: pl.Series, after: pl.Series, relative: float) -> np.ndarray:
    """Bool [n]; null is like null only, and nan like nan."""
    null = before.is_null().to_numpy(), after.is_null().to_numpy()
    ours, theirs = (series.fill_null(0.0).to_numpy() for series in (before, after))
    close = np.isclose(theirs, ours, rtol=relative, atol=ABSOLUTE, equal_nan=True)
    return (null[0] == null[1]) & (null[0] | close)


def _place(row: dict[str, object], key: list[str]) -> str:
    """What a row is about, without what is null of it."""
    return ", ".join(f"{column} {row[column]}" for column in key if row[column] is not None)
