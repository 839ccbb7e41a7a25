"""The Brier score and its parts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evenhand.metrics import brier_decomposition, brier_score, expected_calibration_error


def drawn(seed: int, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probability = np.round(rng.uniform(size=n), 1)
    return (rng.uniform(size=n) < 0.2 + 0.5 * probability).astype(int), probability


def test_the_score_by_hand():
    assert brier_score([1, 0], [0.8, 0.3]) == pytest.approx((0.04 + 0.09) / 2)
    assert brier_score([1, 0], [[0.2, 0.8], [0.7, 0.3]]) == pytest.approx(0.04 + 0.09)
    assert brier_score([2], [[0.2, 0.3, 0.5]]) == pytest.approx(0.04 + 0.09 + 0.25)
    assert brier_score(["yes", "no"], [0.8, 0.3], pos_label="yes") == brier_score([1, 0], [0.8, 0.3])
    assert math.isnan(brier_score([1, 0], [0.8, 0.3], sample_weight=[0, 0]))


def test_with_one_bin_per_value_the_three_parts_are_all():
    label, probability = drawn(0)
    parts = brier_decomposition(label, probability, strategy="quantile", n_bins=400)
    assert parts.within == pytest.approx(0, abs=1e-12)
    assert parts.brier == pytest.approx(parts.reliability - parts.resolution + parts.uncertainty)
    assert parts.brier == pytest.approx(brier_score(label, probability))
    assert parts.uncertainty == pytest.approx(label.mean() * (1 - label.mean()))
    squared = expected_calibration_error(label, probability, strategy="quantile", n_bins=400, norm="l2") ** 2
    assert parts.reliability == pytest.approx(squared)


def test_what_varies_within_bins_is_a_part_of_its_own():
    """Stephenson et al.: the variance of the confidence within bins, less twice its covariance with the outcome."""
    rng = np.random.default_rng(1)
    probability = rng.uniform(size=500)
    label = (rng.uniform(size=500) < probability).astype(int)
    parts = brier_decomposition(label, probability, n_bins=5)
    within = 0.0
    for index in range(5):
        inside = (probability > index / 5) & (probability <= (index + 1) / 5)
        (variance, covariance), _ = np.cov(probability[inside], label[inside], ddof=0)
        within += inside.mean() * (variance - 2 * covariance)
    assert parts.within == pytest.approx(within)


def test_a_forecast_of_the_base_rate_is_reliable_and_resolves_nothing():
    parts = brier_decomposition([1, 0, 0, 0], [0.25] * 4)
    assert (parts.reliability, parts.resolution, parts.uncertainty) == (0.0, 0.0, 0.1875)
    perfect = brier_decomposition([1, 0, 0, 0], [1.0, 0.0, 0.0, 0.0])
    assert (perfect.brier, perfect.reliability, perfect.resolution) == (0.0, 0.0, 0.1875)


def test_the_parts_of_several_classes_are_summed():
    rng = np.random.default_rng(2)
    label, probability = rng.integers(0, 3, 200), rng.dirichlet(np.ones(3), 200)
    weight = rng.uniform(size=200)
    found = brier_decomposition(label, probability, sample_weight=weight)
    single = [brier_decomposition((label == c).astype(int), probability[:, c], sample_weight=weight) for c in range(3)]
    for part in ("brier", "reliability", "resolution", "uncertainty", "within"):
        assert getattr(found, part) == pytest.approx(sum(getattr(one, part) for one in single))
    assert found.brier == pytest.approx(brier_score(label, probability, sample_weight=weight))
