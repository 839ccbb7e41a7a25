"""Reads columns of numbers: values of any meaning, and the labels and predictions of a regression."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from evenhand import records
from evenhand.audit.design import DeclaredMeasure, Range, RegressionDesign
from evenhand.audit.ingest.attributes import TableGroups
from evenhand.audit.ingest.columns import Columns, first_row
from evenhand.audit.ingest.coverage import largest_shares, share_of
from evenhand.errors import InputError, did_you_mean

MORE_IS = ("worse", "better", "neither")
SCALES = ("identity", "log", "rank")
_LARGEST = 1e60


@dataclass(frozen=True, eq=False)
class ValueColumn:
    """One column of values.

    Attributes:
        measure: what it means.
        numbers: float [n]; nan where a value is missing.
    """

    measure: DeclaredMeasure
    numbers: np.ndarray

    @property
    def name(self) -> str:
        return self.measure.name

    def warnings(self, rows: pl.DataFrame, first: pl.Series, groups: Mapping[str, TableGroups]) -> list[str]:
        """A sentence for each method without some values.

        Args:
            rows: `method` of each row.
            first: a row of each row's example.
            groups: by attribute.
        """
        sentences, missing = [], pl.Series(np.isnan(self.numbers))
        if not missing.any():
            return []
        tested = pl.DataFrame({"method": rows["method"], "example": first, "missing": missing})
        for method in tested["method"].unique(maintain_order=True):
            own = tested.filter(method=method)
            absent = own.filter("missing")
            if len(absent):
                counted = f"{len(absent):,} of {len(own):,}{largest_shares(absent, own, groups)}"
                share = share_of(len(absent), len(own))
                said = f"{self.name} is missing in {share} of the rows of {method} ({counted})"
                sentences.append(f"{said}: they are left out.")
        return sentences


@dataclass(frozen=True, eq=False)
class PredictedNumbers:
    """The true and the predicted number of each row.

    Attributes:
        design: their names and range.
        label, prediction: float [n].
    """

    design: RegressionDesign
    label: np.ndarray
    prediction: np.ndarray

    @property
    def labels(self) -> pl.Series:
        """The true numbers as texts, by which rows of one example are compared."""
        return pl.Series(self.label).cast(pl.String)

    @property
    def warnings(self) -> list[str]:
        """A sentence where the prediction is the label in every row."""
        if not (self.label == self.prediction).all():
            return []
        return [
            "The prediction is the label in every row: make sure that no column of labels was taken for one of "
            "predictions."
        ]


def value_columns(
    columns: Columns, names: Sequence[str], more_is: Any, limits: Any, scale: Any
) -> tuple[ValueColumn, ...]:
    """Read the columns of values; see `evenhand.audit.ingest.table.audit` for the arguments.

    Raises:
        InputError: a column that is named twice, or holds texts, numbers that are not finite or lie outside of the
            declared range, or nothing; a number that has no logarithm; a word that means nothing.
    """
    for name in names:
        if names.count(name) > 1:
            raise InputError(f'value: the column "{name}" is named twice')
    worse = _by_column("more_is", more_is, names)
    ranges = {name: _range(name, given) for name, given in _by_column("range", limits, names).items()}
    scales = _by_column("scale", scale, names)
    return tuple(_value_column(columns, name, worse.get(name), ranges.get(name), scales.get(name)) for name in names)


def predicted_numbers(columns: Columns, label: str, prediction: str | None, limits: Any) -> PredictedNumbers:
    """Read the labels and predictions of a regression.

    Raises:
        InputError: no column of predictions, or a column with missing values, texts, or numbers that are not finite or
            lie outside of the declared range.
    """
    if prediction is None:
        raise InputError("task regression: name the column of predicted numbers (prediction)")
    found = None if limits is None else _range("regression", limits)
    read = {}
    for role, name in (("label", label), ("prediction", prediction)):
        read[role] = columns.numbers(name, role)
        _check_size(columns, name, role, read[role])
        _check_range(columns, name, role, read[role], found)
    design = RegressionDesign(label=label, prediction=prediction, range=found, digits=_digits(read["label"]))
    return PredictedNumbers(design, read["label"], read["prediction"])


def values_table(
    trial: pl.Series,
    split: pl.Series,
    example: pl.Series,
    columns: Sequence[ValueColumn],
    predicted: PredictedNumbers | None,
) -> pl.DataFrame:
    """The table `values` of rows with these trials, splits and examples, without the values that are missing."""
    named = {column.name: column.numbers for column in columns}
    if predicted is not None:
        named |= {predicted.design.label: predicted.label, predicted.design.prediction: predicted.prediction}
    rows = pl.DataFrame({"trial": trial, "split": split, "example": example})
    parts = [
        rows.with_columns(name=pl.lit(name), value=pl.Series(numbers)).filter(pl.col("value").is_not_nan())
        for name, numbers in named.items()
    ]
    return records.validate(pl.concat(parts), "values") if parts else records.TABLES["values"].empty()


def _value_column(columns: Columns, name: str, more_is: Any, limits: Range | None, scale: Any) -> ValueColumn:
    for option, word, allowed in (("more_is", more_is, MORE_IS), ("scale", scale, SCALES)):
        if word is not None and word not in allowed:
            raise InputError(f"{option} should be {', '.join(allowed[:-1])} or {allowed[-1]}, not {word!r}")
    numbers = columns.numbers(name, "value", missing=True)
    known = numbers[~np.isnan(numbers)]
    if not len(known):
        raise InputError(f"{columns.subject(name, 'value')} is empty in every row")
    _check_size(columns, name, "value", known)
    _check_range(columns, name, "value", numbers, limits)
    scale = scale or "identity"
    if scale == "log" and (known <= 0).any():
        row = first_row(np.nan_to_num(numbers, nan=1.0) <= 0)
        raise InputError(
            f"{columns.subject(name, 'value')} is {numbers[row]:g} in row {row}; only numbers above 0 have a logarithm "
            "(scale log)"
        )
    shares = scale == "identity" and limits in (None, (0.0, 1.0)) and bool(np.isin(known, (0.0, 1.0)).all())
    measure = DeclaredMeasure(
        name=name,
        kind="values",
        more_is=more_is or "neither",
        range=(0.0, 1.0) if shares else limits,
        scale=scale,
        shares=shares,
        digits=3 if shares else _digits(known),
    )
    return ValueColumn(measure, numbers)


def _by_column(option: str, given: Any, names: Sequence[str]) -> dict[str, Any]:
    """What was given for all columns, or by column.

    Raises:
        InputError: there are no columns of values, or it names another one.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        if not names:
            raise InputError(f"{option} says what a column of values means; name that column (value)")
        return dict.fromkeys(names, given)
    for name in given:
        if name not in names:
            hint = f"; {did_you_mean(str(name), names)}" if names else ""
            raise InputError(f'{option}: "{name}" is no column of values (value){hint}')
    return dict(given)


def _range(name: str, given: Any) -> Range:
    """Two finite numbers, the smaller one first."""
    try:
        low, high = (float(end) for end in given)
    except (TypeError, ValueError):
        raise InputError(f"range ({name}) takes two numbers, such as 0 and 1, not {given!r}") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"range ({name}) goes from a number to a larger one, not from {low:g} to {high:g}")
    return low, high


def _check_size(columns: Columns, name: str, role: str, numbers: np.ndarray) -> None:
    """Refuse numbers whose squares or cubes floats cannot hold."""
    largest = float(np.abs(numbers).max())
    if largest > _LARGEST or 0 < largest < 1 / _LARGEST:
        raise InputError(
            f"{columns.subject(name, role)} holds numbers of the size of {largest:.0e}; an audit takes sizes from "
            f"{1 / _LARGEST:.0e} to {_LARGEST:.0e}: choose another unit"
        )


def _check_range(columns: Columns, name: str, role: str, numbers: np.ndarray, limits: Range | None) -> None:
    if limits is None:
        return
    outside = (numbers < limits[0]) | (numbers > limits[1])
    if outside.any():
        row = first_row(outside)
        raise InputError(
            f"{columns.subject(name, role)} is {numbers[row]:g} in row {row}, outside of the declared range from "
            f"{limits[0]:g} to {limits[1]:g}"
        )


def _digits(numbers: np.ndarray) -> int:
    """Decimals that show about a hundredth of the numbers' standard deviation."""
    spread = float(numbers.std())
    return min(max(2 - math.floor(math.log10(spread)), 0), 12) if spread > 0 else 3
