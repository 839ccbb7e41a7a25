"""RMIA, the robust membership inference attack: did training raise the confidence in x more than in others?

The score is the share of population examples z with

    [P(x | target) / P(x)] / [P(z | target) / P(z)] > γ

where P(x) is the average probability that models give x: online (mean IN + mean OUT)/2; offline ((1 + a)·mean OUT + (1
− a))/2, an approximation that needs no IN models. The population z consists of all n examples, members or not, and is
the same for every x. So within a target the score orders examples like P(x | target)/P(x), in steps of 1/n (γ above 1
cuts off the lower end at 0); z puts the scores of several targets on one scale.
"""

from __future__ import annotations

import numpy as np

from evenhand.errors import InputError
from evenhand.metrics.membership.shadows import Shadows

FAINTEST = -700.0
"""The lowest log-odds that are used; below, the probability would round to 0."""


def rmia(phi: np.ndarray, shadows: Shadows, *, online: bool, gamma: float, a: float) -> np.ndarray:
    """The share of the examples that each example dominates, float [T, n].

    Args:
        phi: float [T, n], log-odds of the label, of the targets.
        shadows: the models with which they are compared, as log-odds.
        online, gamma, a: see the module.

    Raises:
        InputError: γ or a out of range, or an example without a model on a side that is needed.
    """
    if not gamma > 0:
        raise InputError(f"gamma is {gamma:g}; it is above 0 (1 or 2, say)")
    if not 0 <= a <= 1:
        raise InputError(f"a is {a:g}; it is from 0 to 1")
    return np.stack([_dominated(row, row - np.log(gamma)) for row in log_ratio(phi, shadows, online=online, a=a)])


def log_ratio(phi: np.ndarray, shadows: Shadows, *, online: bool, a: float) -> np.ndarray:
    """log P(x | target) − log P(x), float [T, n]. Args, Raises: `rmia`."""
    share, rest = _mean_probability(shadows, 1.0, online), _mean_probability(shadows, -1.0, online)
    if not online:
        share, rest = ((1 + a) * share + (1 - a)) / 2, (1 + a) / 2 * rest
    # 1 − P is kept separately, because it distinguishes P near 1 from 1.
    log_mean = np.where(share < 0.5, np.log(share), np.log1p(-np.minimum(rest, 0.5)))
    return -np.logaddexp(0.0, -np.maximum(phi, FAINTEST)) - log_mean[shadows.view]


def _mean_probability(shadows: Shadows, sign: float, online: bool) -> np.ndarray:
    """Mean over models of P (sign 1) or of 1 − P (sign −1), float [V, n]."""
    from scipy.special import expit

    sides = (True, False) if online else (False,)
    if min(int(shadows.count(inside).min()) for inside in sides) < 1:
        raise InputError("some example has no model on a side that RMIA compares with; a pool needs 4 models or more")
    probability = expit(sign * np.maximum(shadows.values, FAINTEST))
    return np.mean([shadows.mean(inside, probability) for inside in sides], axis=0)


def _dominated(theirs: np.ndarray, ours: np.ndarray) -> np.ndarray:
    """The share of the values `theirs` [m] that are below each of `ours` [n]."""
    order = np.argsort(ours)  # searching sorted values is several times as fast
    found = np.empty(len(ours))
    found[order] = np.searchsorted(np.sort(theirs), ours[order], side="left") / len(theirs)
    return found
