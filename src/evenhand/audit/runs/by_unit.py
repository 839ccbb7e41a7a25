"""Influences of several runs, summed by resampling unit, and the intervals of their mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evenhand.audit.evaluation import Run
from evenhand.audit.measures import Measure
from evenhand.audit.measures.influence import Influence
from evenhand.audit.reading import LEVEL
from evenhand.audit.runs.influences import RunInfluences
from evenhand.stats.contrast import TwoWay, by_unit, quantiles, two_way
from evenhand.stats.proportion import FEW, Widened, proportion_interval
from evenhand.stats.subsets import correction


@dataclass(frozen=True, eq=False)
class RunsByUnit:
    """A measure in J runs, in linear form, by resampling unit.

    Attributes:
        values: float [J].
        weights, influence: float [J, U], each unit's in each run; 0 where the run did not test it.
    """

    values: np.ndarray
    weights: np.ndarray
    influence: np.ndarray

    @classmethod
    def of(cls, reader: RunInfluences, runs: Sequence[Run], effects: Sequence[Influence]) -> RunsByUnit:
        """Sum the influences of runs by unit."""
        units = reader.units(runs, effects)
        shares, influence = by_unit(
            units, [effect.weights for effect in effects], [effect.influence for effect in effects]
        )
        return cls(np.array([effect.value for effect in effects]), shares, influence)

    def run(self, index: int) -> RunsByUnit:
        """One of the runs."""
        rows = slice(index, index + 1)
        return RunsByUnit(self.values[rows], self.weights[rows], self.influence[rows])

    def t_intervals(self) -> tuple[np.ndarray, np.ndarray]:
        """The 95% t interval of each run by itself, float [J] each; nan with a single unit."""
        units = (self.weights > 0).sum(axis=1)
        variance = correction(units) * np.einsum("ju,ju->j", self.influence, self.influence)
        half = quantiles(1 - (1 - LEVEL) / 2, np.maximum(units - 1.0, 1.0)) * np.sqrt(variance)
        return self.values - half, self.values + half

    @property
    def mean(self) -> TwoWay:
        """The mean over runs with its two-way variance."""
        return two_way(self.values, self.influence, self.weights)


def run_intervals(
    measure: Measure, effects: Sequence[Influence], runs: RunsByUnit
) -> list[tuple[float, float | None, float | None]]:
    """`marginal_interval` of each run by itself."""
    if measure.proportion or any(effect.max_unit_change is not None for effect in effects):
        return [marginal_interval(measure, [effect], runs.run(place)) for place, effect in enumerate(effects)]
    lows, highs = np.clip(runs.t_intervals(), *measure.limits).tolist()
    every = zip(runs.values.tolist(), lows, highs, strict=True)
    return [(value, None, None) if math.isnan(low) else (value, low, high) for value, low, high in every]


def marginal_interval(
    measure: Measure, effects: Sequence[Influence], runs: RunsByUnit
) -> tuple[float, float | None, float | None]:
    """The mean over runs and its 95% marginal interval, within the measure's limits; no interval from a single unit.

    Proportions get Wilson's interval; what is made of proportions and rests on few examples is widened.
    """
    mean, shares = runs.mean, runs.weights
    if math.isnan(mean.variance):
        return mean.estimate, None, None
    if measure.proportion:
        low, high = proportion_interval(mean, len(effects) ** 2 / float((shares**2).sum()), LEVEL)
        return mean.estimate, low, high
    low, high = mean.interval(LEVEL)
    if all(effect.max_unit_change is not None for effect in effects) and int(runs.influence.any(axis=0).sum()) < FEW:
        low, high = Widened(mean, unit_step(effects, shares)).bounds((1 - LEVEL) / 2)
    return mean.estimate, *measure.within((low, high))


def unit_step(effects: Sequence[Influence], shares: np.ndarray) -> float:
    """What one unit can change in the mean over runs: its step in a run × the share of the runs that it is in."""
    present = (shares > 0).sum(axis=0)
    tested = present[present > 0]
    return float(np.mean([effect.max_unit_change or 0.0 for effect in effects]) * tested.mean() / len(effects))
