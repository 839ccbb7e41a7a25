"""Intervals of differences, such as a group's from the rest, with few events or units on a side."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np

from evenhand.stats.contrast import TwoWay
from evenhand.stats.proportion import FEW, LEAST
from evenhand.stats.student_t import t_quantile


class Interval(Protocol):
    """An estimate with bounds at any level."""

    @property
    def estimate(self) -> float: ...
    @property
    def variance(self) -> float: ...
    def bounds(self, tail: float) -> tuple[float, float]: ...
    def p_greater(self, null: float = 0.0) -> float: ...


@runtime_checkable
class OnTwoWay(Interval, Protocol):
    """An interval that adds to a two-way one."""

    @property
    def whole(self) -> TwoWay: ...


@dataclass(frozen=True)
class FewEvents:
    """A difference a·first − b·second of independent proportions, of a group and its rest say, at any number of events.

    Each proportion gets one pseudo-event and one pseudo-non-event at its effective size, as Agresti and Caffo (2000)
    do, and Price and Bonett (2004) for any two coefficients: p̃ = (p·n + 1)/(n + 2) and v = p̃(1 − p̃)/(n + 2), with
    n = p(1 − p)/V, at most the units. The bounds are a·p̃_first − b·p̃_second ± q·√(a²·v_first + b²·v_second). With
    fewer than `FEW` events or non-events on a side, of one run, these stand alone; else each bound is the wider one of
    these and the two-way interval's.

    Where units are on both sides, as a text and its version about another group are, the proportions are correlated.
    A correlation above 0 leaves at least the variance `least`: a few units that are alike on both sides do not show
    that all are.

    Attributes:
        whole: the two-way interval of the difference.
        first, second: the proportions with their two-way variances.
        coefficients: a and b, above 0.
        correlation: of the two, where units are on both sides; of independent ones 0.
        more: variance of the difference that is neither proportion's, as where the coefficients are estimates.
        least: the variance that a correlation above 0 leaves at least, unless independent proportions have less.
    """

    whole: TwoWay
    first: TwoWay
    second: TwoWay
    coefficients: tuple[float, float] = (1.0, 1.0)
    correlation: float = 0.0
    more: float = 0.0
    least: float = 0.0

    @property
    def estimate(self) -> float:
        return self.whole.estimate

    @property
    def variance(self) -> float:
        """The variance that the bounds at one standard error imply."""
        low, high = self._at(1.0)
        return ((high - low) / 2) ** 2

    def bounds(self, tail: float) -> tuple[float, float]:
        """Lower and upper bound, each missed with probability `tail` at most."""
        return self._at(-t_quantile(tail, self.whole.df))

    def p_greater(self, null: float = 0.0) -> float:
        """The tail probability at which a bound reaches `null`."""
        return tail_at(self, null)

    def _at(self, quantile: float) -> tuple[float, float]:
        middle, spread, few = self._smoothed
        half, plain, estimate = quantile * spread, quantile * self.whole.standard_error, self.whole.estimate
        if math.isnan(plain + middle + half):
            return math.nan, math.nan
        if few and self.whole.runs == 1:
            return middle - half, middle + half
        return min(middle - half, estimate - plain), max(middle + half, estimate + plain)

    @cached_property
    def _smoothed(self) -> tuple[float, float, bool]:
        """The smoothed difference of the two proportions; the same for all bounds."""
        first, second = (
            Proportions(*(np.array([part]) for part in (side.estimate, side.variance, side.units)))
            for side in (self.first, self.second)
        )
        (middle,), (spread,), (few,) = smoothed_difference(first, second, self.coefficients, self.correlation)
        if self.correlation > 0 and spread**2 < self.least:
            _, (apart,), _ = smoothed_difference(first, second, self.coefficients, 0.0)
            spread = min(float(apart), math.sqrt(self.least))
        return float(middle), math.hypot(float(spread), math.sqrt(self.more)), bool(few)


@dataclass(frozen=True, eq=False)
class Proportions:
    """Proportions with their two-way variances and numbers of units, arrays of one shape."""

    share: np.ndarray
    variance: np.ndarray
    units: np.ndarray

    @property
    def size(self) -> np.ndarray:
        """Effective sizes p(1 − p)/V, at most the units."""
        share, variance = np.clip(self.share, 0.0, 1.0), self.variance
        inside = (variance > 0) & (share > 0) & (share < 1)
        known = np.divide(share * (1 - share), variance, out=np.full(share.shape, np.inf), where=inside)
        return np.minimum(known, self.units)


def few_events_bounds(
    first: Proportions,
    second: Proportions,
    difference: np.ndarray,
    plain: np.ndarray,
    quantile: np.ndarray,
    runs: int | np.ndarray,
    coefficients: tuple[np.ndarray | float, np.ndarray | float] = (1.0, 1.0),
    correlation: np.ndarray | float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """The bounds of `FewEvents` of many differences a·first − b·second; nan where `plain` is.

    Args:
        first, second: the proportions.
        difference, plain: the estimate, and the half-width of its two-way interval.
        quantile: of the bounds.
        runs: over how many each difference is a mean.
        coefficients: a and b.
        correlation: of the proportions.
    """
    middle, spread, few = smoothed_difference(first, second, coefficients, correlation)
    half = quantile * spread
    alone = few & (np.asarray(runs) == 1)
    low = np.where(alone, middle - half, np.minimum(middle - half, difference - plain))
    high = np.where(alone, middle + half, np.maximum(middle + half, difference + plain))
    return np.where(np.isnan(plain), np.nan, low), np.where(np.isnan(plain), np.nan, high)


def smoothed_difference(
    first: Proportions,
    second: Proportions,
    coefficients: tuple[np.ndarray | float, np.ndarray | float],
    correlation: np.ndarray | float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of differences a·first − b·second with an event and a non-event added: middle, standard error, whether few."""
    middle, spread, product = np.zeros(first.share.shape), np.zeros(first.share.shape), np.ones(first.share.shape)
    few = np.zeros(first.share.shape, dtype=bool)
    for sign, times, side in ((1, coefficients[0], first), (-1, coefficients[1], second)):
        share, size = np.clip(side.share, 0.0, 1.0), side.size
        level = (share * size + 1) / (size + 2)
        middle += sign * times * level
        variance = times**2 * level * (1 - level) / (size + 2)
        spread += variance
        product *= variance
        few |= np.minimum(share, 1 - share) * size < FEW
    return middle, np.sqrt(spread - 2 * correlation * np.sqrt(product)), few


def correlation_of(whole: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The correlation of two proportions from the variances of their difference and of both; 0 where it is negative."""
    return np.maximum(signed_correlation_of(whole, first, second), 0.0)


def signed_correlation_of(whole: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The correlation of two proportions from the variances of their difference and of both; 0 where one does not
    vary."""
    product = np.sqrt(first * second)
    together = np.divide(first + second - whole, 2 * product, out=np.zeros_like(product), where=product > 0)
    return np.clip(together, -1.0, 1.0)


@dataclass(frozen=True)
class Apart:
    """first − second, two estimates with an interval of their own each.

    The distances of its bounds are those of the parts' bounds, added as squares, less what they have in common (MOVER:
    Zou 2007; Zou and Donner 2008); they never lie inside those of the two-way interval.

    Attributes:
        whole: the two-way interval of the difference.
        first, second: the parts, of which one rests on few units, or has a skewed error.
        scale: the difference is this many times that of the parts.
        correlation: of the parts' errors; 0 where they go together at most by a little.
    """

    whole: TwoWay
    first: Interval
    second: Interval
    scale: float = 1.0
    correlation: float = 0.0

    @property
    def estimate(self) -> float:
        return self.whole.estimate

    @property
    def variance(self) -> float:
        """That of the two-way interval, or what the parts' intervals imply, where that is more."""
        v, w = self.first.variance, self.second.variance
        return max(self.whole.variance, self.scale**2 * (v + w - 2 * self.correlation * math.sqrt(v * w)))

    def bounds(self, tail: float) -> tuple[float, float]:
        """Lower and upper bound, each missed with probability `tail` at most."""
        (low, high), (lower, higher) = self.first.bounds(tail), self.second.bounds(tail)
        a, b = self.first.estimate, self.second.estimate
        half = -t_quantile(tail, self.whole.df) * self.whole.standard_error
        sides = ((a - low, higher - b), (high - a, b - lower))
        below, above = (self.scale * float(added(*side, self.correlation)) for side in sides)
        return self.estimate - max(below, half), self.estimate + max(above, half)

    def p_greater(self, null: float = 0.0) -> float:
        """The tail probability at which a bound reaches `null`."""
        return tail_at(self, null)


def added(first: np.ndarray | float, second: np.ndarray | float, correlation: float) -> np.ndarray | float:
    """The distances of a difference's bounds from those of its parts, of one shape."""
    if not correlation:
        return math.hypot(first, second) if isinstance(first, float | int) else np.hypot(first, second)
    return np.sqrt(np.maximum(first**2 + second**2 - 2 * correlation * first * second, 0.0))


def tail_at(interval: Interval, null: float) -> float:
    """The one-sided p-value that belongs to bounds: the tail at which one reaches `null`, by bisection."""
    if interval.estimate == null:
        return 0.5
    above = interval.estimate > null

    def reaches(tail: float) -> bool:
        low, high = interval.bounds(tail)
        return low <= null if above else high >= null

    least, most = math.log(LEAST), math.log(0.4999)
    if reaches(0.4999):
        return 0.5
    if not reaches(LEAST):
        most = least
    while most - least > 1e-9:  # bounds move away from the estimate as the tail falls
        middle = (least + most) / 2
        least, most = (middle, most) if reaches(math.exp(middle)) else (least, middle)
    return math.exp(most) if above else 1 - math.exp(most)
