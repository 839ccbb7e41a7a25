"""Differences and bounds in words, in percentage points or in the unit of their measure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from evenhand.report.number_text import number
from evenhand.report.wording import Row, digits, measure_named

_FAR = 2
"""Bounds are given as a range where the largest is more than so many times the smallest."""


def difference(row: Row, level: int) -> str:
    """The contrast of a row with its interval: `41 points (90% interval 38 to 44)`.

    Args:
        row: of `verdicts`, with an interval.
        level: of the interval, in percent.

    Example:
        >>> row = {"measure": "accuracy", "contrast": 0.412, "low": 0.377, "high": 0.442}
        >>> difference(row, 90)
        '41 points (90% interval 38 to 44)'
        >>> difference({"measure": "membership_auc", "contrast": 0.21, "low": 0.15, "high": 0.27}, 90)
        '0.210 in membership AUC (90% interval 0.150 to 0.270)'
    """
    measure = measure_named(row["measure"])
    low, high = (_signed(row, row[end]) for end in ("low", "high"))
    # Words such as `leaks more of its training set` do not name the measure, and a bare number would have no unit.
    named = measure.in_points or measure.display.factor or measure.title in measure.display.worse
    unit = f" in {measure.title}" if measure.display.worse and not named else ""
    return f"{size(row)}{unit} ({level}% interval {low} to {high})"


def size(row: Row) -> str:
    """The contrast of a row without its interval: `41 points`, with the digits that its interval allows.

    Example:
        >>> size({"measure": "accuracy", "contrast": 0.412, "low": 0.377, "high": 0.442})
        '41 points'
    """
    value = _signed(row, row["contrast"])
    if measure_named(row["measure"]).display.factor:
        return f"a factor of {value}"
    if not measure_named(row["measure"]).in_points:
        return value
    return f"{value} {'point' if float(value.replace('−', '-')) == 1 else 'points'}"


def _signed(row: Row, value: float) -> str:
    """A value on the scale of a row's contrast, in points with or without a decimal; of logarithms a factor."""
    if measure_named(row["measure"]).display.factor:
        return f"{math.exp(value):.3g}"
    if not measure_named(row["measure"]).in_points:
        return number(value, digits(row["measure"]))
    few = min(abs(100 * row["low"]), 100 * (row["high"] - row["low"])) >= 2
    return number(100 * value, 0 if few else 1)


def bound(measure: str, value: float) -> str:
    """An upper bound in words, rounded upward; not below 0, since a harm is above it.

    Example:
        >>> bound("accuracy", 0.0731), bound("accuracy", 0.1201), bound("bleu", 2.51)
        ('7.4 points', '13 points', '2.510')
    """
    text = _upward(measure, value)
    if measure_named(measure).display.factor:
        return f"a factor of {text}"
    return f"{text} {'point' if text == '1' else 'points'}" if measure_named(measure).in_points else text


def reach(measure: str, values: Sequence[float]) -> str:
    """The range of several upper bounds in words: `7 points`, or `3 to 12 points, depending on the group,`.

    The largest serves for all that are not far below it.

    Example:
        >>> reach("accuracy", [0.03, 0.12])
        '3 to 12 points, depending on the group,'
        >>> reach("accuracy", [0.05, 0.07])
        '7 points'
    """
    high = bound(measure, max(values))
    if max(values) <= _FAR * min(values):
        return high
    low = _upward(measure, min(values))
    if measure_named(measure).display.factor:
        return f"a factor of {low} to {_upward(measure, max(values))}, depending on the group,"
    return f"{low} to {high}, depending on the group,"


def _upward(measure: str, value: float) -> str:
    if measure_named(measure).display.factor:
        return f"{math.ceil(round(100 * math.exp(max(value, 0)), 9)) / 100:.2f}"
    points = measure_named(measure).in_points
    scale, decimals = (100, 0 if value >= 0.1 else 1) if points else (1, digits(measure))
    # Rounding first, so that a value such as .07, which is not exact in binary, does not become 7.1 points.
    upward = math.ceil(round(max(scale * value, 0) * 10**decimals, 9)) / 10**decimals
    return f"{upward:.{decimals}f}".removesuffix(".0" if points else "")


def within_range(measure: str, value: float | None) -> bool:
    """Whether a harm of this size is possible: nothing gets worse by more than its whole range.

    Example:
        >>> within_range("accuracy", 0.3), within_range("accuracy", 1.4), within_range("accuracy", None)
        (True, False, False)
    """
    return value is not None and value < span_of(measure)


def span_of(measure: str) -> float:
    """The largest that a contrast of a measure can be."""
    least, most = measure_named(measure).limits
    return most - least
