"""Chooses thresholds per group after training (Hardt et al. 2016, arXiv:1610.02413).

These are the thresholds of `fairlearn.postprocessing.ThresholdOptimizer`. In each group every threshold between two
scores is a point: the constrained rate (x) and what is maximized (y). Randomizing between two thresholds reaches every
point of the upper convex hull. The same x is taken in all groups, where the mean of y over the examples is largest. For
equalized odds x is the false and y the true positive rate: the lowest hull is reached in every group, by predictions
that ignore the score for a share of the examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evenhand.errors import InputError
from evenhand.methods.group_thresholds import GroupThresholds

_RATE: Mapping[str, str] = {
    "demographic_parity": "selection_rate",
    "true_positive_rate_parity": "true_positive_rate",
    "false_positive_rate_parity": "false_positive_rate",
    "true_negative_rate_parity": "true_negative_rate",
    "false_negative_rate_parity": "false_negative_rate",
    "equalized_odds": "false_positive_rate",
}
"""The rate that each constraint makes equal; equalized odds makes the true positive rate equal, too."""


@dataclass(frozen=True)
class Threshold:
    """One rule: a score is predicted as positive if it is above the threshold, or below it if `above` is False."""

    value: float
    above: bool = True

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Return the predictions of some scores, bool [n]."""
        return scores > self.value if self.above else scores < self.value


@dataclass(frozen=True)
class RandomizedThreshold:
    """The rule of one group: one of two thresholds at random, or for a share of the examples no threshold.

    Attributes:
        first, second: the thresholds.
        share: probability of the first; the second has the rest.
        ignored: share of the examples whose score is ignored.
        constant: probability of a positive prediction for those.
    """

    first: Threshold
    second: Threshold
    share: float
    ignored: float = 0.0
    constant: float = 0.0

    def probability(self, scores: np.ndarray) -> np.ndarray:
        """Return the probability of a positive prediction for each score, float64 [n]."""
        mixed = self.share * self.first(scores) + (1 - self.share) * self.second(scores)
        return self.ignored * self.constant + (1 - self.ignored) * mixed


@dataclass(frozen=True, eq=False)
class Counts:
    """The numbers of predictions of thresholds by outcome, arrays or numbers."""

    true_positives: np.ndarray
    false_positives: np.ndarray
    positives: float
    negatives: float

    def rate(self, name: str) -> np.ndarray:
        """Return a rate by its name in fairlearn."""
        true_positive = self.true_positives / self.positives
        false_positive = self.false_positives / self.negatives
        true_negatives = self.negatives - self.false_positives
        count = self.positives + self.negatives
        return {
            "selection_rate": (self.true_positives + self.false_positives) / count,
            "true_positive_rate": true_positive,
            "false_positive_rate": false_positive,
            "true_negative_rate": true_negatives / self.negatives,
            "false_negative_rate": (self.positives - self.true_positives) / self.positives,
            "accuracy_score": (self.true_positives + true_negatives) / count,
            "balanced_accuracy_score": 0.5 * true_positive + 0.5 * true_negatives / self.negatives,
        }[name]


@dataclass(frozen=True, eq=False)
class TradeOff:
    """The upper convex hull of what thresholds reach in one group.

    Attributes:
        x, y: float64 [h], x increasing.
        thresholds: [h].
    """

    x: np.ndarray
    y: np.ndarray
    thresholds: tuple[Threshold, ...]

    def at(self, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return for each x of a grid the left neighbour on the hull, its share, and y, each [g].

        A neighbour on the left is strictly below x, except at the first x of the grid.
        """
        left = np.searchsorted(self.x, grid, side="right") - 1
        left[1:] -= grid[1:] == self.x[left[1:]]
        share = (self.x[left + 1] - grid) / (self.x[left + 1] - self.x[left])
        return left, share, share * self.y[left] + (1 - share) * self.y[left + 1]


def optimize_thresholds(
    spec: GroupThresholds, scores: np.ndarray, labels: np.ndarray, groups: np.ndarray
) -> dict[str, RandomizedThreshold]:
    """Return the rule of each group.

    Args:
        spec: the constraint and what is maximized.
        scores: float64 [n]; higher means more likely positive.
        labels: int [n], 0 or 1.
        groups: [n] names.

    Raises:
        InputError: a group has labels of one class only.
    """
    check_labels(labels, groups)
    names = [str(name) for name in np.unique(groups)]
    equalized = spec.constraint == "equalized_odds"
    wanted = _RATE[spec.constraint], "true_positive_rate" if equalized else spec.objective
    curves = {name: trade_off(scores[groups == name], labels[groups == name], *wanted, spec.flip) for name in names}
    grid = np.linspace(0, 1, spec.grid_size + 1)
    found = {name: curve.at(grid) for name, curve in curves.items()}
    if equalized:
        lowest = np.min([y for _, _, y in found.values()], axis=0)
        positives = float(labels.sum())
        negatives = len(labels) - positives
        reached = Counts(positives * lowest, negatives * grid, positives, negatives).rate(spec.objective)
        best = int(np.argmax(np.around(reached, 15)))
    else:
        lowest = grid
        best = int(np.argmax(np.sum([(groups == name).mean() * found[name][2] for name in names], axis=0)))
    rules = {}
    for name, curve in curves.items():
        left, share, y = (values[best] for values in found[name])
        ignored = 0.0
        if equalized and y != grid[best]:
            ignored = float((y - lowest[best]) / (y - grid[best]))
        first, second = curve.thresholds[left], curve.thresholds[left + 1]
        constant = float(grid[best]) if equalized else 0.0
        rules[name] = RandomizedThreshold(first, second, float(share), ignored, constant)
    return rules


def trade_off(scores: np.ndarray, labels: np.ndarray, x: str, y: str, flip: bool) -> TradeOff:
    """Return the hull of one group's points.

    Args:
        scores, labels: of the group's examples, labels 0 or 1 and both present.
        x, y: names of rates.
        flip: whether thresholds below which scores are positive count, too.
    """
    levels, place = np.unique(-scores, return_inverse=True)
    levels = -levels  # from the highest
    of_level = np.zeros((2, len(levels)), dtype=np.int64)
    np.add.at(of_level, (labels, place), 1)
    false_positives, true_positives = np.pad(of_level.cumsum(axis=1), [(0, 0), (1, 0)])
    # Above all scores, between two neighbours, below all.
    values = np.concatenate([[np.inf], (levels + np.append(levels[1:], -np.inf)) / 2])
    positives, negatives = float(labels.sum()), float(len(labels) - labels.sum())
    points = []
    for value, found, wrong in zip(values.tolist(), true_positives, false_positives, strict=True):
        reached = [(Threshold(value), Counts(found, wrong, positives, negatives))]
        if flip:
            reached.append(
                (Threshold(value, False), Counts(positives - found, negatives - wrong, positives, negatives))
            )
        points += [(float(counts.rate(x)), float(counts.rate(y)), rule) for rule, counts in reached]
    points.sort(key=lambda point: point[:2])
    hull = _upper_hull(points)
    return TradeOff(np.array([p[0] for p in hull]), np.array([p[1] for p in hull]), tuple(p[2] for p in hull))


def check_labels(labels: np.ndarray, groups: np.ndarray) -> None:
    """Raise InputError if a group has labels of one class only, so that a rate of it is not defined."""
    for name in np.unique(groups):
        inside = labels[groups == name]
        if len(np.unique(inside)) < 2:
            raise InputError(
                f"the group {name} has {len(inside)} validation examples, all of one class, so that no threshold of "
                "its own can be chosen"
            )


def _upper_hull(points: list[tuple[float, float, Threshold]]) -> list[tuple[float, float, Threshold]]:
    """Return the upper convex hull of points sorted by x and y, by Andrew's monotone chain."""
    hull: list[tuple[float, float, Threshold]] = []
    for point in points:
        while len(hull) >= 2:
            (x0, y0, _), (x1, y1, _) = hull[-2:]
            if (y1 - y0) * (point[0] - x0) > (point[1] - y0) * (x1 - x0):
                break
            hull.pop()
        hull.append(point)
    return hull
