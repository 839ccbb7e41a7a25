"""Two independent selection rates of one run, whose ratio and four-fifths rule are judged: truths are given."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from evenhand.stats import TwoProportions, TwoWay

TAIL = 0.025


@cache
def judged(x: int, n: int, y: int, m: int) -> tuple[float, float, float, float]:
    """The bounds of the ratio and of the linear form for x of n against y of m."""
    first, second = _side(x / n, n), _side(y / m, m)
    variance = first.variance + second.variance
    parts = first.variance**2 / (n - 1) + second.variance**2 / (m - 1)
    df = variance**2 / parts if parts > 0 else min(n, m) - 1
    known = min(math.floor(df + 1e-9) + 1, n + m)
    whole = TwoWay(x / n - y / m, variance, max(known - 1, 1), 0.0, variance, 0.0, 1, known)
    both = TwoProportions(whole, first, second, second)
    return *both.ratio_bounds(TAIL), *both.linear_interval(0.8).bounds(TAIL)


def _side(share: float, n: int) -> TwoWay:
    variance = share * (1 - share) / (n - 1)
    return TwoWay(share, variance, n - 1, 0.0, variance, 0.0, 1, n)


def shares(p: float, n: int, q: float, m: int, repetitions: int, seed: int = 0) -> dict[str, float]:
    """How often the ratio's interval misses the truth on either side where it is defined, and how the rule decides."""
    rng = np.random.default_rng(seed)
    counts = zip(rng.binomial(n, p, repetitions).tolist(), rng.binomial(m, q, repetitions).tolist(), strict=True)
    bounds = np.array([judged(x, n, y, m) for x, y in counts])
    known = np.isfinite(bounds[:, 0])
    with np.errstate(invalid="ignore"):
        above, below = bounds[:, 0] > p / q, bounds[:, 1] < p / q
    return {
        "defined": float(known.mean()),
        "too high": float(above.sum() / max(known.sum(), 1)),
        "too low": float(below.sum() / max(known.sum(), 1)),
        "passes": float((bounds[:, 2] > 0).mean()),
        "fails": float((bounds[:, 3] < 0).mean()),
    }
