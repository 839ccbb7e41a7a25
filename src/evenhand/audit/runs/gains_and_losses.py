"""The interval of a change of a rate, from the shares of examples that gained the outcome and that lost it.

Where few units are discordant, the two-way variance collapses. In one run it also goes with the estimate: a method that
errs more often shows fewer errors and less variance in the same samples, so that a t interval misses the change on one
side more often than it says, the more so at small levels. Wilson's bounds of both shares allow for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evenhand.stats.contrast import TwoWay, by_unit, two_way
from evenhand.stats.proportion import FEW, ProportionDifference, agreement
from evenhand.stats.subset_rows import Rows
from evenhand.stats.subsets import RatioSums, TwoWays, levels


def kish(shares: np.ndarray) -> float:
    """Kish's effective number of units of a mean over runs, from the shares [J, U]."""
    return 1 / float((shares.mean(axis=0) ** 2).sum())


def repeats(shares: np.ndarray) -> float:
    """How many runs a unit is in: the effective numbers of cells over that of units, from the shares [J, U]."""
    return len(shares) ** 2 / float((shares**2).sum()) / kish(shares)


def gains_and_losses(
    whole: TwoWay,
    units: Sequence[np.ndarray],
    weights: Sequence[np.ndarray],
    values: np.ndarray,
    changes: Sequence[np.ndarray],
    clustered: bool,
) -> tuple[ProportionDifference | None, bool]:
    """The interval of a change of a rate, and whether few units are discordant; None of several runs in which many are.

    Args:
        whole: the change with its two-way variance.
        units: by run int [k], codes of the resampling units.
        weights: by run float [k], Σ = 1.
        values: float [J], the change in each run.
        changes: by run float [k], the influences.
        clustered: whether units are clusters of examples.
    """
    signs = [
        np.rint(np.divide(change, weight, out=np.zeros_like(change), where=weight > 0) + value)
        for change, weight, value in zip(changes, weights, values, strict=True)
    ]
    shares, changed = by_unit(units, weights, [np.abs(part) for part in signs])
    few = int((changed > 0).any(axis=0).sum()) < FEW
    if not few and whole.runs > 1:
        return None, False
    parts, units_with = [], []
    for side in (1, -1):
        events = [part == side for part in signs]
        units_with.append(by_unit(units, [event.astype(float) for event in events])[0] > 0)
        means = np.array([float(weight @ event) for weight, event in zip(weights, events, strict=True)])
        influence = [weight * (event - mean) for weight, event, mean in zip(weights, events, means, strict=True)]
        (summed,) = by_unit(units, influence)
        parts.append(two_way(means, summed, shares, clustered))
    together = agreement(units_with, shares > 0)
    cells = None if few else 1 / float((weights[0] ** 2).sum())
    return ProportionDifference(whole, parts[0], parts[1], kish(shares), repeats(shares), together, cells), few


class RunGainsAndLosses:
    """The intervals of changes of a rate in one run, in many subsets of independent examples at once.

    Args:
        first, second: what each example adds with the one and with the other method, of one run and one base.
        masks: [S, R], 1 for the members of each subset.
    """

    def __init__(self, first: RatioSums, second: RatioSums, masks: np.ndarray):
        base = first.weight
        moved = first.numerator - second.numerator
        self.shares = [levels(RatioSums(np.maximum(sign * moved, 0.0), base), masks) for sign in (1, -1)]
        rows = Rows.of([base], base > 0, np.ones(len(base), dtype=bool), None)
        size, squares = rows.sums(masks, [base, base**2])
        with np.errstate(divide="ignore", invalid="ignore"):
            self.cells = (size**2 / squares)[:, 0]

    def interval(self, changes: TwoWays, index: int) -> ProportionDifference:
        """The interval of the change in one subset, of `changes` in all of them."""
        plus, minus = (share.at(index) for share in self.shares)
        cells = float(self.cells[index])
        return ProportionDifference(changes.at(index), plus, minus, cells, cells=cells)
