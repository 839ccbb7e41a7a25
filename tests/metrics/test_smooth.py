"""Smooth calibration error: closed forms, the integral itself, and what it has over bins."""

from __future__ import annotations

import numpy as np
import pytest

from evenhand.metrics import expected_calibration_error, smooth_calibration_error
from evenhand.metrics.smooth import _spectrum, smoothed_error


def drawn(seed: int, n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probability = rng.beta(0.5, 0.7, n)
    return (rng.uniform(size=n) < probability**2).astype(int), probability


def integral(label: np.ndarray, probability: np.ndarray, width: float, points: int = 20_000) -> float:
    """∫ |mean residual × reflected Gaussian|, term by term: the images of p are 2k ± p."""
    at = (np.arange(points) + 0.5) / points
    smoothed = np.zeros(points)
    for p, y in zip(probability, label, strict=True):
        for image in (2 * k + sign * p for k in range(-3, 4) for sign in (-1, 1)):
            smoothed += (y - p) * np.exp(-0.5 * ((at - image) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    return float(np.abs(smoothed / len(label)).mean())


@pytest.mark.parametrize("confidence", [0.0, 0.3, 1.0])
def test_one_confidence_is_wrong_by_its_gap(confidence):
    """The kernel has mass 1 wherever it stands, so the error is the gap at every width."""
    assert smooth_calibration_error([1, 1, 0, 1], [confidence] * 4) == pytest.approx(abs(0.75 - confidence), abs=1e-9)


def test_two_far_confidences_are_each_wrong_by_their_gap():
    label, probability = [1] * 9 + [0] + [1] + [0] * 9, [0.8] * 10 + [0.2] * 10
    # The gaps are −.1 and .1: at the width .1 the two bumps of opposite sign cancel a little in the middle.
    found = smooth_calibration_error(label, probability)
    assert 0.0995 < found < 0.1


@pytest.mark.parametrize("width", [0.02, 0.1, 0.5])
def test_the_smoothed_error_is_the_integral(width):
    label, probability = drawn(0)
    spectrum = _spectrum(probability, (label - probability) / len(label))
    assert smoothed_error(spectrum, width) == pytest.approx(integral(label, probability, width), abs=1e-6)


def test_the_width_is_its_own_error():
    label, probability = drawn(1)
    found = smooth_calibration_error(label, probability)
    assert integral(label, probability, found) == pytest.approx(found, abs=1e-6)


def test_perfect_predictions_have_no_error():
    assert smooth_calibration_error([0, 1, 1], [0.0, 1.0, 1.0]) == 0


def test_the_classes_may_be_exchanged():
    label, probability = drawn(2)
    assert smooth_calibration_error(1 - label, 1 - probability) == pytest.approx(
        smooth_calibration_error(label, probability), abs=1e-9
    )


def test_it_is_continuous_where_a_binned_error_jumps():
    """Half at .5 and half just above, of opposite outcomes: calibrated together, and wrong by .5 in two bins."""
    label = np.repeat([0, 1], 50)
    for step, binned in ((0.0, 0.0), (1e-9, 0.5)):
        probability = np.repeat([0.5, 0.5 + step], 50)
        assert expected_calibration_error(label, probability, n_bins=10) == pytest.approx(binned, abs=1e-6)
        assert smooth_calibration_error(label, probability) < 1e-4
