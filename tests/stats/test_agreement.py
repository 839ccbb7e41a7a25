"""Agreement of runs against pairs that are counted one by one, and its variance against a plain jackknife."""

from __future__ import annotations

import doctest
from itertools import combinations

import numpy as np
import pytest

from evenhand.metrics import self_consistency
from evenhand.stats import TwoWay, agreement, two_way
from evenhand.stats.agreement import AgreementInterval, RunAgreement
from evenhand.stats.differences import Apart
from evenhand.stats.proportion import proportion_interval


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Predictions of a few runs, int [J, n] with −1 where there is none, and weights."""
    rng = np.random.default_rng(seed)
    runs, n, classes = rng.integers(2, 7), rng.integers(3, 40), rng.integers(2, 5)
    predicted = rng.integers(0, classes, (runs, n))
    if seed % 2:
        predicted[rng.random((runs, n)) < 0.4] = -1
    return predicted, rng.choice([0.5, 1.0, 3.0], n)


def plain_share(predicted: np.ndarray, weight: np.ndarray) -> float:
    """The mean share of agreeing pairs, pair by pair."""
    total, value = 0.0, 0.0
    for column, one in zip(predicted.T, weight, strict=True):
        pairs = list(combinations(column[column >= 0], 2))
        if pairs:
            total += one
            value += one * sum(first == second for first, second in pairs) / len(pairs)
    return value / total if total else np.nan


@pytest.mark.parametrize("seed", range(500))
def test_the_mean_is_that_of_pairs_counted_one_by_one(seed):
    predicted, weight = drawn(seed)
    values, moves = RunAgreement.of(predicted).linear(weight)
    expected = plain_share(predicted, weight)
    np.testing.assert_allclose(values.mean(), expected, atol=1e-12)
    assert np.isnan(expected) or np.allclose(moves.sum(axis=1), 0, atol=1e-12)
    metric = self_consistency(predicted, tested=predicted >= 0, sample_weight=weight)
    np.testing.assert_allclose(metric, expected, atol=1e-12)


@pytest.mark.parametrize("seed", range(100))
def test_the_variance_over_runs_is_that_of_the_jackknife(seed):
    predicted, weight = drawn(seed)
    found, runs = RunAgreement.of(predicted), len(predicted)
    counted = np.where(np.isnan(found.share), 0.0, weight)
    values, moves = found.linear(weight)
    if not found.known_over_runs(counted):  # some run leaves no pair behind, or there are two
        assert np.isnan(values).all() or np.ptp(values) == 0
        return
    mean = two_way(values, moves, np.tile(counted / counted.sum(), (runs, 1)))
    left = np.array([plain_share(np.delete(predicted, run, axis=0), weight) for run in range(runs)])
    np.testing.assert_allclose(mean.v_seed, (runs - 1) / runs * ((left - left.mean()) ** 2).sum(), atol=1e-12)
    influence = counted / counted.sum() * (np.nan_to_num(found.share) - mean.estimate)
    units = (counted > 0).sum()
    if units > 1:
        np.testing.assert_allclose(mean.v_example, units / (units - 1) * (influence**2).sum(), atol=1e-12)


def test_with_two_classes_it_is_the_formula_of_cooper_et_al():
    ones = np.arange(8)
    predicted = (np.arange(7)[:, None] < ones).astype(int)  # of 7 runs so many predict 1
    np.testing.assert_allclose(RunAgreement.of(predicted).share, 1 - 2 * ones * (7 - ones) / (7 * 6))


def test_runs_that_agree_everywhere_have_a_consistency_of_one_without_variance():
    values, moves = RunAgreement.of(np.tile([0, 1, 2, 1], (4, 1))).linear(np.ones(4))
    assert values.tolist() == [1.0] * 4
    assert not moves.any()


def test_two_runs_show_no_variation_over_runs():
    found = RunAgreement.of([[0, 1, 1, 0], [0, 1, 0, 1]])
    assert not found.known_over_runs(np.ones(4))
    values, moves = found.linear(np.ones(4))
    mean = two_way(values, moves, np.full((2, 4), 0.25))
    assert mean.v_seed == 0
    assert mean.variance == pytest.approx(0.25 / 3)  # s²/n of 1, 1, 0, 0


def test_one_run_agrees_with_nobody():
    values, moves = RunAgreement.of([[0, 1, 1]]).linear(np.ones(3))
    assert np.isnan(values).all() and np.isnan(moves).all()


def test_the_basis_changes_contributions_and_not_the_variance():
    predicted, weight = drawn(4)
    found, runs = RunAgreement.of(predicted), len(predicted)
    other = np.random.default_rng(0).random((runs, len(weight)))
    other /= other.sum(axis=1, keepdims=True)
    plain = two_way(*found.linear(weight), np.tile(weight / weight.sum(), (runs, 1)))
    based = two_way(*found.linear(weight, other), other)
    for name in ("estimate", "v_seed", "v_example", "v_both"):
        assert getattr(based, name) == pytest.approx(getattr(plain, name))


def share(v_seed: float, runs: int = 5, estimate: float = 0.2) -> TwoWay:
    return TwoWay(estimate, v_seed + 1e-4, df=runs - 1, v_seed=v_seed, v_example=1e-4, v_both=0, runs=runs, units=400)


def test_bounds_reach_further_towards_disagreement_the_fewer_runs_there_are():
    reaches = []
    for runs in (3, 5, 10, 20):
        low, high = AgreementInterval(share(4e-4, runs), 1e9, differ=True).bounds(0.025)
        reaches.append((high - 0.2) / (0.2 - low))
    assert reaches == sorted(reaches, reverse=True)
    assert reaches[-1] > 1


def test_the_interval_of_what_agrees_mirrors_that_of_what_differs():
    low, high = AgreementInterval(share(4e-4), 2000, differ=True).bounds(0.025)
    mirrored = AgreementInterval(share(4e-4, estimate=0.8), 2000, differ=False).bounds(0.025)
    assert mirrored == pytest.approx((1 - high, 1 - low))


def test_bounds_are_never_inside_wilsons():
    for variance in (0.0, 1e-5, 1e-2):
        mean = share(variance)
        low, high = AgreementInterval(mean, 2000, differ=True).bounds(0.025)
        lower, higher = proportion_interval(mean, 2000)
        assert low <= lower and high >= higher


def test_a_difference_of_correlated_shares_is_less_uncertain_than_of_independent_ones():
    first, second = (AgreementInterval(share(4e-4, estimate=each), 2000, differ=True) for each in (0.3, 0.2))
    whole = TwoWay(0.1, 1e-5, df=4, v_seed=1e-5, v_example=0, v_both=0, runs=5, units=400)
    low, high = Apart(whole, first, second).bounds(0.05)
    near, far = Apart(whole, first, second, correlation=0.8).bounds(0.05)
    assert low < near < 0.1 < far < high
    half = whole.standard_error * 2.131847  # t of 4 degrees of freedom
    assert Apart(whole, first, first, correlation=1.0).bounds(0.05)[0] <= 0.1 - half + 1e-6
    (below, above), (least, most) = first.bounds(0.05), second.bounds(0.05)
    expected = 0.1 - np.sqrt((0.3 - below) ** 2 + (most - 0.2) ** 2 - 1.6 * (0.3 - below) * (most - 0.2))
    assert near == pytest.approx(expected)
    assert above > 0.3 and least < 0.2


def test_the_examples_run():
    assert doctest.testmod(agreement).failed == 0
