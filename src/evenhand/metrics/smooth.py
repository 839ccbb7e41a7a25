"""Smooth calibration error: without bins, using a kernel whose width is determined by the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from evenhand.metrics.forms import Form, pairs_of
from evenhand.metrics.labels import shares_of, weights_of

_CELLS = 2**14
"""The number of cells of [0, 1] for confidences; the rounding changes results by less than 1e−5, mostly 1e−7."""

_HALVINGS = 40


def smooth_calibration_error(
    y_true: Any,
    y_prob: Any,
    *,
    form: Form = "positive",
    labels: Sequence[Any] | None = None,
    pos_label: Any = None,
    sample_weight: Any = None,
) -> float:
    """smECE: the residuals y − p smoothed over the confidence, ∫ |Σ w·(y − p)·K_σ(t, p)| dt, at the width σ = smECE.

    K_σ is the Gaussian kernel reflected at 0 and 1. A wider kernel gives a smaller error, so exactly one width equals
    its own error, and there is nothing to choose. The measure is consistent (it goes to 0 exactly when the distance to
    the nearest calibrated predictor does) and, unlike a binned error, continuous in the probabilities.

    Args:
        y_true: labels [n].
        y_prob: [n] or [n, C].
        form, labels, pos_label: see `pairs_of` in `forms.py`; classwise is the mean over classes.
        sample_weight: float [n].

    Returns:
        nan where all weights are 0.

    Raises:
        InputError: labels, probabilities or weights that cannot be used.

    Source: Błasiok and Nakkiran (2023), "Smooth ECE"; their package relplot stops at a width within 1e−3.

    Example:
        >>> from evenhand.metrics import smooth_calibration_error
        >>> round(smooth_calibration_error([1, 1], [0.5, 0.5]), 6)
        0.5
        >>> round(smooth_calibration_error([1, 0], [0.5, 0.5]), 6)
        0.0
    """
    values, outcome = pairs_of(y_true, y_prob, form=form, labels=labels, pos_label=pos_label)
    n = values.shape[-1]
    shares = shares_of(weights_of(sample_weight, n), n)
    if np.isnan(shares).any():
        return float("nan")
    residual = (outcome - values) * shares
    return float(np.mean([_fixed_point(_spectrum(*pair)) for pair in zip(values, residual, strict=True)]))


def smoothed_error(spectrum: np.ndarray, width: float) -> float:
    """∫ |smoothed residual| for a kernel of this width, from the residuals' cosine spectrum."""
    from scipy.fft import idct

    # The Gaussian reflected at 0 and 1 is diagonal in cosines: it damps cos(kπt) by exp(−σ²k²π²/2).
    frequency = np.pi * np.arange(len(spectrum))
    smoothed = np.asarray(idct(spectrum * np.exp(-0.5 * (width * frequency) ** 2)))
    return float(np.abs(smoothed).sum())


def _spectrum(values: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """Cosine spectrum of the residuals, each divided between the two cells with the nearest centres."""
    from scipy.fft import dct

    place = values * _CELLS - 0.5
    left = np.floor(place)
    right_part = place - left
    cells = np.zeros(_CELLS)
    for cell, part in ((left, 1 - right_part), (left + 1, right_part)):
        cells += np.bincount(np.clip(cell, 0, _CELLS - 1).astype(np.int64), residual * part, _CELLS)
    return np.asarray(dct(cells))


def _fixed_point(spectrum: np.ndarray) -> float:
    """The width that equals its own error, by bisection, because the error falls as the width grows."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if smoothed_error(spectrum, middle) > middle else (low, middle)
    return low
