"""Builds the measures that a design declares: numbers whose meaning only the person who audits knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from evenhand.audit.design import DeclaredMeasure
from evenhand.audit.measures.benchmarks import MeanOf, declared_number
from evenhand.audit.measures.display import Display
from evenhand.audit.measures.measure import EVERYWHERE, UNLIMITED, Measure

DIRECTION: Mapping[str, Literal[-1, 0, 1]] = {"worse": 1, "better": -1, "neither": 0}

UNBOUNDED = (
    "the same metric with a declared range: where values have no bounds, no coverage is promised for intervals of gaps"
)
"""What decides in place of the gaps of values without bounds, which may be skewed."""


def declared_measure(declared: DeclaredMeasure) -> Measure:
    """The measure that a design declares.

    Values in the range 0 to 1 are served by the default margin; all others need a margin of their own.

    Example:
        >>> grade = DeclaredMeasure(name="mc2", kind="benchmarks", more_is="better", range=(0, 10))
        >>> declared_measure(grade).limits, declared_measure(grade).default_margin
        ((0.0, 10.0), False)
    """
    if not declared.mean:
        return declared_number(declared.name, declared.subject)
    shares = declared.range == (0, 1)
    return Measure(
        declared.name,
        declared.kind,
        f"mean of {declared.subject}",
        DIRECTION[declared.more_is],
        EVERYWHERE,
        MeanOf(declared.name, bounded=shares),
        title=declared.name,
        limits=declared.range or UNLIMITED,
        default_margin=shares,
        gaps=True,
        gaps_decided_by="" if declared.range else UNBOUNDED,
        display=Display(
            shown_in="benchmarks" if declared.range else "",
            points=shares,
            question="benchmark accuracy",
            summary=True,
        ),
    )
