"""Intervals of proportions that stay valid near 0 and 1 and with few events."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evenhand.stats.contrast import TwoWay
from evenhand.stats.roots import rising_root
from evenhand.stats.student_t import t_quantile, t_tail

FEW = 10
"""With fewer discordant units than this, a contrast of proportions gets the adjusted interval."""
LEAST = 1e-15
"""The smallest p-value that is distinguished from 0."""


def wilson(share: float, size: float, quantile: float) -> tuple[float, float]:
    """Wilson's score interval (1927) at an effective sample size, within [0, 1].

    Args:
        share: the observed proportion.
        size: the effective sample size: p(1 − p)/V for a clustered variance V.
        quantile: of the normal or t distribution.

    Example:
        >>> from evenhand.stats import wilson
        >>> wilson(0.0, 4, 2.0)  # the upper bound is q²/(n + q²)
        (0.0, 0.5)
    """
    square = quantile**2
    centre = (share + square / (2 * size)) / (1 + square / size)
    half = quantile / (1 + square / size) * math.sqrt(share * (1 - share) / size + square / (4 * size**2))
    return min(max(centre - half, 0.0), share), max(min(centre + half, 1.0), share)


def effective_size(share: float, variance: float, most: float) -> float:
    """p(1 − p)/V, at most `most`; where nothing varied (p is 0 or 1, or V is 0) it is `most`."""
    if not variance > 0 or not 0 < share < 1:
        return most
    return min(share * (1 - share) / variance, most)


def proportion_interval(mean: TwoWay, cells: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a clustered proportion.

    Args:
        mean: the proportion with its two-way variance.
        cells: Kish's effective number of (unit, run) cells, which the effective sample size cannot exceed; where
            every cell agrees (p is 0 or 1) the number of units is taken instead, since cells of one unit may depend.
        level: two-sided.

    Source: Wilson (1927), at the effective sample size p(1 − p)/V.

    Example:
        >>> from evenhand.stats import TwoWay, proportion_interval
        >>> mean = TwoWay(0.0, 0.0, df=float("inf"), v_seed=0, v_example=0, v_both=0, runs=1, units=96)
        >>> low, high = proportion_interval(mean, cells=96)
        >>> low, round(high, 4)  # 1.96²/(96 + 1.96²)
        (0.0, 0.0385)
    """
    share = min(max(mean.estimate, 0.0), 1.0)
    most = cells if 0 < share < 1 else min(cells, float(mean.units))
    return wilson(share, effective_size(share, mean.variance, most), t_quantile(1 - (1 - level) / 2, mean.df))


def proportion_intervals(
    estimate: np.ndarray, variance: np.ndarray, cells: np.ndarray, units: np.ndarray, quantile: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`proportion_interval` of many proportions at once, all of one shape; nan where the variance is."""
    share = np.clip(estimate, 0.0, 1.0)
    inside = (share > 0) & (share < 1)
    size = np.where(inside, cells, np.minimum(cells, units))
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.where(inside & (variance > 0), np.minimum(share * (1 - share) / variance, size), size)
        low, high = wilson_bounds(share, size, quantile)
    return np.where(np.isnan(variance), np.nan, low), np.where(np.isnan(variance), np.nan, high)


def wilson_bounds(share: np.ndarray, size: np.ndarray, quantile: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """`wilson` of many proportions at once, all of one shape."""
    square = quantile**2
    centre = (share + square / (2 * size)) / (1 + square / size)
    half = quantile / (1 + square / size) * np.sqrt(share * (1 - share) / size + square / (4 * size**2))
    return np.minimum(np.maximum(centre - half, 0.0), share), np.maximum(np.minimum(centre + half, 1.0), share)


def clumping(repeats: float, agreement: float) -> float:
    """(1 + (m − 1)·r)/m: how many of a unit's m runs an event takes with it, as a share; 1 where all go together."""
    return (1 + (repeats - 1) * agreement) / repeats


def agreement(events: Sequence[np.ndarray], tested: np.ndarray) -> float:
    """The probability that a unit with an event in one run has it in another run as well, shrunk towards 1.

    One unit whose runs all agree is added to those observed: it is 1 without an event, and few events say little.

    Args:
        events: bool [J, U] for each kind of event.
        tested: bool [J, U], the units that each run tested.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats.proportion import agreement
        >>> once = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], dtype=bool)  # three units, each in one run
        >>> agreement([once], np.ones((3, 4), dtype=bool))
        0.25
    """
    others = tested.sum(axis=0) - 1
    total, count = 1.0, 1
    for event in events:
        times = event.sum(axis=0)
        seen = (times > 0) & (others > 0)
        total += float(((times[seen] - 1) / others[seen]).sum())
        count += int(seen.sum())
    return total / count


@dataclass(frozen=True)
class ProportionDifference:
    """The interval for a difference of two proportions: of a paired change, of those who gained and of those who lost.

    The difference is plus − minus: of a change the shares of cells where only the first, or only the second, has the
    event. Each gets Wilson's interval at its clustered effective size, and the two are combined as Newcombe (1998)
    does; the bounds never lie inside those of the two-way interval. The width is positive even when no unit is
    discordant: then the bounds are ±q²/(n + q²), as in Tango's score interval.

    A few events cannot show how far the runs of a unit depend on each other, so the effective size has a limit: with m
    runs per unit, units·m/(1 + (m − 1)·r), r the probability that a unit with an event in one run has it in another.
    It goes from the number of units (r = 1, and what is taken without any event) to that of cells (r = 0).

    Attributes:
        whole: the two-way interval of the difference.
        plus, minus: the two shares with their two-way variances.
        units: Kish's effective number of units.
        repeats: m, how many runs a unit is in.
        agreement: r, as of `agreement`.
    """

    whole: TwoWay
    plus: TwoWay
    minus: TwoWay
    units: float
    repeats: float = 1.0
    agreement: float = 1.0

    @property
    def estimate(self) -> float:
        return self.whole.estimate

    @property
    def variance(self) -> float:
        """The variance that the bounds at one standard error imply."""
        low, high = self._at(1.0, 1.0)
        return ((high - low) / 2) ** 2

    def bounds(self, tail: float) -> tuple[float, float]:
        """Lower and upper bound, each missed with probability `tail` at most."""
        return self._at(-t_quantile(tail, self.df), -t_quantile(tail, self.whole.df))

    def p_greater(self, null: float = 0.0) -> float:
        """The tail probability at which a bound reaches `null`."""
        if self.estimate == null:
            return 0.5
        above, error = self.estimate > null, self.whole.standard_error
        p = t_tail(abs(self.estimate - null) / error, self.whole.df) if error > 0 else 0.0
        p = max(p, self._p_of_shares(null, above), LEAST)
        return p if above else 1 - p

    @property
    def df(self) -> float:
        """Degrees of freedom of the quantile for the shares."""
        return max(self.units - 1, 1)

    @property
    def most(self) -> float:
        """The largest effective size of a share."""
        return self.units / clumping(self.repeats, self.agreement)

    def most_after(self, runs: int) -> float:
        """The largest effective size of a share if the study had so many runs."""
        now = self.whole.runs
        if now < 2 or self.repeats <= 1:
            return self.units
        repeats = 1 + (self.repeats - 1) * (runs - 1) / (now - 1)
        units = self.units * self.repeats / repeats * runs / now
        return units / clumping(repeats, self.agreement)

    def _p_of_shares(self, null: float, above: bool) -> float:
        """The tail at which the bound from the two shares, without the two-way interval, reaches `null`."""
        # Below the estimate the first share may be smaller and the second larger, above it the other way round.
        (p, n), (m, k) = (
            (side.estimate, effective_size(side.estimate, side.variance, self.most)) for side in (self.plus, self.minus)
        )
        (p, n), (m, k) = ((p, n), (m, k)) if above else ((m, k), (p, n))
        distance = p - m - (null if above else -null)
        if distance <= 0:
            return 0.5

        def off(quantile: float) -> tuple[float, float]:
            low, high = wilson(p, n, quantile)[0], wilson(m, k, quantile)[1]
            width = math.hypot(p - low, high - m)
            # Both limits solve (limit − share)² = quantile²·limit·(1 − limit)/size.
            falling = 2 * quantile * low * (1 - low) / (2 * n * (p - low) + quantile**2 * (1 - 2 * low) or math.inf)
            rising = 2 * quantile * high * (1 - high) / (2 * k * (high - m) - quantile**2 * (1 - 2 * high) or math.inf)
            return width - distance, ((p - low) * falling + (high - m) * rising) / width if width > 0 else 0.0

        most = -t_quantile(LEAST, self.df)
        if off(most)[0] <= 0:
            return LEAST
        start = distance / math.sqrt(p * (1 - p) / n + m * (1 - m) / k) if 0 < p < 1 else 1.0
        return t_tail(rising_root(off, 0.0, most, min(start, most / 2)), self.df)

    def _at(self, few: float, most: float) -> tuple[float, float]:
        """The bounds at a quantile for the shares and a quantile for the two-way interval."""
        p, m = self.plus.estimate, self.minus.estimate
        p_low, p_high = wilson(p, effective_size(p, self.plus.variance, self.most), few)
        m_low, m_high = wilson(m, effective_size(m, self.minus.variance, self.most), few)
        half = most * self.whole.standard_error
        low = p - m - math.hypot(p - p_low, m_high - m)
        high = p - m + math.hypot(p_high - p, m - m_low)
        return min(low, self.estimate - half), max(high, self.estimate + half)


@dataclass(frozen=True)
class Widened:
    """The interval for any other contrast with few discordant units: one pseudo-unit of variance is added.

    V + (q·h)² replaces V, h being what one unit can change: with nothing discordant the bounds are ±q²·h, those of a
    proportion. The quantile q is that of the bound, so that stricter levels widen more.

    Attributes:
        whole: the two-way interval.
        step: h, the weight of one unit in the estimate, of the runs that a change takes with it (`clumping`).
    """

    whole: TwoWay
    step: float

    @property
    def estimate(self) -> float:
        return self.whole.estimate

    @property
    def variance(self) -> float:
        return self.whole.variance + self.step**2

    def bounds(self, tail: float) -> tuple[float, float]:
        """Lower and upper bound, each missed with probability `tail` at most."""
        quantile = -t_quantile(tail, self.whole.df)
        half = quantile * math.sqrt(self.whole.variance + (quantile * self.step) ** 2)
        return self.estimate - half, self.estimate + half

    def p_greater(self, null: float = 0.0) -> float:
        """The tail probability at which a bound reaches `null`."""
        distance = abs(self.estimate - null)
        v, h = self.whole.variance, self.step**2
        # q²·(V + q²·h²) = distance², solved for q².
        square = (math.sqrt(v**2 + 4 * h * distance**2) - v) / (2 * h)
        p = t_tail(math.sqrt(square), self.whole.df)
        return p if self.estimate > null else 1 - p
