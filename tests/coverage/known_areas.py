"""Counts how often intervals of areas hold the truth, and how often they are too high or too low."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from binormal import Binormal
from counting import compared, estimands, reading_of
from evenhand.audit.verdict_rows import SettingContrast


@dataclass(frozen=True)
class Misses:
    """Over the repetitions.

    Attributes:
        above: share of the intervals whose lower bound, at .05, is above the truth: too much harm is seen.
        below: share of those whose upper bound is below the truth: harm is overlooked.
        false_worse: share of all repetitions with a lower bound above the truth.
        held: share of the two-sided 95% intervals that hold the truth.
        judged: share of the repetitions with an interval.
    """

    above: float
    below: float
    false_worse: float
    held: float
    judged: float


def misses(
    world: Binormal, measure: str, repetitions: int, kinds: tuple[str, ...], seed: int = 0, null: bool = False
) -> dict[str, Misses]:
    """By kind and group, such as `level`, `change a`, `gap b`; where `null`, 0 stands for the truth."""
    rows: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    truths: dict[str, float] = {}  # of average precision they are integrals
    for repetition in range(repetitions):
        reading = reading_of(world, np.random.default_rng([seed, repetition]))
        if "level" in kinds:
            for estimand in estimands(reading, (measure,)):
                group = estimand.subset.group
                estimate = dict(reading.estimates(estimand, "method"))[None]
                name = f"level {group or ''}"
                if name not in truths:
                    truths[name] = world.truth(measure, "method", group)
                truth = truths[name]
                if estimate.low is not None and estimate.high is not None:
                    rows[name].append((*_outside(estimate.low, estimate.high, truth), *(0, 0)))
        for member in compared(reading, (measure,), kinds):
            if member.contrast.interval is None or member.comparison.method != "method":
                continue
            interval = member.contrast.interval
            name = f"{member.comparison.kind} {member.comparison.estimand.subset.group or ''}"
            if name not in truths:
                truths[name] = 0.0 if null else truth_of(world, measure, member)
            truth = truths[name]
            rows[name].append((*_outside(*interval.bounds(0.025), truth), *_outside(*interval.bounds(0.05), truth)))
    found = {}
    for name, each in rows.items():
        over, under, above, below = np.array(each).mean(axis=0)
        judged = len(each) / repetitions
        if name.startswith("level"):  # of estimates there are 95% intervals only
            above, below = over, under
        found[name.strip()] = Misses(above, below, above * judged, 1 - over - under, judged)
    return found


def truth_of(world: Binormal, measure: str, member: SettingContrast) -> float:
    """The true contrast, positive where the method, or the group, fares worse."""
    comparison = member.comparison
    group, methods = comparison.estimand.subset.group, {"method": -1, "reference": 1}
    if comparison.kind == "change":
        return sum(sign * world.truth(measure, method, group) for method, sign in methods.items())

    def gap(method: str) -> float:
        assert group is not None
        other = world.against
        if other == "rest":
            theirs = world.rest(measure, method, group)
        else:
            theirs = world.truth(measure, method, None if other == "overall" else other)
        return theirs - world.truth(measure, method, group)

    return gap("method") - (gap("reference") if comparison.kind == "gap change" else 0.0)


def _outside(low: float, high: float, truth: float) -> tuple[bool, bool]:
    return low > truth, high < truth
