"""Builds the measures that a design declares: numbers whose meaning only the person who audits knows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from evenhand.audit.design import DeclaredMeasure
from evenhand.audit.measures.benchmarks import MeanOf, declared_number
from evenhand.audit.measures.display import Display
from evenhand.audit.measures.measure import EVERYWHERE, UNLIMITED, Measure
from evenhand.audit.measures.numbers import OF_LOGARITHMS, OF_VALUES, MeanOfValues, RankOf

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
        return declared_number(declared.name, declared.recorded, declared.subject)
    shares = declared.range == (0, 1)
    measure = Measure(
        declared.name,
        declared.kind,
        f"mean of {declared.subject}",
        DIRECTION[declared.more_is],
        EVERYWHERE,
        MeanOf(declared.recorded, bounded=shares),
        title=declared.name,
        limits=declared.range or UNLIMITED,
        default_margin=shares,
        gaps=True,
        gaps_decided_by="" if declared.range or declared.kind == "values" else UNBOUNDED,
        display=Display(
            shown_in="benchmarks" if declared.range else "",
            points=shares,
            question="benchmark accuracy",
            summary=True,
        ),
    )
    return measure if declared.kind == "benchmarks" else _of_values(declared, measure)


def _of_values(declared: DeclaredMeasure, measure: Measure) -> Measure:
    """The measure of a column of numbers, on the scale that is declared."""
    more = "lower" if declared.more_is == "better" else "higher"
    words = Display("values", worse=f"has a {more} {declared.name}", not_worse=f"have a {more} {declared.name}")
    mean = MeanOfValues(None, None) if declared.shares else MeanOfValues(declared.range, OF_VALUES)
    measure = replace(measure, influence=mean, two_sided=True, digits=declared.digits, display=words)
    if declared.scale == "rank":
        return replace(
            measure,
            summary=f"probability that {declared.subject} is larger in a group than in its rest; ties count one half",
            levels=("group",),
            influence=RankOf(),
            title=f"rank of {declared.name}",
            limits=(0.0, 1.0),
            digits=3,
            default_margin=False,
            display=replace(words, worse=f"has more often the {more} {declared.name}", even=0.5, points=True),
        )
    if declared.scale == "log":
        return replace(
            measure,
            summary=f"mean of the natural logarithms of {declared.subject}",
            influence=MeanOfValues(unbounded=OF_LOGARITHMS, logarithms=True),
            title=f"log {declared.name}",
            limits=UNLIMITED if declared.range is None else tuple(map(_logarithm, declared.range)),
            digits=3,
            default_margin=False,
            display=replace(words, factor=True),
        )
    return replace(measure, proportion=declared.shares)


def _logarithm(number: float) -> float:
    return math.log(number) if number > 0 else -math.inf
