"""Sums influences of examples by resampling unit, and computes the interval of a mean over runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evenhand.audit.evaluation import Run
from evenhand.audit.measures import Measure
from evenhand.audit.measures.influence import Influence
from evenhand.audit.measures.steps import LabelScores, Steps
from evenhand.audit.reading import LEVEL
from evenhand.audit.runs.allowance import Allowance, Sample
from evenhand.audit.runs.allowances import allowance_of
from evenhand.audit.runs.influences import RunInfluences
from evenhand.stats.agreement import AgreementInterval
from evenhand.stats.contrast import TwoWay, by_unit, cells_of, two_way
from evenhand.stats.proportion import FEW, Widened, proportion_interval
from evenhand.stats.student_t import quantiles
from evenhand.stats.subsets import correction

Bounded = tuple[float, float | None, float | None, tuple[str, ...]]
"""A value with its bounds, and notes on why there are none."""


@dataclass(frozen=True, eq=False)
class RunsByUnit:
    """A measure's values in J runs, with each resampling unit's weight and influence in each of them.

    Attributes:
        values: float [J].
        weights, influence: float [J, U], sums over each unit's examples in each run; 0 where the run did not test it.
        uneven: whether units may count for different weights; see `RunInfluences.uneven`.
        units: by run int [k], the units of the examples.
        known: how many units the mean is known as well as at most; None: no such limit.
    """

    values: np.ndarray
    weights: np.ndarray
    influence: np.ndarray
    uneven: bool
    units: Sequence[np.ndarray]
    known: float | None = None

    @classmethod
    def of(cls, reader: RunInfluences, runs: Sequence[Run], influences: Sequence[Influence]) -> RunsByUnit:
        """Sum the influences of some runs by resampling unit."""
        units = reader.units(runs, influences)
        weights, summed = by_unit(
            units, [influence.weights for influence in influences], [influence.influence for influence in influences]
        )
        values = np.array([influence.value for influence in influences])
        return cls(values, weights, summed, reader.uneven, units, known_units(influences))

    def run(self, index: int) -> RunsByUnit:
        """One of the runs alone."""
        rows = slice(index, index + 1)
        run = self.values[rows], self.weights[rows], self.influence[rows]
        return RunsByUnit(*run, self.uneven, self.units[rows], self.known)

    def t_intervals(self) -> tuple[np.ndarray, np.ndarray]:
        """The 95% t interval of each run by itself, float [J] each; nan with a single unit."""
        if self.uneven:
            return self._intervals_of_clusters()
        units = (self.weights > 0).sum(axis=1)
        variance = correction(units) * np.einsum("ju,ju->j", self.influence, self.influence)
        half = quantiles(1 - (1 - LEVEL) / 2, np.maximum(units - 1.0, 1.0)) * np.sqrt(variance)
        return self.values - half, self.values + half

    def _intervals_of_clusters(self) -> tuple[np.ndarray, np.ndarray]:
        bounds = [self.run(index).mean.interval(LEVEL) for index in range(len(self.values))]
        low, high = np.array(bounds).T
        return low, high

    @property
    def totals(self) -> np.ndarray:
        """float [U], what each unit contributes to the mean over runs."""
        return cells_of(self.values, self.influence, self.weights).sum(axis=0)

    @property
    def mean(self) -> TwoWay:
        """The mean over runs with its two-way variance."""
        return two_way(self.values, self.influence, self.weights, self.uneven, self.known)

    def sample(self, steps: Sequence[tuple[np.ndarray, Steps | LabelScores | None]]) -> Sample:
        """The mean over runs with what intervals allow for.

        Args:
            steps: by run the weights of the examples, and how far one more of them can move the value.
        """
        contributions = cells_of(self.values, self.influence, self.weights).sum(axis=0)
        terms = [(value, *step) for value, step in zip(self.values.tolist(), steps, strict=True)]
        return Sample(self.mean, contributions, self.units, terms)


def steps_of(influences: Sequence[Influence]) -> list[tuple[np.ndarray, Steps | LabelScores | None]]:
    """The weights of the examples of each run, and how far one more of them can move its value."""
    return [(influence.weights, influence.steps) for influence in influences]


def known_units(influences: Sequence[Influence]) -> float | None:
    """How many units influences are known as well as at most: of areas those of the rarer class; None for others."""
    return min((influence.ranking.units for influence in influences if influence.ranking is not None), default=None)


def run_intervals(measure: Measure, influences: Sequence[Influence], runs: RunsByUnit, word: str) -> list[Bounded]:
    """`marginal_interval` of each run by itself."""
    plain = allowance_of(influences) is None and all(influence.max_unit_change is None for influence in influences)
    if measure.proportion or not plain:
        return [
            marginal_interval(measure, [influence], runs.run(index), word) for index, influence in enumerate(influences)
        ]
    intervals = zip(runs.values.tolist(), *(bounds.tolist() for bounds in runs.t_intervals()), strict=True)
    return [
        (value, None, None, ()) if math.isnan(low) else (value, *measure.interval((low, high), value), ())
        for value, low, high in intervals
    ]


def marginal_interval(measure: Measure, influences: Sequence[Influence], runs: RunsByUnit, word: str) -> Bounded:
    """The mean over runs and its 95% marginal interval, within the measure's limits; no interval from a single unit.

    Proportions get Wilson's interval, shares of pairs of runs one for skewed errors, and measures whose influences ask
    for it one that allows for more than the two-way variance shows; that of a function of proportions that rests on few
    units is widened.

    Args:
        measure: what the values are of.
        influences: by run.
        runs: the same by unit.
        word: for what is counted, in notes.
    """
    allowance = None if measure.proportion else allowance_of(influences)
    if allowance is not None:
        return _allowed_interval(allowance, measure, influences, runs, word)
    mean, shares, tail = runs.mean, runs.weights, (1 - LEVEL) / 2
    if math.isnan(mean.variance):
        return mean.estimate, None, None, ()
    if measure.proportion:
        cells = len(influences) ** 2 / float((shares**2).sum())
        if (counted := influences[0].of_pairs) is not None:
            return mean.estimate, *AgreementInterval(mean, cells, counted == "differ").bounds(tail), ()
        return mean.estimate, *proportion_interval(mean, cells, LEVEL), ()
    low, high = mean.interval(LEVEL)
    few = int(runs.influence.any(axis=0).sum()) < FEW
    if few and all(influence.max_unit_change is not None for influence in influences):
        low, high = Widened(mean, unit_step(influences, shares)).bounds(tail)
    return mean.estimate, *measure.interval((low, high), mean.estimate), ()


def _allowed_interval(
    allowance: Allowance, measure: Measure, influences: Sequence[Influence], runs: RunsByUnit, word: str
) -> Bounded:
    """As `marginal_interval`, of a measure whose intervals allow for more than the two-way variance shows."""
    sample = runs.sample(steps_of(influences))
    mean, notes = sample.mean, allowance.refused(influences, [sample], word)
    if notes or math.isnan(mean.variance):
        return mean.estimate, None, None, notes
    bounds = allowance.level(sample).bounds((1 - LEVEL) / 2)
    return mean.estimate, *measure.interval(bounds, mean.estimate), ()


def unit_step(influences: Sequence[Influence], shares: np.ndarray) -> float:
    """The most that one unit can change the mean over runs: its change in a run × the share of runs that test it."""
    present = (shares > 0).sum(axis=0)
    tested = present[present > 0]
    return float(
        np.mean([influence.max_unit_change or 0.0 for influence in influences]) * tested.mean() / len(influences)
    )
