"""Derivatives of the expected range (max − min) of noisy values, which are smooth where the range has kinks.

The largest of several values minus the smallest has slope 1 at the largest, −1 at the smallest and 0 elsewhere. Its
expectation over noise in the values has slopes that share these out: near a tie either value may turn out to be the
extreme one. Of two values they are ±(2Φ(Δ/σ) − 1), σ the standard error of their difference Δ. Slopes of the
expectation give the variance of a plug-in range near ties, where those at the extreme values give up to 2.8 times it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from evenhand.seeds import generator

SOFTNESS = 0.4
"""The noise that slopes are averaged over, as a multiple of the values' standard errors.

At 1 the variance of one range is nearly right. Contrasts of two correlated ranges need less noise: at .4 the simulated
coverage is within .03 of that without noise."""
DRAWS = 512
PAIRS = 256
"""The number of pairs computed at once; small enough for the processor's cache."""


def range_slopes(
    values: Sequence[np.ndarray], errors: Sequence[np.ndarray], softness: float = SOFTNESS
) -> list[np.ndarray]:
    """The slopes of the expected largest range over sets of independent normal values.

    The draws are the same in every call with as many values, so that equal values have equal slopes.

    Args:
        values: float [G_s] by set, at least two in each.
        errors: float [G_s] by set, the values' standard errors, above 0.
        softness: scales the errors.

    Returns:
        By set, float [G_s]; within a set they sum to 0.
    """
    noise = softness * np.concatenate(errors) * _normals(sum(map(len, values)))
    ends = np.cumsum([len(one) for one in values])[:-1]
    drawn = np.split(np.concatenate(values) + noise, ends, axis=1)
    tops, lows = [one.argmax(axis=1) for one in drawn], [one.argmin(axis=1) for one in drawn]
    widest = np.argmax([np.ptp(one, axis=1) for one in drawn], axis=0)
    slopes = []
    for place, (one, top, low) in enumerate(zip(values, tops, lows, strict=True)):
        here = widest == place
        counts = np.bincount(top[here], minlength=len(one)) - np.bincount(low[here], minlength=len(one))
        slopes.append(counts / DRAWS)
    return slopes


def pair_slopes(values: np.ndarray, errors: np.ndarray, softness: float = SOFTNESS) -> np.ndarray:
    """`range_slopes` of sets of exactly two values, for many at once and with the same numbers.

    Args:
        values: float [K, 2], one set each; or [K, 4], two sets each, the first in the first two columns.
        errors: float of the same shape, the values' standard errors, above 0.
        softness: scales the errors.

    Returns:
        float of the same shape.
    """
    count = values.shape[1]
    slopes = np.empty(values.shape)
    normals = np.ascontiguousarray(_normals(count).T)
    for start in range(0, len(values), PAIRS):
        rows = slice(start, start + PAIRS)
        noise = softness * errors[rows]
        drawn = [values[rows, place, None] + noise[:, [place]] * normals[place] for place in range(count)]
        difference = drawn[0] - drawn[1]
        larger = np.sign(difference)
        if count == 4:
            other = drawn[2] - drawn[3]
            second = np.abs(other) > np.abs(difference)
            larger[second] = 0
            slopes[rows, 2] = (np.sign(other) * second).sum(axis=1) / DRAWS
        slopes[rows, 0] = larger.sum(axis=1) / DRAWS
    slopes[:, 1::2] = 0.0 - slopes[:, ::2]
    return slopes


@lru_cache(maxsize=16)
def _normals(count: int) -> np.ndarray:
    """Standard normal draws, float [DRAWS, count], with mirror images, so that two equal values have no slope."""
    half = generator(0, "extremes", count).normal(size=(DRAWS // 2, count))
    return np.concatenate([half, -half])
