"""Allows for the skewness of losses and numbers: a long tail that a small subgroup holds too little of.

The t of a mean of numbers with a long lower tail is too large too often: a sample without the tail has a mean that is
too high and a spread that is too small. Hall's (1992) transformation takes what the standardized skewness g of an
estimate adds to its t,

    t_H = ((1 + g·t/3)³ − 1)/g,

which is at most 1/|g| where it is smaller than t. It is applied where it makes a subgroup look less extreme, never
where it makes it look more so, and enters as a larger variance, so that p-values and bounds agree. Where g exceeds what
the audit judges at all (`stats.means.MOST_SKEWED`), the subgroup is not judged.

Source: Hall (1992), *On the removal of skewness by transformation*, JRSS B 54, 221–228.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from evenhand.audit.subgroups.conjunctions import Conjunctions
from evenhand.audit.subgroups.contrasts import ComparisonKind, Contrasts
from evenhand.audit.subgroups.questions import Outcome
from evenhand.audit.subgroups.sides import Moments
from evenhand.stats.contrast import compact
from evenhand.stats.means import MOST_SKEWED


def allowing_for_skewness(
    made: Contrasts, conjunctions: Conjunctions, outcome: Outcome, kind: ComparisonKind, sums: Moments
) -> tuple[Contrasts, np.ndarray]:
    """The contrasts with variances that allow for skewness towards the other side than the one they are on.

    Also which of them are judged, bool [S]: those that are not too skewed to that side.

    Args:
        made: the contrasts of all conjunctions.
        conjunctions, outcome, kind, sums: what they are made of; the outcome has one ratio. A unit with rows on both
            sides counts as one on either.
    """
    numerator, weight = outcome.mean
    inside, outside = _sums(conjunctions, numerator[:, 0], weight[:, 0])
    sides = [(inside, sums.inside)] if kind == "change" else [(inside, sums.inside), (outside, sums.outside)]
    with np.errstate(divide="ignore", invalid="ignore"):
        second = sum(_second(part, side.levels[:, 0]) / side.size[:, 0] ** 2 for part, side in sides)
        cubes = [_third(part, side.levels[:, 0]) / side.size[:, 0] ** 3 for part, side in sides]
        third = cubes[0] if kind == "change" else cubes[0] - cubes[1]
    return less_extreme(made, np.asarray(second), third)


def less_extreme(made: Contrasts, second: np.ndarray, third: np.ndarray) -> tuple[Contrasts, np.ndarray]:
    """The contrasts with variances that allow for skewness, and which are judged, from what units add to estimates.

    Args:
        made: the contrasts of all conjunctions.
        second, third: float [S], the sums of squares and of cubes of what units add.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        t = made.estimate / np.sqrt(made.variance)
        # From here on as if t was above 0, so that skewness below 0 is the one that exaggerates it.
        own, allowed_for = (np.minimum(np.sign(t) * third / of**1.5, 0.0) for of in (second, made.variance))
        size = np.abs(t)
        factor = np.maximum(1 + allowed_for * size / 3, 0.0)
        allowed = np.where(allowed_for < -1e-9, (factor**3 - 1) / allowed_for, size)
        larger = np.where(allowed > 0, size / allowed, 1.0)
    allowing = replace(made, variance=made.variance * np.maximum(larger, 1.0) ** 2)
    return allowing, ~(own < -MOST_SKEWED)


def _second(sums: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Σ (y − c·n)², float [S], from sums of `_monomials` and levels c."""
    return sums[:, 0] - 2 * level * sums[:, 1] + level**2 * sums[:, 2]


def _third(sums: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Σ (y − c·n)³, float [S], from sums of `_monomials` and levels c."""
    return sums[:, 3] - 3 * level * sums[:, 4] + 3 * level**2 * sums[:, 5] - level**3 * sums[:, 6]


def _sums(conjunctions: Conjunctions, y: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums over units of their monomials inside of each conjunction and in its rest, float [S, 7] each."""
    if conjunctions.unit is None:
        rows = _monomials(y, n)
        inside = conjunctions.sums(rows)
        if not conjunctions.undefined:
            return inside, rows.sum(axis=0) - inside
        whole = [
            np.tile(rows[_eligible(conjunctions, cells.attributes)].sum(axis=0), (len(cells.items), 1))
            for cells in conjunctions.walk()
        ]
        return inside, (np.concatenate(whole) if whole else np.empty((0, 7))) - inside
    _, unit = compact(conjunctions.unit)
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    for cells in conjunctions.walk():
        eligible = _eligible(conjunctions, cells.attributes)
        every = np.stack([np.bincount(unit[eligible], part[eligible], unit.max() + 1) for part in (y, n)])
        own, atom = np.unique(cells.cell * every.shape[1] + cells.take(unit), return_inverse=True)
        cell, of_unit = np.divmod(own, every.shape[1])
        here = np.stack([np.bincount(atom, cells.take(part), len(own)) for part in (y, n)])
        there = every[:, of_unit]
        starts = np.searchsorted(cell, np.arange(len(cells.items)))
        inside = np.add.reduceat(_monomials(here[0], here[1]), starts, axis=0)
        gone = np.add.reduceat(
            _monomials(there[0], there[1]) - _monomials(there[0] - here[0], there[1] - here[1]), starts, axis=0
        )
        parts.append((inside, _monomials(every[0], every[1]).sum(axis=0) - gone))
    if not parts:
        return np.empty((0, 7)), np.empty((0, 7))
    return np.concatenate([inside for inside, _ in parts]), np.concatenate([outside for _, outside in parts])


def _eligible(conjunctions: Conjunctions, attributes: tuple[int, ...]) -> np.ndarray:
    exists = conjunctions.eligible(attributes)
    return np.ones(conjunctions.rows, dtype=bool) if exists is None else exists


def _monomials(y: np.ndarray, n: np.ndarray) -> np.ndarray:
    """y², yn and n², and y³, y²n, yn² and n³, float [U, 7]."""
    return np.stack([y * y, y * n, n * n, y**3, y * y * n, y * n * n, n**3], axis=1)
