"""Linear estimates by run and item (question, control task), and the interval of their mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from evenhand.audit.arrays.linear_estimate import LinearEstimate
from evenhand.audit.runs.gains_and_losses import gains_and_losses
from evenhand.stats.contrast import TwoWay, by_unit, compact
from evenhand.stats.few_runs import Wider
from evenhand.stats.multiplicity import unit_totals
from evenhand.stats.proportion import FEW, ProportionDifference, Widened
from evenhand.stats.questions import OverQuestions, apart, over_questions
from evenhand.stats.rate_changes import RateChange

Items = Sequence[LinearEstimate]
"""The estimates of one run, one per item."""


@dataclass(frozen=True, eq=False)
class ItemRuns:
    """A quantity by run and item, and by resampling unit.

    Attributes:
        values: float [J, T].
        influence: float [J, T, U], the influence of each unit; sums to 0 over units.
        weights: float [J, T, U], each unit's share of the sample; sums to 1.
        units: int [U], codes of the units.
        steps: float [J, T], the most that one example can change each value by; None where that has no bound.
    """

    values: np.ndarray
    influence: np.ndarray
    weights: np.ndarray
    units: np.ndarray
    steps: np.ndarray | None

    @classmethod
    def of(cls, runs: Sequence[Items], units: Sequence[np.ndarray]) -> ItemRuns:
        """Gather the items of runs by unit; `units` are the codes of each run's examples, int [n]."""
        values = np.array([[item.value for item in run] for run in runs])
        influence, weights = [], []
        for index in range(values.shape[1]):
            items = [run[index] for run in runs]
            summed = by_unit(units, [item.influence for item in items], [item.weights for item in items])
            influence.append(summed[0])
            weights.append(summed[1])
        changes = [[item.max_unit_change for item in run] for run in runs]
        bounded = all(change is not None for run in changes for change in run)
        present, _ = compact(np.concatenate(units))
        steps = np.array(changes, dtype=float) if bounded else None
        return cls(values, np.stack(influence, axis=1), np.stack(weights, axis=1), present, steps)

    @property
    def distances(self) -> ItemRuns:
        """Each run times the sign of its mean over items, which makes that mean a distance from 0."""
        sign = np.where(self.values.mean(axis=1, keepdims=True) < 0, -1.0, 1.0)
        return replace(self, values=sign * self.values, influence=sign[:, :, None] * self.influence)

    @property
    def mean(self) -> OverQuestions:
        """The mean over runs and items with its variance."""
        return over_questions(self.values, self.influence, self.weights)

    @property
    def totals(self) -> np.ndarray:
        """float [U], the influence of each unit on the mean over runs and items."""
        return unit_totals(self.values.mean(axis=1), self.influence.mean(axis=1), self.weights.mean(axis=1))

    @property
    def apart(self) -> int:
        """The number of units that differ from the most common ones."""
        return apart(self.influence, self.weights)

    @property
    def kish(self) -> float:
        """The effective number of (unit, run) cells."""
        shares = self.weights.mean(axis=1) / len(self.weights)
        return 1 / float((shares**2).sum())

    @property
    def step(self) -> float | None:
        """The most that one unit can change the mean over runs by; None where that has no bound."""
        if self.steps is None:
            return None
        present = (self.weights > 0).any(axis=1).sum(axis=0)
        return float(np.mean(self.steps) * present[present > 0].mean() / len(self.weights))

    @property
    def discordant(self) -> int:
        """The number of units with a value other than 0 in some run and item."""
        spread = np.zeros(self.weights.shape)
        np.divide(self.influence, self.weights, out=spread, where=self.weights > 0)
        values = np.where(self.weights > 0, np.round(spread + self.values[:, :, None], 9), 0.0)
        return int((values != 0).any(axis=(0, 1)).sum())

    def widened(self, mean: OverQuestions) -> Widened | None:
        """The interval for few units that differ; None where there are enough, or one unit's change has no bound.

        Its degrees of freedom are those of the units: the interval beside it covers the variation of runs and items,
        and without such variation their degrees of freedom would be those of rounding errors.
        """
        step = self.step
        if step is None or self.apart >= FEW:
            return None
        whole = mean.of_these
        return Widened(replace(whole, df=float(max(whole.units - 1, 1))), step)


def combined(coefficients: Sequence[float], parts: Sequence[ItemRuns]) -> ItemRuns:
    """A linear combination of quantities of the same runs, items and units: Σ c·value, with Σ c·influence.

    Parts of one sample, as two methods have, share their weights. Where they rest on different examples, as a group and
    its rest do, each part's runs differ from its own mean by its own weights: the influence takes what the mean of the
    parts' weights does not hold.
    """
    values = _sum(coefficients, [part.values for part in parts])
    influence = _sum(coefficients, [part.influence for part in parts])
    weights = parts[0].weights
    if any(not np.array_equal(part.weights, weights) for part in parts[1:]):
        weights = np.mean([part.weights for part in parts], axis=0)
        deviations = [(part.values - part.values.mean())[:, :, None] * part.weights for part in parts]
        influence = influence + _sum(coefficients, deviations) - (values - values.mean())[:, :, None] * weights
    steps = None
    if all(part.steps is not None for part in parts):
        steps = np.mean([part.steps for part in parts if part.steps is not None], axis=0)
    return replace(parts[0], values=values, influence=influence, weights=weights, steps=steps)


def _sum(coefficients: Sequence[float], arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.sum([c * array for c, array in zip(coefficients, arrays, strict=True)], axis=0)


def change_of_outcomes(
    whole: TwoWay, signs: Sequence[float], sides: Sequence[Sequence[LinearEstimate]], units: Sequence[np.ndarray]
) -> ProportionDifference | RateChange | None:
    """The interval of a change of a share of examples with an outcome; None where values other than 0 and 1 occur.

    Args:
        whole: the change with its two-way variance.
        signs: of the two methods.
        sides: by method and run; both methods have the examples of a run.
        units: by run int [n], codes of the resampling units.
    """
    if not all(_of_outcomes(one) for side in sides for one in side):
        return None
    pairs = list(zip(*sides, strict=True))
    values = np.array([[one.value for one in pair] for pair in pairs]) @ np.asarray(signs, dtype=float)
    influences = [_sum(signs, [one.influence for one in pair]) for pair in pairs]
    return gains_and_losses(whole, units, [pair[0].weights for pair in pairs], values, influences, uneven=True)


def _of_outcomes(estimate: LinearEstimate) -> bool:
    """Whether each example's value is 0 or 1."""
    present = estimate.weights > 0
    values = estimate.influence[present] / estimate.weights[present] + estimate.value
    return bool((np.minimum(np.abs(values), np.abs(values - 1)) < 1e-9).all())


def interval_of(runs: ItemRuns) -> TwoWay | Wider:
    """The mean over runs and items with its interval, widened where few units are apart."""
    mean = runs.mean
    widened = runs.widened(mean)
    return mean.whole if widened is None else Wider(mean.whole, widened)


def defined_items(runs: Sequence[Items]) -> tuple[list[int], list[int], list[str]]:
    """The indices of the items and of the runs that are used, and a note on those that are left out.

    Of several items those that are defined in every run; of a single one the runs in which it is defined.
    """
    defined = np.array([[not math.isnan(item.value) for item in run] for run in runs])
    reasons = sorted({str(item.reason) for run in runs for item in run if math.isnan(item.value)})
    why = f" ({', '.join(reasons)})"
    always_defined = np.flatnonzero(defined.all(axis=0))
    if defined.shape[1] > 1:
        if not len(always_defined):
            return [], [], [f"no question is defined in every run{why}"]
        left_out = defined.shape[1] - len(always_defined)
        notes = [f"defined in {len(always_defined)} of {defined.shape[1]} questions{why}"] if left_out else []
        return always_defined.tolist(), list(range(len(runs))), notes
    keep = np.flatnonzero(defined[:, 0])
    if not len(keep):
        return [], [], [", ".join(reasons)]
    notes = [f"defined in {len(keep)} of {len(runs)} runs{why}"] if len(keep) < len(runs) else []
    return [0], keep.tolist(), notes
