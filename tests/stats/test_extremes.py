"""Slopes of expected ranges against closed forms, and what they are in the limits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evenhand.stats.extremes import pair_slopes, range_slopes

NOISE = 0.03
"""Two standard errors of a share of 512 draws, and a half."""


def normal(x: float) -> float:
    return (1 + math.erf(x / math.sqrt(2))) / 2


@pytest.mark.parametrize("difference", [0.0, 0.02, 0.05, 0.15])
def test_of_two_values_they_are_the_normal_probability_of_the_sign(difference):
    (slopes,) = range_slopes([np.array([0.5 + difference, 0.5])], [np.array([0.03, 0.04])], softness=1.0)
    assert slopes[0] == pytest.approx(2 * normal(difference / 0.05) - 1, abs=2 * NOISE)
    assert slopes[1] == -slopes[0]


def test_two_equal_values_have_no_slope():
    (slopes,) = range_slopes([np.array([0.4, 0.4])], [np.array([0.1, 0.1])])
    assert slopes.tolist() == [0, 0]


def test_of_equal_values_each_is_the_largest_as_often_as_the_smallest():
    (slopes,) = range_slopes([np.full(6, 0.3)], [np.full(6, 0.05)])
    assert np.abs(slopes).max() <= 2 * NOISE
    assert slopes.sum() == pytest.approx(0)


def test_far_apart_only_the_extremes_count():
    (slopes,) = range_slopes([np.array([0.2, 0.5, 0.9, 0.6])], [np.full(4, 0.02)])
    assert slopes.tolist() == [-1, 0, 1, 0]


def test_three_values_one_of_them_far_below():
    """The two above share the slope by the probability that each is above the other."""
    (slopes,) = range_slopes([np.array([0.1, 0.72, 0.7])], [np.array([0.01, 0.02, 0.02])], softness=1.0)
    assert slopes[0] == -1
    assert slopes[1] == pytest.approx(normal(0.02 / math.hypot(0.02, 0.02)), abs=NOISE)
    assert slopes.sum() == pytest.approx(0)


def test_the_wider_of_two_sets_has_the_slopes():
    wide, narrow = range_slopes([np.array([0.9, 0.1]), np.array([0.5, 0.4])], [np.full(2, 0.02)] * 2)
    assert wide.tolist() == [1, -1]
    assert narrow.tolist() == [0, 0]


def test_two_sets_of_the_same_width_share_the_slopes():
    first, second = range_slopes([np.array([0.7, 0.3]), np.array([0.2, 0.6])], [np.full(2, 0.02)] * 2)
    assert first[0] == pytest.approx(0.5, abs=NOISE)
    assert second[1] == pytest.approx(0.5, abs=NOISE)
    assert first[0] + second[1] == pytest.approx(1)


def test_slopes_are_derivatives_of_the_expected_range():
    """Against a difference quotient of the mean range over a million draws."""
    values, errors = np.array([0.5, 0.53, 0.46, 0.51]), np.array([0.02, 0.03, 0.015, 0.04])
    noise = errors * np.random.default_rng(0).normal(size=(1_000_000, 4))
    (slopes,) = range_slopes([values], [errors], softness=1.0)
    for place in range(4):
        step = 1e-3 * np.eye(4)[place]
        moved = np.ptp(values + step + noise, axis=1) - np.ptp(values - step + noise, axis=1)
        assert slopes[place] == pytest.approx(moved.mean() / 2e-3, abs=2 * NOISE)


@pytest.mark.parametrize("sets", [1, 2])
def test_many_pairs_at_once_have_the_slopes_of_each(sets):
    rng = np.random.default_rng(1)
    values = 0.5 + rng.choice([0.0, 0.01, 0.05, 0.3], (700, 2 * sets)) * rng.normal(size=(700, 2 * sets))
    errors = rng.uniform(0.005, 0.1, (700, 2 * sets))
    found = pair_slopes(values, errors)
    for row, value, error in zip(found, values, errors, strict=True):
        assert row.tolist() == np.concatenate(range_slopes(np.split(value, sets), np.split(error, sets))).tolist()
    assert pair_slopes(values[:0], errors[:0]).shape == (0, 2 * sets)
