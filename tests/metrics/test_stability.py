"""Self-consistency and flip rates as functions of arrays."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from evenhand.errors import InputError
from evenhand.metrics import prediction_flip_rate, self_consistency, stability


def test_runs_that_draw_their_predictions_agree_with_probability_p_squared_plus_q_squared():
    rng = np.random.default_rng(0)
    p = rng.random(400)
    mean = np.mean([self_consistency(rng.random((5, 400)) < p) for _ in range(200)])
    assert mean == pytest.approx(float((p**2 + (1 - p) ** 2).mean()), abs=0.003)


def test_a_flip_rate_between_two_runs_of_a_method_is_one_minus_their_consistency():
    rng = np.random.default_rng(1)
    predicted, weight = rng.integers(0, 4, (2, 50)), rng.random(50)
    flips = prediction_flip_rate(*predicted, sample_weight=weight)
    assert flips == pytest.approx(1 - self_consistency(predicted, sample_weight=weight))


def test_examples_of_one_run_do_not_count():
    tested = np.array([[True, True, True], [True, True, False]])
    assert self_consistency([[1, 0, 1], [1, 1, 0]], tested=tested) == 0.5


def test_nothing_in_common_is_undefined_and_not_zero():
    assert np.isnan(self_consistency([[1, 0, 1]]))
    assert np.isnan(self_consistency(np.empty((3, 0))))
    assert np.isnan(prediction_flip_rate([], []))
    assert np.isnan(prediction_flip_rate([1], [0], sample_weight=[0.0]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: self_consistency([1, 0]), "needs \\[runs, examples\\]"),
        (lambda: self_consistency([[1, 0]], tested=[True]), "tested has the shape"),
        (lambda: self_consistency([[1, 0]], sample_weight=[1.0]), "sample_weight"),
        (lambda: prediction_flip_rate([1, 0], [1]), "both should be"),
        (lambda: prediction_flip_rate([1], [1], sample_weight=[-1.0]), "negative"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_the_examples_run():
    assert doctest.testmod(stability).failed == 0


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        (["1", "0"], [1, 0], "y_pred holds words and y_reference does not"),
        ([1.0, float("nan")], [1.0, 0.0], "y_pred holds missing values"),
        (["a", None], ["a", "b"], "y_pred holds missing values"),
        ([True, False], ["True", "False"], "y_reference holds words and y_pred does not"),
    ],
)
def test_predictions_of_two_kinds_or_missing_ones_do_not_flip(ours, theirs, message):
    with pytest.raises(InputError, match=message):
        prediction_flip_rate(ours, theirs)


@pytest.mark.parametrize("runs", [[["a", None], ["a", "b"]], [[1.0, float("nan")], [1.0, float("nan")]]])
def test_missing_predictions_are_not_consistent(runs):
    with pytest.raises(InputError, match="y_pred holds missing values; say in tested"):
        self_consistency(runs)
    assert self_consistency(runs, tested=[[True, False], [True, False]]) == 1


def test_rows_of_different_lengths_are_refused():
    with pytest.raises(InputError, match="y_pred has rows of different lengths"):
        self_consistency([["a", "b"], ["a"]])
