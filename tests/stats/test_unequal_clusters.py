"""The variance of unequal clusters: the jackknife by hand, and Bell and McCaffrey's degrees of freedom by matrices."""

from __future__ import annotations

import numpy as np
import pytest

from evenhand.stats.contrast import two_sides, two_way
from evenhand.stats.unequal_clusters import UnitFactors

SIZES = np.array([30, 15, 10, 7, 6, 5, 4, 3])


def sample(sizes: np.ndarray, runs: int = 1, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values [J], contributions [J, U] and shares [J, U] of means of clusters, and their sums."""
    rng = np.random.default_rng(seed)
    sums = sizes * rng.normal(size=(runs, len(sizes)))
    values = sums.sum(axis=1) / sizes.sum()
    shares = np.tile(sizes / sizes.sum(), (runs, 1))
    return values, sums / sizes.sum() - values[:, None] * shares, shares


def test_the_variance_is_the_sum_of_squared_changes_when_a_cluster_is_left_out():
    values, contributions, shares = sample(SIZES)
    sums = contributions[0] * SIZES.sum() + values[0] * SIZES
    without = [(sums.sum() - own) / (SIZES.sum() - size) for own, size in zip(sums, SIZES, strict=True)]
    expected = (1 - shares.min()) * ((np.array(without) - values[0]) ** 2).sum()
    assert two_way(values, contributions, shares, clustered=True).variance == pytest.approx(expected)


def test_degrees_of_freedom_are_those_of_the_quadratic_form():
    """Tr(GᵀG)² / Tr((GᵀG)²), where the columns of G are residual maker times adjusted cluster, row by row."""
    cluster = np.repeat(np.arange(len(SIZES)), SIZES)
    n = len(cluster)
    maker = np.eye(n) - np.ones((n, n)) / n
    columns = [maker @ (cluster == unit) / np.sqrt(1 - SIZES[unit] / n) for unit in range(len(SIZES))]
    gram = np.array(columns) @ np.array(columns).T
    expected = np.trace(gram) ** 2 / (gram**2).sum()
    assert UnitFactors.of((SIZES / n)[None]).units - 1 == pytest.approx(expected)


@pytest.mark.parametrize("units", [2, 3, 15, 400])
def test_units_of_one_size_have_the_usual_factor_and_degrees_of_freedom(units):
    found = UnitFactors.of(np.full((3, units), 1 / units))
    assert (found.factor, found.units) == pytest.approx((units / (units - 1), units))
    nearly = np.full(units, 1 / units) + 1e-4 / units * np.linspace(-1, 1, units)
    close = UnitFactors.of(nearly[None])
    np.testing.assert_allclose(close.factor, found.factor, rtol=1e-3)
    assert close.units == pytest.approx(units, rel=1e-3)


def test_new_splits_of_units_of_one_size_are_no_unequal_clusters():
    shares = np.zeros((3, 10))
    for run, tested in enumerate(([0, 1, 2, 3], [2, 3, 4, 5], [0, 7, 8, 9])):
        shares[run, tested] = 0.25
    assert UnitFactors.of(shares).units == 9  # unit 6 is never tested


def test_one_large_cluster_leaves_few_degrees_of_freedom():
    sizes = np.array([200] + [10] * 14)
    assert UnitFactors.of((sizes / sizes.sum())[None]).units < 4
    assert np.isnan(UnitFactors.of(np.ones((2, 1))).factor)


def test_each_side_of_a_difference_has_its_own_clusters():
    group, rest = sample(SIZES, 3, 1), sample(np.full(60, 4), 3, 2)
    nothing = [np.zeros((3, len(part[0]))) for part in (rest[1], group[1])]

    def cells(part):
        values, contributions, shares = part
        return ((values - values.mean())[:, None] * shares + contributions) / 3

    first, second = np.hstack([cells(group), nothing[0]]), np.hstack([nothing[1], cells(rest)])
    shares = np.hstack([group[2], nothing[0]]), np.hstack([nothing[1], rest[2]])
    counts = UnitFactors.of(shares[0]), UnitFactors.of(shares[1])
    found = two_sides(0.0, first, second, counts, 68)
    parts = [two_way(*part, clustered=True).v_example for part in (group, rest)]
    assert found.v_example == pytest.approx(sum(parts))
    assert found.units <= counts[0].units + 60
