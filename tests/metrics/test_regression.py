"""Errors of predicted numbers: closed forms, weights, and what is undefined."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evenhand import metrics
from evenhand.errors import InputError

MEASURES = (
    metrics.mean_absolute_error,
    metrics.mean_error,
    metrics.root_mean_squared_error,
    metrics.r2_score,
)


def test_errors_of_three_numbers_by_hand():
    label, predicted = [1.0, 2.0, 3.0], [1.0, 4.0, 2.0]  # errors 0, 2, −1; squared distances from the mean add up to 2
    assert [measure(label, predicted) for measure in MEASURES] == pytest.approx([1, 1 / 3, math.sqrt(5 / 3), 1 - 5 / 2])


@pytest.mark.parametrize("measure", MEASURES)
def test_a_weight_of_two_is_an_example_twice(measure):
    twice = measure([1.0, 1.0, 2.0, 4.0], [2.0, 2.0, 2.0, 1.0])
    assert measure([1.0, 2.0, 4.0], [2.0, 2.0, 1.0], sample_weight=[2, 1, 1]) == pytest.approx(twice)


def test_r2_of_equal_labels_is_undefined():
    assert math.isnan(metrics.r2_score([2.0, 2.0, 2.0], [2.0, 2.0, 2.0]))
    assert math.isnan(metrics.r2_score([2.0, 2.0, 5.0], [2.0, 3.0, 5.0], sample_weight=[1, 1, 0]))


@pytest.mark.parametrize("measure", MEASURES)
def test_nothing_of_weight_is_undefined(measure):
    assert math.isnan(measure([], []))
    assert math.isnan(measure([1.0, 2.0], [1.0, 3.0], sample_weight=[0, 0]))


@pytest.mark.parametrize("measure", MEASURES)
def test_bad_numbers_are_refused(measure):
    with pytest.raises(InputError, match="one prediction per label"):
        measure([1.0, 2.0], [1.0])
    with pytest.raises(InputError, match="y_pred holds a value that is not a finite number"):
        measure([1.0, 2.0], [1.0, np.inf])
