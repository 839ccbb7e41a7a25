"""Calibration of one run in linear form; the values are those of `evenhand.metrics`.

Bins are 15 of equal width, (lo, hi], the first including 0. The form is that of the positive class where there is one
(confidence P(ŷ = 1) against the share of positives), else top-label (the largest probability against accuracy).
"""

from __future__ import annotations

import math

import numpy as np

from evenhand.audit.measures.influence import Effect, Place, View, undefined
from evenhand.metrics import bins as binned

BINS = 15
EDGES = binned.equal_width_edges(BINS)
NO_PROBABILITIES = "only labels were predicted, no probabilities"
BELOW_ZERO = "no corrected value: the debiased squared error is below 0, no miscalibration is visible at this size"


def confidence(view: View) -> tuple[np.ndarray, np.ndarray]:
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


def plug_in_effect(view: View, place: Place) -> Effect:
    """Expected calibration error Σ_b π_b·|gap_b|, with the debiased squared error beside it."""
    found = _binned(view, place)
    if isinstance(found, Effect):
        return found
    gap, shares, place_of, bins = found
    value = float(bins.error("l1"))
    contributions = shares * (np.sign(bins.excess)[place_of] * gap - value)
    rows = place.rows
    active = np.ones(len(rows), dtype=bool)
    return Effect(value, rows, contributions, shares, active, len(rows), None, float(bins.squared()))


def squared_effect(view: View, place: Place) -> Effect:
    """Debiased squared l2 calibration error Σ_b π_b·(gap_b² − s_b²/n_b), neither truncated nor rooted.

    A bin of one example has no unbiased squared gap: it is left out and the masses of the others are scaled to 1.
    """
    found = _binned(view, place)
    if isinstance(found, Effect):
        return found
    gap, shares, place_of, bins = found
    value = float(bins.squared())
    if math.isnan(value):
        return undefined("every bin holds at most one example", len(place.rows))
    # d(value)/d(share) of an example is 2·gap_b·gap − 2·gap_b² + unbiased_b − value in a bin that is kept, else 0.
    scale = bins.kept / bins.mass[bins.kept].sum()
    slope, level = 2 * scale * bins.gap, scale * (bins.unbiased - 2 * bins.gap**2 - value)
    contributions = shares * (slope[place_of] * gap + level[place_of])
    alone = int((bins.count == 1).sum())
    reason = f"{alone} of {len(place.rows)} examples are alone in a bin and left out" if alone else None
    active = np.ones(len(place.rows), dtype=bool)
    return Effect(value, place.rows, contributions, shares, active, len(place.rows), None, reason=reason)


def _binned(view: View, place: Place) -> tuple[np.ndarray, np.ndarray, np.ndarray, binned.Bins] | Effect:
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
