"""A multinomial draw of cells is a bootstrap of rows; intervals against scipy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from evenhand.stats.bootstrap import (
    bca,
    bootstrap_counts,
    bootstrap_units,
    cell_shares,
    contingency,
    jackknife_counts,
    jackknife_units,
    percentile,
)


def table(seed: int = 0, n: int = 240, runs: int = 2):
    """Overlapping groups, labels, predictions."""
    rng = np.random.default_rng(seed)
    members = rng.random((n, 3)) < [0.6, 0.3, 0.15]
    label = rng.integers(0, 2, n)
    predicted = np.where(rng.random((runs, n)) < 0.8, label, 1 - label)
    return members, label, predicted


def accuracy(cells, run=0):
    """Accuracy per group as a function of counts."""
    return lambda counts: cell_shares(counts, cells.predicted[run] == cells.label, cells.members)


def test_the_cells_are_the_patterns_that_occur():
    members, label, predicted = table()
    cells = contingency(members, label, predicted)
    rows = np.column_stack([members, label, predicted.T])
    found, counts = np.unique(rows, axis=0, return_counts=True)
    ours = np.column_stack([cells.members, cells.label, cells.predicted.T])
    order = np.lexsort(ours.T[::-1])
    assert (ours[order] == found).all()
    assert (cells.counts[order] == counts).all()
    assert (ours[cells.cell] == rows).all()


def test_an_untested_example_is_a_pattern_of_its_own():
    members, label, predicted = table(runs=2)
    predicted[1, :50] = -1
    cells = contingency(members, label, predicted)
    assert cells.counts[cells.predicted[1] == -1].sum() == 50
    tested = cells.members & (cells.predicted[1] >= 0)[:, None]
    expected = [(predicted[1, 50:] == label[50:])[mask].mean() for mask in members[50:].T]
    assert cell_shares(cells.counts, cells.predicted[1] == cells.label, tested) == pytest.approx(expected)


def test_shares_of_cells_are_shares_of_rows():
    members, label, predicted = table()
    cells = contingency(members, label, predicted)
    for run in range(2):
        expected = [(predicted[run] == label)[mask].mean() for mask in members.T]
        assert accuracy(cells, run)(cells.counts) == pytest.approx(expected)


def test_a_share_without_a_base_is_undefined():
    found = cell_shares(np.array([3, 0]), np.array([True, False]), np.array([[True, False], [False, True]]))
    assert found[0] == 1.0
    assert np.isnan(found[1])


def test_the_first_two_moments_of_a_count_are_those_of_resampled_rows():
    """Means n·p and covariances of resampled sums, exact for rows; methods and seeds included."""
    members, label, predicted = table()
    cells = contingency(members, label, predicted)
    events = np.column_stack([(predicted == label).T, members]).astype(float)
    design = np.empty((len(cells.counts), events.shape[1]))
    design[cells.cell] = events
    draws = bootstrap_counts(cells.counts, lambda counts: counts @ design, 40_000, np.random.default_rng(1))
    n, mean = len(events), events.mean(axis=0)
    covariance = n * (events.T @ events / n - np.outer(mean, mean))
    error = np.sqrt(np.diag(covariance) / len(draws))
    assert (np.abs(draws.mean(axis=0) - n * mean) < 4 * error).all()
    assert np.cov(draws.T) == pytest.approx(covariance, abs=4 * np.diag(covariance).max() * np.sqrt(2 / len(draws)))


def test_the_distribution_is_that_of_the_row_bootstrap():
    """A ratio, not only sums: the accuracy of a group, whose size is drawn too."""
    stats = pytest.importorskip("scipy.stats")
    members, label, predicted = table(n=60)
    cells = contingency(members, label, predicted)
    ours = bootstrap_counts(cells.counts, accuracy(cells), 3000, np.random.default_rng(2))
    hit = predicted[0] == label
    for group in range(3):
        mask = members[:, group]
        rows = bootstrap_units(
            np.arange(60), lambda rows, m=mask: hit[rows][m[rows]].mean(), 3000, np.random.default_rng(3)
        )
        assert stats.ks_2samp(ours[:, group], rows).pvalue > 0.001


def test_draws_depend_on_the_generator_alone(monkeypatch):
    members, label, predicted = table()
    cells = contingency(members, label, predicted)
    once = bootstrap_counts(cells.counts, accuracy(cells), 50, np.random.default_rng(4))
    monkeypatch.setattr("evenhand.stats.bootstrap.BATCH", 3 * len(cells.counts))
    again = bootstrap_counts(cells.counts, accuracy(cells), 50, np.random.default_rng(4))
    assert (once == again).all()
    assert not np.array_equal(once, bootstrap_counts(cells.counts, accuracy(cells), 50, np.random.default_rng(5)))


def test_the_jackknife_over_cells_is_the_jackknife_over_rows():
    members, label, predicted = table(n=60)
    cells = contingency(members, label, predicted)
    found = jackknife_counts(cells.counts, accuracy(cells))[cells.cell]
    hit = predicted[0] == label
    for group in range(3):
        mask = members[:, group]
        rows = jackknife_units(np.arange(60), lambda rows, m=mask: hit[rows][m[rows]].mean())
        assert found[:, group] == pytest.approx(rows)


def test_whole_units_are_drawn():
    unit = np.repeat([7, 3, 9], [1, 2, 3])
    seen = []
    bootstrap_units(unit, lambda rows: seen.append(np.bincount(unit[rows], minlength=10)) or 0.0, 50, rng(0))
    counts = np.array(seen)
    assert (counts[:, 3] % 2 == 0).all() and (counts[:, 9] % 3 == 0).all()
    assert (counts[:, 7] + counts[:, 3] / 2 + counts[:, 9] / 3 == 3).all()


def test_bca_agrees_with_scipy_on_a_mean():
    """Fed with scipy's draws: the same interval to rounding."""
    stats = pytest.importorskip("scipy.stats")
    sample = np.random.default_rng(6).exponential(size=40)
    theirs = stats.bootstrap((sample,), np.mean, n_resamples=2000, method="BCa", rng=np.random.default_rng(7))
    jackknife = jackknife_units(np.arange(40), lambda rows: sample[rows].mean())
    ours = bca(sample.mean(), theirs.bootstrap_distribution, jackknife)
    assert ours == pytest.approx(tuple(theirs.confidence_interval), abs=1e-12)
    own = bootstrap_units(np.arange(40), lambda rows: sample[rows].mean(), 4000, np.random.default_rng(8))
    assert bca(sample.mean(), own, jackknife) == pytest.approx(tuple(theirs.confidence_interval), abs=0.03)


def test_bca_of_cells_is_bca_of_rows():
    """A table of counts and its rows, against scipy fed with the rows."""
    stats = pytest.importorskip("scipy.stats")
    hits = np.repeat([1.0, 0.0], [33, 7])
    theirs = stats.bootstrap((hits,), np.mean, n_resamples=2000, method="BCa", rng=np.random.default_rng(9))
    counts = np.array([33, 7])
    jackknife = jackknife_counts(counts, lambda table: table[:, 0] / table.sum(axis=1))
    found = bca(33 / 40, theirs.bootstrap_distribution, jackknife, counts)
    assert found == pytest.approx(tuple(theirs.confidence_interval), abs=1e-12)


def test_without_acceleration_and_bias_bca_is_the_percentile_interval():
    draws = np.random.default_rng(10).normal(size=5001)
    found = bca(float(np.median(draws)), draws, np.array([-1.0, 0.0, 1.0]))
    assert found == pytest.approx(np.array(percentile(draws)), abs=1e-3)


def test_bca_without_spread_does_not_exist():
    assert np.isnan(bca(1.0, np.full(100, 0.5), np.zeros(4))).all()
    assert np.isnan(bca(0.5, np.linspace(0, 1, 9), np.array([0.4, np.nan]))).all()


def test_percentiles_leave_out_draws_where_the_measure_is_undefined():
    draws = np.column_stack([np.arange(101.0), np.full(101, np.nan), np.arange(101.0)])
    draws[0, 2] = np.nan
    low, high = percentile(draws, 0.9)
    assert low == pytest.approx([5.0, np.nan, 5.95], nan_ok=True)
    assert high == pytest.approx([95.0, np.nan, 95.05], nan_ok=True)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)
