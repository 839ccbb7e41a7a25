"""Areas in linear form: values, derivatives, DeLong's variance, the jackknife, and their intervals."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from evenhand.stats import FewRuns, TwoWay, pooled_auc, two_way
from evenhand.stats.ranking import (
    LogitInterval,
    SkewedInterval,
    distance_in_units,
    placements,
    precision_area,
    roc_area,
)

AREAS = [roc_area, precision_area]


def drawn(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores with ties, who is positive, and weights."""
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < 0.4
    positive[:2] = True, False
    score = np.round(rng.normal(size=n) + positive, 1)
    return score, positive, rng.choice([0.5, 1.0, 2.0], n)


@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize("seed", range(20))
def test_influences_are_derivatives_by_weight_and_sum_to_0(area, seed):
    score, positive, weight = drawn(seed)
    _, influence = area(score, positive, weight)
    step = 1e-6
    for index in range(0, len(score), 7):
        moved = weight.copy()
        moved[index] *= 1 + step
        less = weight.copy()
        less[index] *= 1 - step
        slope = (area(score, positive, moved)[0] - area(score, positive, less)[0]) / (2 * step)
        assert influence[index] == pytest.approx(slope, abs=1e-8)
    assert influence.sum() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("area", AREAS)
def test_ranks_serve_as_scores(area):
    score, positive, weight = drawn(3)
    ranks = np.unique(score, return_inverse=True)[1]
    for one, other in zip(area(score, positive, weight), area(ranks, positive, weight), strict=True):
        assert one == pytest.approx(other)


@pytest.mark.parametrize("area", AREAS)
def test_the_variance_is_that_of_the_jackknife(area):
    score, positive, _ = drawn(5, n=900)
    value, influence = area(score, positive, np.ones(900))
    without = np.empty(900)
    for index in range(900):
        kept = np.arange(900) != index
        without[index] = area(score[kept], positive[kept], np.ones(899))[0]
    jackknife = 899 / 900 * ((without - without.mean()) ** 2).sum()
    assert two_way(np.array([value]), influence[None], np.full((1, 900), 1 / 900)).variance == pytest.approx(
        jackknife, rel=0.02
    )


def test_influences_are_the_placement_values_of_pooled_areas():
    score, positive, _ = drawn(1)
    pooled = pooled_auc(score[None], positive[None])
    area, influence = roc_area(score, positive, np.ones(60))
    assert area == pooled.estimate
    assert influence == pytest.approx(pooled.cells[0])
    assert placements(np.array([1.0, 2.0]), np.array([1.0, 1.5, 3.0])).tolist() == pytest.approx([1 / 6, 2 / 3])


def test_delongs_variance_by_its_own_formula():
    """S₁₀/n₁ + S₀₁/n₀ from the structural components, with n/(n − 1) of the rarer class for both."""
    score, positive, _ = drawn(2)
    first, second = score[positive], score[~positive]
    wins = (first[:, None] > second[None]) + 0.5 * (first[:, None] == second[None])
    n, m = wins.shape
    delong = wins.mean(axis=1).var(ddof=1) / n + wins.mean(axis=0).var(ddof=1) / m
    _, influence = roc_area(score, positive, np.ones(60))
    found = two_way(np.array([wins.mean()]), influence[None], np.full((1, 60), 1 / 60), known=min(n, m))
    assert found.df == min(n, m) - 1
    assert found.variance == pytest.approx(delong, rel=0.02)
    assert found.variance >= delong


@pytest.mark.parametrize("weights", [np.ones(5), np.array([0.3, 0.7, 1.1, 2.3, 0.9])])
def test_perfect_and_reversed_orders_have_exactly_1_and_0(weights):
    positive = np.array([True, True, False, False, False])
    assert roc_area(np.array([5, 4, 3, 2, 1]), positive, weights)[0] == 1.0
    assert roc_area(np.array([1, 2, 3, 4, 5]), positive, weights)[0] == 0.0
    assert np.abs(roc_area(np.array([5, 4, 3, 2, 1]), positive, weights)[1]).max() < 1e-15


def area(estimate: float = 0.9, variance: float = 0.0004, df: float = 99, runs: int = 1) -> TwoWay:
    return TwoWay(estimate, variance, df, 0.0, variance, 0.0, runs, df + 1)


def test_the_distance_of_a_rate_rests_on_its_events():
    """.1 of 200 are 20 events: distance²/V = .01/(.1·.9/200) = 20/.9."""
    assert distance_in_units(area(0.1, 0.09 / 200)) == pytest.approx(20 / 0.9)
    assert distance_in_units(area(1.0, 0.0)) == 0
    assert distance_in_units(area(0.5, 0.0)) == math.inf


def test_logit_intervals_stay_inside_and_are_longer_towards_one_half():
    low, high = LogitInterval(area(), 0.0).bounds(0.025)
    assert 0 < low < 0.9 < high < 1
    assert 0.9 - low > high - 0.9
    odds = [math.log(bound / (1 - bound)) for bound in (low, high)]
    assert sum(odds) / 2 == pytest.approx(math.log(9))
    wider = LogitInterval(area(), 0.02).bounds(0.025)
    assert wider[0] < low and wider[1] > high
    assert LogitInterval(area(0.999, 0.01), 0.0).bounds(1e-9)[0] >= 0


def test_a_sum_of_areas_is_taken_per_area():
    one = LogitInterval(area(), 0.01)
    both = LogitInterval(replace(area(), estimate=1.8, variance=0.0016, v_example=0.0016), 0.02).over(2)
    assert both.bounds(0.05) == pytest.approx(one.bounds(0.05))


def test_skewed_intervals_are_longer_to_the_side_of_the_skew_and_never_shorter():
    plain = FewRuns(area(0.0)).bounds(0.05)
    even = SkewedInterval(area(0.0), 0.0, 0.0).bounds(0.05)
    assert even == pytest.approx(plain)
    skewed = SkewedInterval(area(0.0), 0.0, 4e-6).bounds(0.05)
    assert skewed[0] == pytest.approx(plain[0])
    assert skewed[1] > plain[1]
    mirrored = SkewedInterval(area(0.0), 0.0, -4e-6).bounds(0.05)
    assert mirrored == pytest.approx((-skewed[1], -skewed[0]))


@pytest.mark.parametrize("interval", [LogitInterval(area(), 0.01), SkewedInterval(area(0.03), 0.01, 2e-6)])
def test_p_values_are_the_tails_at_which_bounds_reach_the_null(interval):
    for tail in (0.2, 0.05, 0.001):
        low, high = interval.bounds(tail)
        assert interval.p_greater(low) == pytest.approx(tail, rel=1e-4)
        assert interval.p_greater(high) == pytest.approx(1 - tail, rel=1e-4)


def test_one_misplaced_example_never_decides_alone():
    """Two models that differ in one example: the interval of their difference includes 0."""
    rng = np.random.default_rng(0)
    positive = np.arange(200) < 60
    score = rng.normal(size=200) + 1.5 * positive
    worse = score.copy()
    worse[0] = score.min() - 1
    (first, ours), (second, theirs) = (roc_area(one, positive, np.ones(200)) for one in (score, worse))
    whole = two_way(np.array([first - second]), (ours - theirs)[None], np.full((1, 200), 1 / 200), known=60)
    low, high = SkewedInterval.of(whole, ours - theirs).bounds(0.05)
    assert low < 0 < first - second < high
