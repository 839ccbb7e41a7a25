"""Detectable effects against known numbers."""

from __future__ import annotations

import numpy as np
import pytest

from evenhand.stats.contrast import TwoWay, by_unit, two_way
from evenhand.stats.few_runs import FewRuns, Wider
from evenhand.stats.power import Repeated, detectable_by_runs, detectable_effect, minimum_detectable_effect
from evenhand.stats.proportion import Widened
from evenhand.stats.student_t import t_quantile, t_tail


def contrast(estimate, v_seed, v_example, v_both, runs=5, units=1000):
    variance = max(v_seed + v_example - v_both, v_example)
    df = max((variance / v_seed) ** 2 * (runs - 1), runs - 1)
    return TwoWay(estimate, variance, df, v_seed, v_example, v_both, runs, units)


def test_the_known_standard_errors_of_five_seeds():
    assert minimum_detectable_effect(1, 4, 0.05) == pytest.approx(3.1, abs=0.05)
    assert minimum_detectable_effect(1, 4, 0.05 / 50) == pytest.approx(8.1, abs=0.05)


@pytest.mark.parametrize(("runs", "known"), [(3, 2.30), (5, 1.36), (10, 0.85), (20, 0.58)])
def test_the_known_standard_deviations_by_number_of_runs(runs, known):
    assert detectable_by_runs(runs) == pytest.approx(known, abs=0.005)


@pytest.mark.parametrize("vary", [True, False])
def test_the_noise_that_lasts_is_that_of_the_examples(vary):
    """J/(J−1)·(V_example − V_both) is on average the variance of the examples' parts over their number, of the fixed
    test set or of the pool that new splits are drawn from."""
    runs, test, spread = 4, 50, 1.0
    pool = 4 * test if vary else test
    found = []
    for repetition in range(1500):
        rng = np.random.default_rng(repetition)
        example = spread * rng.normal(size=pool)
        values, shares, moves = np.empty(runs), np.zeros((runs, pool)), np.zeros((runs, pool))
        for run in range(runs):
            rows = rng.choice(pool, test, replace=False) if vary else np.arange(pool)
            delta = example[rows] + 0.1 * rng.normal() + 0.5 * rng.normal(size=test)
            values[run], shares[run, rows] = delta.mean(), 1 / test
            moves[run, rows] = (delta - delta.mean()) / test
        mean = two_way(values, moves, shares)
        found.append((mean.v_example - mean.v_both) * runs / (runs - 1))
    assert np.mean(found) == pytest.approx(spread**2 / pool, rel=0.1)


def test_the_extrapolation_is_what_a_longer_study_has():
    """The variance at 12 runs, from studies of 4 runs."""
    variances: dict[int, list[float]] = {4: [], 12: []}
    for repetition in range(400):
        rng = np.random.default_rng(repetition)
        for runs in (4, 12):
            delta = rng.normal(size=60) + 0.2 * rng.normal(size=(runs, 1)) + 0.5 * rng.normal(size=(runs, 60))
            values = delta.mean(axis=1)
            mean = two_way(values, (delta - values[:, None]) / 60, np.full((runs, 60), 1 / 60))
            if runs == 4:
                lasting = np.clip((mean.v_example - mean.v_both) * 4 / 3, 0, mean.variance)
                variances[4].append((mean.variance - lasting) * 4 / 12 + lasting)
            else:
                variances[12].append(mean.variance)
    assert np.mean(variances[4]) == pytest.approx(np.mean(variances[12]), rel=0.1)


@pytest.mark.parametrize("runs", [3, 5])
@pytest.mark.parametrize("fixed", [True, False])
def test_what_is_foreseen_is_what_such_studies_then_could_detect(runs, fixed):
    """Contrasts that are −1, 0 or 1 per example, on one test set or on new ones out of 1,500 examples."""
    rng = np.random.default_rng(0)
    size, differ, level, found, units = 300, 0.1, 0.05 / 8, [], 0
    for _ in range(300):
        samples = [np.arange(size)] * runs if fixed else [rng.choice(1500, size, replace=False) for _ in range(runs)]
        values = [rng.choice([-1.0, 0.0, 1.0], size, p=[differ / 2, 1 - differ, differ / 2]) for _ in samples]
        shares, moves = by_unit(samples, [np.full(size, 1 / size)] * runs, [(v - v.mean()) / size for v in values])
        whole = two_way(np.array([v.mean() for v in values]), moves, shares)
        found.append(Repeated.of(FewRuns(whole), level).smallest())
        units += whole.units / 300
    foreseen = detectable_effect(differ / size, 0.0, runs, int(units), level)
    assert foreseen == pytest.approx(np.mean(found), rel=0.08)


def test_nothing_is_foreseen_of_one_run():
    assert np.isnan(detectable_effect(0.001, 0.0, 1, 300, 0.05))


def test_where_seeds_alone_vary_the_share_is_that_of_the_noncentral_t():
    from scipy.stats import nct

    known = Repeated.with_variances(1e-4, 0.0, 0.0, 5, 1000, 0.05)
    for effect in (0.0, 0.01, 0.03, 0.05):
        exact = nct.sf(t_quantile(0.95, 4), 4, effect / 1e-2)
        assert known.worse(effect) == pytest.approx(exact, abs=0.004)
    assert known.worse(0.0) == pytest.approx(t_tail(t_quantile(0.95, 4), 4), abs=0.004)
    assert known.worse(known.smallest()) == pytest.approx(0.8)
    assert known.smallest() / 1e-2 == pytest.approx(detectable_by_runs(5) * np.sqrt(5), rel=0.01)


def test_with_many_units_and_no_seeds_the_share_is_that_of_the_normal_distribution():
    known = Repeated.with_variances(0.0, 1e-4, 0.0, 5, 10**9, 0.05)
    assert known.smallest() == pytest.approx((t_quantile(0.95, np.inf) + t_quantile(0.8, np.inf)) * 1e-2)


def test_a_harm_inside_the_margin_ends_equivalent_and_not_worse():
    precise = Repeated.with_variances(0.0, 1e-6, 0.0, 5, 10**9, 0.05)
    assert precise.worse(0.01) > 0.99
    assert precise.worse(0.01, margin=0.02) < 0.01
    assert precise.worse(0.03, margin=0.02) > 0.99


def test_an_interval_that_is_adjusted_finds_no_more_than_the_one_under_it():
    whole = contrast(0.01, 1e-6, 1e-6, 1e-6)
    plain = Repeated.of(FewRuns(whole), 0.05)
    wider = Repeated.of(Wider(FewRuns(whole), Widened(whole, 0.01)), 0.05)
    assert wider.smallest() > plain.smallest()


def test_of_one_run_each_the_detectable_effect_is_that_of_the_noise_of_the_examples():
    one = FewRuns(TwoWay(0.1, 1e-4, 9, 0, 1e-4, 0, 1, 10))
    least = one.half_width(0.05) + 0.8416 * 0.01  # the normal quantile of the power
    assert Repeated.of(one, 0.05).smallest() == pytest.approx(least, rel=0.01)
