"""Counts how often intervals hold the truth and verdicts are wrong, over repetitions of a drawn study.

The truth of a contrast or an estimate is its expectation at the sizes of the study: the mean over all repetitions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from evenhand.audit.comparisons import Contrast
from evenhand.audit.design import Design
from evenhand.audit.estimands import Estimand
from evenhand.audit.evaluation import Evaluation
from evenhand.audit.kinds.predictions import PredictionReading
from evenhand.audit.measures import select
from evenhand.audit.reading import setting_contrasts
from evenhand.audit.verdict_rows import SettingContrast
from evenhand.audit.verdicts import families
from evenhand.stats.equivalence import verdict
from evenhand.stats.paired import corrected_resampled_t


class Drawn(Protocol):
    """A world that can be drawn from again and again."""

    @property
    def design(self) -> Design: ...

    def draw(self, rng: np.random.Generator) -> Evaluation: ...


def reading_of(world: Drawn, rng: np.random.Generator) -> PredictionReading:
    """One repetition."""
    return PredictionReading(world.draw(rng), world.design)


def estimands(reading: PredictionReading, measures: tuple[str, ...]) -> Iterator[Estimand]:
    """What the measures are taken of. Noise floors, which take long, are not drawn."""
    for measure in select(measures, "predictions"):
        yield from reading.estimands(replace(measure, floor=None))


def compared(
    reading: PredictionReading, measures: tuple[str, ...], kinds: tuple[str, ...] = ("change",)
) -> Iterator[SettingContrast]:
    """The contrasts of one repetition: changes, unless other kinds are asked for."""
    for estimand in estimands(reading, measures):
        for contrast in setting_contrasts(reading, estimand, reading.design):
            if contrast.comparison.kind in kinds:
                yield contrast


def contrasts(world: Drawn, rng: np.random.Generator, measures: tuple[str, ...]) -> Iterator[tuple[Estimand, Contrast]]:
    """The contrasts of one repetition."""
    for member in compared(reading_of(world, rng), measures):
        yield member.comparison.estimand, member.contrast


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
        for estimand, found in contrasts(world, rng, measures):
            name = _name(estimand)
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


def widths(
    world: Drawn, measures: tuple[str, ...], repetitions: int, tested: int = 1, trained: int = 4, seed: int = 0
) -> dict[str, float]:
    """Mean half-width of the 95% intervals over that of the corrected resampled t of the same runs, by measure or
    "measure:group"; on new splits of which one part is tested and four are not."""
    halves: dict[str, list[tuple[float, float]]] = {}
    for repetition in range(repetitions):
        reading = reading_of(world, np.random.default_rng([seed, repetition]))
        for member in compared(reading, measures):
            interval, estimand = member.contrast.interval, member.comparison.estimand
            if interval is None:
                continue
            ours, theirs = (values_by_seed(reading, estimand, method) for method in ("method", "reference"))
            differences = [ours[run] - theirs[run] for run in ours]
            low, high = interval.bounds(0.025)
            least, most = corrected_resampled_t(np.array(differences), tested, trained).interval()
            halves.setdefault(_name(estimand), []).append((high - low, most - least))
    return {name: float(np.divide(*np.mean(both, axis=0))) for name, both in halves.items()}


def values_by_seed(reading: PredictionReading, estimand: Estimand, method: str) -> dict[int, float]:
    """The values of a method's runs."""
    estimates = dict(reading.estimates(estimand, method))
    return {seed: float(estimate.value) for seed, estimate in estimates.items() if seed is not None}


def false_worse(
    world: Drawn, measures: tuple[str, ...], repetitions: int, seed: int = 0
) -> dict[tuple[str, str], float]:
    """How often a family, by measure and level, has at least one verdict `worse`, at alpha .05 over the family."""
    wrong: dict[tuple[str, str], int] = {}
    for repetition in range(repetitions):
        reading = reading_of(world, np.random.default_rng([seed, repetition]))
        for family in families(list(compared(reading, measures)), world.design):
            estimand = family.members[0].comparison.estimand
            intervals = [one.contrast.interval for one in family.members]
            worse = any(one.bounds(family.level)[0] > 0 for one in intervals if one is not None)
            key = (estimand.measure.name, estimand.subset.level)
            wrong[key] = wrong.get(key, 0) + worse
    return {key: count / repetitions for key, count in wrong.items()}


def false_claims(
    world: Drawn, measures: tuple[str, ...], repetitions: int, beyond: float = 1.0, seed: int = 0
) -> dict[str, float]:
    """How often a contrast is called `equivalent` or `not worse` where the margin is the truth, by measure or
    "measure:group": at .05, the level of a family of one, which is the most that any family grants.

    Args:
        beyond: the true contrast in margins: 1, or a little more. Contrasts whose truth is not above 0 are left out,
            since there is no such margin: plant harm.
    """
    bounds: dict[str, list[tuple[float, float, float]]] = {}
    for repetition in range(repetitions):
        for estimand, found in contrasts(world, np.random.default_rng([seed, repetition]), measures):
            if found.interval is not None:
                low, high = found.interval.bounds(0.05)
                bounds.setdefault(_name(estimand), []).append((found.interval.estimate, low, high))
    claims = {}
    for name, rows in bounds.items():
        truth = float(np.mean([estimate for estimate, _, _ in rows]))
        if truth <= 0:
            continue
        said = [verdict(low, high, truth / beyond) in ("equivalent", "not worse") for _, low, high in rows]
        claims[name] = float(np.mean(said))
    return claims


def _name(estimand: Estimand) -> str:
    name, group = estimand.measure.name, estimand.subset.group
    return name if group is None else f"{name}:{group}"


def marginal_coverage(world: Drawn, measures: tuple[str, ...], repetitions: int, seed: int = 0) -> dict[str, float]:
    """Coverage of the 95% marginal intervals of one method over its runs."""
    values: dict[str, list[tuple[float, float, float]]] = {}
    for repetition in range(repetitions):
        reading = reading_of(world, np.random.default_rng([seed, repetition]))
        for estimand in estimands(reading, measures):
            estimates = dict(reading.estimates(estimand, "reference"))
            if any(estimate.value is None for estimate in estimates.values()):
                continue
            over = estimates[None]
            if over.low is not None and over.high is not None:
                values.setdefault(_name(estimand), []).append((over.value, over.low, over.high))
    covered = {}
    for name, rows in values.items():
        value, low, high = np.array(rows).T
        covered[name] = float(((low <= value.mean()) & (value.mean() <= high)).mean())
    return covered
