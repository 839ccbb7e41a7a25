"""How many runs decide: the ways in which a study may go on, one by one, and by brute force."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from evenhand.stats.contrast import TwoWay, degrees_of_freedom
from evenhand.stats.differences import Apart
from evenhand.stats.few_runs import FewRuns, Wider
from evenhand.stats.paired import t_over_runs
from evenhand.stats.proportion import ProportionDifference, Widened
from evenhand.stats.runs_needed import (
    DRAWS,
    FOR_EVER,
    IDENTICAL,
    MOST_RUNS,
    ONLY_EXAMPLES,
    _draws,
    bounds_after,
    runs_needed,
)


def contrast(estimate, v_seed, v_example, v_both, runs=5, units=1000):
    variance = max(v_seed + v_example - v_both, v_example)
    df = degrees_of_freedom(variance, v_seed, runs, units)
    return TwoWay(estimate, variance, df, v_seed, v_example, v_both, runs, units)


def after(mean: TwoWay, runs: int, shift: float, ratio: float) -> TwoWay:
    """The two-way mean of one way to go on."""
    lasting = max(mean.v_example - mean.v_both, 0.0) * mean.runs / (mean.runs - 1)
    both = mean.v_both * mean.runs / runs
    seed, example = mean.v_seed * mean.runs / runs * ratio, lasting * (runs - 1) / runs + both
    return contrast(mean.estimate + shift, seed, example, both, runs, mean.units)


WHOLE = contrast(0.01, 4e-5, 5e-5, 2e-5, units=80)
PLUS, MINUS = contrast(0.03, 3e-5, 6e-5, 3e-5, units=80), contrast(0.02, 2e-5, 5e-5, 3e-5, units=80)


@pytest.mark.parametrize("runs", [6, 12, 40])
def test_bounds_of_each_way_to_go_on_are_those_of_the_interval_that_it_has(runs):
    few = ProportionDifference(WHOLE, PLUS, MINUS, 78.0)
    low, high = bounds_after(FewRuns(WHOLE), runs, 0.02)
    lower, higher = bounds_after(Wider(FewRuns(WHOLE), few), runs, 0.02)
    wide = bounds_after(Wider(FewRuns(WHOLE), Widened(WHOLE, 1 / 80)), runs, 0.02)
    shifts, ratios = _draws(5, runs)
    for place in range(0, DRAWS, 37):
        shift, ratio = shifts[place] * math.sqrt(WHOLE.v_seed * 5), ratios[place]
        plain = FewRuns(after(WHOLE, runs, shift, ratio))
        assert (low[place], high[place]) == pytest.approx(plain.bounds(0.02), rel=1e-9)
        sides = [after(PLUS, runs, shift / 2, ratio), after(MINUS, runs, -shift / 2, ratio)]
        if min(side.estimate for side in sides) > 0:
            own = ProportionDifference(plain.whole, *sides, few.most_after(runs))
            expected = Wider(plain, replace(own, units=own.units)).bounds(0.02)
            assert (lower[place], higher[place]) == pytest.approx(expected, rel=1e-9)
        expected = Wider(plain, Widened(plain.whole, 1 / 80)).bounds(0.02)
        assert (wide[0][place], wide[1][place]) == pytest.approx(expected, rel=1e-9)


def test_a_difference_of_sides_is_never_narrower_than_the_two_way_interval():
    group = Wider(FewRuns(WHOLE), ProportionDifference(WHOLE, PLUS, MINUS, 78.0))
    apart = Apart(contrast(0.01, 6e-5, 8e-5, 4e-5), group, FewRuns(contrast(0.0, 2e-5, 3e-5, 2e-5)))
    plain, wider = (bounds_after(one, 12, 0.02) for one in (FewRuns(apart.whole), Wider(FewRuns(apart.whole), apart)))
    assert (wider[0] <= plain[0] + 1e-12).all() and (wider[1] >= plain[1] - 1e-12).all()
    assert (wider[1] - wider[0]).mean() > 1.05 * (plain[1] - plain[0]).mean()


@pytest.mark.parametrize(("estimate", "runs"), [(0.02, 5), (0.03, 3)])
def test_where_runs_alone_vary_the_share_decided_is_that_of_brute_force(estimate, runs):
    """20,000 truths and deviations given the observed runs, each with its new runs and Student's t over all of them."""
    rng, deviation, most = np.random.default_rng(0), 0.03, 20
    whole = contrast(estimate, deviation**2 / runs, 0.0, 0.0, runs=runs, units=10**9)
    low, high = bounds_after(FewRuns(whole), most, 0.05)
    observed = rng.normal(size=runs)
    observed = (observed - observed.mean()) / observed.std(ddof=1) * deviation + estimate
    decided = 0
    for _ in range(20_000):
        sigma = deviation * math.sqrt((runs - 1) / rng.chisquare(runs - 1))
        later = rng.normal(estimate + sigma / math.sqrt(runs) * rng.normal(), sigma, most - runs)
        bounds = t_over_runs(np.concatenate([observed, later])).bounds(0.05)
        decided += bounds[0] > 0 or bounds[1] < 0
    assert ((low > 0) | (high < 0)).mean() == pytest.approx(decided / 20_000, abs=0.04)


def test_more_runs_cannot_remove_the_noise_of_a_fixed_test_set():
    found = runs_needed(FewRuns(contrast(0.0, 1e-8, 1e-4, 1e-4 / 5)), 0.05, 0.01)
    assert (found.runs, found.reason) == (None, ONLY_EXAMPLES)
    low, high = bounds_after(FewRuns(contrast(0.0, 1e-8, 1e-4, 0.0)), FOR_EVER, 0.05)
    assert (high - low).mean() / 2 == pytest.approx(1.646 * math.sqrt(1e-4 * 5 / 4), rel=1e-2)


def test_identical_predictions_are_never_decided_by_more_runs():
    """No run and no example differs, and the bounds are those of a group of 150 without a discordant example."""
    nothing = contrast(0.0, 0.0, 0.0, 0.0, units=150)
    interval = Wider(FewRuns(nothing), ProportionDifference(nothing, nothing, nothing, 150.0))
    assert interval.bounds(0.05)[1] > 0.01
    assert runs_needed(interval, 0.05, 0.01).reason == IDENTICAL


def test_a_clear_contrast_needs_fewer_runs_than_a_faint_one():
    clear, faint = (runs_needed(FewRuns(contrast(value, 1e-4, 1e-5, 1e-5)), 0.01, None).runs for value in (0.04, 0.025))
    assert clear is not None and faint is not None
    assert 5 < clear < faint


def test_a_stricter_family_needs_more_runs():
    one, many = (runs_needed(FewRuns(contrast(-0.02, 1e-4, 1e-5, 1e-5)), level, 0.02).runs for level in (0.05, 0.001))
    assert one is not None and many is not None
    assert one < many


def test_what_cannot_be_said_has_a_reason():
    assert "one run" in str(runs_needed(FewRuns(TwoWay(0.1, 1e-4, 9, 0, 1e-4, 0, 1, 10)), 0.05, 0.02).reason)
    faint = runs_needed(FewRuns(contrast(1e-6, 1e-4, 1e-5, 1e-5)), 0.05, None)
    assert faint.runs is None and faint.reason == f"more than {MOST_RUNS} runs would be needed"
