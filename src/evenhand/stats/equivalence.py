"""Verdicts from an interval and a margin; equivalence and non-inferiority tests."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from evenhand.stats.student_t import t_tail

__all__ = ["Verdict", "non_inferiority", "tost", "tost_independent", "tost_paired", "two_sided_verdict", "verdict"]

Verdict = Literal["worse", "better", "different", "equivalent", "not worse", "inconclusive"]


def verdict(low: float, high: float, margin: float | None) -> Verdict:
    """The verdict from the interval of a contrast that is positive where the method is less fair.

    In this order: inside (−margin, margin) `equivalent`; low > 0 `worse`; high < 0 `better`; high < margin
    `not worse`; else `inconclusive`. So a difference that is surely there and surely harmless is `equivalent`.

    Args:
        low, high: bounds, each at the one-sided level of the family. An interval without width says nothing about
            how precise it is and gives `inconclusive`.
        margin: the largest contrast declared harmless, above 0; None: `equivalent` and `not worse` are not said.

    Source: interval inclusion, as trials of equivalence and non-inferiority report it (Piaggio et al. 2012).

    Example:
        >>> from evenhand.stats import verdict
        >>> verdict(-0.01, 0.01, margin=0.02), verdict(-0.05, 0.01, margin=0.02), verdict(0.01, 0.05, margin=0.02)
        ('equivalent', 'not worse', 'worse')
        >>> verdict(-0.01, 0.01, margin=None)
        'inconclusive'
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


def two_sided_verdict(low: float, high: float, margin: float | None) -> Verdict:
    """The verdict from the interval of a contrast of which neither direction is worse.

    In this order: inside (−margin, margin) `equivalent`; without 0 `different`; else `inconclusive`.

    Args:
        low, high: bounds, each at half of the family's level; without width they give `inconclusive`.
        margin: the largest contrast declared harmless, above 0; None: `equivalent` is not said.

    Source: as of `verdict`.

    Example:
        >>> from evenhand.stats import two_sided_verdict
        >>> two_sided_verdict(-0.05, -0.01, margin=0.02), two_sided_verdict(-0.01, 0.01, margin=0.02)
        ('different', 'equivalent')
    """
    if not high > low:
        return "inconclusive"
    if margin is not None and -margin < low and high < margin:
        return "equivalent"
    return "different" if low > 0 or high < 0 else "inconclusive"


def tost(estimate: float, standard_error: float, df: float, low: float, high: float) -> float:
    """p-value of two one-sided t tests (Schuirmann 1987): small where the truth lies within (low, high).

    Args:
        estimate, standard_error, df: of the quantity; the standard error is above 0, and df may be infinite.
        low, high: the bounds of what counts as equivalent.

    Example:
        >>> from evenhand.stats import tost
        >>> round(tost(0.0, standard_error=1.0, df=float("inf"), low=-1.645, high=1.645), 3)
        0.05
    """
    above = t_tail((estimate - low) / standard_error, df)
    below = t_tail((high - estimate) / standard_error, df)
    return max(above, below)


def tost_paired(first: np.ndarray, second: np.ndarray, low: float, high: float) -> float:
    """p-value of TOST on the mean of first − second, paired.

    Args:
        first, second: float [n], paired, n of 2 or more; their differences must vary.
        low, high: the bounds of what counts as equivalent.

    Source: Schuirmann (1987); statsmodels' ttost_paired.

    Example:
        >>> from evenhand.stats import tost_paired
        >>> tost_paired([2, 3, 4], [2, 2, 2], low=-1, high=1)  # the mean difference lies on the bound
        0.5
    """
    difference = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    n = len(difference)
    return tost(float(difference.mean()), float(difference.std(ddof=1)) / math.sqrt(n), n - 1, low, high)


def tost_independent(first: np.ndarray, second: np.ndarray, low: float, high: float) -> float:
    """p-value of TOST on the difference of two means with a pooled variance, as statsmodels' `ttost_ind`.

    Args:
        first, second: float [n] and [m], two independent samples that vary.
        low, high: the bounds of what counts as equivalent.

    Source: Schuirmann (1987).

    Example:
        >>> from evenhand.stats import tost_independent
        >>> tost_independent([1, 2, 3], [0, 1, 2], low=-1, high=1)  # the difference of means lies on the bound
        0.5
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    df = len(a) + len(b) - 2
    pooled = ((len(a) - 1) * a.var(ddof=1) + (len(b) - 1) * b.var(ddof=1)) / df
    error = math.sqrt(pooled * (1 / len(a) + 1 / len(b)))
    return tost(float(a.mean() - b.mean()), error, df, low, high)


def non_inferiority(estimate: float, standard_error: float, df: float, margin: float) -> float:
    """p-value against "worse by the margin or more"; positive estimates are worse.

    Args:
        estimate, standard_error, df: of the contrast; the standard error is above 0, and df may be infinite.
        margin: the largest contrast declared harmless.

    Example:
        >>> from evenhand.stats import non_inferiority
        >>> round(non_inferiority(0.0, standard_error=1.0, df=float("inf"), margin=1.645), 3)
        0.05
    """
    return t_tail((margin - estimate) / standard_error, df)
