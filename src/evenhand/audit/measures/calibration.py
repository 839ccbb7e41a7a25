"""Calibration of one run in linear form; the values are those of `evenhand.metrics`.

Bins are 15 of equal width, (lo, hi], the first including 0. The form is that of the positive class where there is one
(confidence P(ŷ = 1) against the share of positives), else top-label (the largest probability against accuracy).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evenhand.audit.measures.influence import Influence, RunData, RunSubset, undefined
from evenhand.metrics import bins as binned

BINS = 15
EDGES = binned.equal_width_edges(BINS)
NO_PROBABILITIES = "only labels were predicted, no probabilities"
BELOW_ZERO = "no corrected value: the debiased squared error is below 0, no miscalibration is visible at this size"


def confidence(view: RunData) -> tuple[np.ndarray, np.ndarray]:
    """Confidence and outcome of each example, float [n]; needs probabilities."""
    probabilities = view.probabilities
    if probabilities is None:
        raise ValueError(NO_PROBABILITIES)
    if view.positive is not None:
        return probabilities[:, view.positive], view.actual.astype(float)
    return probabilities.max(axis=1), (probabilities.argmax(axis=1) == view.label).astype(float)


def bin_of(values: np.ndarray) -> np.ndarray:
    """The bin of each confidence, int."""
    return binned.bin_of(values, EDGES)


@dataclass(frozen=True)
class CalibrationError:
    """Computes a binned calibration error.

    Attributes:
        squared: the debiased squared l2 error Σ_b π_b·(gap_b² − s_b²/n_b), neither truncated nor rooted; else the
            plug-in error Σ_b π_b·|gap_b|, with the debiased squared one beside it.
    """

    squared: bool

    def __call__(self, view: RunData, place: RunSubset) -> Influence:
        binned = _binned(view, place)
        if isinstance(binned, Influence):
            return binned
        return _squared(place, *binned) if self.squared else _plug_in(place, *binned)


def _plug_in(
    place: RunSubset, gap: np.ndarray, shares: np.ndarray, bin_of_row: np.ndarray, bins: binned.Bins
) -> Influence:
    value = float(bins.error("l1"))
    influence = shares * (np.sign(bins.excess)[bin_of_row] * gap - value)
    active = np.ones(len(place.rows), dtype=bool)
    size = len(place.rows)
    return Influence(value, place.rows, influence, shares, active, size, None, float(bins.squared()))


def _squared(
    place: RunSubset, gap: np.ndarray, shares: np.ndarray, bin_of_row: np.ndarray, bins: binned.Bins
) -> Influence:
    """A bin of one example has no unbiased squared gap: it is left out and the masses of the others are scaled to 1."""
    size, value = len(place.rows), float(bins.squared())
    if math.isnan(value):
        return undefined("every bin holds at most one example", size)
    # d(value)/d(share) of an example is 2·gap_b·gap − 2·gap_b² + unbiased_b − value in a bin that is kept, else 0.
    scale = bins.kept / bins.mass[bins.kept].sum()
    slope, level = 2 * scale * bins.gap, scale * (bins.unbiased - 2 * bins.gap**2 - value)
    influence = shares * (slope[bin_of_row] * gap + level[bin_of_row])
    alone = int((bins.count == 1).sum())
    reason = f"{alone} of {size} examples are alone in a bin and left out" if alone else None
    return Influence(value, place.rows, influence, shares, np.ones(size, dtype=bool), size, None, reason=reason)


def _binned(view: RunData, place: RunSubset) -> tuple[np.ndarray, np.ndarray, np.ndarray, binned.Bins] | Influence:
    """Gap, share and bin of each example, and the bins."""
    rows = place.rows
    if view.probabilities is None:
        return undefined(NO_PROBABILITIES, len(rows))
    if not view.weight[rows].sum() > 0:
        return undefined("no test examples")
    values, outcome = confidence(view)
    gap, shares = values[rows] - outcome[rows], view.weight[rows] / view.weight[rows].sum()
    place_of = bin_of(values[rows])
    return gap, shares, place_of, binned.bin_gaps(gap, place_of, BINS, shares)
