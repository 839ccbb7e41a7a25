"""Intervals of the area under a ROC curve, pooled over targets that score the same examples.

T targets score n examples each; of every target some examples are positive (members) and some are not, and an example
is positive for some targets and not for others. All rows (target, example) are ranked together. The error of a pooled
area or rate is the sum of contributions c_ti, one per row, and rows go together in two ways: by example (one that is
hard for all targets) and by target (one that fits too well). So the variance is two-way clustered (`contrast.py`). A
difference between groups, or between methods on the same targets' examples, has the differences of contributions.

- **Area**: the contributions are placement values (DeLong, DeLong and Clarke-Pearson 1988): for a positive the share
  of negatives below it, less the area, over the number of positives; for a negative the same of positives above it.

Points of the curve are in `roc_point.py`.

Where scores compare a target with the other targets, as in a pool of shadow models, a model moves all scores at once.
Of online likelihood ratios that is enough to make the intervals of areas too short; `PooledRoc.jackknifed` takes the
variance over targets from leaving models out of both roles.

Rates and areas are kept in [0, 1] by Wilson's interval at their effective size. `docs/membership-derivations.md` has
the simulated coverage.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from evenhand.stats.contrast import TwoWay, degrees_of_freedom, from_cells
from evenhand.stats.proportion import proportion_interval
from evenhand.stats.ranking import placements


@dataclass(frozen=True, eq=False)
class PooledRoc:
    """An AUC, TPR or FPR over the rows of all targets, in linear form.

    Attributes:
        estimate: nan where there is nothing to take it from.
        cells: float [T, n], each row's contribution, Σ = 0; 0 for rows that are not looked at.
        units: distinct examples among the rows.
        size: rows that the estimate is a share of; of an area all rows, positives and negatives.
        without: float [T], the estimate when each target is no target and no model for the others either; None where
            scores rest on no other targets, or that is left aside.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import pooled_auc
        >>> area = pooled_auc(np.array([[0.9, 0.8, 0.2, 0.1]]), np.array([[True, False, True, False]]))
        >>> area.size, area.units, area.minus(area).estimate
        (4, 4, 0.0)
    """

    estimate: float
    cells: np.ndarray
    units: int
    size: int
    without: np.ndarray | None = None

    @cached_property
    def two_way(self) -> TwoWay:
        """The estimate with its two-way variance; with one target, only that of the examples."""
        found = from_cells(self.estimate, self.cells, self.units)
        if self.without is None:
            return found
        models = len(self.without)
        v_seed = (models - 1) / models * float(((self.without - self.without.mean()) ** 2).sum())
        variance = max(v_seed + found.v_example - found.v_both, found.v_example)
        df = degrees_of_freedom(variance, v_seed, models, self.units)
        return replace(found, variance=variance, df=df, v_seed=v_seed)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The two-sided interval of that level, within [0, 1]; nan where there is no estimate."""
        if math.isnan(self.estimate):
            return math.nan, math.nan
        return proportion_interval(self.two_way, self.size, level)

    def minus(self, other: PooledRoc) -> TwoWay:
        """The difference of two estimates on the same targets' examples: two groups, or two methods of one pool.

        Both are jackknifed, or neither is.
        """
        units = int(((self.cells != 0) | (other.cells != 0)).any(axis=0).sum())
        without = None if self.without is None or other.without is None else self.without - other.without
        estimate, cells = self.estimate - other.estimate, self.cells - other.cells
        return PooledRoc(estimate, cells, max(units, self.units, other.units), 0, without).two_way

    def by_unit(self, summed: Callable[[np.ndarray], np.ndarray], units: int) -> Self:
        """The same estimate with its contributions by example summed by unit.

        Args:
            summed: of contributions [T, n] the sums [T, U] over each unit.
            units: distinct units among the rows.
        """
        return replace(self, cells=summed(self.cells), units=units)

    def jackknifed(self, without: np.ndarray, pairs: np.ndarray) -> PooledRoc:
        """The same estimate, with the variance over targets from a jackknife over pairs of targets.

        A pool's models are targets, and what other targets' scores rest on. The contributions hold the first part of
        what a model does to the estimate; leaving it out everywhere holds both.

        Args:
            without: float [P], the estimate without each pair of targets, in the order of their first targets.
            pairs: int [T], the index of each target's twin.
        """
        first = np.flatnonzero(np.arange(len(pairs)) < pairs)
        return replace(
            self, cells=self.cells[first] + self.cells[pairs[first]], without=np.asarray(without, dtype=float)
        )


def pooled_auc(score: np.ndarray, positive: np.ndarray, where: np.ndarray | None = None) -> PooledRoc:
    """The area under the ROC curve of all rows together.

    Args:
        score: float [T, n].
        positive: bool [T, n].
        where: bool [n] or [T, n], the rows to look at.

    Returns:
        The estimate is nan without positives or without negatives.

    Source: DeLong, DeLong and Clarke-Pearson (1988), with variances clustered two ways.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import pooled_auc
        >>> score, positive = np.array([[0.9, 0.8, 0.2, 0.1]]), np.array([[True, False, True, False]])
        >>> pooled_auc(score, positive).estimate  # 3 of the 4 pairs are in order
        0.75
    """
    rows = chosen(score, where)
    ours, theirs = rows & positive, rows & ~positive
    cells, first, second = np.zeros(score.shape), score[ours], score[theirs]
    if not len(first) or not len(second):
        return PooledRoc(math.nan, cells, distinct(rows), 0)
    above = placements(first, second)
    area = float(above.mean())
    cells[ours] = (above - area) / len(first)
    cells[theirs] = (1 - placements(second, first) - area) / len(second)
    return PooledRoc(area, cells, distinct(rows), len(first) + len(second))


def pooled_rate(score: np.ndarray, threshold: float, where: np.ndarray) -> PooledRoc:
    """The share of rows at or above a given threshold.

    Args:
        score: float [T, n].
        threshold: on the score.
        where: bool [T, n]: positives for a TPR, negatives for an FPR.

    Returns:
        The estimate is nan without rows.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import pooled_rate
        >>> score, positive = np.array([[0.9, 0.8, 0.2, 0.1]]), np.array([[True, False, True, False]])
        >>> pooled_rate(score, 0.5, positive).estimate
        0.5
    """
    rows = chosen(score, where)
    size = int(rows.sum())
    if not size:
        return PooledRoc(math.nan, np.zeros(score.shape), 0, 0)
    called = score >= threshold
    rate = float(called[rows].mean())
    return PooledRoc(rate, np.where(rows, called - rate, 0.0) / size, distinct(rows), size)


def exceeds_dp(
    score: np.ndarray, positive: np.ndarray, threshold: float, epsilon: float, delta: float, level: float = 0.95
) -> bool:
    """True where an attack refutes (ε, δ)-differential privacy: TPR > e^ε·FPR + δ, beyond chance.

    The lower bound of TPR is compared with the upper bound of FPR, each missed with probability (1 − level)/2.

    Args:
        score, positive: [T, n].
        threshold: chosen on other models, or before looking.
        epsilon, delta: of the training.
        level: two-sided, of both intervals.

    Source: Jagielski, Ullman and Oprea (2020), with two-way clustered intervals.

    Example:
        An attack that is right about 100 members and 100 others refutes ε = 1, and not ε = 8:

        >>> import numpy as np
        >>> from evenhand.stats import exceeds_dp
        >>> score = np.array([[1.0] * 100 + [0.0] * 100])
        >>> [exceeds_dp(score, score == 1, threshold=0.5, epsilon=epsilon, delta=0.0) for epsilon in (1.0, 8.0)]
        [True, False]
    """
    low, _ = pooled_rate(score, threshold, positive).interval(level)
    _, high = pooled_rate(score, threshold, ~positive).interval(level)
    return low > math.exp(epsilon) * high + delta


def chosen(score: np.ndarray, where: np.ndarray | None) -> np.ndarray:
    """The rows to look at, bool of the shape of `score`."""
    return np.broadcast_to(np.array(True) if where is None else where, score.shape)


def distinct(rows: np.ndarray) -> int:
    """The number of examples that have some row of a bool [T, n]."""
    return int(rows.any(axis=0).sum())
