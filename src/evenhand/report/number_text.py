"""Numbers, intervals and ranges as text in reports."""

from __future__ import annotations

from collections.abc import Sequence

NONE = "—"
"""Stands for a quantity that could not be computed; the reason is given beside it."""


def number(value: float | None, decimals: int = 3, signed: bool = False) -> str:
    """A number with a true minus sign; an em dash for null."""
    if value is None:
        return NONE
    text = f"{value:+.{decimals}f}" if signed else f"{value:.{decimals}f}"
    if float(text) == 0:
        text = f"{0:.{decimals}f}"
    return text.replace("-", "−")


def interval(low: float | None, high: float | None, decimals: int = 3, signed: bool = False) -> str:
    """`[low, high]`; an em dash when there is none.

    A signed end that is not 0 has as many decimals as show its sign, up to six: the side of 0 decides the verdict.

    Example:
        >>> from evenhand.report.number_text import interval
        >>> interval(0.0004, 0.0312, signed=True)
        '[+0.0004, +0.031]'
    """
    if low is None or high is None:
        return NONE
    ends = (number(end, _shown(end, decimals) if signed else decimals, signed) for end in (low, high))
    return f"[{', '.join(ends)}]"


def _shown(value: float, decimals: int) -> int:
    """The number of decimals, at least these, with which a value is not rounded to 0; these if six are too few."""
    return next((more for more in range(decimals, 7) if round(value, more)), decimals)


def span(values: Sequence[float], decimals: int | None = None) -> str:
    """The range of numbers in words: `between 0.03 and 0.12`, or one number if all are equal.

    Args:
        values: the numbers.
        decimals: of both ends; unless given as many as small numbers need.
    """
    ends = (min(values), max(values))
    needed = [2 if value >= 0.01 else 3 if value >= 0.001 else 5 for value in ends]
    low, high = (number(value, few if decimals is None else decimals) for value, few in zip(ends, needed, strict=True))
    return low if low == high else f"between {low} and {high}"
