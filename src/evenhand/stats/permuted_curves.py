"""Areas and points of each group's ROC curve, observed and where nobody's group matters.

The null permutes whole membership patterns over the examples of a stratum (those of one label, say). An example keeps
its scores and positives of all targets, which keeps their dependence by example and by target, and the groups keep
their sizes and their overlap. The difficulty of a group's examples is permuted with them: a gap outside of its null
means that the groups differ, and does not give the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evenhand.stats.contrast import compact

Values = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class PermutedGroups:
    """Values of groups, as observed and under permutations of the groups.

    Attributes:
        values: float [G]; nan for a group without positives or negatives.
        draws: float [D, G], the same under the null.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import PermutedGroups
        >>> found = PermutedGroups(values=np.array([0.75, 0.5]), draws=np.zeros((19, 2)))
        >>> found.gap, found.p  # none of 19 gaps under the null is as large: 1/20
        (0.25, 0.05)
    """

    values: np.ndarray
    draws: np.ndarray

    @property
    def gap(self) -> float:
        """max − min over groups."""
        return float(np.ptp(self.values))

    @property
    def gaps(self) -> np.ndarray:
        """The gaps under the null, float [D]."""
        return np.ptp(self.draws, axis=1)

    @property
    def p(self) -> float:
        """The p-value: the share of null gaps, the observed one included, that are at least as large; nan if undefined.

        It accounts for the number of groups: the largest of many gaps is compared with the largest of as many.
        """
        if math.isnan(self.gap):
            return math.nan
        return (1 + int((self.gaps >= self.gap - 1e-12).sum())) / (1 + len(self.draws))


def permuted_areas(
    score: np.ndarray,
    positive: np.ndarray,
    members: np.ndarray,
    strata: np.ndarray,
    draws: int,
    rng: np.random.Generator,
    where: np.ndarray | None = None,
) -> PermutedGroups:
    """The area under each group's ROC curve over all targets, observed and permuted.

    Args:
        score: float [T, n].
        positive: bool [T, n].
        members: bool [n, G]; groups may overlap, and an example may be in none.
        strata: int [n]; patterns are permuted within a stratum. One code for all: a free permutation.
        draws: how many permutations.
        rng: the source of randomness.
        where: bool [T, n], the rows to look at, where not every target scored every example.

    Example:
        The score is right in the first group and wrong in the second:

        >>> import numpy as np
        >>> from evenhand.stats import permuted_areas
        >>> score, positive = np.array([[1, 0, 0, 1]]), np.array([[True, False, True, False]])
        >>> members = np.array([[True, False], [True, False], [False, True], [False, True]])
        >>> found = permuted_areas(score, positive, members, np.zeros(4, dtype=int), 19, np.random.default_rng(0))
        >>> found.values.tolist(), found.gap
        ([1.0, 0.0], 1.0)
    """
    return _permuted(_Areas(score, positive, where), members, strata, draws, rng)


def permuted_tprs(
    score: np.ndarray,
    positive: np.ndarray,
    members: np.ndarray,
    strata: np.ndarray,
    alpha: float,
    draws: int,
    rng: np.random.Generator,
    where: np.ndarray | None = None,
) -> PermutedGroups:
    """TPR of each group where its own expected FPR is α (`pooled_tpr`). Args: `permuted_areas`.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import permuted_tprs
        >>> score, positive = np.array([[1, 0, 0, 1]]), np.array([[True, False, True, False]])
        >>> members = np.array([[True, False], [True, False], [False, True], [False, True]])
        >>> found = permuted_tprs(score, positive, members, np.zeros(4, dtype=int), 0.5, 19, np.random.default_rng(0))
        >>> found.values.tolist()
        [1.0, 0.0]
    """
    return _permuted(_Points(score, positive, alpha, where), members, strata, draws, rng)


def _permuted(
    values: Values, members: np.ndarray, strata: np.ndarray, draws: int, rng: np.random.Generator
) -> PermutedGroups:
    _, stratum = compact(strata)
    rows = [np.flatnonzero(stratum == code) for code in range(int(stratum.max(initial=-1)) + 1)]
    found = np.empty((draws, members.shape[1]))
    moved = np.empty_like(members)
    for draw in range(draws):
        for those in rows:
            moved[those] = members[rng.permutation(those)]
        found[draw] = values(moved)
    return PermutedGroups(values(members), found)


class _Areas:
    """The area of each group's curve; rows are ranked once for all groups and draws."""

    def __init__(self, score: np.ndarray, positive: np.ndarray, where: np.ndarray | None) -> None:
        order = _ordered(score, where)
        self.example = order % score.shape[1]
        self.positive = positive.ravel()[order]
        self.start, self.end = _ties(score.ravel()[order])

    def __call__(self, members: np.ndarray) -> np.ndarray:
        found = np.empty(members.shape[1])
        for group, mask in enumerate(members.T):
            inside = mask[self.example]
            ours = inside & self.positive
            below = _counted(inside & ~self.positive)
            pairs = int(ours.sum()) * int(below[-1])
            wins = (below[self.start[ours]] + below[self.end[ours]]).sum() / 2
            found[group] = wins / pairs if pairs else np.nan
        return found


class _Points:
    """The TPR of each group at a given expected false positive rate of the same group."""

    def __init__(self, score: np.ndarray, positive: np.ndarray, alpha: float, where: np.ndarray | None) -> None:
        order = _ordered(-score, where)
        self.example = order % score.shape[1]
        self.positive = positive.ravel()[order]
        self.start, self.end = _ties(score.ravel()[order])
        self.alpha = alpha

    def __call__(self, members: np.ndarray) -> np.ndarray:
        found = np.empty(members.shape[1])
        for group, mask in enumerate(members.T):
            inside = mask[self.example]
            true, false = _counted(inside & self.positive), _counted(inside & ~self.positive)
            if not true[-1] or not false[-1]:
                found[group] = np.nan
                continue
            rank = self.alpha * (int(false[-1]) + 1)
            low = math.floor(rank)
            part = rank - low
            found[group] = ((1 - part) * self._called(low, true, false) + part * self._called(low + 1, true, false)) / (
                true[-1]
            )
        return found

    def _called(self, rank: int, true: np.ndarray, false: np.ndarray) -> float:
        """The positives called at a whole rank, in the mean over orders of equal scores (`RankCurve`)."""
        if rank < 1 or rank > false[-1]:
            return float(true[-1]) if rank > 0 else 0.0
        row = int(np.searchsorted(false, rank)) - 1
        start, end = self.start[row], self.end[row]
        share = (rank - false[start]) / (false[end] - false[start] + 1)
        return float(true[start] + (true[end] - true[start]) * share)


def _ordered(score: np.ndarray, where: np.ndarray | None) -> np.ndarray:
    """The rows that are used, by ascending score."""
    order = np.argsort(score, axis=None, kind="stable")
    return order if where is None else order[where.ravel()[order]]


def _counted(rows: np.ndarray) -> np.ndarray:
    """The number of members among the first k rows, for k from 0 to all."""
    return np.append(0, np.cumsum(rows))


def _ties(ordered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row of an ordered column, how many come before its equals, and before those after them."""
    new = np.append(True, ordered[1:] != ordered[:-1])
    block = np.cumsum(new) - 1
    starts = np.append(np.flatnonzero(new), len(ordered))
    return starts[block], starts[block + 1]
