"""Tests of paired differences against scipy, statsmodels and counting by hand."""

from __future__ import annotations

import numpy as np
import pytest

from evenhand.errors import InputError
from evenhand.stats.paired import (
    agresti_min,
    corrected_resampled_t,
    mcnemar,
    sign_flip,
    t_over_runs,
)


@pytest.mark.parametrize(("runs", "least"), [(3, 0.125), (4, 0.0625), (5, 0.03125)])
def test_the_sign_flip_p_cannot_be_below_its_least(runs, least):
    assert sign_flip(np.arange(1, runs + 1)) == least
    assert sign_flip(-np.arange(1.0, runs + 1)) == 1.0
    assert sign_flip(np.arange(1.0, runs + 1), "two-sided") == 2 * least


@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
def test_sign_flips_agree_with_scipys_permutation_test(alternative):
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    for runs in (2, 3, 5, 8):
        first, second = rng.normal(size=(2, runs))
        theirs = stats.permutation_test(
            (first, second), lambda a, b: np.mean(a - b), permutation_type="samples", alternative=alternative
        )
        assert sign_flip(first - second, alternative) == pytest.approx(theirs.pvalue)


def test_ties_count_whatever_the_order_of_the_additions():
    """.1 + .2 and .2 + .1 are one sum: three equal differences have one sign vector above all others."""
    assert sign_flip(np.array([0.1, 0.1, 0.1])) == 0.125
    assert sign_flip(np.array([0.1, 0.2, -0.3])) == sign_flip(np.array([1.0, 2.0, -3.0])) == 5 / 8


def test_runs_without_a_difference_say_nothing():
    assert sign_flip(np.zeros(4)) == 1.0
    assert sign_flip(np.array([1.0, 0.0, 2.0])) == sign_flip(np.array([1.0, 2.0])) == 0.25


def test_many_runs_need_a_generator_and_agree_with_t():
    values = np.random.default_rng(1).normal(0.4, 1, size=24)
    with pytest.raises(InputError, match="generator"):
        sign_flip(values)
    found = sign_flip(values, "greater", np.random.default_rng(2), 20_000)
    assert found == sign_flip(values, "greater", np.random.default_rng(2), 20_000)
    assert found == pytest.approx(t_over_runs(values).p_greater(), abs=0.01)
    assert sign_flip(np.full(20, 1.0), "greater", np.random.default_rng(3), 999) == pytest.approx(1 / 1000)


def test_t_over_runs_is_scipys():
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(4).normal(0.3, 1, size=6)
    found = t_over_runs(values)
    assert found.p_greater(0.1) == pytest.approx(stats.ttest_1samp(values, 0.1, alternative="greater").pvalue)
    assert found.interval(0.9) == pytest.approx(tuple(stats.ttest_1samp(values, 0).confidence_interval(0.9)))


def test_the_corrected_t_is_wider_by_the_overlap_of_training_sets():
    """Nadeau and Bengio: (1/J + n_test/n_train)·s²; at 20% tested and five runs √(1 + 5/4) times as wide."""
    values = np.random.default_rng(5).normal(size=5)
    plain, corrected = t_over_runs(values), corrected_resampled_t(values, 200, 800)
    assert corrected.standard_error == pytest.approx(1.5 * plain.standard_error)
    assert (corrected.estimate, corrected.df) == (plain.estimate, 4)
    with pytest.raises(InputError, match="not of 200 and 0"):
        corrected_resampled_t(values, 200, 0)


def test_one_run_has_no_interval_and_equal_runs_have_no_p():
    assert np.isnan(t_over_runs(np.array([0.1])).interval()).all()
    assert np.isnan(t_over_runs(np.array([0.1])).p_greater())
    assert np.isnan(t_over_runs(np.array([0.1, 0.1])).p_greater())


def test_mcnemar_of_counts_by_hand():
    """Five of six discordant pairs: (1 + 6)/64 on one side."""
    assert mcnemar(5, 1, "greater") == pytest.approx(7 / 64)
    assert mcnemar(1, 5, "less") == pytest.approx(7 / 64)
    assert mcnemar(5, 1, "less") == pytest.approx(63 / 64)
    assert mcnemar(5, 1) == pytest.approx(14 / 64)
    assert mcnemar(0, 0) == mcnemar(3, 3) == 1.0


def test_agresti_min_of_the_papers_table():
    """Wald on cells of one half more each."""
    low, high = agresti_min(16, 4, 100)
    p, q, n = 16.5 / 102, 4.5 / 102, 102
    half = 1.959963984540054 * np.sqrt((p + q - (p - q) ** 2) / n)
    assert (low, high) == pytest.approx((p - q - half, p - q + half))
    assert agresti_min(4, 16, 100) == pytest.approx((-high, -low))
    low, high = agresti_min(0, 0, 40)
    assert low == -high and high > 0.04
    assert agresti_min(3, 0, 3)[1] == 1.0
