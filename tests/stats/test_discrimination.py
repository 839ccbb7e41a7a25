"""Areas and low-end rates of ROC curves: values, contributions, DeLong, the jackknife, and the null of groups."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from evenhand.metrics import membership_auc, tpr_at_fpr
from evenhand.stats.discrimination import PooledRoc, exceeds_dp, pooled_auc, pooled_rate
from evenhand.stats.permuted_curves import permuted_areas
from evenhand.stats.roc_point import pooled_tpr


def drawn(targets: int = 4, n: int = 400, leak: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    positive = rng.random((targets, n)) < 0.5
    return rng.normal(size=(targets, n)) + leak * positive, positive


def areas_by_pairs(score: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """[positives, negatives] who wins, ties a half."""
    first, second = score[positive][:, None], score[~positive][None]
    return (first > second) + 0.5 * (first == second)


def test_values_are_those_of_the_metrics():
    for seed in range(20):
        score, positive = drawn(3, 60, seed=seed)
        score = np.round(score, 1)  # ties
        mask = np.random.default_rng(seed).random(60) < 0.6
        assert pooled_auc(score, positive, mask).estimate == pytest.approx(membership_auc(score, positive, where=mask))
        for threshold_mask in (mask, np.ones(60, dtype=bool)):
            found = pooled_tpr(score, positive, 0.1, mask, threshold_mask)
            called = called_in_random_order(score, positive, mask, threshold_mask, 0.1)
            assert found.estimate == pytest.approx(called, abs=0.004)


def called_in_random_order(score, positive, mask, threshold_mask, alpha, orders=2000) -> float:
    """The share of positives before the negatives of rank α(n + 1), averaged over random orders of equal scores."""
    rng, rows = np.random.default_rng(0), np.broadcast_to(mask, score.shape)
    ours, theirs = score[rows & positive], score[np.broadcast_to(threshold_mask, score.shape) & ~positive]
    rank = alpha * (len(theirs) + 1)
    low, part = int(rank), rank - int(rank)
    shares = np.zeros(orders)
    for order in range(orders):
        turn = rng.random(len(ours) + len(theirs)) * 1e-6  # scores are rounded to tenths
        others = np.sort(theirs - turn[len(ours) :])[::-1]
        for weight, at in ((1 - part, low), (part, low + 1)):
            shares[order] += weight * (ours - turn[: len(ours)] > others[at - 1]).mean()
    return float(shares.mean())


def test_a_constant_score_has_the_rate_of_guessing():
    """Every order of equal scores is as likely: what is called is a random α of all."""
    positive = np.arange(700)[None] < 400
    found = pooled_tpr(np.zeros((1, 700)), positive, 0.01)
    assert found.estimate == pytest.approx(0.01)
    low, high = found.interval()
    assert low < 0.01 < high


def test_the_rate_is_that_of_the_papers_between_its_neighbouring_thresholds():
    score, positive = drawn(1, 2000)
    found = pooled_tpr(score, positive, 0.01).estimate
    n = int((~positive).sum())
    fewer, more = (
        tpr_at_fpr(score, positive, (k + 0.5) / n).true_positive_rate
        for k in (math.floor(0.01 * n) - 2, math.ceil(0.01 * n) + 1)
    )
    assert fewer <= found <= more


def test_units_of_several_examples_widen_the_interval_of_a_rate():
    """Each example ten times: the threshold rests on a tenth of the rows."""
    score, positive = drawn(1, 500)
    ten = pooled_tpr(np.repeat(score, 10, axis=1), np.repeat(positive, 10, axis=1), 0.02)
    unit = np.repeat(np.arange(500), 10)
    summed = ten.by_unit(lambda cells: np.stack([np.bincount(unit, row) for row in cells]), 500)
    alone = pooled_tpr(score, positive, 0.02)
    width, wide = (high - low for low, high in (ten.interval(), summed.interval()))
    low, high = alone.interval()
    assert wide > 2 * width and wide == pytest.approx(high - low, rel=0.1)


def test_contributions_of_an_area_are_placement_values():
    score, positive = drawn(2, 50)
    found, wins = pooled_auc(score, positive), areas_by_pairs(score, positive)
    assert found.estimate == pytest.approx(wins.mean())
    assert found.cells[positive] == pytest.approx((wins.mean(axis=1) - wins.mean()) / len(wins))
    assert found.cells[~positive] == pytest.approx((wins.mean(axis=0) - wins.mean()) / len(wins.T))
    assert found.cells.sum() == pytest.approx(0)


def test_one_target_has_the_variance_of_delong():
    score, positive = drawn(1, 3000)
    wins = areas_by_pairs(score, positive)
    delong = wins.mean(axis=1).var(ddof=1) / len(wins) + wins.mean(axis=0).var(ddof=1) / len(wins.T)
    assert pooled_auc(score, positive).two_way.variance == pytest.approx(delong, rel=2e-3)


def test_the_slope_of_the_curve_is_the_ratio_of_densities():
    """Of two normals one apart, f₁(c)/f₀(c) is exp(c − 1/2): 6.2 at 1%, and negatives move the rate by that."""
    score, positive = drawn(1, 400_000)
    found = pooled_tpr(score, positive, 0.01)
    called = ~positive & (score >= norm.isf(0.01) + 0.05)
    slope = -found.cells[called][0] * (~positive).sum() / 0.99
    assert slope == pytest.approx(math.exp(norm.isf(0.01) - 0.5), rel=0.1)
    assert found.cells.sum() == pytest.approx(0, abs=1e-9)


def test_a_threshold_of_everybody_takes_the_others_noise_in():
    score, positive = drawn(4, 600)
    mask = np.arange(600) < 100
    own, pooled = pooled_tpr(score, positive, 0.05, mask), pooled_tpr(score, positive, 0.05, mask, np.ones(600, bool))
    assert (own.cells[:, ~mask] == 0).all()
    assert (pooled.cells[:, ~mask] != 0).any()
    assert pooled.two_way.variance < own.two_way.variance


def test_equal_examples_in_every_target_are_one():
    """Each target sees the same scores and members: five targets know no more than one."""
    score, positive = drawn(1, 500)
    one, five = (pooled_auc(np.tile(score, (k, 1)), np.tile(positive, (k, 1))).two_way for k in (1, 5))
    assert five.standard_error == pytest.approx(one.standard_error, rel=0.01)


def test_a_group_without_negatives_has_no_area_and_no_interval():
    score, positive = drawn(2, 30)
    for found in (pooled_auc(score, positive, positive), pooled_tpr(score, positive, 0.01, positive)):
        assert math.isnan(found.estimate)
        assert np.isnan(found.interval()).all()
    assert math.isnan(pooled_rate(score, 0.0, np.zeros(score.shape, dtype=bool)).estimate)


def test_intervals_stay_within_0_and_1_and_have_a_width_at_the_ends():
    positive = np.random.default_rng(0).random((4, 200)) < 0.5
    low, high = pooled_auc(10.0 * positive, positive).interval()
    assert low < 1 and high == 1
    low, high = pooled_tpr(np.random.default_rng(1).normal(size=(4, 200)) - 20.0 * positive, positive, 0.01).interval()
    assert low == 0 and 0 < high < 0.05


def test_the_difference_of_an_estimate_and_itself_is_exactly_0():
    found = pooled_auc(*drawn())
    difference = found.minus(found)
    assert difference.estimate == 0 and difference.variance == 0


def test_paired_differences_are_known_better_than_unpaired_ones():
    score, positive = drawn(6, 500)
    other = score + 0.1 * np.random.default_rng(1).normal(size=score.shape)
    one, two = pooled_auc(score, positive), pooled_auc(other, positive)
    assert one.minus(two).variance < 0.1 * (one.two_way.variance + two.two_way.variance)


def test_the_jackknife_over_pairs_is_the_usual_one():
    score, positive = drawn(8, 300)
    pairs = np.arange(8) ^ 1
    found = pooled_auc(score, positive)
    without = np.array(
        [pooled_auc(np.delete(score, [p, p + 1], 0), np.delete(positive, [p, p + 1], 0)).estimate for p in (0, 2, 4, 6)]
    )
    whole = found.jackknifed(without, pairs).two_way
    assert whole.v_seed == pytest.approx(3 / 4 * ((without - without.mean()) ** 2).sum())
    assert whole.v_example == pytest.approx(found.two_way.v_example)
    assert (whole.runs, whole.estimate) == (4, found.estimate)
    by_pair = PooledRoc(found.estimate, found.cells[::2] + found.cells[1::2], found.units, found.size).two_way
    assert whole.v_both == pytest.approx(by_pair.v_both)
    # Scores that rest on no other targets: leaving a pair out is leaving out its rows.
    assert whole.v_seed == pytest.approx(by_pair.v_seed, rel=0.1)


def test_differences_of_jackknifed_estimates_are_jackknifed():
    score, positive = drawn(4, 200)
    pairs, found = np.array([1, 0, 3, 2]), pooled_auc(score, positive)
    first, second = (found.jackknifed(np.array(without), pairs) for without in ([0.7, 0.8], [0.6, 0.7]))
    assert first.minus(second).v_seed == pytest.approx(0, abs=1e-12)
    assert first.minus(found.jackknifed(np.array([0.6, 0.8]), pairs)).v_seed == pytest.approx(0.5 * 0.005)


# Differential privacy


def test_a_leak_beyond_the_promise_is_found_and_one_within_is_not():
    score, positive = drawn(8, 2000, leak=2.0)
    assert exceeds_dp(score, positive, 2.5, epsilon=1.0, delta=1e-5)
    assert not exceeds_dp(score, positive, 2.5, epsilon=6.0, delta=1e-5)


def test_no_false_positives_are_no_proof():
    """One true positive and no false one of 200: the observed ratio is infinite, and proves nothing."""
    score, positive = np.arange(400.0)[None], (np.arange(400) >= 399)[None] | (np.arange(400) < 199)[None]
    assert not exceeds_dp(score, positive, 398.5, epsilon=0.1, delta=0.0)


# Groups


def test_values_of_groups_are_those_of_each_alone():
    score, positive = drawn(3, 200)
    score = np.round(score, 1)
    members = np.random.default_rng(1).random((200, 3)) < 0.4
    rng = np.random.default_rng(2)
    areas = permuted_areas(score, positive, members, np.zeros(200, int), 3, rng)
    for group, mask in enumerate(members.T):
        assert areas.values[group] == pytest.approx(pooled_auc(score, positive, mask).estimate)
        variance = pooled_auc(score, positive, mask).two_way.v_example
        assert areas.covariance[group, group] == pytest.approx(variance)
    audited = rng.random(score.shape) < 0.7
    some = permuted_areas(score, positive, members, np.zeros(200, int), 3, rng, audited)
    assert some.values[0] == pytest.approx(pooled_auc(score, positive, audited & members[:, 0]).estimate)


def test_permuted_groups_keep_their_sizes_within_strata():
    """Groups that are strata cannot move: their values under the null are the observed ones."""
    score, positive = drawn(3, 200)
    group = np.arange(200) % 2
    found = permuted_areas(score, positive, group[:, None] == [0, 1], group, 5, np.random.default_rng(0))
    assert (found.draws == found.values).all()
    assert found.p == 1


def test_a_planted_gap_is_found_and_equal_groups_are_not():
    rng = np.random.default_rng(0)
    members = (np.arange(800) % 2)[:, None] == [0, 1]
    score, positive = drawn(8, 800)
    alike = permuted_areas(score, positive, members, np.zeros(800, int), 99, rng)
    leaky = score + 1.0 * (positive & members[:, 0])
    found = permuted_areas(leaky, positive, members, np.zeros(800, int), 99, rng)
    assert found.p == 0.01
    assert found.gap > found.gaps.max()
    assert alike.p > 0.05


def test_a_group_without_members_makes_the_gap_undefined():
    score, positive = drawn(2, 50)
    members = np.stack([np.ones(50, bool), np.zeros(50, bool)], axis=1)
    found = permuted_areas(score, positive, members, np.zeros(50, int), 2, np.random.default_rng(0))
    assert np.isnan(found.values[1]) and math.isnan(found.p) and np.isnan(found.gaps).all()


def test_the_floor_and_the_p_value_of_two_groups_agree():
    members = (np.arange(300) % 3 > 0)[:, None] == [True, False]
    for seed in range(10):
        score, positive = drawn(2, 300, leak=0.5, seed=seed)
        score = score + 0.6 * (positive & members[:, 0])
        found = permuted_areas(score, positive, members, np.zeros(300, int), 99, np.random.default_rng(seed))
        larger = int((found.gaps >= found.gap - 1e-9).sum())
        assert found.p == (1 + larger) / 100
