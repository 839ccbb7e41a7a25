"""The level of a family's bounds: between Bonferroni's and none, one procedure for bound and p-value."""

from __future__ import annotations

import numpy as np
import pytest

from evenhand.stats import multiplicity
from evenhand.stats.contrast import two_way
from evenhand.stats.multiplicity import MaxT, correlations, max_t, unit_totals


def joint(rho: float, size: int, df: float = 40.0, draws: int = 10_000) -> MaxT:
    correlation = np.full((size, size), rho)
    np.fill_diagonal(correlation, 1.0)
    return max_t(correlation, np.full(size, df), np.random.default_rng(0), draws)


def test_one_contrast_needs_no_correction():
    found = max_t(np.ones((1, 1)), np.array([4.0]), np.random.default_rng(0))
    assert found.level(0.05) == 0.05
    assert found.adjusted(0.03) == pytest.approx(0.03)


def test_the_same_contrast_many_times_needs_no_correction():
    found = joint(1.0, 8)
    assert found.level(0.05) == pytest.approx(0.05, abs=0.004)
    assert found.adjusted(0.02) == pytest.approx(0.02, abs=0.003)


@pytest.mark.parametrize("rho", [0.0, -0.2])
def test_contrasts_that_do_not_go_together_get_bonferronis_level(rho):
    found = joint(rho, 5)
    assert found.level(0.05) == 0.05 / 5
    assert found.adjusted(np.array([0.001, 0.5])) == pytest.approx([0.005, 1.0])


def test_two_complements_get_bonferronis_level():
    """Per side: two-sided max |T| at 1 − 2α would let one of them be wrong with probability 2α."""
    correlation = np.array([[1.0, -1.0, 0.5], [-1.0, 1.0, -0.5], [0.5, -0.5, 1.0]])
    both = max_t(correlation[:2, :2], np.full(2, 30.0), np.random.default_rng(1))
    assert both.level(0.05) == 0.025
    assert max_t(correlation, np.full(3, 30.0), np.random.default_rng(1)).level(0.05) < 0.02


@pytest.mark.parametrize("rho", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("df", [2.0, 4.0, 100.0])
def test_the_level_lies_between_bonferronis_and_none(rho, df):
    for alpha in (0.01, 0.05, 0.1):
        assert alpha / 10 <= joint(rho, 10, df).level(alpha) <= alpha


def test_what_goes_together_more_is_corrected_less():
    levels = [joint(rho, 10).level(0.05) for rho in (0.0, 0.3, 0.6, 0.9, 1.0)]
    assert (np.diff(levels) > 0).all()


def test_fewer_degrees_of_freedom_are_corrected_more():
    levels = [joint(0.7, 10, df).level(0.05) for df in (2, 4, 8, 16)]
    assert (np.diff(levels) > 0).all()
    assert joint(0.7, 10, 16.0).level(0.05) == joint(0.7, 10, 5000.0).level(0.05)


def test_the_joint_distribution_is_that_of_paired_t_tests():
    """Five runs of correlated normal contrasts: the smallest p of their t tests is below the level in 5%."""
    stats = pytest.importorskip("scipy.stats")
    size, rho = 6, 0.7
    found = joint(rho, size, 4.0, draws=40_000)
    rng = np.random.default_rng(2)
    common = rng.normal(size=(40_000, 5, 1))
    runs = np.sqrt(rho) * common + np.sqrt(1 - rho) * rng.normal(size=(40_000, 5, size))
    t = runs.mean(axis=1) / (runs.std(axis=1, ddof=1) / np.sqrt(5))
    smallest = stats.t(4).sf(t).min(axis=1)
    for alpha in (0.02, 0.05, 0.2):
        assert (smallest < found.level(alpha)).mean() == pytest.approx(alpha, abs=4 * np.sqrt(2 * alpha / 40_000))


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_bound_and_p_value_cannot_disagree(rho):
    found = joint(rho, 7, 6.0)
    p = np.concatenate([10 ** np.random.default_rng(3).uniform(-6, 0, 2000), found.smallest[::500]])
    for alpha in (0.001, 0.01, 0.05, 0.2):
        assert ((found.adjusted(p) < alpha) == (p < found.level(alpha))).all()


def test_adjusted_p_values_rise_with_p():
    adjusted = joint(0.6, 9).adjusted(np.logspace(-8, 0, 500))
    assert (np.diff(adjusted) >= 0).all()
    assert adjusted[0] == pytest.approx(9e-8)
    assert adjusted[-1] == 1.0


def test_the_draws_depend_on_the_generator_alone():
    assert (joint(0.5, 4).smallest == joint(0.5, 4).smallest).all()


def test_correlations_are_those_of_overlapping_means():
    """Means over two groups of one run: |A ∩ B| / √(|A|·|B|) where the values vary alike."""
    rng = np.random.default_rng(4)
    value = rng.normal(size=40_000)
    first, second = np.arange(0, 24_000), np.arange(12_000, 40_000)
    units, totals, variances = [], [], []
    for rows in (first, second):
        own = value[rows]
        arguments = (
            np.array([own.mean()]),
            ((own - own.mean()) / len(own))[None],
            np.full((1, len(own)), 1 / len(own)),
        )
        units.append(rows)
        totals.append(unit_totals(*arguments))
        variances.append(two_way(*arguments).variance)
    found = correlations(units, totals, variances)
    assert found[0, 1] == found[1, 0] == pytest.approx(12_000 / np.sqrt(24_000 * 28_000), abs=0.02)
    assert (np.diag(found) == 1).all()


def test_what_varies_by_seed_alone_makes_no_correlation():
    """Groups without common units are taken as unrelated, however alike their runs are."""
    rng = np.random.default_rng(5)
    seed = rng.normal(size=4)
    units, totals, variances = [], [], []
    for rows in (np.arange(30), np.arange(30, 60)):
        moves = 0.01 * rng.normal(size=(4, 30))
        arguments = (seed, moves - moves.mean(axis=1, keepdims=True), np.full((4, 30), 1 / 30))
        units.append(rows)
        totals.append(unit_totals(*arguments))
        variances.append(two_way(*arguments).variance)
    assert correlations(units, totals, variances)[0, 1] == 0.0


def test_a_contrast_without_variance_goes_with_nothing():
    found = correlations([np.arange(3)] * 2, [np.zeros(3), np.array([0.1, -0.1, 0.0])], [0.0, 0.02])
    assert (found == np.eye(2)).all()


def plain_max_t(correlation: np.ndarray, df: np.ndarray, rng: np.random.Generator, draws: int) -> np.ndarray:
    """The distribution of the smallest p-value as its definition has it, a p-value for every draw and contrast."""
    special = pytest.importorskip("scipy.special")
    size = len(correlation)
    degrees = np.clip(np.floor(df), 1, multiplicity.MOST_DF)
    sums = [[round(float((row**power).sum()), 9) for power in (2, 3, 4)] for row in correlation]
    order = sorted(range(size), key=lambda place: (-degrees[place], *sums[place]))
    correlation, degrees = correlation[np.ix_(order, order)], degrees[order]
    values, vectors = np.linalg.eigh(correlation)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    squares = np.zeros((draws, size))
    for degree in range(int(degrees.max())):
        more = degrees > degree
        squares[:, more] += (rng.standard_normal((draws, size)) @ root[:, more]) ** 2
    t = rng.standard_normal((draws, size)) @ root / np.sqrt(squares / degrees)
    return np.sort(np.concatenate([special.stdtr(degrees, side).min(axis=1) for side in (t, -t)]))


def family(size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Correlations of contrasts with a part in common, and degrees of freedom from 1 to many."""
    rng = np.random.default_rng(seed)
    load = rng.uniform(0.2, 0.95, size)
    correlation = np.outer(load, load)
    np.fill_diagonal(correlation, 1.0)
    return correlation, rng.choice([1.0, 2.0, 2.7, 4.0, 9.5, 16.0, 300.0], size)


@pytest.mark.parametrize("size", [2, 7, 30])
def test_it_is_what_its_definition_says_however_often_it_is_asked(size):
    """Draws that are kept for the next family are those that the generator would give, and leave it alike."""
    for seed in (1, 2):
        correlation, df = family(size, seed)
        expected_rng, rng = np.random.default_rng(7), np.random.default_rng(7)
        for _ in range(2):
            expected = plain_max_t(correlation, df, expected_rng, 1200)
            np.testing.assert_allclose(max_t(correlation, df, rng, 1200).smallest, expected, rtol=1e-10)
            assert rng.bit_generator.state == expected_rng.bit_generator.state


@pytest.mark.parametrize("size", [3, 12])
def test_the_order_of_contrasts_moves_no_level(size):
    correlation, df = family(size, 4)
    shuffled = np.random.default_rng(0).permutation(size)
    one, other = (
        max_t(correlation[np.ix_(order, order)], df[order], np.random.default_rng(7), 1200).smallest
        for order in (np.arange(size), shuffled)
    )
    np.testing.assert_allclose(one, other, rtol=1e-9)


def test_few_draws_are_kept(monkeypatch):
    monkeypatch.setattr(multiplicity, "KEPT", 50_000)
    multiplicity._kept.clear()
    for size in (3, 4, 5, 40):
        correlation, _ = family(size, 3)
        df = np.full(size, 3.0)
        found = max_t(correlation, df, np.random.default_rng(1), 1000).smallest
        np.testing.assert_allclose(found, plain_max_t(correlation, df, np.random.default_rng(1), 1000), rtol=1e-10)
        kept = sum(array.size for arrays in multiplicity._kept.values() for array, _ in arrays)
        assert 0 < kept <= 50_000
