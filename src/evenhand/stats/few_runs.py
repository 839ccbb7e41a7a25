"""Intervals from few runs at the small error levels that families of many contrasts need.

The two-way interval takes its degrees of freedom from the data. Where runs vary most and V_seed, from J − 1 of them,
comes out small by chance, the variance is too small *and* the degrees of freedom are too many: at a tail of .025 that
hardly matters, at .05/16 and three runs a bound fails four times as often as it may. The remedy is Cochran and Cox's:
no part of the variance gets a quantile of more degrees of freedom than it has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from evenhand.stats.contrast import TwoWay, many_degrees_of_freedom
from evenhand.stats.differences import Interval
from evenhand.stats.proportion import LEAST
from evenhand.stats.roots import rising_root
from evenhand.stats.student_t import t_density, t_quantile, t_quantiles, t_tail


@dataclass(frozen=True)
class FewRuns:
    """A two-way interval whose half-width is at least that of its parts, each with its own degrees of freedom.

    The half-width at a tail is the larger of t(df)·√V and √(t(J−1)²·V_seed + t(U−1)²·max(V_example − V_both, 0)).

    Attributes:
        whole: the two-way interval; with one run its bounds are unchanged.

    Example:
        Only seeds vary, and the data say 20 degrees of freedom though there are three runs. The half-width is that of
        two degrees of freedom, 4.303 standard errors:

        >>> from evenhand.stats import FewRuns, TwoWay
        >>> mean = TwoWay(0.1, 0.0001, df=20, v_seed=0.0001, v_example=0, v_both=0, runs=3, units=500)
        >>> round(FewRuns(mean).half_width(0.025), 5)
        0.04303
    """

    whole: TwoWay

    @property
    def estimate(self) -> float:
        return self.whole.estimate

    @property
    def variance(self) -> float:
        return self.whole.variance

    def half_width(self, tail: float) -> float:
        """Distance of each bound from the estimate, missed with probability `tail` at most, for tails below .5."""
        half = -t_quantile(tail, self.whole.df) * self.whole.standard_error
        return half if self.whole.runs < 2 else max(half, self._half_of_parts(tail))

    def _half_of_parts(self, tail: float) -> float:
        whole = self.whole
        seed = t_quantile(tail, whole.runs - 1) ** 2 * whole.v_seed
        return math.sqrt(seed + t_quantile(tail, max(whole.units - 1, 1)) ** 2 * self._lasting)

    @property
    def _lasting(self) -> float:
        return max(self.whole.v_example - self.whole.v_both, 0.0)

    def bounds(self, tail: float) -> tuple[float, float]:
        """Lower and upper bound, each missed with probability `tail` at most."""
        half = self.half_width(tail)
        return self.estimate - half, self.estimate + half

    def p_greater(self, null: float = 0.0) -> float:
        """The tail probability at which a bound reaches `null`; nan without variance."""
        if not self.variance > 0:
            return math.nan
        whole, distance = self.whole, abs(self.estimate - null)
        if distance == 0:
            return 0.5
        p = max(t_tail(distance / whole.standard_error, whole.df), LEAST)
        if whole.runs > 1 and self._half_of_parts(p) > distance:
            p = self._p_of_parts(distance)
        return p if self.estimate > null else 1 - p

    def _p_of_parts(self, distance: float) -> float:
        """The tail probability at which the half-width from the parts is `distance`."""
        whole, lasting = self.whole, self._lasting
        few, many = whole.runs - 1, max(whole.units - 1, 1)
        if not lasting > 0:
            return t_tail(distance / math.sqrt(whole.v_seed), few)
        if not whole.v_seed > 0:
            return t_tail(distance / math.sqrt(lasting), many)

        def off(x: float) -> tuple[float, float]:
            y = -t_quantile(t_tail(x, few), many)
            half = math.hypot(x * math.sqrt(whole.v_seed), y * math.sqrt(lasting))
            slope = t_density(x, few) / t_density(y, many)
            return half - distance, (x * whole.v_seed + y * lasting * slope) / half

        most = -t_quantile(LEAST, few)
        return t_tail(rising_root(off, 0.0, most, min(distance / whole.standard_error, most / 2)), few)


@dataclass(frozen=True, eq=False)
class ManyFewRuns:
    """The half-widths of `FewRuns` of many contrasts at once; arrays are broadcast together.

    Attributes:
        v_seed, v_example, v_both: parts of the variances.
        runs: J, at least 2.
        units: U.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import FewRuns, TwoWay
        >>> from evenhand.stats.few_runs import ManyFewRuns
        >>> one = TwoWay(0.0, 0.0001, df=2, v_seed=0.0001, v_example=0, v_both=0, runs=3, units=500)
        >>> many = ManyFewRuns(np.array([0.0001, 0.0004]), np.zeros(2), np.zeros(2), runs=3, units=np.array([500, 500]))
        >>> bool(np.isclose(many.half_widths(0.025)[0], FewRuns(one).half_width(0.025)))
        True
    """

    v_seed: np.ndarray
    v_example: np.ndarray
    v_both: np.ndarray
    runs: int
    units: np.ndarray

    @cached_property
    def variance(self) -> np.ndarray:
        return np.maximum(self.v_seed + self.v_example - self.v_both, self.v_example)

    @cached_property
    def df(self) -> np.ndarray:
        return many_degrees_of_freedom(self.variance, self.v_seed, self.runs, self.units)

    def quantiles(self, tail: float) -> np.ndarray:
        """Quantiles of Student's t, positive, for a tail below .5."""
        least = max(min(float(self.runs - 1), float(self.df.min())), 1.0)
        return -t_quantiles(tail, self.df, least)

    def half_widths(self, tail: float) -> np.ndarray:
        """Distance of each bound from its estimate, missed with probability `tail` at most, for tails below .5."""
        distinct, place = np.unique(np.maximum(self.units - 1, 1), return_inverse=True)
        of_units = np.array([t_quantile(tail, one) ** 2 for one in distinct.tolist()])[place].reshape(self.units.shape)
        lasting = np.maximum(self.v_example - self.v_both, 0.0)
        parts = t_quantile(tail, self.runs - 1) ** 2 * self.v_seed + of_units * lasting
        return np.maximum(self.quantiles(tail) * np.sqrt(self.variance), np.sqrt(parts))


@dataclass(frozen=True)
class Wider:
    """The wider of two intervals of one estimate, bound by bound.

    Attributes:
        runs: of the two-way variance, of a contrast for few runs.
        units: that allows for what the two-way variance does not show: few discordant units or events, units that the
            sample may have missed, the skew of an area.
    """

    runs: FewRuns | TwoWay
    units: Interval

    @property
    def estimate(self) -> float:
        return self.runs.estimate

    @property
    def variance(self) -> float:
        return max(self.runs.variance, self.units.variance)

    def bounds(self, tail: float) -> tuple[float, float]:
        """Lower and upper bound, each missed with probability `tail` at most."""
        (low, high), (lower, higher) = self.runs.bounds(tail), self.units.bounds(tail)
        return min(low, lower), max(high, higher)

    def p_greater(self, null: float = 0.0) -> float:
        """The tail probability at which both bounds have reached `null`."""
        found = [one.p_greater(null) for one in self._parts() if one.variance > 0]
        return max(found) if self.estimate > null else min(found)

    def _parts(self) -> tuple[FewRuns | TwoWay, Interval]:
        return self.runs, self.units
