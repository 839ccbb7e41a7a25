"""One answer from several settings: the mean of their contrasts, how much they differ, and where a new one would lie.

Settings are taken as a sample of those that might have been studied: setting s has a true contrast θ_s ~ (μ, τ²), and
its estimate y_s ~ (θ_s, v_s). The estimates must be independent: two models on one test set share its noise, and are
not.

The mean is that of the settings, alike in weight, or weighted by 1/(v + τ²) as in a meta-analysis. Both have Hartung,
Knapp, Sidik and Jonkman's interval: the spread of the settings themselves, with k − 1 degrees of freedom. Alike in
weight it needs no v and no τ², and covers whatever they are (Ibragimov and Müller 2010), from two settings on; the
weighted one is shorter where precisions differ a lot and covers too little where few settings do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evenhand.errors import InputError
from evenhand.stats.contrast import t_quantile, t_tail

Weights = Literal["equal", "inverse-variance"]
NO_SETTINGS = "no setting has an estimate"
ONE_SETTING = "one setting: how settings differ is unknown"
TWO_SETTINGS = "two settings: where a new one would lie is unknown"


@dataclass(frozen=True)
class Pooled:
    """The mean over settings, and how much they differ.

    Attributes:
        estimate: the mean; nan without settings.
        standard_error: of the mean; nan below two settings.
        settings: k.
        tau_squared: Paule and Mandel's variance of the true contrasts between settings; nan below two.
        tau_squared_high: its 75% upper bound, from the same Q; what the prediction interval uses.
        q: Cochran's Q, chi-squared with k − 1 degrees of freedom where settings do not differ; nan below two.
        q_p: its p-value; small where they differ by more than their noise.
        i_squared: the share of Q above its expectation, (Q − (k − 1))/Q, at least 0.
        reason: what cannot be said from so few settings.
    """

    estimate: float
    standard_error: float
    settings: int
    tau_squared: float
    tau_squared_high: float
    q: float
    q_p: float
    i_squared: float
    reason: str | None = None

    @property
    def df(self) -> int:
        """k − 1."""
        return self.settings - 1

    @property
    def variance(self) -> float:
        return self.standard_error**2

    def bounds(self, tail: float) -> tuple[float, float]:
        """Lower and upper bound of the mean, each missed with probability `tail`; nan below two settings."""
        if self.settings < 2:
            return math.nan, math.nan
        half = t_quantile(1 - tail, self.df) * self.standard_error
        return self.estimate - half, self.estimate + half

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The two-sided interval of the mean."""
        return self.bounds((1 - level) / 2)

    def prediction(self, level: float = 0.95) -> tuple[float, float]:
        """Where the true contrast of a new setting lies; nan below three settings.

        t(k − 1)·√(τ² + SE²) around the mean, with the upper bound of τ²: with τ² itself and k − 2 degrees of freedom
        (Higgins et al. 2009) it covers .86–.90 of new settings from 5 to 10 that differ about as much as their noise.
        """
        if self.settings < 3:
            return math.nan, math.nan
        half = t_quantile((1 + level) / 2, self.df) * math.sqrt(self.tau_squared_high + self.variance)
        return self.estimate - half, self.estimate + half

    def p_greater(self, null: float = 0.0) -> float:
        """One-sided p-value against "the mean is not greater than `null`"; nan without spread."""
        if not self.standard_error > 0:
            return math.nan
        return t_tail((self.estimate - null) / self.standard_error, self.df)


def pool(estimates: np.ndarray, variances: np.ndarray, weights: Weights = "equal") -> Pooled:
    """The mean of the settings' contrasts, with random effects.

    Args:
        estimates: float [k].
        variances: float [k], of the estimates, above 0.
        weights: "equal", or "inverse-variance", whose standard error is at least that of known variances (the plain
            one is too short by chance where few settings agree).

    Raises:
        InputError: a variance that is not above 0.
    """
    y, v = np.asarray(estimates, dtype=float), np.asarray(variances, dtype=float)
    if not (v > 0).all():
        raise InputError(f"the variances of the settings' contrasts must be above 0, and one is {v[~(v > 0)][0]}")
    k = len(y)
    if k < 2:
        nan = math.nan
        return Pooled(float(y[0]) if k else nan, nan, k, nan, nan, nan, nan, nan, ONE_SETTING if k else NO_SETTINGS)
    from scipy.special import chdtrc, chdtri

    q = _cochran(y, v, 0.0)
    tau_squared, high = _tau_squared(y, v, k - 1), _tau_squared(y, v, float(chdtri(k - 1, 0.75)))
    weight = 1 / (v + tau_squared) if weights == "inverse-variance" else np.ones(k)
    mean = float(weight @ y / weight.sum())
    scale = float(weight @ (y - mean) ** 2) / (k - 1)
    if weights == "inverse-variance":
        scale = max(scale, 1.0)
    excess = max(q - (k - 1), 0.0) / q if q > 0 else 0.0
    reason = TWO_SETTINGS if k == 2 else None
    error = math.sqrt(scale / weight.sum())
    return Pooled(mean, error, k, tau_squared, high, q, float(chdtrc(k - 1, q)), excess, reason)


def _cochran(y: np.ndarray, v: np.ndarray, tau_squared: float) -> float:
    """Σ w(y − ȳ)² with weights 1/(v + τ²)."""
    weight = 1 / (v + tau_squared)
    return float(weight @ (y - weight @ y / weight.sum()) ** 2)


def _tau_squared(y: np.ndarray, v: np.ndarray, level: float) -> float:
    """The τ² at which Q is at this level; 0 where Q never exceeds it.

    Its expectation k − 1 gives Paule and Mandel's estimate (1982), a low quantile an upper bound (Viechtbauer 2007).
    """
    from scipy.optimize import brentq

    if _cochran(y, v, 0.0) <= level:
        return 0.0
    high = float(((y - y.mean()) ** 2).sum()) / level  # Q at τ² is below Σ(y − ȳ)²/τ²
    found = brentq(lambda t: _cochran(y, v, t) - level, 0.0, high, xtol=1e-14 * high)
    return float(found)  # pyright: ignore[reportArgumentType]
