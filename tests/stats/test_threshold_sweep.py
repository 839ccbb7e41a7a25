"""Rates over thresholds against one threshold at a time, and against known probabilities."""

from __future__ import annotations

import doctest
from typing import get_args

import numpy as np
import pytest

from evenhand.stats import proportion_interval, sweep, threshold_sweep, two_way
from evenhand.stats.threshold_sweep import Sweep, SweptRate

THRESHOLDS = np.arange(0, 101, 5) / 100


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities of a few runs, some of them equal and some missing, with labels and weights."""
    rng = np.random.default_rng(seed)
    runs, n = rng.integers(1, 5), rng.integers(4, 50)
    probability = np.round(rng.random((runs, n)), 2)
    if seed % 2:
        probability[rng.random((runs, n)) < 0.4] = np.nan
    return probability, rng.integers(0, 2, n), rng.choice([0.5, 1.0, 2.0], n)


def at_one_threshold(rate: SweptRate, probability, label, weight, threshold, unit=None):
    """The mean over runs with its interval, from which examples each run selects."""
    known = ~np.isnan(probability)
    selected, positive = known & (probability > threshold), label == 1
    event, base = {
        "selection_rate": (selected, known),
        "true_positive_rate": (selected, known & positive),
        "false_positive_rate": (selected, known & ~positive),
        "positive_predictive_value": (np.broadcast_to(positive, known.shape), selected),
        "accuracy": (selected == positive, known),
    }[rate]
    weights = weight * base
    size = weights.sum(axis=1, keepdims=True)
    if not (size > 0).all():
        return np.nan, np.nan, np.nan
    values = (weights * event).sum(axis=1) / size[:, 0]
    moves, shares = weights * (event - values[:, None]) / size, weights / size
    if unit is not None:
        together = np.arange(unit.max() + 1) == unit[:, None]
        moves, shares = moves @ together, shares @ together
    mean = two_way(values, moves, shares, clustered=unit is not None)
    if np.isnan(mean.variance):
        return mean.estimate, np.nan, np.nan
    return mean.estimate, *proportion_interval(mean, len(values) ** 2 / (shares**2).sum())


@pytest.mark.parametrize("seed", range(100))
@pytest.mark.parametrize("rate", get_args(SweptRate))
def test_every_threshold_has_the_interval_that_it_has_alone(rate, seed):
    probability, label, weight = drawn(seed)
    found = sweep(probability, label, THRESHOLDS, weight=weight)[rate]
    plain = [at_one_threshold(rate, probability, label, weight, threshold) for threshold in THRESHOLDS]
    for name, expected in zip(("value", "low", "high"), zip(*plain, strict=True), strict=True):
        np.testing.assert_allclose(getattr(found, name), expected, atol=1e-11)


@pytest.mark.parametrize("rate", get_args(SweptRate))
def test_units_are_resampled_together(rate):
    rng = np.random.default_rng(0)
    probability, label, unit = rng.random((3, 60)), rng.integers(0, 2, 60), rng.integers(0, 15, 60)
    found = sweep(probability, label, THRESHOLDS, unit=unit)[rate]
    alone = sweep(probability, label, THRESHOLDS)[rate]
    np.testing.assert_allclose(found.value, alone.value)
    for index in (4, 10, 16):
        expected = at_one_threshold(rate, probability, label, np.ones(60), THRESHOLDS[index], unit)
        assert found.value[index] == pytest.approx(expected[0])
        assert (found.low[index], found.high[index]) == pytest.approx(expected[1:], abs=1e-9)


def everything(found: dict[SweptRate, Sweep], index: int) -> dict[str, float]:
    return {rate: float(each.value[index]) for rate, each in found.items()}


def test_at_the_ends_everybody_or_nobody_is_predicted_positive():
    found = sweep(np.array([[0.1, 0.4, 0.6, 0.9]]), np.array([0, 1, 0, 1]), np.array([0.0, 1.0]))
    assert everything(found, 0) == {
        "selection_rate": 1.0,
        "true_positive_rate": 1.0,
        "false_positive_rate": 1.0,
        "positive_predictive_value": 0.5,
        "accuracy": 0.5,
    }
    last = everything(found, 1)
    assert np.isnan(last.pop("positive_predictive_value"))  # of nobody
    assert last == {"selection_rate": 0, "true_positive_rate": 0, "false_positive_rate": 0, "accuracy": 0.5}


def test_a_probability_at_the_threshold_is_not_above_it():
    found = sweep(np.array([[0.5]]), np.array([1]), np.array([0.5]))
    assert found["selection_rate"].value.tolist() == [0.0]


def test_a_group_without_positives_has_no_true_positive_rate():
    found = sweep(np.array([[0.2, 0.7]]), np.array([0, 0]), np.array([0.5]))
    assert np.isnan(found["true_positive_rate"].value).all()
    assert found["false_positive_rate"].value.tolist() == [0.5]


def test_one_example_has_a_rate_and_no_interval():
    found = sweep(np.array([[0.7]]), np.array([1]), np.array([0.5]))["selection_rate"]
    assert found.value.tolist() == [1.0] and np.isnan(found.low).all() and np.isnan(found.high).all()


def test_the_examples_run():
    assert doctest.testmod(threshold_sweep).failed == 0
