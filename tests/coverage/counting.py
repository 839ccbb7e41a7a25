"""Counts how often intervals hold the truth and verdicts are wrong, over repetitions of a drawn study.

The truth of a contrast or an estimate is its expectation at the sizes of the study: the mean over all repetitions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from evenhand.audit.cases import Case, Reader, cases
from evenhand.audit.contrasts import Contrast, contrast
from evenhand.audit.design import Design
from evenhand.audit.estimate import marginal
from evenhand.audit.measures import select
from evenhand.audit.runs import Evaluation
from evenhand.stats.power import minimum_detectable_effect


class Drawn(Protocol):
    """A world that can be drawn from again and again."""

    @property
    def design(self) -> Design: ...

    def draw(self, rng: np.random.Generator) -> Evaluation: ...


def contrasts(world: Drawn, rng: np.random.Generator, measures: tuple[str, ...]) -> Iterator[tuple[Case, Contrast]]:
    """The contrasts of one repetition."""
    reader = Reader(world.draw(rng), world.design.support)
    for case in cases(reader.evaluation, select(measures)):
        yield case, contrast(reader, case, "method", "reference", world.design)


@dataclass(frozen=True)
class Coverage:
    """How often a bound was right over the repetitions.

    Attributes:
        both: share of two-sided intervals that hold the truth.
        below, above: share of repetitions whose lower (upper) bound is on the wrong side of the truth.
        width: mean half-width over the standard deviation of the estimates.
        judged: share of the repetitions with an interval.
        zero: share of the intervals without width.
    """

    both: float
    below: float
    above: float
    width: float
    judged: float
    zero: float


def coverage(
    world: Drawn,
    measures: tuple[str, ...],
    repetitions: int,
    tail: float = 0.025,
    seed: int = 0,
) -> dict[str, Coverage]:
    """Coverage by "measure" or "measure:group"."""
    estimates: dict[str, list[float]] = {}
    bounds: dict[str, list[tuple[float, float]]] = {}
    for repetition in range(repetitions):
        rng = np.random.default_rng([seed, repetition])
        for case, found in contrasts(world, rng, measures):
            name = case.measure.name if case.group is None else f"{case.measure.name}:{case.group}"
            if found.interval is None or found.estimate is None:
                continue
            estimates.setdefault(name, []).append(found.estimate)
            bounds.setdefault(name, []).append(found.interval.bounds(tail))
    results = {}
    for name, values in estimates.items():
        target = float(np.mean(values))
        low, high = np.array(bounds[name]).T
        below, above = float((low > target).mean()), float((high < target).mean())
        spread = float(np.std(values)) or np.nan
        results[name] = Coverage(
            1 - below - above,
            below,
            above,
            float((high - low).mean() / 2 / spread),
            len(values) / repetitions,
            float((high <= low).mean()),
        )
    return results


def false_worse(world: Drawn, measure: str, repetitions: int, seed: int = 0) -> dict[str, float]:
    """How often a family (by level) has at least one verdict `worse`, at alpha .05 over the family."""
    wrong: dict[str, int] = {}
    for repetition in range(repetitions):
        families: dict[str, list[Contrast]] = {}
        for case, found in contrasts(world, np.random.default_rng([seed, repetition]), (measure,)):
            families.setdefault(case.level, []).append(found)
        for level, family in families.items():
            intervals = [found.interval for found in family if found.interval is not None]
            worse = any(interval.bounds(0.05 / len(intervals))[0] > 0 for interval in intervals)
            wrong[level] = wrong.get(level, 0) + worse
    return {level: count / repetitions for level, count in wrong.items()}


def found_harm(world: Drawn, measure: str, group: str, repetitions: int, seed: int = 0) -> tuple[float, float]:
    """Share of repetitions that find a group `worse` within its family, and the true harm over the mean MDE."""
    found, harms, detectable = 0, [], []
    for repetition in range(repetitions):
        rng = np.random.default_rng([seed, repetition])
        family = [one for one in contrasts(world, rng, (measure,)) if one[0].level == "group"]
        tail = 0.05 / sum(contrast.interval is not None for _, contrast in family)
        for case, one in family:
            if case.group == group and one.interval is not None and one.whole is not None:
                found += one.interval.bounds(tail)[0] > 0
                harms.append(one.estimate)
                error = float(np.sqrt(one.interval.variance))
                detectable.append(minimum_detectable_effect(error, one.whole.df, tail))
    return found / repetitions, float(np.mean(harms) / np.mean(detectable))


def marginal_coverage(world: Drawn, measures: tuple[str, ...], repetitions: int, seed: int = 0) -> dict[str, float]:
    """Coverage of the 95% marginal intervals of one method over its runs."""
    values: dict[str, list[tuple[float, float, float]]] = {}
    for repetition in range(repetitions):
        reader = Reader(world.draw(np.random.default_rng([seed, repetition])), world.design.support)
        runs = [run for (method, _), run in reader.evaluation.runs.items() if method == "reference"]
        for case in cases(reader.evaluation, select(measures)):
            effects = [reader.effect(run, case) for run in runs]
            if any(np.isnan(effect.value) for effect in effects):
                continue
            value, low, high = marginal(reader, case, runs, effects)
            if low is not None and high is not None:
                name = case.measure.name if case.group is None else f"{case.measure.name}:{case.group}"
                values.setdefault(name, []).append((value, low, high))
    covered = {}
    for name, rows in values.items():
        value, low, high = np.array(rows).T
        covered[name] = float(((low <= value.mean()) & (value.mean() <= high)).mean())
    return covered
