"""LiRA, the likelihood-ratio attack: is the confidence more likely under models trained on the example?

The confidences of the models on one side are assumed to be normal, with a mean per example and a variance that is

- `pooled`: one for all examples, the mean of the squared *residuals* within examples. (The spread of the whole matrix
  would mostly measure the examples' difficulty);
- `shrunk`: per example, shrunk towards the others' if they agree (empirical Bayes);
- `per-example`: that of each example, which is noisy with few models: `auto` uses it from 32 models per side, and
  `pooled` below.

With one or two models per side there are no usable residuals, and LiRA is refused.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from evenhand.errors import InputError, did_you_mean
from evenhand.metrics.membership.shadows import Shadows, Side

Variance = Literal["auto", "pooled", "shrunk", "per-example"]

LEAST_MODELS = 3
"""The fewest models per side that LiRA accepts."""
OWN_VARIANCE = 32
"""The number of models per side from which variances by example are better than a pooled variance."""
AGREE = 1e-12
"""An example's variance is not used if it is below this share of the pooled variance."""


def lira_online(phi: np.ndarray, shadows: Shadows, variance: Variance, least: int = LEAST_MODELS) -> np.ndarray:
    """log N(φ; μ_in, σ_in) − log N(φ; μ_out, σ_out), float [T, n].

    Args:
        phi: float [T, n], confidence of the targets.
        shadows: the models with which they are compared.
        variance: see the module.
        least: smallest number of models per side.

    Raises:
        InputError: fewer models on a side of some example, or models that never differ.
    """
    inside, outside = (
        _normal(shadows.side(side), variance, name, least) for side, name in ((True, "IN"), (False, "OUT"))
    )
    view = shadows.view
    return _log_density(phi, *inside, view) - _log_density(phi, *outside, view)


def lira_offline(phi: np.ndarray, shadows: Shadows, variance: Variance, least: int = LEAST_MODELS) -> np.ndarray:
    """−log P(Z ≥ (φ − μ_out)/σ_out), float [T, n]: one-sided, and computed as a logarithm, which does not saturate.

    Args, Raises: `lira_online`; only the OUT side is used.
    """
    from scipy.special import log_ndtr

    mean, squared = _normal(shadows.side(False), variance, "OUT", least)
    return -log_ndtr(-(phi - mean[shadows.view]) / np.sqrt(squared)[shadows.view])


def variances(side: Side, variance: Variance) -> np.ndarray:
    """The variance of each example's values on one side, float [V, n] or [V, 1].

    Args:
        side: a side with at least two models for each example.
        variance: see the module. An example on which all models agree has the pooled variance.
    """
    freedom = side.count - 1
    pooled = side.squares.sum(axis=1, keepdims=True) / freedom.sum()
    if variance == "auto":
        variance = "per-example" if side.models >= OWN_VARIANCE else "pooled"
    if variance == "pooled":
        return pooled
    own = side.squares / freedom
    differs = own > AGREE * pooled
    if variance == "per-example":
        return np.where(differs, own, pooled)
    return np.stack([_shrunk(*row, freedom) for row in zip(own, differs, pooled, strict=True)])


def _normal(side: Side, variance: Variance, name: str, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Means and variances of a side. Raises InputError if they cannot be computed."""
    if variance not in get_args(Variance):
        raise InputError(f'there is no variance "{variance}"; {did_you_mean(str(variance), get_args(Variance))}')
    if side.models < least:
        raise InputError(
            f"LiRA needs {least} {name} models for each example and some example has {side.models}; take attack="
            '"difficulty", "reference" or "rmia", or more models'
        )
    found = variances(side, variance)
    if not (found > 0).all():
        raise InputError(f"the {name} models give every example the same value; LiRA needs models that differ")
    return side.mean, found


def _log_density(phi: np.ndarray, mean: np.ndarray, squared: np.ndarray, view: np.ndarray) -> np.ndarray:
    """log N(φ; μ, σ²) without the constant, which cancels."""
    return -0.5 * ((phi - mean[view]) ** 2 / squared[view] + np.log(squared)[view])


def _shrunk(own: np.ndarray, differs: np.ndarray, pooled: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """Posterior variances (d₀·s₀² + d·s²)/(d₀ + d), [n], when variances are inverse gamma over the examples.

    s₀² and d₀ come from the mean and variance of log s², as in Smyth (2004).
    """
    from scipy.special import digamma, polygamma

    if differs.sum() < 2:
        return np.broadcast_to(pooled, own.shape)
    half = freedom[differs] / 2
    logs = np.log(own[differs]) - digamma(half) + np.log(half)
    excess = logs.var(ddof=1) - polygamma(1, half).mean()
    if excess <= 0:  # the examples' variances differ no more than by chance
        return np.broadcast_to(pooled, own.shape)
    prior = 2 * _trigamma_inverse(float(excess))
    centre = np.exp(logs.mean() + digamma(prior / 2) - np.log(prior / 2))
    return (prior * centre + freedom * own) / (prior + freedom)


def _trigamma_inverse(value: float) -> float:
    """x with ψ'(x) = value, by Newton's method on 1/ψ', which is nearly straight."""
    from scipy.special import polygamma

    x = 0.5 + 1 / value
    for _ in range(50):
        slope = float(polygamma(1, x))
        step = slope * (1 - slope / value) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-10 * x:
            break
    return x
