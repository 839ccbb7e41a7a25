"""Intervals of means of skewed numbers whose range is not known, and of their differences.

A t interval of a mean misses too often on the side of the longer tail: at the level α, for a standardized skewness g of
the mean, by about g·(2q² + 1)·φ(q)/6 (Hall 1992). `SkewedMean` moves that bound outward by the same expansion, with
the observed g. That is not enough for a tail of which the sample holds too little: the interval is to be relied on for
|g| up to `MOST_SKEWED` (of a difference that of both sides, added up) and at least `LEAST_UNITS` units. Numbers in a
known range have score intervals instead (`stats.score_interval`), which need no such condition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evenhand.stats.contrast import TwoWay
from evenhand.stats.differences import tail_at
from evenhand.stats.student_t import t_quantile

MOST_SKEWED = 0.1
"""The largest standardized skewness of an estimate at which its interval is promised to cover."""
LEAST_UNITS = 50
"""The fewest units of each side at which it is: fewer do not show how skewed numbers are."""


def skewness_of(totals: np.ndarray, variance: float) -> float:
    """The standardized skewness of an estimate: the third cumulant that its units add up to, over variance^1.5.

    Of a mean of n independent numbers it is about their skewness over √n.

    Args:
        totals: float [U], what each unit contributes to the error of the estimate, Σ = 0.
        variance: of the estimate, seeds included.

    Returns:
        0 where nothing varies.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import skewness_of
        >>> values = np.array([0.0, 0, 0, 4])
        >>> centred = (values - 1) / 4
        >>> round(skewness_of(centred, float(centred @ centred)), 3)  # the skewness 1.155, over √4
        0.577
    """
    return float((totals**3).sum()) / variance**1.5 if variance > 0 else 0.0


def skew_shift(skewness: float, quantile: float) -> float:
    """How much farther out, in standard errors, the bound on the side of the longer tail lies (Johnson 1978).

    Example:
        >>> from evenhand.stats.means import skew_shift
        >>> round(skew_shift(0.3, 2.0), 3)  # .3·(2·4 + 1)/6
        0.45
    """
    return skewness * (2 * quantile**2 + 1) / 6


@dataclass(frozen=True)
class SkewedMean:
    """The interval of a mean, or of a difference of means, whose bound on the side of the longer tail lies farther out.

    The bounds are those of t; on the side of the longer tail |g|·(2q² + 1)/6 standard errors are added. Source: Johnson
    (1978), Hall (1992).

    Attributes:
        whole: the two-way interval.
        skewness: g, standardized, of the estimate.

    Example:
        >>> from evenhand.stats import SkewedMean, TwoWay
        >>> mean = TwoWay(1.0, 0.01, df=99, v_seed=0, v_example=0.01, v_both=0, runs=1, units=100)
        >>> low, high = SkewedMean(mean, skewness=0.2).bounds(0.05)
        >>> round(low, 3), round(high, 3)
        (0.834, 1.188)
    """

    whole: TwoWay
    skewness: float

    @property
    def estimate(self) -> float:
        return self.whole.estimate

    @property
    def variance(self) -> float:
        return self.whole.variance

    def bounds(self, tail: float) -> tuple[float, float]:
        """Lower and upper bound, each missed with probability `tail` at most."""
        quantile = -t_quantile(tail, self.whole.df)
        half = quantile * self.whole.standard_error
        farther = skew_shift(abs(self.skewness), quantile) * self.whole.standard_error
        below, above = (farther, 0.0) if self.skewness < 0 else (0.0, farther)
        return self.estimate - half - below, self.estimate + half + above

    def p_greater(self, null: float = 0.0) -> float:
        """The tail probability at which a bound reaches `null`."""
        return tail_at(self, null)
