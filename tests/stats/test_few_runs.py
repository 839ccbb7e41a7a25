"""Bounds at small levels from few runs: no part of the variance is known better than its degrees of freedom say."""

from __future__ import annotations

import numpy as np
import pytest

from evenhand.stats.contrast import TwoWay, two_way
from evenhand.stats.few_runs import FewRuns
from evenhand.stats.student_t import t_quantile

TAILS = (0.2, 0.05, 0.01, 1e-4)


def mean(v_seed=1e-4, v_example=2e-5, v_both=1e-5, runs=3, df=3.0, estimate=0.02):
    return TwoWay(estimate, max(v_seed + v_example - v_both, v_example), df, v_seed, v_example, v_both, runs, 200)


def test_bounds_are_never_inside_the_two_way_interval():
    for v_seed in (0.0, 1e-6, 1e-4):
        whole = mean(v_seed)
        for tail in TAILS:
            low, high = FewRuns(whole).bounds(tail)
            inner = whole.bounds(tail)
            assert low <= inner[0] + 1e-12 and high >= inner[1] - 1e-12


def test_runs_that_vary_alone_get_the_t_quantile_of_their_number():
    whole = mean(v_seed=1e-4, v_example=1e-5, v_both=1e-5, df=40.0)
    for tail in TAILS[1:]:
        assert FewRuns(whole).half_width(tail) == pytest.approx(t_quantile(1 - tail, 2) * 0.01)


def test_a_fixed_test_set_that_varies_alone_keeps_its_interval():
    whole = mean(v_seed=0.0, v_example=1e-4, v_both=1e-4 / 3, df=199.0)
    for tail in TAILS:
        assert FewRuns(whole).bounds(tail) == pytest.approx(whole.bounds(tail))


def test_one_run_is_left_alone():
    rng = np.random.default_rng(0)
    row = rng.normal(size=(1, 50)) / 50
    whole = two_way(np.array([0.1]), row - row.mean(), np.full((1, 50), 1 / 50))
    assert FewRuns(whole).bounds(0.01) == pytest.approx(whole.bounds(0.01))
    assert FewRuns(whole).variance == whole.variance


def test_the_p_value_agrees_with_the_bound():
    found = FewRuns(mean())
    for tail in TAILS:
        low, high = found.bounds(tail)
        assert found.p_greater(low) == pytest.approx(tail, rel=1e-6)
        assert found.p_greater(high) == pytest.approx(1 - tail)
    assert found.p_greater(found.estimate) == 0.5
    assert FewRuns(mean(estimate=1e9)).p_greater() == 1e-15


def test_without_variance_there_is_no_p_value():
    assert np.isnan(FewRuns(mean(0.0, 0.0, 0.0)).p_greater())
