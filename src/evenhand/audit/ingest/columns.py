"""The columns of a user's table, with error messages that name the column. Rows count from 0."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from evenhand.errors import InputError, first_line
from evenhand.tables.files import distinct_names, no_column
from evenhand.tables.values import NO_NAME, as_numbers, as_text, in_thousands, not_numbers, says_missing, without_nan

if TYPE_CHECKING:
    import narwhals as nw

TRUTH = {"false": "0", "true": "1"}
"""Words for truth values, and the digits that mean the same."""

_NAMES_NOTHING = {"unit": NO_NAME | {"none"}}
"""By role, words that stand for a missing value where others do than elsewhere."""


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of a table, read and checked on demand.

    Attributes:
        frame: of polars, or of any library that narwhals reads; only the columns that are read are converted.
        source: the name of the table, for messages.
    """

    frame: pl.DataFrame | nw.DataFrame[Any] = field(repr=False)
    source: str

    @classmethod
    def of(cls, frame: Any, source: str) -> Columns:
        """Raises InputError when the frame is no dataframe, or has no rows."""
        if isinstance(frame, pl.LazyFrame | pl.DataFrame):
            return cls._of_eager(frame.lazy().collect(), source)
        import narwhals as nw

        try:
            native = nw.from_native(_with_distinct_names(frame))
        except TypeError:
            raise InputError(
                f"{source} is a {type(frame).__name__}, not a dataframe (pandas, polars, pyarrow or another that "
                "narwhals reads)"
            ) from None
        return cls._of_eager(native.collect(backend="polars") if isinstance(native, nw.LazyFrame) else native, source)

    @classmethod
    def _of_eager(cls, eager: pl.DataFrame | nw.DataFrame[Any], source: str) -> Columns:
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
        name = str(name)
        if name not in self.names:
            raise no_column(self.source, name, f"({role})", self.names)
        try:
            return without_nan(_to_polars(self.frame, name))
        except _UNREADABLE as error:  # a column of objects of several types, or of a type that Arrow lacks
            raise InputError(f"{self.subject(name, role)} is not of one type: {first_line(error)}") from None

    def full(self, name: str, role: str) -> pl.Series:
        """A column without missing values."""
        values = self.get(name, role)
        if values.null_count():
            raise InputError(
                f"{self.subject(name, role)} is empty in {values.null_count():,} of {len(values):,} rows, first in row "
                f"{first_row(values.is_null())}; fill in these cells, or remove the rows"
            )
        unknown = says_missing(values, _NAMES_NOTHING.get(role, NO_NAME))
        if unknown.any():
            row = first_row(unknown)
            raise InputError(
                f'{self.subject(name, role)} is "{values[row]}" in {unknown.sum():,} of {len(values):,} rows, first in '
                f"row {row}, which stands for a missing value; fill in these cells, remove the rows, or write it in "
                "another way if it is a name"
            )
        return values

    def words(self, name: str, role: str) -> pl.Series:
        """A column without missing values, as text."""
        return self.as_words(self.full(name, role), role)

    def numbers(self, name: str, role: str, missing: bool = False) -> np.ndarray:
        """A column of finite numbers, float64 [n]; where values may be `missing`, these are nan."""
        values = self.get(name, role) if missing else self.full(name, role)
        if missing and values.dtype in (pl.Boolean, pl.Null):
            values = values.cast(pl.Float64)
        if (grouped := in_thousands(values)) is not None:
            raise InputError(
                f"{self.subject(name, role)} has whole numbers beside {grouped}, whose point may separate thousands; "
                f"write every number with its decimals, or {grouped.replace('.', '')} if it does"
            )
        parsed = as_numbers(values)
        if parsed is None and values.dtype == pl.String:
            row = first_row(not_numbers(values))
            raise InputError(f'{self.subject(name, role)} says "{values[row]}" in row {row}; numbers are needed')
        if parsed is None:
            raise InputError(f"{self.subject(name, role)} holds {values.dtype}, not numbers")
        numbers = parsed.fill_null(math.nan).to_numpy()
        unusable = np.isinf(numbers) if missing else ~np.isfinite(numbers)
        if unusable.any():
            row = first_row(unusable)
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
        """Values as text; see `evenhand.tables.values.as_text`."""
        words = as_text(values)
        if words is None:
            raise InputError(f"{self.subject(values.name, role)} holds {values.dtype}, not plain values")
        return words

    def subject(self, name: str, role: str) -> str:
        """The subject of a sentence about a column."""
        return f'{self.source}: the column "{name}" ({role})'


_UNREADABLE = (TypeError, ValueError, NotImplementedError, OverflowError, pl.exceptions.PolarsError)
_NAMED_TEXTS = ("IntervalDtype", "PeriodDtype")
"""Types of pandas whose values are known by their text alone, as pandas shows them."""


def _with_distinct_names(frame: Any) -> Any:
    """A frame of pandas or pyarrow whose columns have distinct texts as names; any other as it is."""
    from narwhals import dependencies

    if dependencies.is_pandas_like_dataframe(frame):
        names = list(frame.columns)
        distinct = distinct_names(names)
        return frame if distinct == names else frame.set_axis(distinct, axis=1)
    if dependencies.is_pyarrow_table(frame):
        return frame.rename_columns(distinct_names(frame.column_names))
    return frame


def _to_polars(frame: pl.DataFrame | nw.DataFrame[Any], name: str) -> pl.Series:
    """A column of a frame as polars'; intervals and periods of pandas are their texts."""
    if isinstance(frame, pl.DataFrame):
        return frame[name]
    from narwhals import dependencies

    native = frame.to_native()
    if dependencies.is_pandas_like_dataframe(native):
        values = native[name]
        kind = getattr(getattr(values.dtype, "categories", None), "dtype", values.dtype)
        if type(kind).__name__ in _NAMED_TEXTS:
            texts = [None if missing else str(value) for value, missing in zip(values, values.isna(), strict=True)]
            return pl.Series(name, texts, dtype=pl.String)
    return frame.select(name).to_polars()[name]


def first_row(wrong: pl.Series | np.ndarray) -> int:
    """The index of the first row that is true."""
    return int(np.flatnonzero(np.asarray(wrong))[0])


def listed(names: Sequence[str], most: int = 8) -> str:
    """Names separated by commas, cut after `most`."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
