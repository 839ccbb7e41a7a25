"""How many runs a study needs until a verdict is decided, by simulating how it may continue.

The runs' values d_j have a mean θ and a standard deviation σ, of which J runs know little. So both are drawn given what
was observed: σ² = (J−1)·s²/χ²(J−1), θ ~ N(d̄, σ²/J). Then come runs J+1 … J′, and the bounds are computed from all J′
as the audit computes them, adjusted ones too. More runs do not remove the noise of the examples: the products of one
unit's contributions in two runs estimate it, E = J/(J−1)·(V_example − V_both) (`stats.contrast`). At J′ runs

    V_seed′ = s′²/J′      V_both′ = V_both·J/J′      V_example′ = E·(J′−1)/J′ + V_both′

To take θ and σ as observed instead promises too much: of studies that were told a number in this way, and ran it, half
were then decided. Simulated in `tests/coverage/test_runs_needed.py`.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from evenhand.seeds import generator
from evenhand.stats.agreement import AgreementInterval
from evenhand.stats.contrast import TwoWay
from evenhand.stats.differences import Apart, FewEvents, Interval, OnTwoWay, added
from evenhand.stats.few_runs import ManyFewRuns, Wider
from evenhand.stats.means import SkewedMean
from evenhand.stats.power import POWER
from evenhand.stats.proportion import ProportionDifference, Widened, wilson_bounds
from evenhand.stats.ranking import LogitInterval, SkewedInterval
from evenhand.stats.rate_changes import RateChange
from evenhand.stats.score_interval import ScoreInterval
from evenhand.stats.student_t import t_quantile

MOST_RUNS = 40
"""The largest number of runs that `runs_needed` returns."""
DRAWS = 400
"""The number of ways in which a study may go on."""
FOR_EVER = 10**9
"""Stands for as many runs as one likes."""

IDENTICAL = "the two do not differ in what the measure rests on: more runs would not decide, only more test examples"
ONLY_EXAMPLES = "only more test examples would decide"
Bounds = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class RunsNeeded:
    """The number of runs that a verdict needs; `runs` is None where no number is enough, and `reason` says why.

    Example:
        >>> from evenhand.stats import FewRuns, RunsNeeded, TwoWay, runs_needed
        >>> contrast = TwoWay(0.0, 0.01, df=4, v_seed=0, v_example=0.01, v_both=0, runs=5, units=100)
        >>> runs_needed(FewRuns(contrast), level=0.05, margin=None)
        RunsNeeded(runs=None, reason='only more test examples would decide')
    """

    runs: int | None
    reason: str | None = None


def runs_needed(
    interval: Interval, level: float, margin: float | None, power: float = POWER, *, two_sided: bool = False
) -> RunsNeeded:
    """The smallest number of runs, up to 40, at which a share `power` of the ways to go on end with a verdict.

    Args:
        interval: of the contrast, over two runs or more; one that is adjusted for few discordant units stays so.
        level: one-sided, of each bound, after the family's correction.
        margin: the largest contrast declared harmless; None: only bounds beyond 0 decide, and where truths are small
            the number is too low.
        power: the share.
        two_sided: whether `not worse` is no verdict, but only `equivalent`.

    Returns:
        A number above the runs that were made; else the reason: the two are identical, examples limit what any number
        of runs can decide, or more than 40 runs are needed.

    Source: predictive power (Spiegelhalter, Freedman and Blackburn 1986).

    Example:
        Five runs have a mean of .1 and standard deviation .1. That mean may be half luck, so it takes more:

        >>> from evenhand.stats import FewRuns, TwoWay, runs_needed
        >>> contrast = TwoWay(0.1, 0.002, df=4, v_seed=0.002, v_example=0, v_both=0, runs=5, units=1000)
        >>> 5 < runs_needed(FewRuns(contrast), level=0.01, margin=None).runs < 40
        True
    """
    whole = _two_way_of(interval)
    if whole.runs < 2:
        return RunsNeeded(None, "the spread between runs is unknown: with one run no number of runs would be reliable")
    if not whole.variance > 0:
        return RunsNeeded(None, IDENTICAL)

    def decides(runs: int) -> bool:
        low, high = bounds_after(interval, runs, level)
        decided = (low > 0) | (high < 0)
        if margin is not None:
            decided |= (high < margin) & (low > -margin) if two_sided else high < margin
        return bool(decided.mean() >= power)

    if not decides(FOR_EVER):
        return RunsNeeded(None, ONLY_EXAMPLES)
    if whole.runs >= MOST_RUNS or not decides(MOST_RUNS):
        return RunsNeeded(None, f"more than {max(MOST_RUNS, whole.runs)} runs would be needed")
    return RunsNeeded(bisect_left(range(MOST_RUNS), True, lo=whole.runs + 1, key=decides))


def bounds_after(interval: Interval, runs: int, level: float) -> Bounds:
    """Lower and upper bounds, float [D], of the studies that this one may be after so many runs.

    Args:
        interval: of the contrast, over two runs or more.
        runs: J′, above J.
        level: one-sided, of each bound.
    """
    whole = _two_way_of(interval)
    unit_shift, ratio = _draws(whole.runs, runs)
    return _bounds(interval, _Future(runs, unit_shift * math.sqrt(whole.v_seed * whole.runs), ratio, level))


@dataclass(frozen=True, eq=False)
class _Future:
    """What more runs may bring.

    Attributes:
        runs: J′.
        shift: float [D], the mean of J′ runs minus that of J.
        ratio: float [D], the sample variance of J′ runs over that of J.
        level: one-sided, of each bound.
    """

    runs: int
    shift: np.ndarray
    ratio: np.ndarray
    level: float


def _after(mean: TwoWay, future: _Future) -> ManyFewRuns:
    """The parts of the two-way variance after J′ runs, float [D] each; those of a single run stay as they are."""
    now = mean.runs
    if now < 2:  # one model, which is compared with several runs
        none, example = np.zeros(len(future.ratio)), np.full(len(future.ratio), mean.v_example)
        return ManyFewRuns(none, example, np.array(0.0), future.runs, np.full(len(none), mean.units))
    lasting = max(mean.v_example - mean.v_both, 0.0) * now / (now - 1)
    seed = mean.v_seed * now / future.runs * future.ratio
    both = mean.v_both * now / future.runs
    example = lasting * (future.runs - 1) / future.runs + both
    return ManyFewRuns(seed, np.full_like(seed, example), np.array(both), future.runs, np.full(len(seed), mean.units))


def _bounds(interval: Interval, future: _Future) -> Bounds:
    """The bounds of one kind of interval after more runs."""
    if isinstance(interval, Wider):
        (low, high), (lower, higher) = _bounds(interval.runs, future), _bounds(interval.units, future)
        return np.minimum(low, lower), np.maximum(high, higher)
    if isinstance(interval, Apart):
        return _bounds_apart(interval, future)
    if isinstance(interval, ProportionDifference):
        return _bounds_of_proportions(interval, future)
    whole = _two_way_of(interval)
    after = _after(whole, future)
    middle = whole.estimate + future.shift
    if isinstance(interval, FewEvents | LogitInterval | SkewedInterval | SkewedMean | AgreementInterval):
        # Its distances fall as the standard error does.
        falls = np.sqrt(after.variance / whole.variance) if whole.variance > 0 else 1.0
        low, high = interval.bounds(future.level)
        return middle - (whole.estimate - low) * falls, middle + (high - whole.estimate) * falls
    quantile = after.quantiles(future.level)
    if isinstance(interval, ScoreInterval):
        half = t_quantile(future.level, max(whole.units - 1, 1)) ** 2 / 2
        below, above = (
            half * step + np.sqrt(quantile**2 * after.variance + (half * step) ** 2)
            for step in (interval.down, interval.up)
        )
        return middle - below, middle + above
    if isinstance(interval, Widened):
        half = quantile * np.sqrt(after.variance + (quantile * interval.step) ** 2)
    else:
        half = after.half_widths(future.level)
    if isinstance(interval, RateChange):
        below, above = interval.distances(future.level, half, after.v_example)
        return middle - below, middle + above
    return middle - half, middle + half


def _bounds_of_proportions(interval: ProportionDifference, future: _Future) -> Bounds:
    """The two shares move by half of the shift each, and keep their sum where they can."""
    after = _after(interval.whole, future)
    difference = interval.plus.estimate - interval.minus.estimate + future.shift
    together = np.maximum(interval.plus.estimate + interval.minus.estimate, np.abs(difference))
    quantile, most = -t_quantile(future.level, interval.df), interval.most_after(future.runs)
    limits = []
    for mean, share in ((interval.plus, together + difference), (interval.minus, together - difference)):
        share = np.clip(share / 2, 0.0, 1.0)
        spread = _after(mean, future).variance
        known = (spread > 0) & (share > 0) & (share < 1)
        size = np.divide(share * (1 - share), spread, out=np.full(len(share), math.inf), where=known)
        limits.append((share, *wilson_bounds(share, np.minimum(size, most), quantile)))
    (p, p_low, p_high), (m, m_low, m_high) = limits
    half = after.quantiles(future.level) * np.sqrt(after.variance)
    return (
        difference - np.maximum(np.hypot(p - p_low, m_high - m), half),
        difference + np.maximum(np.hypot(p_high - p, m - m_low), half),
    )


def _bounds_apart(interval: Apart, future: _Future) -> Bounds:
    """Both parts move, each by its share of the runs' variance."""
    seeds = [_two_way_of(part).v_seed for part in (interval.first, interval.second)]
    share = seeds[0] / sum(seeds) if sum(seeds) > 0 else 0.5
    shift = future.shift / interval.scale
    moved = [shift * share, -shift * (1 - share)]
    below, above = [], []
    for part, moves in zip((interval.first, interval.second), moved, strict=True):
        low, high = _bounds(part, _Future(future.runs, moves, future.ratio, future.level))
        middle = part.estimate + moves
        below.append(middle - low)
        above.append(high - middle)
    after = _after(interval.whole, future)
    half, middle = after.quantiles(future.level) * np.sqrt(after.variance), interval.estimate + future.shift
    return (
        middle - np.maximum(interval.scale * added(below[0], above[1], interval.correlation), half),
        middle + np.maximum(interval.scale * added(above[0], below[1], interval.correlation), half),
    )


def _two_way_of(interval: Interval) -> TwoWay:
    """The two-way interval under an adjusted one."""
    if isinstance(interval, TwoWay):
        return interval
    if isinstance(interval, Wider):
        return _two_way_of(interval.runs)
    assert isinstance(interval, OnTwoWay)
    return interval.whole


@lru_cache(maxsize=256)
def _draws(now: int, runs: int) -> tuple[np.ndarray, np.ndarray]:
    """Shifts of the mean and ratios of variances, float [D] each, in units of the observed standard deviation of a run.

    The same ways to go on for every number of runs.
    """
    sigma, theta = _posterior(now)
    if runs == FOR_EVER:
        return theta, sigma**2
    later = theta[:, None] + sigma[:, None] * _later_runs(now)[:, : runs - now]
    shift = later.sum(axis=1) / runs
    squares = now - 1 + (later**2).sum(axis=1) - runs * shift**2
    return shift, squares / (runs - 1)


@lru_cache(maxsize=64)
def _posterior(now: int) -> tuple[np.ndarray, np.ndarray]:
    """σ, and θ − d̄, float [D] each, in units of s; a draw's mirror image is a draw."""
    from scipy.special import chdtri, ndtri

    evenly = (np.arange(DRAWS // 2) + 0.5) / (DRAWS // 2)
    sigma = np.tile(np.sqrt((now - 1) / chdtri(now - 1, evenly)), 2)
    half = generator(0, "runs needed").permutation(ndtri(evenly))
    return sigma, np.concatenate([half, -half]) * sigma / math.sqrt(now)


@lru_cache(maxsize=64)
def _later_runs(now: int) -> np.ndarray:
    """Float [D, 40 − J], standard normal."""
    half = generator(0, "runs needed", now).normal(size=(DRAWS // 2, max(MOST_RUNS - now, 0)))
    return np.concatenate([half, -half])
