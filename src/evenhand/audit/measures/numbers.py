"""Computes means and ranks of a column of numbers, with the influence of each example."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evenhand.audit.design import Range
from evenhand.audit.measures.influence import Influence, Unbounded, undefined
from evenhand.audit.measures.run_data import RunData, RunSubset
from evenhand.audit.measures.steps import Steps
from evenhand.stats.means import LEAST_UNITS

NO_VALUES = "no test examples with a value"
OF_VALUES = Unbounded(LEAST_UNITS, "declare the range of the values, or ask for a log or a rank scale")
OF_LOGARITHMS = Unbounded(0, "ask for a rank scale")
NO_REST = "there is nobody to be ranked among"


def mean_of(
    data: RunData, numbers: np.ndarray, rows: np.ndarray, limits: Range | None, unbounded: Unbounded | None
) -> Influence:
    """The weighted mean of some examples' numbers.

    Args:
        data: of the run.
        numbers: float [n], of all examples of the run.
        rows: int [k], the examples.
        limits: the range of the numbers, in which one more may lie anywhere; None: it is not known.
        unbounded: without a range, when they are judged; None: these are shares.
    """
    if not len(rows):
        return undefined(NO_VALUES)
    weights = data.weight[rows] / data.weight[rows].sum()
    value, moves = _mean(weights, numbers[rows])
    largest = float(weights.max())
    steps = None if limits is None else Steps(largest * (limits[1] - value), largest * (value - limits[0]))
    return Influence(
        value,
        rows,
        moves,
        weights,
        np.ones(len(rows), dtype=bool),
        len(rows),
        steps=steps,
        unbounded=unbounded if limits is None else None,
    )


@dataclass(frozen=True)
class MeanOfValues:
    """Computes the mean of a column of numbers, or of their natural logarithms.

    Attributes:
        limits, unbounded: see `mean_of`.
        logarithms: whether it is of the logarithms.
    """

    limits: Range | None = None
    unbounded: Unbounded | None = OF_VALUES
    logarithms: bool = False

    def __call__(self, data: RunData, subset: RunSubset) -> Influence:
        numbers = np.log(data.predicted) if self.logarithms else data.predicted
        return mean_of(data, numbers, subset.rows, self.limits, self.unbounded)


@dataclass(frozen=True)
class RankOf:
    """Computes the probability that a number of a group is larger than one of its rest; ties count one half.

    With F the distribution of the rest, P = mean of F(x) over the group. A group's value minus that of its rest is
    2P − 1. The influences are such that this difference has its own: those of the group are twice F(x) − P (Brunner and
    Munzel 2000), those of its rest come with the value of the rest; so are the steps of one more member, whose F may be
    anything from 0 to 1. So a value has no interval by itself, and takes that of the difference.
    """

    def __call__(self, data: RunData, subset: RunSubset) -> Influence:
        if not len(subset.rows):
            return undefined(NO_VALUES)
        if not len(subset.others):
            return undefined(NO_REST)
        weights = data.weight[subset.rows] / data.weight[subset.rows].sum()
        placements = _placements(data.predicted[subset.rows], data.predicted[subset.others], data.weight[subset.others])
        value, moves = _mean(weights, placements)
        steps = Steps(2 * float(weights.max()) * (1 - value), 2 * float(weights.max()) * value)
        smallest = min(data.count(subset.rows), data.count(subset.others))
        active = np.ones(len(weights), dtype=bool)
        return Influence(value, subset.rows, 2 * moves, weights, active, smallest, steps=steps)


def _mean(weights: np.ndarray, numbers: np.ndarray) -> tuple[float, np.ndarray]:
    """The weighted mean, and each number's influence on it: exactly 0 where all are equal, whatever rounding says."""
    if (numbers == numbers[0]).all():
        return float(numbers[0]), np.zeros(len(numbers))
    value = float(weights @ numbers)
    return value, weights * (numbers - value)


def _placements(numbers: np.ndarray, others: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The weighted share of the others below each number, with half of those that are equal."""
    order = np.argsort(others, kind="stable")
    below = np.concatenate([[0.0], np.cumsum(weight[order])])
    first, last = (np.searchsorted(others[order], numbers, side) for side in ("left", "right"))
    return (below[first] + below[last]) / (2 * below[-1])
