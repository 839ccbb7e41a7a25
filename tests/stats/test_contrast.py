"""The two-way clustered interval against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from evenhand.stats.contrast import by_unit, compact, count_distinct, degrees_of_freedom, from_cells, two_way, unpaired
from evenhand.stats.student_t import t_quantile


def study(runs=4, units=30, seed=0):
    """δ_ij of a fixed sample, and its two_way."""
    rng = np.random.default_rng(seed)
    delta = rng.normal(size=(runs, units)) + rng.normal(size=units) + 0.5 * rng.normal(size=(runs, 1))
    values = delta.mean(axis=1)
    contributions = (delta - values[:, None]) / units
    return delta, two_way(values, contributions, np.full((runs, units), 1 / units))


def test_the_variance_is_that_of_cameron_gelbach_and_miller():
    delta, found = study()
    runs, units = delta.shape
    r, total = delta - delta.mean(), delta.size
    v_seed = runs / (runs - 1) * (r.sum(axis=1) ** 2).sum() / total**2
    v_example = units / (units - 1) * (r.sum(axis=0) ** 2).sum() / total**2
    v_both = (r**2).sum() / total**2
    assert found.v_seed == pytest.approx(v_seed)
    assert found.v_example == pytest.approx(v_example)
    assert found.v_both == pytest.approx(v_both)
    assert found.variance == pytest.approx(max(v_seed + v_example - v_both, v_example))
    assert found.df == pytest.approx(min(max((found.variance / v_seed) ** 2 * (runs - 1), runs - 1), units - 1))


def test_v_seed_is_the_variance_of_the_runs_over_their_number():
    delta, found = study()
    assert found.v_seed == pytest.approx(delta.mean(axis=1).var(ddof=1) / 4)


def test_one_run_has_the_variance_of_its_examples():
    delta, _ = study(runs=1)
    mean = delta.mean()
    found = two_way(np.array([mean]), (delta - mean) / 30, np.full((1, 30), 1 / 30))
    assert found.variance == pytest.approx(delta.var(ddof=1) / 30)
    assert found.df == 29


def test_runs_without_spread_leave_the_noise_of_the_examples():
    rng = np.random.default_rng(1)
    psi = rng.normal(size=50)
    psi -= psi.mean()
    found = two_way(np.full(5, 0.3), np.tile(psi / 50, (5, 1)), np.full((5, 50), 1 / 50))
    assert found.variance == pytest.approx(found.v_example) == pytest.approx(psi.var(ddof=1) / 50)
    assert found.df == 49


def test_runs_on_units_of_their_own_and_of_unequal_number():
    """New units in every run: V_both takes out what V_seed holds already, and V is about that of the runs."""
    rng = np.random.default_rng(2)
    sizes = [20, 30, 50]
    runs = [rng.normal(size=size) for size in sizes]
    values = np.array([run.mean() for run in runs])
    units = [np.arange(20), np.arange(20, 50), np.arange(50, 100)]
    shares, moves = by_unit(
        units,
        [np.full(size, 1 / size) for size in sizes],
        [(run - value) / len(run) for run, value in zip(runs, values, strict=True)],
    )
    found = two_way(values, moves, shares)
    assert found.estimate == pytest.approx(values.mean())
    assert found.v_seed == pytest.approx(values.var(ddof=1) / 3)
    assert found.v_example == pytest.approx(found.v_both * 100 / 99)
    assert found.units == 100


def test_units_are_clusters_of_rows():
    """Doubling every example inside its unit changes nothing."""
    rng = np.random.default_rng(3)
    values, rows = rng.normal(size=2), rng.normal(size=(2, 10))
    rows -= rows.mean(axis=1, keepdims=True)
    units, weight = [np.arange(10)] * 2, [np.full(10, 0.1)] * 2
    once = two_way(values, *reversed(by_unit(units, weight, list(rows / 10))))
    doubled = [np.repeat(unit, 2) for unit in units]
    half = [np.repeat(one, 2) / 2 for one in weight]
    twice = two_way(values, *reversed(by_unit(doubled, half, [np.repeat(row, 2) / 20 for row in rows])))
    assert twice.variance == pytest.approx(once.variance)
    assert twice.units == 10


def test_degrees_of_freedom_lie_between_runs_and_units():
    assert degrees_of_freedom(1.0, 1.0, 5, 100) == 4
    assert degrees_of_freedom(2.0, 1.0, 5, 100) == 16
    assert degrees_of_freedom(0.5, 1.0, 5, 100) == 4
    assert degrees_of_freedom(100.0, 1.0, 5, 100) == 99
    assert degrees_of_freedom(1.0, 0.0, 5, 100) == 99
    assert degrees_of_freedom(1.0, 1.0, 5, 3) == 2


def test_one_unit_has_no_variance():
    found = from_cells(0.1, np.zeros((3, 1)), 1)
    assert np.isnan(found.variance)


def test_the_p_value_agrees_with_the_bound():
    _, found = study(seed=4)
    for tail in (0.2, 0.05, 0.001):
        low, high = found.bounds(tail)
        assert found.p_greater(low) == pytest.approx(tail)
        assert found.p_greater(high) == pytest.approx(1 - tail)
    assert found.interval(0.9) == pytest.approx(found.bounds(0.05))


def test_without_variance_there_is_no_p_value():
    found = two_way(np.zeros(3), np.zeros((3, 10)), np.full((3, 10), 0.1))
    assert found.interval() == (0.0, 0.0)
    assert np.isnan(found.p_greater())


def test_unpaired_variances_add_as_welch_has_it():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(5)
    a, b = rng.normal(1.0, 1, size=12), rng.normal(0, 2, size=15)

    def mean(sample):
        n = len(sample)
        return two_way(np.array([sample.mean()]), ((sample - sample.mean()) / n)[None], np.full((1, n), 1 / n))

    found = unpaired(mean(a), mean(b))
    welch = stats.ttest_ind(a, b, equal_var=False, alternative="greater")
    assert found.df == pytest.approx(welch.df)
    assert found.p_greater() == pytest.approx(welch.pvalue)


def test_compact_is_unique():
    rng = np.random.default_rng(6)
    dense, sparse = rng.integers(0, 10, 200), rng.integers(0, 100_000, 200)
    for codes in (dense, sparse, np.sort(dense), np.unique(sparse), dense[:0]):
        found, place = compact(codes)
        expected, where = np.unique(codes, return_inverse=True)
        assert (found == expected).all()
        assert (place == where).all()


def test_codes_of_several_arrays_are_counted_once():
    codes = np.array([4, 1, 4, 9])
    assert count_distinct([codes]) == count_distinct([codes, codes.copy()]) == 3
    assert count_distinct([codes, np.array([1, 2])]) == 4
    assert count_distinct([codes[:0], codes[:0]]) == 0


def test_the_normal_quantile_is_the_limit():
    assert t_quantile(0.975, np.inf) == pytest.approx(1.959964, abs=1e-6)
    assert t_quantile(0.975, 4) == pytest.approx(2.776445, abs=1e-6)


@pytest.mark.parametrize("codes", [[3, 7, 9, 12], [9, 3, 12, 7], [9, 3, 9, 7]])
def test_sums_by_unit_are_the_same_whether_runs_share_their_sample_or_not(codes):
    """One sample for all runs is sorted once, and where each unit is one row nothing is summed."""
    rng = np.random.default_rng(7)
    units, values = [np.array(codes)] * 3, list(rng.normal(size=(3, 4)))
    (found,) = by_unit(units, values)
    names = sorted(set(codes))
    assert found.shape == (3, len(names))
    for run in range(3):
        for place, name in enumerate(names):
            assert found[run, place] == sum(v for code, v in zip(codes, values[run], strict=True) if code == name)
    (apart,) = by_unit([*units, np.array([1])], [*values, np.array([0.0])])
    assert (apart[:3, 1:] == found).all()
