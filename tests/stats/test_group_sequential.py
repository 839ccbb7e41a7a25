"""Levels of planned looks in closed form, and the chance of deciding by brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t as student_t

from evenhand import InputError
from evenhand.stats import FewRuns, TwoWay, chance_of_deciding, look_levels
from evenhand.stats.contrast import degrees_of_freedom
from evenhand.stats.group_sequential import planned_paths
from evenhand.stats.power import Repeated


def contrast(estimate, v_seed, v_example=0.0, v_both=0.0, runs=5, units=1000):
    variance = max(v_seed + v_example - v_both, v_example)
    df = degrees_of_freedom(variance, v_seed, runs, units)
    return FewRuns(TwoWay(estimate, variance, df, v_seed, v_example, v_both, runs, units))


def test_levels_of_looks_are_spent_in_proportion_to_runs():
    assert look_levels([3, 5, 8, 12, 20], 0.05) == pytest.approx([0.0075, 0.005, 0.0075, 0.01, 0.02])
    assert look_levels([7], 0.05) == (0.05,)


@pytest.mark.parametrize("looks", [[2, 3, 40], [3, 5, 8, 12, 20], [5, 10], list(range(2, 30))])
def test_levels_of_looks_add_up_to_the_level(looks):
    assert sum(look_levels(looks, 0.05)) == pytest.approx(0.05)


@pytest.mark.parametrize("looks", [[], [3, 3], [5, 3], [0, 3]])
def test_looks_that_do_not_ascend_are_refused(looks):
    with pytest.raises(InputError, match="looks should be ascending numbers of runs"):
        look_levels(looks)


@pytest.mark.parametrize(("estimate", "spread"), [(0.0, 0.02), (0.02, 0.03), (0.03, 0.03), (0.05, 0.1)])
def test_the_chance_of_deciding_is_that_of_brute_force_over_runs(estimate, spread):
    """Runs vary and examples do not, so that the audit's bounds are those of a t test over runs."""
    now, looks, margin, draws = 5, [(8, 0.01), (14, 0.02)], 0.03, 20_000
    rng = np.random.default_rng(1)
    sigma = spread * np.sqrt((now - 1) / rng.chisquare(now - 1, draws))
    theta = rng.normal(estimate, sigma / math.sqrt(now))
    decided = np.zeros(draws, dtype=bool)
    squares, total = np.full(draws, (now - 1) * spread**2), np.full(draws, now * estimate)
    squares = squares + now * estimate**2
    made = now
    for runs, level in looks:
        later = rng.normal(theta[:, None], sigma[:, None], (draws, runs - made))
        total, squares, made = total + later.sum(axis=1), squares + (later**2).sum(axis=1), runs
        mean = total / runs
        half = student_t.isf(level, runs - 1) * np.sqrt((squares - runs * mean**2) / (runs - 1) / runs)
        decided |= (mean - half > 0) | (mean + half < margin)
    found = chance_of_deciding(contrast(estimate, spread**2 / now), looks, margin)
    assert found == pytest.approx(decided.mean(), abs=0.05)


def test_more_looks_give_more_chances_and_fewer_claims_fewer():
    interval = contrast(0.01, 0.02**2 / 5)
    one, two = [(8, 0.02)], [(8, 0.02), (12, 0.02)]
    assert chance_of_deciding(interval, one, 0.02) <= chance_of_deciding(interval, two, 0.02)
    either = chance_of_deciding(interval, two, 0.02)
    assert chance_of_deciding(interval, two, 0.02, two_sided=True) <= either
    assert chance_of_deciding(interval, two, 0.02, only_worse=True) <= either
    assert chance_of_deciding(interval, two, None) <= either


def test_nothing_is_decided_later_where_nothing_varies_or_no_look_is_left():
    assert chance_of_deciding(contrast(0.0, 0.0), [(8, 0.02)], 0.02) == 0
    assert chance_of_deciding(contrast(0.0, 0.001), [], 0.02) == 0


def test_the_noise_of_a_fixed_test_set_stays_and_stops_for_futility():
    """The examples' standard error is as large as the margin, and no number of runs makes it smaller."""
    assert chance_of_deciding(contrast(0.01, 1e-6, v_example=0.02**2), [(20, 0.02)], 0.02) < 0.1


@pytest.mark.parametrize("truth", [0.0, 0.02, 0.03, 0.05])
@pytest.mark.parametrize("common", [0.0, 0.3])
def test_a_planned_study_of_one_look_finds_what_repeated_studies_find(truth, common):
    """Under a margin that cannot be reached, a study of one look is decided where it is worse."""
    noise, runs, units, level = 0.002, 6, 400, 0.02
    variance = noise * (1 + (runs - 1) * common) / runs
    repeated = Repeated.with_variances(noise * (1 - common) / runs, variance, noise / runs, runs, units, level)
    expected = repeated.worse(truth)
    rng = np.random.default_rng(0)
    found = planned_paths(truth, -9.0, [(runs, units, level)], rng, noise=noise, common=common, draws=20_000)
    assert found.mean() == pytest.approx(expected, abs=0.015)


def test_a_planned_study_that_is_decided_stays_decided():
    rng = np.random.default_rng(0)
    looks = [(3, 500, 0.0075), (5, 500, 0.005), (20, 500, 0.02)]
    found = planned_paths(0.03, 0.02, looks, rng, noise=0.001, common=0.1, spread=0.01)
    assert (found[:, 1:] >= found[:, :-1]).all()
    assert 0 < found[:, 0].mean() < found[:, -1].mean()
