"""The interval of a mean whose variance grows with its distance from the estimate: a score interval.

Where few units carry a value's error, a sample that happened to miss them looks both too good and too certain: of a
model that is wrong with confidence in 2% of its predictions, one sample of 50 in three has no such loss. Wilson's
interval of a proportion knows that the variance at the bound is another one than at the estimate. The same idea serves
any value of which one more unit can move by a known step: each unseen unit of that kind would move the value by h and
add h² to its variance, so that the variance at a distance x is V + h·x. The bound x = q·√(V + h·x) is

    x = q²·h/2 + q·√(V + q²·h²/4)

With a step of (1 − p)/n upwards and p/n downwards this is a proportion's upper and lower bound up to terms of order
1/n²; with nothing seen it is q²·h, as in Wilson's interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from evenhand.stats.contrast import TwoWay
from evenhand.stats.differences import tail_at
from evenhand.stats.student_t import t_quantile


@dataclass(frozen=True)
class ScoreInterval:
    """The interval of a value that one more unit can raise and lower by known steps.

    Attributes:
        whole: the value with its two-way variance.
        up, down: the most that one more unit raises and lowers the value by, at least 0; with 0 the bound is the
            two-way interval's.

    Source: Wilson (1927), for proportions; `docs/statistics-derivations.md` has the simulated coverage.

    Example:
        No error among 96 predictions, as a share with its upper bound q²/n:

        >>> from evenhand.stats import ScoreInterval, TwoWay
        >>> none = TwoWay(0.0, 0.0, df=float("inf"), v_seed=0, v_example=0, v_both=0, runs=1, units=96)
        >>> low, high = ScoreInterval(none, up=1 / 96, down=0.0).bounds(0.025)
        >>> low, round(high, 3)  # 1.96²/96
        (0.0, 0.04)
    """

    whole: TwoWay
    up: float
    down: float

    @property
    def estimate(self) -> float:
        return self.whole.estimate

    @property
    def variance(self) -> float:
        """The variance that the bounds at one standard error imply."""
        return ((reach(1.0, self.whole.variance, self.up) + reach(1.0, self.whole.variance, self.down)) / 2) ** 2

    def bounds(self, tail: float) -> tuple[float, float]:
        """Lower and upper bound, each missed with probability `tail` at most; nan where the variance is."""
        quantile = -t_quantile(tail, self.whole.df)
        below, above = (reach(quantile, self.whole.variance, step) for step in (self.down, self.up))
        return self.estimate - below, self.estimate + above

    def p_greater(self, null: float = 0.0) -> float:
        """The tail probability at which a bound reaches `null`."""
        return tail_at(self, null)


def reach(quantile: float, variance: float, step: float) -> float:
    """The distance of a bound from the estimate: x = quantile·√(variance + step·x)."""
    half = quantile**2 * step / 2
    return half + math.sqrt(quantile**2 * variance + half**2)
