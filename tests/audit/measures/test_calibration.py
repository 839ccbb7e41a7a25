"""Calibration of one run: known values, bins, bias, and what is left out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evenhand.audit.measures.calibration import CalibrationError
from evenhand.audit.measures.run_data import BINS, RunSubset, bin_of
from run_data import everyone, view

PLUG_IN, SQUARED = CalibrationError(squared=False), CalibrationError(squared=True)


def test_the_variance_of_the_squared_calibration_error_is_that_of_its_jackknife():
    rng = np.random.default_rng(0)
    n = 1500
    probability = rng.uniform(size=n)
    label = (rng.uniform(size=n) < np.clip(probability + 0.15, 0, 1)).astype(int)
    run = view(label, label, probability)
    effect = SQUARED(run, everyone(run))
    left = [SQUARED(run, RunSubset("everyone", np.delete(np.arange(n), i))).value for i in range(0, n, 3)]
    jackknife = (n - 1) * np.var(left)
    assert (effect.influence**2).sum() == pytest.approx(jackknife, rel=0.1)


def test_the_known_calibration_errors_of_two_examples():
    binary = view([1, 1], [0, 1], [0.3, 0.7])
    assert PLUG_IN(binary, everyone(binary)).value == pytest.approx(0.5)
    top = view([1, 1], [0, 1], [0.3, 0.7], positive=None)
    assert PLUG_IN(top, everyone(top)).value == pytest.approx(0.2)


def test_the_known_calibration_error_of_one_bin_per_value():
    probability, label = [0.5, 0.5, 0.5, 0.6, 0.5, 0.6, 0.6, 0.6, 0.6], [0, 1, 0, 1, 0, 1, 1, 1, 0]
    run = view(label, label, probability)
    assert PLUG_IN(run, everyone(run)).value == pytest.approx(2 / 9)


def test_bins_are_open_below_and_closed_above():
    assert bin_of(np.array([0.0, 1 / BINS, 1 / BINS + 1e-9, 1.0])).tolist() == [0, 0, 1, BINS - 1]


def test_the_squared_error_of_calibrated_predictions_is_zero_on_average_and_the_plug_in_is_not():
    squared, plug_in = [], []
    for repetition in range(300):
        rng = np.random.default_rng(repetition)
        probability = rng.uniform(size=50)
        label = (rng.uniform(size=50) < probability).astype(int)
        run = view(label, label, probability)
        squared.append(SQUARED(run, everyone(run)).value)
        plug_in.append(PLUG_IN(run, everyone(run)).value)
    error = np.std(squared) / np.sqrt(300)
    assert abs(np.mean(squared)) < 3 * error
    assert np.mean(plug_in) == pytest.approx(0.17, abs=0.02)  # the known value at n = 50


def test_the_squared_error_subtracts_the_sample_variance_within_a_bin():
    probability, label = [0.41, 0.42, 0.43, 0.44], [0, 1, 1, 0]
    run = view(label, label, probability)
    gap = np.array(probability) - label
    assert SQUARED(run, everyone(run)).value == pytest.approx(gap.mean() ** 2 - gap.var(ddof=1) / 4)


def test_an_example_alone_in_its_bin_adds_nothing_and_that_is_said():
    run = view([0, 1, 1], [0, 1, 1], [0.41, 0.42, 0.95])
    found = SQUARED(run, everyone(run))
    gap = np.array([0.41, 0.42 - 1])
    assert found.value == pytest.approx(2 / 3 * (gap.mean() ** 2 - gap.var(ddof=1) / 2))
    assert "1 of 3 examples" in str(found.reason)
    assert found.calibration is not None
    assert found.calibration.unseen == pytest.approx(1 / 3)
    assert found.calibration.squares == pytest.approx(0.05**2 / 3)
    lonely = view([0, 1], [0, 1], [0.1, 0.9])
    assert math.isnan(SQUARED(lonely, everyone(lonely)).value)


def test_without_probabilities_there_is_no_calibration():
    run = view([0, 1], [0, 1])
    for effect in (PLUG_IN(run, everyone(run)), SQUARED(run, everyone(run))):
        assert math.isnan(effect.value)
        assert "no probabilities" in str(effect.reason)
