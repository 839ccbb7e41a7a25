"""Corrections for many comparisons: adjusted p-values, and the level of each bound in a family of intervals.

Adjusted p-values compare with the level directly. Bonferroni, Holm and Benjamini–Hochberg need p-values only. `max_t`
uses the correlations of the contrasts of a family, so that overlapping groups are not counted twice. Its interval and
its p-value are one procedure: a lower bound at `MaxT.level(alpha)` is above 0 exactly when `MaxT.adjusted(p)` is below
alpha.
"""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evenhand.stats.contrast import compact

__all__ = ["MaxT", "benjamini_hochberg", "bonferroni", "correlations", "holm", "max_t", "unit_totals"]

DRAWS = 10_000
"""The number of draws from the joint null; each gives two values, since its mirror image is equally likely."""
RESOLVED = 100
"""Quantiles with fewer draws below them than this are replaced by Bonferroni's."""
BLOCK = 500
"""The number of draws at a time; small enough for the processor's cache."""
KEPT = 20_000_000
"""The number of normal draws that are cached (160 MB): enough for a family of 100 contrasts."""
MOST_DF = 16
"""The largest degrees of freedom that are drawn; for more, the level is slightly too strict, never too lax."""


def bonferroni(p: np.ndarray) -> np.ndarray:
    """p·m, at most 1. Controls the familywise error; has simultaneous intervals: each at level/m.

    Args:
        p: float [m], p-values of a family.

    Source: Dunn (1961).

    Example:
        >>> from evenhand.stats import bonferroni
        >>> bonferroni([0.01, 0.02, 0.5]).tolist()
        [0.03, 0.06, 1.0]
    """
    p = np.asarray(p, dtype=float)
    return np.minimum(p * len(p), 1.0)


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down p-values (1979), monotone step included. Controls the familywise error.

    Args:
        p: float [m], p-values of a family.

    Example:
        >>> from evenhand.stats import holm
        >>> holm([0.01, 0.02, 0.5]).tolist()  # times 3, 2 and 1
        [0.03, 0.04, 0.5]
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return _back(np.minimum(stepped, 1.0), order)


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Benjamini and Hochberg's step-up p-values (1995). Controls the false discovery rate.

    Args:
        p: float [m], p-values of a family.

    Example:
        >>> from evenhand.stats import benjamini_hochberg
        >>> benjamini_hochberg([0.01, 0.02, 0.5]).tolist()  # times 3/1, 3/2 and 3/3
        [0.03, 0.03, 0.5]
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    stepped = np.minimum.accumulate(scaled[::-1])[::-1]
    return _back(np.minimum(stepped, 1.0), order)


def _back(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    adjusted = np.empty_like(values)
    adjusted[order] = values
    return adjusted


@dataclass(frozen=True, eq=False)
class MaxT:
    """The null distribution of the smallest one-sided p-value of a family.

    Attributes:
        smallest: float [D], ascending draws of it; empty: Bonferroni.
        size: m, the contrasts of the family.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import MaxT
        >>> bonferroni = MaxT(np.empty(0), size=4)
        >>> bonferroni.level(0.05), float(bonferroni.adjusted(0.01))
        (0.0125, 0.04)
    """

    smallest: np.ndarray
    size: int

    def level(self, alpha: float) -> float:
        """The one-sided level of each bound at which a share alpha of families has a wrong bound on that side.

        Between alpha/m (Bonferroni's) and alpha.
        """
        place = alpha * len(self.smallest)
        if place <= RESOLVED:
            return alpha / self.size
        ranks = np.arange(1, len(self.smallest) + 1)
        return float(np.clip(np.interp(place, ranks, self.smallest), alpha / self.size, alpha))

    def adjusted(self, p: np.ndarray | float) -> np.ndarray:
        """Adjusted p-values: the share of null families with a p-value as small; compare with alpha."""
        p = np.asarray(p, dtype=float)
        bonferroni = np.minimum(self.size * p, 1.0)
        if not len(self.smallest):
            return bonferroni
        draws = len(self.smallest)
        share = np.interp(p, self.smallest, np.arange(1, draws + 1) / draws)
        return np.minimum(bonferroni, np.maximum(p, np.maximum(share, RESOLVED / draws)))


def max_t(correlation: np.ndarray, df: np.ndarray, rng: np.random.Generator, draws: int = DRAWS) -> MaxT:
    """The joint null distribution of studentised contrasts, one side at a time, on the scale of p-values.

    The contrasts are jointly normal with this correlation, and each is divided by a standard deviation from its own
    degrees of freedom, which goes together with the others' as those of a normal sample do. On the scale of p-values
    every contrast has its own share of the error, however different the degrees of freedom are. Only this dependence
    is used: each bound keeps its own method, adjusted ones for few discordant units too.

    Never stricter than Bonferroni, never laxer than no correction. Groups that do not overlap gain nothing.

    Args:
        correlation: float [m, m], of `correlations`.
        df: float [m], degrees of freedom of each contrast.
        rng: the source of randomness.
        draws: pairs of draws.

    Source: single-step max-t (Hothorn, Bretz and Westfall 2008), with degrees of freedom that may differ.

    Example:
        Independent contrasts gain nothing; those that always move together need no correction:

        >>> import numpy as np
        >>> from evenhand.stats import max_t
        >>> rng = np.random.default_rng(0)
        >>> max_t(np.eye(5), np.full(5, 10.0), rng).level(0.05)
        0.01
        >>> round(max_t(np.ones((5, 5)), np.full(5, 10.0), rng).level(0.05), 2)
        0.05
    """
    size = len(correlation)
    others = correlation[~np.eye(size, dtype=bool)]
    if size == 1 or not others.max() > 0.01:
        return MaxT(np.empty(0), size)
    from scipy.special import stdtr

    values, vectors = np.linalg.eigh(correlation)
    # The symmetric root: where eigenvalues tie, their vectors follow the last bit of the correlations, and it does not.
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    degrees = np.clip(np.floor(df), 1, MOST_DF)
    order = _by_content(correlation, degrees)
    degrees, root = degrees[order], np.ascontiguousarray(root[np.ix_(order, order)])
    normals = _normals(rng, draws, size)
    blocks = [slice(start, start + BLOCK) for start in range(0, draws, BLOCK)]
    squares = np.zeros((draws, size))
    for degree in range(int(degrees[0])):
        more, drawn = int((degrees > degree).sum()), next(normals)
        for block in blocks:
            chance = drawn[block] @ root[:, :more]
            chance *= chance
            squares[block, :more] += chance
    drawn = next(normals)
    starts = np.flatnonzero(np.diff(degrees, prepend=0))
    low, high = np.empty((draws, len(starts))), np.empty((draws, len(starts)))
    for block in blocks:
        t = drawn[block] @ root / np.sqrt(squares[block] / degrees)
        low[block], high[block] = np.minimum.reduceat(t, starts, axis=1), np.maximum.reduceat(t, starts, axis=1)
    # The distribution function rises: of contrasts with the same degrees of freedom only the most extreme matters.
    smallest = [stdtr(degrees[starts], side).min(axis=1) for side in (low, -high)]
    return MaxT(np.sort(np.concatenate(smallest)), size)


def _by_content(correlation: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """The order in which contrasts get their draws: most degrees of freedom first, then by their correlations.

    So neither the names of groups nor the order of contrasts moves a level.
    """
    powers = [np.round((correlation**power).sum(axis=1), 9) for power in (4, 3, 2)]
    return np.lexsort([*powers, -degrees])


_kept: dict[bytes, list[tuple[np.ndarray, Any]]] = {}


def _normals(rng: np.random.Generator, draws: int, size: int) -> Iterator[np.ndarray]:
    """Standard normal draws, float [draws, size], one array after the other, as the generator gives them.

    They are kept for the next family of this size that begins with the generator in the same state, up to `KEPT`
    numbers; the generator ends in the state as if they had been drawn again.
    """
    start = pickle.dumps((rng.bit_generator.state, draws, size))
    own = _kept.pop(start, [])
    for place in itertools.count():
        if place < len(own):
            drawn, rng.bit_generator.state = own[place]
        else:
            drawn = rng.standard_normal((draws, size))
            drawn.flags.writeable = False
            if (place + 1) * drawn.size <= KEPT:
                own.append((drawn, rng.bit_generator.state))
        _kept[start] = own
        while sum(one.size for each in _kept.values() for one, _ in each) > KEPT:
            del _kept[next(iter(_kept))]  # the one that was used longest ago
        yield drawn


def correlations(
    units: Sequence[np.ndarray], totals: Sequence[np.ndarray], variances: Sequence[float] | np.ndarray
) -> np.ndarray:
    """The correlations of contrasts through their common units, float [m, m].

    Covariances are Σ_i c_i·c'_i, c_i being what unit i contributes to a contrast over all runs. What a seed does to all
    groups alike is not among them: from the J − 1 degrees of freedom of 3 to 10 runs chance correlations are as
    large as real ones, and a family that took them for real would be wrong too often. It is included in the variances,
    which makes correlations smaller and the correction stricter.

    Args:
        units: per contrast, int [U_k], the code of each unit.
        totals: per contrast, float [U_k], of `unit_totals`.
        variances: float [m], of the contrasts: V of the two-way interval.

    Example:
        Two contrasts rest on the same two units, a third on others:

        >>> import numpy as np
        >>> from evenhand.stats import correlations
        >>> units, total = [np.array([0, 1]), np.array([0, 1]), np.array([2, 3])], np.array([0.1, -0.1])
        >>> correlations(units, [total] * 3, [0.02] * 3).round(6).tolist()
        [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    _, place = compact(np.concatenate(units))
    matrix = np.zeros((len(units), int(place.max(initial=-1)) + 1))
    ends = np.cumsum([len(one) for one in units])
    for row, (end, total) in enumerate(zip(ends, totals, strict=True)):
        matrix[row, place[end - len(total) : end]] = total
    return correlations_of(matrix, np.asarray(variances))


def correlations_of(totals: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """`correlations` from the totals of all units, float [m, U], 0 where a contrast does not use a unit."""
    spread = np.sqrt(np.asarray(variances, dtype=float))[:, None]
    scaled = np.divide(totals, spread, out=np.zeros_like(totals), where=spread > 0)
    found = scaled @ scaled.T
    np.fill_diagonal(found, 1.0)
    return found


def unit_totals(values: np.ndarray, contributions: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """What each unit contributes to a mean over runs, float [U]; the arguments are those of `contrast.two_way`.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import unit_totals
        >>> unit_totals(np.array([0.5, 0.5]), np.array([[0.25, -0.25]] * 2), np.full((2, 2), 0.5)).tolist()
        [0.25, -0.25]
    """
    return ((values - values.mean()) @ shares + contributions.sum(axis=0)) / len(values)
