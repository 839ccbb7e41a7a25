"""The true positive rate at a low false positive rate, corrected for few negatives, with its interval.

The k-th largest of n negatives has the expected false positive rate k/(n + 1) on new negatives. So the threshold for α
is that of rank k = α(n + 1), interpolated between whole ranks. The papers' threshold, which lets at most a share α
through, has rank ⌊αn⌋ + 1, which for 1% and 300 negatives is a rate of 1.33%. Positives and negatives of equal score
are called in random order, in the mean over all orders: of a block of m negatives and j positives, j·q/(m + 1)
positives come before the q-th negative. A constant score then has a true positive rate of exactly α.

- **Contributions**: (w − TPR)/n₁ for positives, w the share of the orders in which the row is called;
  −ρ·(w − FPR)/n₀ for negatives, ρ being the slope of the ROC curve at α. No density is estimated: ρ is the rise of
  the curve over the run between FPR − 2h and FPR + 2h, h the two-way standard error of FPR, as Woodruff (1952) has it
  for quantiles. Differences between groups or methods have the differences of contributions.
- **The interval** of a single rate does not use the slope, since the curve bends within the threshold's noise. The
  false positive rate of rank k is Beta(k, n + 1 − k) (order statistics of uniforms), at the effective number of
  negatives. The ranks where α is its upper and its lower quantile give the rates between which the threshold's noise
  moves the estimate; Wilson's interval at the fixed threshold gives the noise of the positives. Both are combined as
  distances from the estimate, on each side (Zou and Donner 2008), with the correlation of the two clustered parts.

`docs/membership-derivations.md` has the simulated coverage.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Self, cast

import numpy as np

from evenhand.stats.contrast import TwoWay, from_cells
from evenhand.stats.discrimination import PooledRoc, chosen, distinct
from evenhand.stats.proportion import effective_size, proportion_interval
from evenhand.stats.student_t import t_quantile

WINDOW = 2.0
"""The number of standard errors of FPR, to each side, over which the slope of the curve is estimated."""


@dataclass(frozen=True, eq=False)
class RankCurve:
    """The number of positives that are called at each rank of the negatives.

    Attributes:
        values: float [k], the distinct scores of negatives, descending.
        before, equal: int [k], how many negatives are above each of them, and how many have it.
        above, tied: int [k], the same of positives.
        positives: how many there are.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats.roc_point import RankCurve
        >>> curve = RankCurve.of(np.array([3.0, 1.0, 0.0]), np.array([2.0, 1.0]))
        >>> [curve.called(rank) for rank in (1, 2, 2.5, 3)]  # at rank 2 the tied one is called in half of the orders
        [1.0, 1.5, 2.25, 3.0]
    """

    values: np.ndarray
    before: np.ndarray
    equal: np.ndarray
    above: np.ndarray
    tied: np.ndarray
    positives: int

    @classmethod
    def of(cls, positives: np.ndarray, negatives: np.ndarray) -> RankCurve:
        """The curve of scores, float [positives] and [negatives]."""
        values, equal = np.unique(negatives, return_counts=True)
        values, equal = values[::-1], equal[::-1]
        ordered = np.sort(positives)
        above = len(ordered) - np.searchsorted(ordered, values, "right")
        tied = len(ordered) - np.searchsorted(ordered, values, "left") - above
        return cls(values, np.cumsum(equal) - equal, equal, above, tied, len(ordered))

    @property
    def negatives(self) -> int:
        """How many negatives there are."""
        return int(self.equal.sum())

    def rank(self, alpha: float) -> float:
        """The rank whose expected false positive rate is alpha."""
        return alpha * (self.negatives + 1)

    def called(self, rank: float) -> float:
        """The positives called at a rank from 0 (nobody) to n + 1 (everybody), interpolated between whole ranks."""
        low = math.floor(rank)
        part = rank - low
        below = self._called(low)
        return below if not part else (1 - part) * below + part * self._called(low + 1)

    def weights(self, score: np.ndarray, positive: np.ndarray, rank: float) -> np.ndarray:
        """The probability that each row is called at a rank, float of the shape of `score` and bool `positive`."""
        low = math.floor(rank)
        part = rank - low
        below = self._weights(score, positive, low)
        return below if not part else (1 - part) * below + part * self._weights(score, positive, low + 1)

    def _called(self, rank: int) -> float:
        if rank < 1 or rank > self.negatives:
            return float(self.positives) if rank > 0 else 0.0
        at = self._block(rank)
        return float(self.above[at] + self.tied[at] * (rank - self.before[at]) / (self.equal[at] + 1))

    def _weights(self, score: np.ndarray, positive: np.ndarray, rank: int) -> np.ndarray:
        if rank < 1 or rank > self.negatives:
            return np.full(score.shape, float(rank > 0))
        at = self._block(rank)
        place = rank - self.before[at]
        return (score > self.values[at]) + (score == self.values[at]) * place / (self.equal[at] + positive)

    def _block(self, rank: int) -> int:
        """The index of the score that the negative of that rank has."""
        return int(np.searchsorted(self.before, rank, "left")) - 1


@dataclass(frozen=True, eq=False)
class RocPoint(PooledRoc):
    """A true positive rate at a false positive rate, in linear form; its own interval does not use the slope.

    Attributes:
        alpha: the false positive rate.
        curve: the positives that are called at each rank.
        slope: of the ROC curve at alpha.
        positive_cells, negative_cells: float [T, n], the contributions to TPR and FPR at the given threshold.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import pooled_tpr
        >>> score, positive = np.array([[0.9, 0.8, 0.2, 0.1]]), np.array([[True, False, True, False]])
        >>> low, high = pooled_tpr(score, positive, alpha=0.5).interval()
        >>> 0 <= low < 0.75 < high <= 1
        True
    """

    alpha: float = math.nan
    curve: RankCurve | None = None
    slope: float = 0.0
    positive_cells: np.ndarray | None = None
    negative_cells: np.ndarray | None = None

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The two-sided interval of that level, within [0, 1]; nan where there is no estimate."""
        if (
            math.isnan(self.estimate)
            or self.curve is None
            or self.positive_cells is None
            or self.negative_cells is None
        ):
            return math.nan, math.nan
        true = from_cells(self.estimate, self.positive_cells, self.units)
        false = from_cells(self.alpha, self.negative_cells, self.units)
        fixed = proportion_interval(true, self.size, level)
        moved = [self.curve.called(rank) / self.curve.positives for rank in self._ranks(false, level)]
        together = self._correlation(true, false)
        reach = [
            _combined(abs(self.estimate - end), abs(self.estimate - shifted), together)
            for end, shifted in zip(fixed, moved, strict=True)
        ]
        return max(self.estimate - reach[0], 0.0), min(self.estimate + reach[1], 1.0)

    def by_unit(self, summed: Callable[[np.ndarray], np.ndarray], units: int) -> Self:
        """The same estimate with its contributions by example summed by unit. Args: `PooledRoc.by_unit`."""
        parts = {
            name: None if cells is None else summed(cells)
            for name, cells in (("positive_cells", self.positive_cells), ("negative_cells", self.negative_cells))
        }
        return replace(super().by_unit(summed, units), **parts)

    def _ranks(self, false: TwoWay, level: float) -> tuple[float, float]:
        """The ranks whose false positive rate is below, and above, alpha with confidence (1 + level)/2."""
        from scipy.special import ndtri

        assert self.curve is not None
        rows = self.curve.negatives
        tail = (1 - level) / 2
        wider = ndtri(1 - tail) / t_quantile(1 - tail, false.df)  # few runs know their own variance badly
        size = max(effective_size(self.alpha, false.variance, float(rows)) * wider**2, 1.0)
        return tuple(share * (rows + 1) for share in rank_shares(size, self.alpha, tail))  # type: ignore[return-value]

    def _correlation(self, true: TwoWay, false: TwoWay) -> float:
        """The correlation of the error of TPR at a given threshold with that of the threshold."""
        parts = true.variance, self.slope**2 * false.variance
        if not min(parts) > 0:
            return 0.0
        return float(np.clip((self.two_way.variance - sum(parts)) / (2 * math.sqrt(parts[0] * parts[1])), -1, 1))


def pooled_tpr(
    score: np.ndarray,
    positive: np.ndarray,
    alpha: float,
    where: np.ndarray | None = None,
    threshold_where: np.ndarray | None = None,
) -> RocPoint:
    """TPR where the expected FPR is α, of all rows together.

    Args:
        score, positive, where: as for `pooled_auc`.
        alpha: the false positive rate.
        threshold_where: bool [n] or [T, n], the rows whose negatives set the threshold; None: those of `where`.

    Returns:
        The estimate is nan without positives or without negatives.

    Source: see the module. `evenhand.metrics.tpr_at_fpr` has the empirical definition of Carlini et al. (2022).

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import pooled_tpr
        >>> score, positive = np.array([[0.9, 0.8, 0.2, 0.1]]), np.array([[True, False, True, False]])
        >>> pooled_tpr(score, positive, alpha=0.5).estimate  # rank 1.5 of the two negatives, .8 and .1
        0.75
    """
    rows = chosen(score, where)
    setting = rows if threshold_where is None else chosen(score, threshold_where)
    ours, theirs = rows & positive, setting & ~positive
    units = distinct(ours | theirs)
    if not ours.any() or not theirs.any():
        return RocPoint(math.nan, np.zeros(score.shape), units, 0)
    curve = RankCurve.of(score[ours], score[theirs])
    called = curve.weights(score, positive, curve.rank(alpha))
    rate, false_rate = float(called[ours].mean()), float(called[theirs].mean())
    true_cells = np.where(ours, called - rate, 0.0) / ours.sum()
    false_cells = np.where(theirs, called - false_rate, 0.0) / theirs.sum()
    noise = from_cells(false_rate, false_cells, distinct(theirs)).standard_error
    slope = _slope(curve, alpha, WINDOW * noise)
    cells = true_cells - slope * false_cells
    size = int(ours.sum())
    return RocPoint(rate, cells, units, size, None, alpha, curve, slope, true_cells, false_cells)


@lru_cache(maxsize=256)
def rank_shares(size: float, alpha: float, tail: float) -> tuple[float, float]:
    """The shares k/(n + 1) of ranks whose false positive rate exceeds alpha with probability `tail`, and 1 − `tail`.

    Args:
        size: n, the effective number of negatives.
        alpha: the false positive rate.
        tail: the probability.

    Source: the false positive rate of rank k of n is Beta(k, n + 1 − k).

    Example:
        >>> from evenhand.stats.roc_point import rank_shares
        >>> [round(float(share), 4) for share in rank_shares(300, 0.01, 0.025)]  # ranks .69 and 7.25 of 300
        [0.0023, 0.0241]
    """

    from scipy.optimize import brentq
    from scipy.special import betainc

    def share(probability: float) -> float:
        def missing(rank: float) -> float:
            return float(betainc(rank, size + 1 - rank, alpha)) - probability

        ends = 1e-9, size + 1 - 1e-9
        if missing(ends[0]) <= 0:
            return 0.0
        if missing(ends[1]) >= 0:
            return 1.0
        return cast(float, brentq(missing, *ends)) / (size + 1)

    return share(1 - tail), share(tail)


def _combined(fixed: float, moved: float, correlation: float) -> float:
    """The distance of a bound from an estimate with two sources of error, from the distances that each alone has."""
    return math.sqrt(max(fixed**2 + moved**2 + 2 * correlation * fixed * moved, 0.0))


def _slope(curve: RankCurve, rate: float, reach: float) -> float:
    """Rise over run of the ROC curve around a false positive rate."""
    low, high = max(rate - reach, 0.0), min(rate + reach, 1.0)
    if not high > low:
        return 0.0
    return (curve.called(curve.rank(high)) - curve.called(curve.rank(low))) / curve.positives / (high - low)
