"""Predictive values, F1, balanced accuracy, Brier score and log loss: intervals hold the truth, nobody is accused.

Truths are known (`known_scores`). Every bound of every level, gap, change and gap change is one-sided at .05, so that
the share of bounds that miss is that of false verdicts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from counting import compared, estimands, reading_of
from evenhand.audit.estimands import Comparison
from known_scores import KnownScores

TAIL, LEVEL = 0.05, 0.025


@dataclass(frozen=True)
class Missed:
    """How often bounds are on the wrong side of the truth.

    Attributes:
        below, above: by measure, kind and subset, the shares of lower bounds above the truth, and of upper ones below.
        judged: the share of repetitions with an interval.
    """

    below: dict[tuple[str, str, str], float]
    above: dict[tuple[str, str, str], float]
    judged: dict[tuple[str, str, str], float]


def missed(world: KnownScores, measures: tuple[str, ...], repetitions: int, seed: int = 0) -> Missed:
    """The bounds of contrasts at one-sided .05, and of levels at .025, that miss the truth."""
    below: Counter[tuple[str, str, str]] = Counter()
    above: Counter[tuple[str, str, str]] = Counter()
    judged: Counter[tuple[str, str, str]] = Counter()
    truths: dict[tuple[str, str, str], float] = {}

    def add(key: tuple[str, str, str], low: float, high: float, truth: float) -> None:
        judged[key] += 1
        below[key] += low > truth
        above[key] += high < truth

    for repetition in range(repetitions):
        reading = reading_of(world, np.random.default_rng([seed, repetition]))
        for estimand in estimands(reading, measures):
            key = (estimand.measure.name, "level", estimand.subset.group or "everyone")
            if key not in truths:
                truths[key] = world.truth(key[0], "method", members(world, estimand.subset.group))
            mean = dict(reading.estimates(estimand, "method"))[None]
            if mean.low is not None and mean.high is not None:
                add(key, mean.low, mean.high, truths[key])
        kinds = ("gap",) if world.alone else ("change", "gap change")
        for member in compared(reading, measures, kinds):
            interval, comparison = member.contrast.interval, member.comparison
            if interval is None or comparison.method != "method":
                continue
            key = (comparison.estimand.measure.name, comparison.kind, comparison.estimand.subset.group or "everyone")
            if key not in truths:
                truths[key] = contrast_of(world, comparison)
            add(key, *interval.bounds(TAIL), truths[key])
    shares = ({key: part[key] / count for key, count in judged.items()} for part in (below, above))
    return Missed(*shares, {key: count / repetitions for key, count in judged.items()})


def members(world: KnownScores, group: str | None) -> list[int]:
    """The positions of a group, or of all."""
    return list(range(len(world.sizes))) if group is None else ["abcdefghijklm".index(group)]


def contrast_of(world: KnownScores, comparison: Comparison) -> float:
    """The true value of a comparison, with its sign."""
    name, total = comparison.estimand.measure.name, 0.0
    for term in comparison.terms:
        inside = members(world, term.subset.group)
        if term.subset.complement:
            inside = [group for group in range(len(world.sizes)) if group not in inside]
        total += term.coefficient * world.truth(name, term.method, inside)
    return total
