"""Random-effects mean of the contrasts of several settings, with their heterogeneity and a prediction interval.

Settings are taken as a sample of those that might have been studied: setting s has a true contrast θ_s ~ (μ, τ²), and
its estimate y_s ~ (θ_s, v_s). Two estimates from one test set share its noise: their covariance must be given.

The mean is that of the settings, alike in weight, or weighted by 1/(v + τ²) as in a meta-analysis. Both have Hartung,
Knapp, Sidik and Jonkman's interval: the spread of the settings themselves, with k − 1 degrees of freedom. Alike in
weight it needs no v and no τ², and covers whatever they are (Ibragimov and Müller 2010), from two settings on; the
weighted one is shorter where precisions differ a lot and covers too little where few settings do.

**What settings share** moves them together, so that their spread s² does not show it. With the mean covariance c̄ of
two settings, Var ȳ = (v̄ + τ² + (k − 1)c̄)/k and E s² = v̄ + τ² − c̄, hence Var ȳ = E s²/k + c̄. The half-width is
√(t(k−1)²·s²/k + t(df)²·c̄): no part gets a quantile of more degrees of freedom than it has. For exchangeable normal
estimates and a known c̄ a bound is missed at most as often as its tail says: P(miss) is E Φ(−√x) with x affine in the
share of c̄, which is convex in it, and at both ends it is the tail.

Settings that agree by chance, as near-identical methods do, are no proof of precision: no interval is shorter than that
of the settings' own variances with normal quantiles. Where a setting's bound is farther out than a normal one,
as with few discordant examples, this counts as well: without a discordant example in any setting it is all that is
known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evenhand.errors import InputError
from evenhand.stats.contrast import TwoWay
from evenhand.stats.differences import Interval
from evenhand.stats.few_runs import LEAST, FewRuns, Wider
from evenhand.stats.student_t import t_quantile

Weights = Literal["equal", "inverse-variance"]
NO_SETTINGS = "no setting has an estimate"
ONE_SETTING = "one setting: how settings differ is unknown"
TWO_SETTINGS = "two settings: where a new one would lie is unknown"


@dataclass(frozen=True)
class MetaAnalysis:
    """The mean over settings with its interval, heterogeneity and prediction interval.

    Attributes:
        estimate: the mean; nan without settings.
        spread: the variance of the mean that the settings' own spread shows; nan below two settings.
        settings: k.
        tau_squared: Paule and Mandel's variance of the true contrasts between settings; nan below two.
        tau_squared_high: its 75% upper bound, from the same Q; what the prediction interval uses.
        q: Cochran's Q, chi-squared with k − 1 degrees of freedom where settings do not differ; nan below two.
        q_p: its p-value; small where they differ by more than their noise.
        i_squared: the share of Q above its expectation, (Q − (k − 1))/Q, at least 0.
        reason: what cannot be said from so few settings.
        shared: c̄, the variance of the mean that their spread does not show, at least 0.
        shared_df: its degrees of freedom.
        least: the variance of the mean where settings do not differ and their own variances are true.
        own: the intervals of the settings; empty where their variances say all.
        samples: of each setting a number, equal where settings have examples in common; empty where none have.

    Example:
        >>> from evenhand.stats import pool
        >>> pool([0.1], [0.01]).reason
        'one setting: how settings differ is unknown'
    """

    estimate: float
    spread: float
    settings: int
    tau_squared: float
    tau_squared_high: float
    q: float
    q_p: float
    i_squared: float
    reason: str | None = None
    shared: float = 0.0
    shared_df: float = math.inf
    least: float = 0.0
    own: tuple[Interval, ...] = ()
    samples: tuple[int, ...] = ()

    @property
    def df(self) -> int:
        """The degrees of freedom, k − 1."""
        return self.settings - 1

    @property
    def variance(self) -> float:
        return self.spread + self.shared

    @property
    def standard_error(self) -> float:
        return math.sqrt(self.variance)

    def half_widths(self, tail: float, more: float = 0.0) -> tuple[float, float]:
        """Distances of the lower and the upper bound from the mean, each missed with probability `tail` at most.

        Args:
            tail: of one side, below .5.
            more: variance that is added to the spread.
        """
        own = t_quantile(tail, self.df) ** 2 * (self.spread + more)
        half = math.sqrt(own + t_quantile(tail, self.shared_df) ** 2 * self.shared)
        square = t_quantile(tail, math.inf) ** 2
        farther = [_beyond_normal(interval, tail, square) for interval in self.own]
        below, above = (self._of_mean(each) for each in zip(*farther, strict=True)) if farther else (0.0, 0.0)
        least = square * (self.least + more)
        return max(half, math.sqrt(least + below)), max(half, math.sqrt(least + above))

    def _of_mean(self, farther: Sequence[float]) -> float:
        """What the settings' bounds have beyond normal ones, in squared distances, for their mean.

        It is skew, which the mean of m independent settings has √m times less of: the sum of squares is multiplied by
        1/√m once more. Settings with common examples may have missed the same ones: their distances are added.
        """
        samples = self.samples or tuple(range(self.settings))
        by_sample = dict.fromkeys(samples, 0.0)
        for sample, square in zip(samples, farther, strict=True):
            by_sample[sample] += math.sqrt(square) / self.settings
        return sum(distance**2 for distance in by_sample.values()) / math.sqrt(len(by_sample))

    def bounds(self, tail: float) -> tuple[float, float]:
        """Lower and upper bound of the mean, each missed with probability `tail`; nan below two settings."""
        if self.settings < 2:
            return math.nan, math.nan
        below, above = self.half_widths(tail)
        return self.estimate - below, self.estimate + above

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The two-sided interval of the mean."""
        return self.bounds((1 - level) / 2)

    def prediction(self, level: float = 0.95) -> tuple[float, float]:
        """The prediction interval for the true contrast of a new setting; nan below three settings.

        The half-width of the mean with τ² added, at its upper bound: with τ² itself and k − 2 degrees of freedom
        (Higgins et al. 2009) it covers .86–.90 of new settings from 5 to 10 that differ about as much as their noise.
        """
        if self.settings < 3:
            return math.nan, math.nan
        below, above = self.half_widths((1 - level) / 2, more=self.tau_squared_high)
        return self.estimate - below, self.estimate + above

    def p_greater(self, null: float = 0.0) -> float:
        """One-sided p-value against "the mean is not greater than `null`": the tail at which a bound reaches it.

        Nan without spread.
        """
        if not self.variance + self.least > 0:
            return math.nan
        from scipy.optimize import brentq

        distance, side = abs(self.estimate - null), 0 if self.estimate > null else 1
        most = 0.5 if not self.own else 0.4999  # at which bounds of settings are not defined

        def off(log: float) -> float:
            return self.half_widths(math.exp(log))[side] - distance

        if distance == 0 or off(math.log(most)) >= 0:
            tail = 0.5
        elif off(math.log(LEAST)) <= 0:
            tail = LEAST
        else:
            log = brentq(off, math.log(LEAST), math.log(most))
            tail = math.exp(float(log))  # pyright: ignore[reportArgumentType]
        return tail if self.estimate > null else 1 - tail


def pool(
    estimates: np.ndarray,
    variances: np.ndarray,
    weights: Weights = "equal",
    shared: np.ndarray | None = None,
    shared_df: float = math.inf,
    intervals: Sequence[Interval] = (),
    samples: Sequence[int] = (),
) -> MetaAnalysis:
    """Pool the contrasts of settings with random effects.

    Args:
        estimates: float [k].
        variances: float [k], of the estimates, above 0.
        weights: "equal", or "inverse-variance", whose standard error is at least that of known variances (the plain
            one is too short by chance where few settings agree).
        shared: float [k, k], the covariance of each two estimates through what they share, such as test examples;
            the diagonal is not read. None: the settings are independent.
        shared_df: degrees of freedom of those covariances: the shared units, less one.
        intervals: of the settings, for equal weights: bounds that lie farther out than normal ones count.
        samples: see `MetaAnalysis`.

    Raises:
        InputError: a variance that is not above 0, or inverse-variance weights of settings that share something.

    Returns:
        The estimate is nan without settings, and its variance with one; `reason` says so.

    Source: Hartung and Knapp (2001), Sidik and Jonkman (2002); τ² by Paule and Mandel (1982).

    Example:
        >>> from evenhand.stats import pool
        >>> mean = pool([0.0, 0.5, 1.0], [0.25, 0.25, 0.25])  # s² is .25, all of it noise
        >>> mean.estimate, round(mean.variance, 4), mean.i_squared
        (0.5, 0.0833, 0.0)
    """
    y, v = np.asarray(estimates, dtype=float), np.asarray(variances, dtype=float)
    if not (v > 0).all():
        raise InputError(f"the variances of the settings' contrasts must be above 0, and one is {v[~(v > 0)][0]}")
    k = len(y)
    together = np.diag(v) if shared is None else np.where(np.eye(k, dtype=bool), np.diag(v), shared)
    if weights == "inverse-variance" and (together != np.diag(v)).any():
        raise InputError('weights must be "equal" where settings share examples, not "inverse-variance"')
    if k < 2:
        nan = math.nan
        return MetaAnalysis(
            float(y[0]) if k else nan, nan, k, nan, nan, nan, nan, nan, ONE_SETTING if k else NO_SETTINGS
        )
    from scipy.special import chdtrc, chdtri

    parts = _contrasts(y, together)
    q = _q(*parts, 0.0)
    tau_squared, high = _tau_squared(*parts, k - 1), _tau_squared(*parts, float(chdtri(k - 1, 0.75)))
    weight = 1 / (v + tau_squared) if weights == "inverse-variance" else np.ones(k)
    mean = float(weight @ y / weight.sum())
    scale = float(weight @ (y - mean) ** 2) / (k - 1)
    if weights == "inverse-variance":
        scale = max(scale, 1.0)
    excess = max(q - (k - 1), 0.0) / q if q > 0 else 0.0
    common = max(float(together.sum() - v.sum()) / (k * (k - 1)), 0.0)
    return MetaAnalysis(
        mean,
        scale / float(weight.sum()),
        k,
        tau_squared,
        high,
        q,
        float(chdtrc(k - 1, q)),
        excess,
        TWO_SETTINGS if k == 2 else None,
        common,
        shared_df,
        (float(v.mean()) + (k - 1) * common) / k if weights == "equal" else 0.0,
        tuple(intervals) if weights == "equal" else (),
        tuple(samples),
    )


def _beyond_normal(interval: Interval, tail: float, square: float) -> tuple[float, float]:
    """The squared distances of a setting's bounds, less the normal ones: at least 0, and 0 for a two-way interval.

    The t quantiles of few runs are not among them: the spread of the settings has its own.

    Args:
        interval: of the setting.
        tail: of each bound.
        square: the squared normal quantile.
    """
    normal = square * interval.variance
    if isinstance(interval, Wider):
        interval = interval.units
    if isinstance(interval, TwoWay | FewRuns):
        return 0.0, 0.0
    low, high = interval.bounds(tail)
    return max((interval.estimate - low) ** 2 - normal, 0.0), max((high - interval.estimate) ** 2 - normal, 0.0)


def _contrasts(y: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squares of k − 1 uncorrelated contrasts between the settings, and their variances where settings do not differ.

    What all settings share alike is in none of them.
    """
    from scipy.linalg import helmert

    between = helmert(len(y))
    values, vectors = np.linalg.eigh(between @ covariance @ between.T)
    # Settings that are the same trials have no variance between them, nor a difference.
    return (vectors.T @ (between @ y)) ** 2, np.maximum(values, 1e-9 * np.diag(covariance).max())


def _q(squares: np.ndarray, variances: np.ndarray, tau_squared: float) -> float:
    """(y − μ)'Σ⁻¹(y − μ) at the best μ; Cochran's Q, Σ w(y − ȳ)² with w = 1/(v + τ²), where settings share nothing."""
    return float((squares / (variances + tau_squared)).sum())


def _tau_squared(squares: np.ndarray, variances: np.ndarray, level: float) -> float:
    """The τ² at which Q is at this level; 0 where Q never exceeds it.

    Its expectation k − 1 gives Paule and Mandel's estimate (1982), a low quantile an upper bound (Viechtbauer 2007).
    """
    from scipy.optimize import brentq

    if _q(squares, variances, 0.0) <= level:
        return 0.0
    high = float(squares.sum()) / level  # Q at τ² is below Σ(y − ȳ)²/τ²
    found = brentq(lambda t: _q(squares, variances, t) - level, 0.0, high, xtol=1e-14 * high)
    return float(found)  # pyright: ignore[reportArgumentType]
