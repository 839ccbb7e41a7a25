"""Areas under each group's ROC curve, observed and under permutations of the groups.

The null permutes whole membership patterns over the examples of a stratum (those of one label, say). An example keeps
its scores and positives of all targets, which keeps their dependence by example and by target, and the groups keep
their sizes and their overlap.

Permuted groups are equally difficult, and observed ones need not be: a group whose area is known badly would have a
large gap by chance alone. So differences of areas are studentised before they are permuted (Janssen 1997; Chung and
Romano 2013): divided by their standard error, clustered by example, in the observed groups and in each draw anew, on
the scale of log(A/(1 − A)), where they are more nearly normal. The largest over all pairs of groups is compared with
the largest of each draw. The targets are taken as given: a small p says that the groups' areas differ for these models.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from evenhand.stats.contrast import compact

EDGE = 1e-6
"""Areas nearer to 0 or 1 are taken for this far away, where log(A/(1 − A)) would be infinite."""


@dataclass(frozen=True, eq=False)
class PermutedGroups:
    """Areas of groups, as observed and under permutations of the groups.

    Attributes:
        values: float [G]; nan for a group without positives or negatives.
        covariance: float [G, G], of the values over samples of examples.
        draws: float [D, G], the values under the null.
        draw_covariances: float [D, G, G].

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import PermutedGroups
        >>> areas, alike = np.array([0.75, 0.5]), np.full((19, 2), 0.6)
        >>> found = PermutedGroups(areas, 0.01 * np.eye(2), alike, np.tile(0.01 * np.eye(2), (19, 1, 1)))
        >>> found.gap, found.p  # none of 19 gaps under the null is as large: 1/20
        (0.25, 0.05)
    """

    values: np.ndarray
    covariance: np.ndarray
    draws: np.ndarray
    draw_covariances: np.ndarray

    @property
    def gap(self) -> float:
        """max − min over groups."""
        return float(np.ptp(self.values))

    @cached_property
    def statistic(self) -> float:
        """The largest difference between two groups in its standard errors."""
        return float(_largest(self.values, self.covariance))

    @cached_property
    def statistics(self) -> np.ndarray:
        """The same of each draw, float [D]."""
        return _largest(self.draws, self.draw_covariances)

    @property
    def gaps(self) -> np.ndarray:
        """The gaps that chance alone would give, float [D]; nan where a group has no value.

        They are the draws' statistics times the observed gap over its own: that of two groups is above their 95%
        quantile where p is at most .05.
        """
        if math.isnan(self.gap):
            return np.full(len(self.draws), np.nan)
        pair = np.array([self.values.argmin(), self.values.argmax()])
        own = float(_largest(self.values[pair], self.covariance[np.ix_(pair, pair)]))
        return self.statistics * (self.gap / own if own > 0 else float(_errors(self.covariance).max()))

    @property
    def p(self) -> float:
        """The p-value: the share of null statistics, the observed one included, that are at least as large.

        nan if undefined; undefined draws count as large. It accounts for the number of groups: the largest of many
        differences is compared with the largest of as many.
        """
        if math.isnan(self.statistic):
            return math.nan
        return (1 + int((~(self.statistics < self.statistic - 1e-12)).sum())) / (1 + len(self.draws))


def _errors(covariance: np.ndarray) -> np.ndarray:
    """Standard errors of all differences, float [..., G, G], from covariances of that shape."""
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    return np.sqrt(np.maximum(variance[..., :, None] + variance[..., None, :] - 2 * covariance, 0.0))


def _largest(values: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """The largest studentised difference of areas [..., G] on the scale of log-odds; inf where nothing varies."""
    inside = np.clip(values, EDGE, 1 - EDGE)
    odds, stretch = np.log(inside / (1 - inside)), 1 / (inside * (1 - inside))
    difference = np.abs(odds[..., :, None] - odds[..., None, :])
    error = _errors(covariance * stretch[..., :, None] * stretch[..., None, :])
    with np.errstate(divide="ignore", invalid="ignore"):
        studentised = np.where(difference > 0, difference / error, difference)
    return studentised.max(axis=(-2, -1))


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
    values = _Areas(score, positive, where)
    _, stratum = compact(strata)
    rows = [np.flatnonzero(stratum == code) for code in range(int(stratum.max(initial=-1)) + 1)]
    groups = members.shape[1]
    areas, covariances, moved = np.empty((draws, groups)), np.empty((draws, groups, groups)), np.empty_like(members)
    for draw in range(draws):
        for those in rows:
            moved[those] = members[rng.permutation(those)]
        areas[draw], covariances[draw] = values(moved)
    return PermutedGroups(*values(members), areas, covariances)


class _Areas:
    """The area of each group's curve, and the covariance of areas; rows are ranked once for all groups and draws."""

    def __init__(self, score: np.ndarray, positive: np.ndarray, where: np.ndarray | None) -> None:
        order = _ordered(score, where)
        self.examples = score.shape[1]
        self.example = order % self.examples
        self.positive = positive.ravel()[order]
        self.start, self.end = _ties(score.ravel()[order])

    def __call__(self, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        areas, cells = np.empty(members.shape[1]), np.zeros((members.shape[1], self.examples))
        for group, mask in enumerate(members.T):
            areas[group], cells[group] = self._area(mask[self.example])
        return areas, cells @ cells.T

    def _area(self, inside: np.ndarray) -> tuple[float, np.ndarray | float]:
        """The area of some rows, and what each example contributes to it [n] (placement values, as in `pooled_auc`)."""
        ours, theirs = inside & self.positive, inside & ~self.positive
        true, false = _counted(ours), _counted(theirs)
        positives, negatives = int(true[-1]), int(false[-1])
        if not positives or not negatives:
            return math.nan, math.nan
        below = (false[self.start[ours]] + false[self.end[ours]]) / (2 * negatives)
        above = 1 - (true[self.start[theirs]] + true[self.end[theirs]]) / (2 * positives)
        area = float(below.mean())
        cells = np.bincount(self.example[ours], (below - area) / positives, self.examples)
        cells += np.bincount(self.example[theirs], (above - area) / negatives, self.examples)
        units = len(np.unique(self.example[inside]))
        return area, cells * math.sqrt(units / (units - 1)) if units > 1 else math.nan


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
