"""Calibration of one run in linear form.

Bins are 15 of equal width, (lo, hi], the first including 0. The form is that of the positive class where there is one
(confidence P(ŷ = 1) against the share of positives), else top-label (the largest probability against accuracy).
"""

from __future__ import annotations

import math

import numpy as np

from evenhand.audit.linear import Effect, Place, View, undefined

BINS = 15
EDGES = np.linspace(0.0, 1.0, BINS + 1)
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
    return np.searchsorted(EDGES[1:-1], values, side="left")


def plug_in_effect(view: View, place: Place) -> Effect:
    """Expected calibration error Σ_b π_b·|gap_b|, with the debiased squared error beside it."""
    found = _binned(view, place)
    if isinstance(found, Effect):
        return found
    gap, shares, bins = found
    masses = np.bincount(bins, shares, BINS)
    gaps = np.bincount(bins, shares * gap, BINS)
    value = float(np.abs(gaps).sum())
    contributions = shares * (np.sign(gaps)[bins] * gap - value)
    squared = _debiased(gap, shares, bins, masses, gaps)
    rows = place.rows
    active = np.ones(len(rows), dtype=bool)
    debiased = math.nan if squared is None else squared[0]
    return Effect(value, rows, contributions, shares, active, len(rows), None, debiased)


def squared_effect(view: View, place: Place) -> Effect:
    """Debiased squared l2 calibration error Σ_b π_b·(gap_b² − s_b²/n_b), neither truncated nor rooted.

    A bin of one example has no unbiased squared gap: it is left out and the masses of the others are scaled to 1.
    """
    found = _binned(view, place)
    if isinstance(found, Effect):
        return found
    gap, shares, bins = found
    masses, gaps = np.bincount(bins, shares, BINS), np.bincount(bins, shares * gap, BINS)
    squared = _debiased(gap, shares, bins, masses, gaps)
    if squared is None:
        return undefined("every bin holds at most one example", len(place.rows))
    value, contributions, alone = squared
    reason = f"{alone} of {len(place.rows)} examples are alone in a bin and left out" if alone else None
    active = np.ones(len(place.rows), dtype=bool)
    return Effect(value, place.rows, contributions, shares, active, len(place.rows), None, reason=reason)


def _binned(view: View, place: Place) -> tuple[np.ndarray, np.ndarray, np.ndarray] | Effect:
    rows = place.rows
    if view.probabilities is None:
        return undefined(NO_PROBABILITIES, len(rows))
    if not view.weight[rows].sum() > 0:
        return undefined("no test examples")
    values, outcome = confidence(view)
    return values[rows] - outcome[rows], view.weight[rows] / view.weight[rows].sum(), bin_of(values[rows])


def _debiased(
    gap: np.ndarray, shares: np.ndarray, bins: np.ndarray, masses: np.ndarray, gaps: np.ndarray
) -> tuple[float, np.ndarray, int] | None:
    """The debiased squared error, its contributions [k], and how many examples are alone in their bin."""
    counts = np.bincount(bins, minlength=BINS)
    kept = counts > 1
    if not kept.any():
        return None
    safe = np.where(masses > 0, masses, 1.0)
    mean = gaps / safe
    # Var of a weighted mean: Σ w²(x − x̄)²/(Σw)² · n/(n−1), which is s²/n for equal weights.
    spread = np.bincount(bins, (shares * (gap - mean[bins])) ** 2, BINS) / safe**2
    unbiased = np.where(kept, mean**2 - spread * counts / np.maximum(counts - 1, 1), 0.0)
    weights = np.where(kept, masses, 0.0) / masses[kept].sum()
    value = float(weights @ unbiased)
    inside = kept[bins]
    influence = 2 * mean[bins] * gap - 2 * mean[bins] ** 2 + unbiased[bins] - value
    contributions = np.where(inside, shares / masses[kept].sum() * influence, 0.0)
    return value, contributions, int((~inside).sum())
