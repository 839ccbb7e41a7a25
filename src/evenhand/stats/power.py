"""The smallest effects that a study detects with a given power."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np

from evenhand.stats.contrast import TwoWay
from evenhand.stats.differences import FewEvents, Interval, OnTwoWay
from evenhand.stats.few_runs import ManyFewRuns, Wider
from evenhand.stats.roots import rising_root
from evenhand.stats.student_t import t_quantile

POWER = 0.8
ROOT = math.sqrt(2 * math.pi)
REPEATS = 41
"""The number of equally likely studies that represent all, at quantiles of the chi-squared distribution."""


def minimum_detectable_effect(standard_error: float, df: float, level: float, power: float = POWER) -> float:
    """The smallest true effect that a one-sided test finds with that power.

    Args:
        standard_error, df: of the contrast.
        level: one-sided, after the family's correction.

    Source: Bloom (1995).

    Example:
        >>> from evenhand.stats import minimum_detectable_effect
        >>> round(minimum_detectable_effect(1.0, df=float("inf"), level=0.05), 3)  # 1.645 + .842
        2.486
    """
    return (t_quantile(1 - level, df) + t_quantile(power, df)) * standard_error


def detectable_by_runs(runs: int, level: float = 0.05, power: float = POWER) -> float:
    """The smallest mean that a one-sided paired t test over runs finds, in standard deviations of the difference.

    For planning, when no example-level spread is known yet. Exact (noncentral t).

    Example:
        >>> from evenhand.stats import detectable_by_runs
        >>> round(detectable_by_runs(1000), 3)  # nearly 2.486/√1000
        0.079
    """
    from scipy.optimize import brentq
    from scipy.stats import nct

    critical = t_quantile(1 - level, runs - 1)
    found = brentq(lambda d: float(nct.sf(critical, runs - 1, d * math.sqrt(runs))) - power, 1e-6, 100.0)
    return float(found)  # pyright: ignore[reportArgumentType]


@dataclass(frozen=True, eq=False)
class Repeated:
    """The distribution of contrasts and of interval widths over studies like this one.

    V_seed, from J − 1 degrees of freedom, comes out larger or smaller in each of them, and with it the interval; the
    noise of the examples is taken as known. The plain sum of two quantiles times the standard error ignores both
    this and that a standard error from few runs is too small on average: at 3 runs and a level of .05/4 a harm of
    that size is found in 61–78% of studies, one of the size of `smallest` in 77–85%.

    Attributes:
        error: standard deviation of the contrast.
        halves: float [Q], half-widths of equally likely studies.
    """

    error: float
    halves: np.ndarray

    @classmethod
    def of(cls, interval: Interval, level: float) -> Self:
        """Studies with the variances observed in this one; of one run that of the examples, which is taken as known.

        Args:
            interval: of the contrast; one that is adjusted for few discordant units is at least as long every time.
            level: one-sided, of each bound.
        """
        few = interval.runs if isinstance(interval, Wider) else interval
        assert isinstance(few, TwoWay | OnTwoWay)
        whole = few if isinstance(few, TwoWay) else few.whole
        if isinstance(interval, FewEvents) or whole.runs < 2:
            half = interval.estimate - interval.bounds(level)[0]
            return cls(math.sqrt(interval.variance), np.array([half]))
        known = float(unbiased_seed_variance(np.array(whole.v_seed), whole.runs))
        found = cls.with_variances(known, whole.v_example, whole.v_both, whole.runs, whole.units, level)
        if not isinstance(interval, Wider):
            return found
        least = interval.estimate - interval.units.bounds(level)[0]
        return cls(max(found.error, math.sqrt(interval.variance)), np.maximum(found.halves, least))

    @classmethod
    def with_variances(
        cls, v_seed: float, v_example: float, v_both: float, runs: int, units: float, level: float
    ) -> Self:
        """Studies of J runs and U units whose variance has these true parts; see `stats.contrast`."""
        seed, example, both, count = (np.array([part]) for part in (v_seed, v_example, v_both, units))
        halves = half_widths(seed, example, both, runs, count, level)
        return cls(math.sqrt(max(v_seed + v_example - v_both, v_example)), halves[0])

    def worse(self, effect: float, margin: float | None = None) -> float:
        """The share of the studies with the verdict `worse` where the true contrast is `effect`.

        Their lower bound is above 0; with a margin, the interval is not inside of it.
        """
        return float(shares_worse(np.array([self.error]), self.halves[None], np.array([effect]), margin)[0])

    def smallest(self, power: float = POWER) -> float:
        """The smallest effect that this share of the studies finds above 0; nan where nothing varies."""
        from scipy.special import ndtr

        if not self.error > 0:
            return math.nan
        half, count = self.halves / self.error, len(self.halves)

        def off(x: float) -> tuple[float, float]:
            above = x - half
            return float(ndtr(above).sum()) / count - power, float(np.exp(above * above * -0.5).sum()) / count / ROOT

        most = float(half.max()) + 10
        return (
            rising_root(off, 0.0, most, min(float(half.sum()) / count + t_quantile(power, math.inf), most)) * self.error
        )


def shares_worse(
    errors: np.ndarray, halves: np.ndarray, effects: np.ndarray, margin: float | None = None
) -> np.ndarray:
    """`Repeated.worse` of many studies, float [K]; nan where nothing varies.

    Args:
        errors: float [K], standard deviations of the contrasts.
        halves: float [K, Q], half-widths of equally likely studies.
        effects: float [K], the truth.
        margin: declared harmless.
    """
    from scipy.special import ndtr

    error, effect = np.where(errors > 0, errors, np.nan)[:, None], effects[:, None]
    above = ndtr((effect - halves) / error)
    if margin is None:
        return above.mean(axis=1)
    inside = ndtr((margin - halves - effect) / error) - ndtr((halves - effect) / error)
    return (above - np.maximum(inside, 0.0)).mean(axis=1)


def half_widths(
    v_seed: np.ndarray, v_example: np.ndarray, v_both: np.ndarray, runs: int, units: np.ndarray, level: float
) -> np.ndarray:
    """Half-widths of equally likely studies, float [K, Q], of K contrasts at once; see `Repeated.with_variances`.

    Args:
        v_seed, v_example, v_both: float [K], true parts of the variance.
        runs: J, at least 2.
        units: [K].
        level: one-sided, of each bound, below .5.
    """
    seed, example, both, units = (part[:, None] for part in (v_seed, v_example, v_both, units))
    return ManyFewRuns(seed * _chances(runs), example, both, runs, units).half_widths(level)


@lru_cache(maxsize=64)
def _chances(runs: int) -> np.ndarray:
    """float [Q]: a variance from J − 1 degrees of freedom over the true one, in equally likely studies."""
    from scipy.special import chdtri

    return chdtri(runs - 1, 1 - (np.arange(REPEATS) + 0.5) / REPEATS) / (runs - 1)


def detectable_effect(noise: float, common: float, runs: int, units: int, level: float) -> float:
    """The smallest effect that 80% of the studies of a planned design would find.

    Its runs are taken to differ by their examples alone, so this is a lower bound: what seeds add is not known before.

    Args:
        noise: variance of one run's contrast through its sample of examples.
        common: correlation of two runs' contrasts through the examples that both test.
        runs: J, at least 2; nan below.
        units: distinct units over all runs.
        level: one-sided, after the family's correction.
    """
    if runs < 2 or units < 2:
        return math.nan
    variance = noise * (1 + (runs - 1) * common) / runs
    return Repeated.with_variances(noise * (1 - common) / runs, variance, noise / runs, runs, units, level).smallest()


def unbiased_seed_variance(v_seed: np.ndarray, runs: int) -> np.ndarray:
    """V_seed corrected for the bias of a standard deviation from J − 1 degrees of freedom."""
    return v_seed / _bias(runs - 1) ** 2


def _bias(df: float) -> float:
    """The mean of a standard deviation from `df` degrees of freedom, over the true one."""
    return math.sqrt(2 / df) * math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2))
