"""Rich subgroups: the linear threshold over group memberships that is treated most differently, weighted by its size.

For statistical parity the violation of a subgroup S is P(S)·|rate(S) − rate|, rates being of positive predictions; for
false-positive parity both are about the negatives, P(S, y = 0)·|FPR(S) − FPR| (Kearns, Neel, Roth and Wu 2018). Either
is |Σ_{i in S} c_i|/n with the cost c_i = ŷ_i − rate, so that the best S of a class is a cost-sensitive classification
problem. Up to four groups every linear threshold is looked at. Of more the search is a heuristic: regressions of the
costs and the best conjunctions are where it starts, and one weight after the other is chosen best, with the threshold,
until none helps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from evenhand.errors import InputError

EXHAUSTIVE = 4
"""Up to so many groups all thresholds are looked at: whole weights from −3 to 3 express each of them (Muroga 1971)."""
TRIED = 48
"""The values of one weight that are tried at a time."""
STARTS = 6
ROUNDS = 12


@dataclass(frozen=True, eq=False)
class RichSubgroup:
    """A subgroup {x: w·x ≥ t} of people with memberships x.

    Attributes:
        weights: w, float [d].
        threshold: t.
        members: bool [n].
        violation: its size times the distance of its rate from everybody's.
        rate, rate_of_all: of positive predictions, or false positive rates; nan of nobody.
    """

    weights: np.ndarray
    threshold: float
    members: np.ndarray
    violation: float
    rate: float
    rate_of_all: float


def rich_subgroup(
    groups: np.ndarray, positive: np.ndarray, label: np.ndarray | None = None, *, exhaustive: bool | None = None
) -> RichSubgroup:
    """The linear threshold over groups with the largest violation that is found.

    Args:
        groups: bool [n, d], who is in which group.
        positive: bool [n], positive predictions.
        label: bool [n], the positives; then the violation is of false-positive parity, else of statistical parity.
        exhaustive: whether all thresholds are looked at, which is for tests; up to four groups unless given.

    Returns:
        The subgroup. Its violation is at least that of every conjunction of up to three groups.

    Raises:
        InputError: arrays that do not fit, or no negatives.

    Example:
        >>> import numpy as np
        >>> from evenhand.audit.subgroups.linear_classes import rich_subgroup
        >>> groups = np.array([[1, 1], [1, 0], [0, 1], [0, 0]] * 10, dtype=bool)
        >>> found = rich_subgroup(groups, groups.all(axis=1))  # only who is in both is predicted positive
        >>> float(round(found.violation, 4)), found.rate_of_all  # ¼·|1 − ¼|, of these and just as well of all others
        (0.1875, 0.25)
    """
    groups, positive = np.asarray(groups, dtype=bool), np.asarray(positive, dtype=bool)
    if groups.ndim != 2 or positive.shape != groups.shape[:1] or (label is not None and len(label) != len(positive)):
        raise InputError("rich_subgroup: groups are [n, d], and predictions and labels [n]")
    counted = np.ones(len(positive), dtype=bool) if label is None else ~np.asarray(label, dtype=bool)
    if not counted.any():
        raise InputError("rich_subgroup: there are no negatives, so there is no false positive rate")
    overall = float(positive[counted].mean())
    cost = np.where(counted, positive - overall, 0.0) / len(positive)
    patterns, place = np.unique(groups, axis=0, return_inverse=True)
    costs = np.bincount(place.ravel(), cost, len(patterns))
    x = patterns.astype(float)
    if exhaustive if exhaustive is not None else x.shape[1] <= EXHAUSTIVE:
        all_weights = np.array(list(product(range(-3, 4), repeat=x.shape[1])), dtype=float)
        best = _best(all_weights @ x.T, costs, all_weights)
    else:
        best = max((_climbed(x, costs, w) for w in _starts(x, costs)), key=lambda found: found[0])
    violation, weights, threshold = best
    members = groups @ weights >= threshold
    of_members = members & counted
    rate = float(positive[of_members].mean()) if of_members.any() else float("nan")
    return RichSubgroup(weights, threshold, members, violation, rate, overall)


Found = tuple[float, np.ndarray, float]
"""A violation, weights and a threshold."""


def _best(scores: np.ndarray, costs: np.ndarray, weights: np.ndarray) -> Found:
    """Of several scores of patterns, [V, P] with weights [V, d], the best threshold on the best of them.

    The costs of the patterns above it have the largest absolute sum.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    sums, ordered = np.abs(np.cumsum(costs[order], axis=1)), np.take_along_axis(scores, order, axis=1)
    last = np.ones(scores.shape, dtype=bool)
    last[:, :-1] = ordered[:, 1:] < ordered[:, :-1] - 1e-12  # patterns with equal scores are on one side
    row, column = np.unravel_index(int(np.argmax(np.where(last, sums, -1.0))), scores.shape)
    own = ordered[row]
    below = own[column + 1] if column + 1 < len(own) else own[column] - 2.0
    return float(sums[row, column]), weights[row], float((own[column] + below) / 2)


def _climbed(x: np.ndarray, costs: np.ndarray, weights: np.ndarray) -> Found:
    """The best that is reached by choosing one weight at a time."""
    best = _best((x @ weights)[None], costs, weights[None])
    for _ in range(ROUNDS):
        before = best[0]
        for column in range(x.shape[1]):
            others = best[1].copy()
            others[column] = 0.0
            scores = x @ others
            values = _values(scores, x[:, column] > 0)
            tried = np.tile(others, (len(values), 1))
            tried[:, column] = values
            found = _best(scores + np.outer(values, x[:, column]), costs, tried)
            best = found if found[0] > best[0] + 1e-15 else best
        if best[0] <= before + 1e-15:
            break
    return best


def _values(scores: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Values of one weight between which the order of patterns changes, spread over all of them."""
    distances = np.unique(np.round(np.subtract.outer(np.unique(scores[~inside]), np.unique(scores[inside])), 9))
    if not len(distances):
        return np.zeros(1)
    between = np.concatenate([[distances[0] - 1], (distances[1:] + distances[:-1]) / 2, [distances[-1] + 1]])
    if len(between) > TRIED:
        between = between[np.linspace(0, len(between) - 1, TRIED).round().astype(int)]
    return between


def _starts(x: np.ndarray, costs: np.ndarray) -> Iterator[np.ndarray]:
    """Weights to start from: regressions of the costs, and the conjunctions of up to three groups that are worst."""
    design = np.column_stack([x, np.ones(len(x))])
    yield np.linalg.lstsq(design, costs, rcond=None)[0][:-1]
    yield np.linalg.lstsq(design, np.sign(costs), rcond=None)[0][:-1]
    conjunctions = []
    for size in (1, 2, 3):
        for items in combinations(range(x.shape[1]), size):
            members = x[:, items].all(axis=1)
            conjunctions.append((abs(float(costs[members].sum())), items))
    for _, items in sorted(conjunctions, key=lambda each: -each[0])[:STARTS]:
        weights = np.zeros(x.shape[1])
        weights[list(items)] = 1.0
        yield weights
