"""Verdicts from an interval and a margin; equivalence and non-inferiority tests."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from evenhand.stats.contrast import t_tail

Verdict = Literal["worse", "better", "equivalent", "not worse", "inconclusive"]


def verdict(low: float, high: float, margin: float | None) -> Verdict:
    """The verdict from the interval of a contrast that is positive where the method is less fair.

    In this order: inside (−margin, margin) `equivalent`; low > 0 `worse`; high < 0 `better`; high < margin
    `not worse`; else `inconclusive`. So a difference that is surely there and surely harmless is `equivalent`.

    Args:
        low, high: bounds, each at the one-sided level of the family. An interval without width says nothing about
            how precise it is and gives `inconclusive`.
        margin: the largest contrast declared harmless, above 0; None: `equivalent` and `not worse` are not said.
    """
    if not high > low:
        return "inconclusive"
    if margin is not None and -margin < low and high < margin:
        return "equivalent"
    if low > 0:
        return "worse"
    if high < 0:
        return "better"
    if margin is not None and high < margin:
        return "not worse"
    return "inconclusive"


def tost(estimate: float, standard_error: float, df: float, low: float, high: float) -> float:
    """p-value of two one-sided t tests (Schuirmann 1987): small where the truth lies within (low, high)."""
    above = t_tail((estimate - low) / standard_error, df)
    below = t_tail((high - estimate) / standard_error, df)
    return max(above, below)


def tost_paired(first: np.ndarray, second: np.ndarray, low: float, high: float) -> float:
    """TOST on the mean of first − second, paired."""
    difference = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    n = len(difference)
    return tost(float(difference.mean()), float(difference.std(ddof=1)) / math.sqrt(n), n - 1, low, high)


def tost_independent(first: np.ndarray, second: np.ndarray, low: float, high: float) -> float:
    """TOST on the difference of two means with a pooled variance, as statsmodels' `ttost_ind`."""
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    df = len(a) + len(b) - 2
    pooled = ((len(a) - 1) * a.var(ddof=1) + (len(b) - 1) * b.var(ddof=1)) / df
    error = math.sqrt(pooled * (1 / len(a) + 1 / len(b)))
    return tost(float(a.mean() - b.mean()), error, df, low, high)


def non_inferiority(estimate: float, standard_error: float, df: float, margin: float) -> float:
    """p-value against "worse by the margin or more"; positive estimates are worse."""
    return t_tail((margin - estimate) / standard_error, df)
