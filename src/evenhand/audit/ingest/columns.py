"""The columns of a user's table, with error messages that name the column. Rows count from 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl

from evenhand.errors import InputError, did_you_mean, first_line

READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    ".csv": lambda path: pl.read_csv(path, infer_schema_length=None),
    ".tsv": lambda path: pl.read_csv(path, infer_schema_length=None, separator="\t"),
    ".parquet": pl.read_parquet,
    ".json": lambda path: pl.read_json(path, infer_schema_length=None),
    ".jsonl": lambda path: pl.read_ndjson(path, infer_schema_length=None),
    ".ndjson": lambda path: pl.read_ndjson(path, infer_schema_length=None),
}

TRUTH = {"false": "0", "true": "1"}
"""Words for truth values, and the digits that mean the same."""


def read_file(path: Path) -> pl.DataFrame:
    """The rows of a file, by its suffix. Raises InputError when it is missing, of another kind, or unreadable."""
    reader = READERS.get(path.suffix.lower())
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    if reader is None:
        raise InputError(f"{path} ends in none of {', '.join(READERS)}, so its format is not known")
    try:
        return reader(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path} cannot be read: {first_line(error)}") from None


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of a table, read and checked on demand.

    Attributes:
        frame: of any library that narwhals reads; only the columns that are read are converted.
        source: the name of the table, for messages.
    """

    frame: nw.DataFrame[Any] = field(repr=False)
    source: str

    @classmethod
    def of(cls, frame: Any, source: str) -> Columns:
        """Raises InputError when the frame is no dataframe, or has no rows."""
        try:
            native = nw.from_native(frame)
        except TypeError:
            raise InputError(
                f"{source} is a {type(frame).__name__}, not a dataframe (pandas, polars, pyarrow or another that "
                "narwhals reads)"
            ) from None
        eager = native.collect(backend="polars") if isinstance(native, nw.LazyFrame) else native
        if len(eager) == 0:
            raise InputError(f"{source} has no rows")
        return cls(eager, source)

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def names(self) -> list[str]:
        return self.frame.columns

    def get(self, name: str, role: str) -> pl.Series:
        """A column, in which NaN and empty texts are missing values."""
        if name not in self.names:
            raise InputError(f'{self.source} has no column "{name}" ({role}); {did_you_mean(name, self.names)}')
        try:
            values = self.frame.select(name).to_polars()[name]
        except (TypeError, ValueError) as error:  # a column of objects of several types
            raise InputError(f"{self.subject(name, role)} is not of one type: {first_line(error)}") from None
        if values.dtype == pl.String:
            return values.replace("", None)
        return values.fill_nan(None) if values.dtype.is_float() else values

    def full(self, name: str, role: str) -> pl.Series:
        """A column without missing values."""
        values = self.get(name, role)
        if values.null_count():
            raise InputError(
                f"{self.subject(name, role)} is empty in {values.null_count():,} of {len(values):,} rows, first in row "
                f"{first_row(values.is_null())}; fill them or leave these rows out"
            )
        return values

    def words(self, name: str, role: str) -> pl.Series:
        """A column without missing values, as text."""
        return self.as_words(self.full(name, role), role)

    def numbers(self, name: str, role: str) -> np.ndarray:
        """A column of finite numbers, float64 [n]."""
        values = self.full(name, role)
        if values.dtype == pl.String:
            parsed = values.cast(pl.Float64, strict=False)
            if parsed.null_count():
                row = first_row(parsed.is_null())
                raise InputError(f'{self.subject(name, role)} says "{values[row]}" in row {row}; numbers are needed')
            values = parsed
        if not values.dtype.is_numeric():
            raise InputError(f"{self.subject(name, role)} holds {values.dtype}, not numbers")
        numbers = values.cast(pl.Float64).to_numpy()
        if not np.isfinite(numbers).all():
            row = int(np.flatnonzero(~np.isfinite(numbers))[0])
            raise InputError(f"{self.subject(name, role)} is {numbers[row]} in row {row}; finite numbers are needed")
        return numbers

    def flags(self, name: str, role: str, meaning: str) -> pl.Series:
        """A column of true and false or 1 and 0, as booleans; missing values are null.

        Args:
            name, role: of the column.
            meaning: the end of the error message about other values.
        """
        words = self.as_words(self.get(name, role), role)
        digits = {word: TRUTH.get(word.lower(), word) for word in words.drop_nulls().unique()}
        strange = [word for word, digit in digits.items() if digit not in TRUTH.values()]
        if strange:
            row = first_row(words.is_in(strange).fill_null(False))
            raise InputError(f'{self.subject(name, role)} says "{words[row]}" in row {row}; {meaning}')
        return words.replace_strict({word: digit == "1" for word, digit in digits.items()}, return_dtype=pl.Boolean)

    def as_words(self, values: pl.Series, role: str) -> pl.Series:
        """Values as text, the same whether a file keeps 1, 1.0 or "1"."""
        if values.dtype.is_nested() or values.dtype in (pl.Binary, pl.Object):
            raise InputError(f"{self.subject(values.name, role)} holds {values.dtype}, not plain values")
        if values.dtype.is_float():
            known = values.drop_nulls()
            if (known.is_finite() & (known == known.round())).all():
                values = values.cast(pl.Int64)
        return values.cast(pl.String)

    def subject(self, name: str, role: str) -> str:
        """The subject of a sentence about a column."""
        return f'{self.source}: the column "{name}" ({role})'


def first_row(wrong: pl.Series | np.ndarray) -> int:
    """The index of the first row that is true."""
    return int(np.flatnonzero(np.asarray(wrong))[0])


def listed(names: Sequence[str], most: int = 8) -> str:
    """Names separated by commas, cut after `most`."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
