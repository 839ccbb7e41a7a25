"""Who gained an outcome between two methods, and who lost it, on which intervals of changes of rates rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evenhand.stats.contrast import TwoWay, by_unit, two_way
from evenhand.stats.multiplicity import unit_totals
from evenhand.stats.proportion import FEW, ProportionDifference, agreement
from evenhand.stats.rate_changes import Moved, RateChange, cluster_step
from evenhand.stats.subset_rows import Rows
from evenhand.stats.subsets import RatioSums, levels


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
    uneven: bool,
) -> ProportionDifference | RateChange:
    """The interval of a change of a rate: for few discordant units, or for many.

    Args:
        whole: the change with its two-way variance.
        units: by run int [k], codes of the resampling units.
        weights: by run float [k], Σ = 1.
        values: float [J], the change in each run.
        changes: by run float [k], the influences.
        uneven: whether units may count for different weights; see `RunInfluences.uneven`.
    """
    signs = [
        np.rint(np.divide(change, weight, out=np.zeros_like(change), where=weight > 0) + value)
        for change, weight, value in zip(changes, weights, values, strict=True)
    ]
    shares, changed = by_unit(units, weights, [np.abs(part) for part in signs])
    few = int((changed > 0).any(axis=0).sum()) < FEW
    parts, units_with = [], []
    for side in (1, -1):
        events = [part == side for part in signs]
        units_with.append(by_unit(units, [event.astype(float) for event in events])[0] > 0)
        means = np.array([float(weight @ event) for weight, event in zip(weights, events, strict=True)])
        influence = [weight * (event - mean) for weight, event, mean in zip(weights, events, means, strict=True)]
        (summed,) = by_unit(units, influence)
        parts.append(two_way(means, summed, shares, uneven))
    if few:
        together = agreement(units_with, shares > 0)
        return ProportionDifference(whole, parts[0], parts[1], kish(shares), repeats(shares), together)
    cells = len(weights) ** 2 / sum(float((weight**2).sum()) for weight in weights)
    step = 0.0
    if uneven:
        (summed,) = by_unit(units, changes)
        step = cluster_step(unit_totals(values, summed, shares))
    return RateChange(whole, (Moved(parts[0], parts[1], cells),), step)


class GainsAndLosses:
    """Who gained an outcome and who lost it, in many subsets of independent examples at once.

    Args:
        first, second: what each example adds with the one and with the other method, of one base.
        masks: [S, R], 1 for the members of each subset.
    """

    def __init__(self, first: RatioSums, second: RatioSums, masks: np.ndarray):
        base = first.weight
        moved = first.numerator - second.numerator
        self.shares = [levels(RatioSums(np.maximum(sign * moved, 0.0), base), masks, False) for sign in (1, -1)]
        rows = Rows.of([base], base > 0, np.ones(len(base), dtype=bool), None)
        size, squares = rows.sums(masks, [base, base**2])
        with np.errstate(divide="ignore", invalid="ignore"):
            self.cells = base.shape[1] ** 2 / (squares / size**2).sum(axis=1)

    def at(self, index: int) -> Moved:
        """Those of one subset."""
        plus, minus = (share.at(index) for share in self.shares)
        return Moved(plus, minus, float(self.cells[index]))
