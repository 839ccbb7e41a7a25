"""Student's t distribution: quantiles, tails and density, of single numbers and of arrays."""

from __future__ import annotations

import math
from functools import cache, lru_cache
from typing import Any

import numpy as np


def t_quantile(probability: float, df: float) -> float:
    """Quantile of Student's t; of the normal distribution where df is infinite."""
    special = _special()
    return special.ndtri(float(probability)) if math.isinf(df) else special.stdtrit(float(df), float(probability))


def quantiles(probability: float, df: np.ndarray) -> np.ndarray:
    """`t_quantile` of many degrees of freedom, in their shape."""
    from scipy.special import stdtrit

    return stdtrit(df, probability)


def t_tail(statistic: float, df: float) -> float:
    """P(T > statistic)."""
    special = _special()
    return special.ndtr(-float(statistic)) if math.isinf(df) else special.stdtr(float(df), -float(statistic))


def t_density(statistic: float, df: float) -> float:
    """The density of Student's t; of the normal distribution where df is infinite."""
    if math.isinf(df):
        return math.exp(-(statistic**2) / 2) / math.sqrt(2 * math.pi)
    log = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - (df + 1) / 2 * math.log1p(statistic**2 / df)
    return math.exp(log) / math.sqrt(df * math.pi)


def t_quantiles(probability: float, df: np.ndarray, least: float) -> np.ndarray:
    """Quantiles of Student's t at one probability below .5 and many degrees of freedom, in the shape of `df`.

    As a function of 1/df the logarithm is so smooth that a few polynomials, kept for the next call, give 12 digits.

    Args:
        probability: of the lower tail.
        df: at least `least`.
        least: at least 1.
    """
    angle = np.arccos(np.clip(2 * least / df - 1, -1.0, 1.0))
    factors = _quantile_curve(probability, least)
    return -np.exp(np.cos(angle[..., None] * np.arange(len(factors))) @ factors)


@lru_cache(maxsize=256)
def _quantile_curve(probability: float, least: float) -> np.ndarray:
    """Coefficients of Chebyshev polynomials in 2·least/df − 1 for log(−quantile)."""
    from scipy.special import stdtrit

    for count in (16, 32, 64):
        angle = np.pi * (np.arange(count) + 0.5) / count
        curve = np.log(-stdtrit(2 * least / (1 + np.cos(angle)), probability))
        factors = 2 / count * np.cos(np.arange(count)[:, None] * angle) @ curve
        factors[0] /= 2
        if np.abs(factors[-3:]).max() < 1e-14 * np.abs(factors).max():
            break
    return factors


@cache
def _special() -> Any:
    """SciPy's functions for single numbers, which take a tenth of the time of its functions for arrays."""
    from scipy.special import cython_special

    return cython_special
