"""Explains a subgroup: the larger one to which it adds nothing, and the groups that drive its contrast."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import factorial

import numpy as np

from evenhand.audit.disparities import Disparity, GapIntervals
from evenhand.audit.subgroups.asked import Asked
from evenhand.audit.subgroups.conjunctions import Conjunctions

ADDS = 1.645
"""A subgroup adds to a larger one where it differs from the others of that one by so many standard errors."""


def parents(conjunctions: Conjunctions, asked: Asked, found: np.ndarray) -> dict[int, int]:
    """The subgroups that add nothing to a larger one among those that were found, and which that is.

    A subgroup adds nothing where it fares no worse than the others of the larger one, by a one-sided test at 5%. Where
    it adds nothing to several, it belongs to the one with the largest contrast; and where that one adds nothing to
    another one, to that.

    Args:
        conjunctions: that were searched.
        asked: the question.
        found: int [K], the places of the subgroups that were found.
    """
    pairs = nested(conjunctions, found)
    if not len(pairs):
        return {}
    inner, outer = pairs.T
    differs = _z_within(asked, inner, outer)
    folded: dict[int, int] = {}
    for (place, other), z in zip(pairs.tolist(), differs, strict=True):
        if z < ADDS and (place not in folded or asked.z[other] > asked.z[folded[place]]):
            folded[place] = other
    return {place: _end(place, folded) for place in folded}


def explained(conjunctions: Conjunctions, asked: Asked, found: np.ndarray) -> dict[int, int]:
    """The subgroups whose contrast comes from a smaller one inside of them that was found, too, and which that is.

    Without the smaller one they fare no worse than the reference, or than everybody else, by a one-sided test at 5%.
    Of several smaller ones that with the largest contrast counts. Args: see `parents`.
    """
    pairs = nested(conjunctions, found)
    if not len(pairs):
        return {}
    inner, outer = pairs.T
    left = _z_without(asked, inner, outer)
    because: dict[int, int] = {}
    for (smaller, place), z in zip(pairs.tolist(), left, strict=True):
        if z < ADDS and (place not in because or asked.z[smaller] > asked.z[because[place]]):
            because[place] = smaller
    return because


def nested(conjunctions: Conjunctions, found: np.ndarray) -> np.ndarray:
    """The pairs (smaller, larger) of subgroups of which one has all groups of the other, int [P, 2]."""
    kept, pairs = set(found.tolist()), []
    for place in found.tolist():
        items = tuple(item for item in conjunctions.items[place].tolist() if item >= 0)
        for size in range(1, len(items)):
            larger = (conjunctions.index[part] for part in combinations(items, size))
            pairs += [(place, other) for other in larger if other in kept]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _end(place: int, folded: dict[int, int]) -> int:
    """The last of a chain: each is larger than the one before, so that it ends."""
    while place in folded:
        place = folded[place]
    return place


def _z_within(asked: Asked, inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """How much worse subgroups fare than the others of larger ones, in standard errors, float [K]; −∞ of nobody."""
    z = asked.within(inner, outer).z
    return np.where(np.isfinite(z), _sign(asked, inner) * z, -np.inf)


def _z_without(asked: Asked, inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """The contrasts of larger subgroups without smaller ones, in standard errors, float [K]; −∞ of nobody."""
    z = asked.without(inner, outer).z
    return np.where(np.isfinite(z), _sign(asked, outer) * z, -np.inf)


def _sign(asked: Asked, places: np.ndarray) -> np.ndarray | int:
    """What makes contrasts positive where a subgroup fares worse, or as it was found to differ."""
    return np.sign(asked.contrasts.estimate[places]) if asked.outcome.two_sided else asked.outcome.sign


def disparities(asked: Asked, found: np.ndarray, z: float) -> dict[int, Disparity]:
    """How the gap of each subgroup changed: `widens`, `narrows`, `reversed`, or `undecided`.

    As for a verdict (`evenhand.audit.disparities`), from the signs of the gap change, of the sum of both gaps and of
    each gap, where their bounds exclude 0.

    Args:
        asked: the question, a gap change.
        found: int [K], the places of the subgroups that were found.
        z: of each bound, on the scale of `Contrasts.z`: that of half the search's level, since two signs are claimed.
    """
    made = asked.gaps() if len(found) else None
    if made is None:
        return {}
    bounds = {name: tuple(end[found] for end in one.bounds(z)) for name, one in made.items()}
    change = tuple(end[found] for end in asked.contrasts.bounds(z))
    words = {}
    for place, row in zip(found.tolist(), range(len(found)), strict=True):
        at = {name: _Ends(float(low[row]), float(high[row])) for name, (low, high) in bounds.items()}
        sign = GapIntervals(at["total"], at["of_method"], at["of_reference"], at["total"], at["total"])
        words[place] = sign.disparity(_Ends(float(change[0][row]), float(change[1][row])), 0.0)
    return words


@dataclass(frozen=True)
class _Ends:
    """Bounds at a level that was chosen before."""

    low: float
    high: float

    def bounds(self, tail: float) -> tuple[float, float]:
        """The bounds, whatever the level."""
        return self.low, self.high


def drivers(conjunctions: Conjunctions, asked: Asked, place: int) -> list[str] | None:
    """The share of a subgroup's contrast that each of its groups drives, as `group: share`, the largest first.

    These are Shapley values, where a coalition of groups is worth the contrast of their conjunction and none of them is
    worth 0: what a group adds to those before it, on average over all orders. They add up to 1. None where some
    conjunction of them has no contrast, or the subgroup's is 0.

    Source: Shapley (1953); for subgroups Pastor, de Alfaro and Baralis (2021).
    """
    items = tuple(item for item in conjunctions.items[place].tolist() if item >= 0)
    worth = {(): 0.0}
    for size in range(1, len(items) + 1):
        for part in combinations(items, size):
            worth[part] = float(asked.contrasts.estimate[conjunctions.index[part]])
    whole = worth[items]
    if not all(np.isfinite(value) for value in worth.values()) or whole == 0:
        return None
    shares = []
    for name, item in zip(conjunctions.groups_of(place), items, strict=True):
        others, share = [other for other in items if other != item], 0.0
        for size in range(len(others) + 1):
            weight = factorial(size) * factorial(len(others) - size) / factorial(len(items))
            for part in combinations(others, size):
                share += weight * (worth[tuple(sorted((*part, item)))] - worth[part])
        shares.append((share / whole, name))
    return [f"{name}: {share:.2f}" for share, name in sorted(shares, key=lambda each: -each[0])]
