"""Builds the measures that a design declares: numbers whose meaning only the person who audits knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from evenhand.audit.design import DeclaredMeasure
from evenhand.audit.measures.benchmarks import MeanOf
from evenhand.audit.measures.display import Display
from evenhand.audit.measures.measure import EVERYWHERE, UNLIMITED, Measure

DIRECTION: Mapping[str, Literal[-1, 0, 1]] = {"worse": 1, "better": -1, "neither": 0}


def declared_measure(declared: DeclaredMeasure) -> Measure:
    """The measure that a design declares.

    Values in the range 0 to 1 are served by the default margin; all others need a margin of their own.

    Example:
        >>> grade = DeclaredMeasure(name="mc2", kind="benchmarks", more_is="better", range=(0, 10))
        >>> declared_measure(grade).limits, declared_measure(grade).default_margin
        ((0.0, 10.0), False)
    """
    shares = declared.range == (0, 1)
    return Measure(
        declared.name,
        declared.kind,
        f"mean of {declared.subject}",
        DIRECTION[declared.more_is],
        EVERYWHERE,
        _INFLUENCES[declared.kind](declared),
        title=declared.name,
        limits=declared.range or UNLIMITED,
        default_margin=shares,
        gaps=True,
        display=Display(points=shares),
    )


_INFLUENCES: Mapping[str, Callable[[DeclaredMeasure], Any]] = {
    "benchmarks": lambda declared: MeanOf(declared.name, bounded=declared.range == (0, 1)),
}
"""By kind of records, what computes the mean of a declared measure."""
