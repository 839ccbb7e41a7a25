"""Ratios of two proportions, and linear forms p_first − c·p_second of them, with their intervals.

The ratio R = p_first/p_second has Koopman's (1984) score interval: all R that the score test does not reject,

    z(R) = (p_first − R·p_second) / √(p̃_first(1 − p̃_first)/n_first + R²·p̃_second(1 − p̃_second)/n_second)

with p̃ the likeliest proportions whose ratio is R (Miettinen and Nurminen 1985), at the effective sizes n = p(1 − p)/V,
at most the units, so that weights, clusters and several runs are respected. The quantile is Student's t with Welch's
degrees of freedom over both sides. Score tests take the sides to be independent: over several runs, which move both,
and with units on both sides, a bound is at least as far out as that of the logarithm's two-way variance, which has the
covariance. A linear form has Price and Bonett's (2004) interval (`FewEvents`). Simulated in
`tests/coverage/test_ratios.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evenhand.stats.contrast import TwoWay, degrees_of_freedom, units_of_two_sides
from evenhand.stats.differences import FewEvents, Interval, correlation_of
from evenhand.stats.few_runs import FewRuns, Wider
from evenhand.stats.proportion import effective_size
from evenhand.stats.student_t import t_quantile

_STEPS = 200
_FARTHEST = 40.0
"""How far a bound may be from the ratio, as a difference of logarithms."""
_MOST_SPREAD = 700.0
"""Where eˣ is nearly the largest number that there is."""


def score_ratio(
    first: float, first_size: float, second: float, second_size: float, quantile: float
) -> tuple[float, float]:
    """Koopman's score interval of the ratio of two independent proportions.

    Args:
        first, second: the observed proportions, 0 to 1; sizes: how many examples each is of, effectively.
        quantile: of the normal or t distribution.

    Returns:
        Lower and upper bound, within [0, inf]; nan where the second proportion is 0, so that there is no ratio.

    Source: Koopman (1984).

    Example:
        Koopman's own, 36 of 40 against 16 of 80, and none of 40:

        >>> from evenhand.stats import score_ratio
        >>> low, high = score_ratio(36 / 40, 40, 16 / 80, 80, 1.959964)
        >>> round(low, 2), round(high, 2)
        (2.94, 7.15)
        >>> score_ratio(0.0, 40, 0.5, 80, 1.959964)[0]
        0.0
    """
    if not second > 0:
        return math.nan, math.nan
    sides = (min(first, 1.0), first_size, min(second, 1.0), second_size)
    ratio = first / second
    # With half an event more the logarithm has a standard error at any counts: a first step that is seldom far off.
    events = [max(share * size, 0.5) for share, size in ((first, first_size), (second, second_size))]
    step = quantile * math.sqrt(sum(1 / count for count in events))
    start = math.log(max(first, 0.5 / first_size) / second)
    low = _reached(sides, start, -step, quantile) if ratio > 0 else 0.0
    return low, _reached(sides, start if ratio > 0 else start - _FARTHEST / 4, step, -quantile)


def _score(sides: tuple[float, float, float, float], ratio: float) -> float:
    """z(R), which falls with R."""
    first, n, second, m = sides
    x, y = first * n, second * m
    least = ratio * (n + y) + x + m
    other = 2 * (x + y) / (least + math.sqrt(max(least**2 - 4 * ratio * (n + m) * (x + y), 0.0)))
    other = min(other, 1.0)
    own = min(ratio * other, 1.0)
    variance = own * (1 - own) / n + ratio**2 * other * (1 - other) / m
    off = first - ratio * second
    return off / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, off) if off else 0.0


def _reached(sides: tuple[float, float, float, float], start: float, step: float, quantile: float) -> float:
    """The ratio at which z is the quantile, by the Illinois variant of regula falsi on logarithms.

    Args:
        sides: of `_score`.
        start: a logarithm on the near side of it; step: towards it, and doubled until it is passed.
        quantile: positive for a bound below the ratio.
    """

    def off(at: float) -> float:
        return min(max(_score(sides, math.exp(at)), -1e3), 1e3) - quantile

    near, far = start, start + step
    while off(far) * step > 0 and abs(far - start) < 4 * _FARTHEST:
        step *= 2
        near, far = far, far + step
    low, high = min(near, far), max(near, far)
    above, below = off(low), off(high)
    side = 0
    for _ in range(_STEPS):
        at = (low * below - high * above) / (below - above) if below != above else (low + high) / 2
        at = at if low < at < high else (low + high) / 2
        value = off(at)
        if abs(value) < 1e-11 or high - low < 1e-13:
            return math.exp(at)
        if value > 0:
            low, above = at, value
            below = below / 2 if side == 1 else below
            side = 1
        else:
            high, below = at, value
            above = above / 2 if side == -1 else above
            side = -1
    return math.exp((low + high) / 2)


@dataclass(frozen=True)
class TwoProportions:
    """The proportions of a group and of what it is compared with, over the same runs.

    Attributes:
        whole: first − second, with the covariance of both.
        first: of the group.
        second: of what it is compared with, which may contain the group.
        apart: of those without the group; the second itself unless it contains the group.
        share: of the group in the second: 0 unless it contains the group.
        together: whether units are on both sides; overlaps: whether examples are in the first and in `apart`.

    Example:
        >>> from evenhand.stats import TwoProportions, TwoWay
        >>> sides = [TwoWay(p, p * (1 - p) / 99, 99, 0, p * (1 - p) / 99, 0, 1, 100) for p in (0.6, 0.8)]
        >>> variance = sides[0].variance + sides[1].variance
        >>> two = TwoProportions(TwoWay(-0.2, variance, 198, 0, variance, 0, 1, 199), *sides, sides[1])
        >>> round(two.ratio, 3), [round(bound, 3) for bound in two.ratio_bounds(0.025)]
        (0.75, [0.614, 0.902])
    """

    whole: TwoWay
    first: TwoWay
    second: TwoWay
    apart: TwoWay
    share: float = 0.0
    together: bool = False
    overlaps: bool = False

    @property
    def ratio(self) -> float:
        """p_first/p_second; nan where the second is 0."""
        return self.first.estimate / self.second.estimate if self.second.estimate > 0 else math.nan

    def ratio_bounds(self, tail: float) -> tuple[float, float]:
        """The bounds of the ratio, each missed with probability `tail` at most; nan where the second is 0."""
        first, second = self.first, self.apart
        if not self.second.estimate > 0:
            return math.nan, math.nan
        if not second.estimate > 0:  # all whom the second has are of the group
            return math.nan, math.nan
        quantile = -t_quantile(tail, self.whole.df)
        sizes = (effective_size(side.estimate, side.variance, side.units) for side in (first, second))
        low, high = score_ratio(first.estimate, next(sizes), second.estimate, next(sizes), quantile)
        if self.share > 0:  # p_first/p_second = 1/(share + (1 − share)/R)
            low, high = (1 / (self.share + (1 - self.share) / part) if part > 0 else 0.0 for part in (low, high))
        ratio = self.ratio
        if ratio > 0 and (self.whole.runs > 1 or self.together or self.share > 0):
            spread = FewRuns(self.linear(ratio)).half_width(tail) / first.estimate
            most = ratio * math.exp(spread) if spread < _MOST_SPREAD else math.inf
            low, high = min(low, ratio * math.exp(-spread)), max(high, most)
        return min(low, ratio), max(high, ratio)

    def linear(self, times: float) -> TwoWay:
        """first − times·second with its two-way variance.

        Sums of squares are quadratic forms, so that Q(a − c·b) = (1 − c)·Q(a) + c·Q(a − b) + (c² − c)·Q(b).
        """
        whole, first, second = self.whole, self.first, self.second
        seed, example, both = (
            max((1 - times) * a + times * gap + (times**2 - times) * b, 0.0)
            for a, gap, b in (
                (first.v_seed, whole.v_seed, second.v_seed),
                (first.v_example, whole.v_example, second.v_example),
                (first.v_both, whole.v_both, second.v_both),
            )
        )
        variance = max(seed + example - both, example)
        (ours, n), (theirs, m) = (
            (np.array([part]), np.array([side.units]))
            for part, side in ((first.v_example, first), (times**2 * second.v_example, second))
        )
        units = int(units_of_two_sides(ours, theirs, n, m, np.ceil(n + m).astype(int))[0])
        df = degrees_of_freedom(variance, seed, whole.runs, units)
        value = first.estimate - times * second.estimate
        return TwoWay(value, variance, df, seed, example, both, whole.runs, units)

    def linear_interval(self, times: float) -> Interval:
        """The interval of first − times·second, which few events and few runs make wider.

        Example:
            60 of 100 against 80 of 100, and the four-fifths rule, p_first − .8·p_second = −.04:

            >>> from evenhand.stats import TwoProportions, TwoWay
            >>> sides = [TwoWay(p, p * (1 - p) / 99, 99, 0, p * (1 - p) / 99, 0, 1, 100) for p in (0.6, 0.8)]
            >>> variance = sides[0].variance + sides[1].variance
            >>> whole = TwoWay(-0.2, variance, 198, 0, variance, 0, 1, 199)
            >>> low, high = TwoProportions(whole, *sides, sides[1]).linear_interval(0.8).bounds(0.025)
            >>> round(low, 3), round(high, 3)
            (-0.156, 0.078)
        """
        whole = self.linear(times)
        # a·first − c·(share·first + (1 − share)·apart)
        own, other = 1 - times * self.share, times * (1 - self.share)
        correlation = 0.0
        if self.overlaps:
            variances = (np.array(side.variance) for side in (self.whole, self.first, self.second))
            correlation = float(correlation_of(*variances))
        few = FewEvents(whole, self.first, self.apart, (own, other), correlation)
        return few if whole.runs < 2 else Wider(FewRuns(whole), few)
