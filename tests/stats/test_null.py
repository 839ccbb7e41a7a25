"""Noise floors: permuted groups against the hypergeometric distribution, redrawn outcomes, the pooled curve."""

from __future__ import annotations

import numpy as np
import pytest

from evenhand.stats import null
from evenhand.stats.null import (
    noise_floor,
    noise_floors,
    permuted_alike,
    permuted_sums,
    random_tables,
)
from evenhand.stats.redrawn import pooled_curve, redraw_outcomes

PATHS = {"tables": 0, "rows": 10**9}
"""The cost of a cell in rows that forces each way of drawing."""


def study(seed: int = 0, n: int = 90, runs: int = 3):
    """Overlapping groups, a stratum, and events that go together in the runs."""
    rng = np.random.default_rng(seed)
    members = rng.random((n, 3)) < [0.5, 0.3, 0.2]
    strata = rng.integers(0, 2, n)
    common = rng.random(n)
    events = common + 0.3 * rng.random((runs, n)) < 0.6
    return members, strata, events


@pytest.mark.parametrize("path", PATHS)
def test_sums_have_the_moments_of_a_permutation(path, monkeypatch):
    """E = n_g·ā and Cov = n_g(n − n_g)/(n(n − 1))·Σ(a − ā)(b − b̄), within each stratum and across runs."""
    monkeypatch.setattr(null, "ROWS_PER_CELL", PATHS[path])
    members, strata, events = study()
    draws = permuted_sums(members, strata, events, 20_000, np.random.default_rng(1))
    assert draws.shape == (20_000, 2, 3, 3)
    for code in range(2):
        inside = strata == code
        n, amounts = inside.sum(), events[:, inside].astype(float)
        spread = (amounts - amounts.mean(axis=1, keepdims=True)) @ (amounts - amounts.mean(axis=1, keepdims=True)).T
        for group in range(3):
            size = members[inside, group].sum()
            sums = draws[:, code, :, group]
            expected = size * (n - size) / (n * (n - 1)) * spread
            assert sums.mean(axis=0) == pytest.approx(size * amounts.mean(axis=1), abs=0.1)
            assert np.cov(sums.T) == pytest.approx(expected, abs=0.25)


def test_tables_of_two_by_two_are_hypergeometric():
    stats = pytest.importorskip("scipy.stats")
    tables = random_tables(np.array([7, 13]), np.array([9, 11]), 20_000, np.random.default_rng(2))
    seen = np.bincount(tables[:, 0, 0], minlength=8) / len(tables)
    assert seen == pytest.approx(stats.hypergeom(20, 7, 9).pmf(np.arange(8)), abs=0.015)


def test_tables_keep_their_margins():
    rows, columns = np.array([5, 0, 12, 3]), np.array([1, 9, 10])
    tables = random_tables(rows, columns, 500, np.random.default_rng(3))
    assert (tables >= 0).all()
    assert (tables.sum(axis=2) == rows).all() and (tables.sum(axis=1) == columns).all()


@pytest.mark.parametrize("path", PATHS)
def test_the_same_permutation_serves_every_run(path, monkeypatch):
    monkeypatch.setattr(null, "ROWS_PER_CELL", PATHS[path])
    members, strata, events = study(runs=1)
    draws = permuted_sums(members, strata, np.concatenate([events, events, ~events]), 200, np.random.default_rng(4))
    assert (draws[:, :, 0] == draws[:, :, 1]).all()
    sizes = np.array([members[strata == code].sum(axis=0) for code in range(2)])
    assert (draws[:, :, 0] + draws[:, :, 2] == sizes).all()


@pytest.mark.parametrize("path", PATHS)
def test_whole_patterns_are_permuted(path, monkeypatch):
    """The overlap of two groups is a group that keeps its size and lies inside both."""
    monkeypatch.setattr(null, "ROWS_PER_CELL", PATHS[path])
    members, strata, events = study()
    members = np.column_stack([members, members[:, 0] & members[:, 1], members[:, 0] | members[:, 1]])
    draws = permuted_sums(members, strata, events, 200, np.random.default_rng(5))
    assert (draws[..., 3] <= np.minimum(draws[..., 0], draws[..., 1])).all()
    assert (draws[..., 0] + draws[..., 1] == draws[..., 3] + draws[..., 4]).all()


@pytest.mark.parametrize("path", PATHS)
def test_amounts_may_be_weights(path, monkeypatch):
    monkeypatch.setattr(null, "ROWS_PER_CELL", PATHS[path])
    members, strata, events = study()
    weights = np.where(np.arange(90) % 3, 0.5, 2.0)
    draws = permuted_sums(members, strata, events * weights, 4000, np.random.default_rng(6))
    assert draws.dtype == float
    inside = strata == 1
    expected = members[inside].sum(axis=0) * (events[0] * weights)[inside].mean()
    assert draws[:, 1, 0].mean(axis=0) == pytest.approx(expected, abs=0.2)


def test_who_was_tested_is_an_amount_too():
    """Where runs test different examples, a group's size in a run is part of the draw."""
    members, _, events = study()
    tested = np.random.default_rng(7).random((3, 90)) < 0.4
    amounts = np.concatenate([events & tested, tested])
    draws = permuted_sums(members, np.zeros(90, dtype=int), amounts, 300, np.random.default_rng(8))
    assert (draws[:, 0, :3] <= draws[:, 0, 3:]).all()
    assert draws[:, 0, 3].std(axis=0).min() > 0


def test_draws_depend_on_the_generator_alone(monkeypatch):
    members, strata, events = study()
    once = permuted_sums(members, strata, events, 40, np.random.default_rng(9))
    assert (once == permuted_sums(members, strata, events, 40, np.random.default_rng(9))).all()
    assert not np.array_equal(once, permuted_sums(members, strata, events, 40, np.random.default_rng(10)))


def permuted(members: np.ndarray, amounts: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Sums [draws, M, G] by a permutation after the other, as its definition has it."""
    _, pattern = np.unique(np.packbits(members, axis=1), axis=0, return_inverse=True)
    pattern = pattern.reshape(-1)
    sizes = np.bincount(pattern)
    known = np.array([members[pattern == code][0] for code in range(len(sizes))])
    placed = known[np.repeat(np.arange(len(sizes)), sizes)]
    orders = [rng.permuted(np.arange(len(pattern))) for _ in range(draws)]
    return np.stack([amounts[:, order] @ placed.astype(float) for order in orders])


@pytest.mark.parametrize("kind", ["bits", "many bits", "counts", "weights"])
def test_permuted_rows_are_those_of_one_permutation_after_the_other(kind, monkeypatch):
    """Patterns of more than 255 rows, more than 64 amounts, and amounts that are no bits."""
    monkeypatch.setattr(null, "ROWS_PER_CELL", PATHS["rows"])
    monkeypatch.setattr(null, "SHUFFLED", 3000)
    members, _, events = study(n=1500, runs=70 if kind == "many bits" else 5)
    rng = np.random.default_rng(0)
    amounts = events * {"counts": rng.integers(0, 4, 1500), "weights": rng.random(1500)}.get(kind, True)
    found = permuted_sums(members, np.zeros(1500, dtype=int), amounts, 7, np.random.default_rng(1))[:, 0]
    expected = permuted(members, amounts, 7, np.random.default_rng(1))
    assert found == (pytest.approx(expected, rel=1e-12) if kind == "weights" else pytest.approx(expected, abs=0))


@pytest.mark.parametrize("path", [8, *PATHS.values()])
def test_parts_are_permuted_alike_and_as_each_alone(path, monkeypatch):
    monkeypatch.setattr(null, "ROWS_PER_CELL", path)
    members, _, events = study(n=400, runs=12)
    parts = [events[:1], events[1:], np.concatenate([events[:1], np.ones((1, 400), dtype=bool)]), events[2:4] * 0.5]
    known, pattern = np.unique(members, axis=0, return_inverse=True)
    found = permuted_alike(pattern.reshape(-1), known, parts, 30, lambda: np.random.default_rng(2))
    for part, sums in zip(parts, found, strict=True):
        (alone,) = permuted_alike(pattern.reshape(-1), known, [part], 30, lambda: np.random.default_rng(2))
        assert sums == pytest.approx(alone, rel=1e-12)
    assert found[0][:, 0] == pytest.approx(found[2][:, 0])


def test_of_no_rows_every_sum_is_0():
    empty = np.empty(0, dtype=int)
    (sums,) = permuted_alike(
        empty, np.ones((1, 2), dtype=bool), [np.empty((3, 0))], 4, lambda: np.random.default_rng(0)
    )
    assert sums.shape == (4, 3, 2)
    assert not sums.any()


def test_redrawn_outcomes_have_their_probabilities():
    probability = np.linspace(0, 1, 11)
    drawn = redraw_outcomes(probability, lambda outcomes: outcomes, 20_000, np.random.default_rng(11))
    assert drawn.shape == (20_000, 11)
    assert drawn.mean(axis=0) == pytest.approx(probability, abs=0.015)


def test_runs_share_the_drawn_label(monkeypatch):
    monkeypatch.setattr(null, "BATCH", 100)
    probability = np.array([[0.3, 0.9, 0.5], [0.6, 0.9, np.nan]])
    drawn = redraw_outcomes(probability, lambda outcomes: outcomes, 20_000, np.random.default_rng(12))
    both = (drawn[:, 0] & drawn[:, 1]).mean(axis=0)
    assert both == pytest.approx([0.3, 0.9, 0.0], abs=0.015)


def test_the_floor_of_a_calibrated_models_ece_is_known():
    """15 bins: .170 at 50 examples, .029 at 2,000 (uniform confidences)."""
    for n, known in [(50, 0.170), (2000, 0.029)]:
        rng = np.random.default_rng(13)
        means = []
        for _ in range(40):
            confidence = rng.random(n)
            bins = (np.minimum((confidence * 15).astype(int), 14)[:, None] == np.arange(15)) / n

            def ece(outcomes, confidence=confidence, bins=bins):
                return np.abs((confidence - outcomes) @ bins).sum(axis=1)

            means.append(noise_floor(redraw_outcomes(confidence, ece, 100, rng)).mean)
        assert np.mean(means) == pytest.approx(known, abs=0.01)


def test_the_pooled_curve_is_isotonic_regression_with_ties_together():
    isotonic = pytest.importorskip("sklearn.isotonic")
    rng = np.random.default_rng(14)
    confidence = rng.integers(0, 20, 300) / 20
    outcome = rng.random(300) < confidence**2
    weight = rng.random(300)
    expected = isotonic.IsotonicRegression().fit(confidence, outcome, weight).predict(confidence)
    assert pooled_curve(confidence, outcome, weight) == pytest.approx(expected)
    assert pooled_curve(confidence, outcome).mean() == pytest.approx(outcome.mean())


def test_examples_without_weight_do_not_shape_the_curve():
    confidence, weight = np.array([0.1, 0.5, 0.9]), np.array([1.0, 0.0, 1.0])
    assert pooled_curve(confidence, np.array([0.0, 1.0, 1.0]), weight) == pytest.approx([0.0, 0.5, 1.0])


def test_a_floor_is_made_of_the_draws_where_the_measure_exists():
    floor = noise_floor(np.array([np.nan, 0.0, 0.1, 0.2]))
    assert floor.mean == pytest.approx(0.1)
    assert floor.high == pytest.approx(0.19)
    none = noise_floor(np.full(4, np.nan))
    assert np.isnan(none.mean) and np.isnan(none.high)


def test_floors_of_many_measures_are_those_of_each():
    rng = np.random.default_rng(15)
    draws = rng.normal(size=(50, 3, 4))
    draws[rng.random(draws.shape) < [0.0, 0.3, 0.97, 1.0]] = np.nan
    draws[:1, :, 2] = 0.5
    mean, high = noise_floors(draws)
    for place in np.ndindex(3, 4):
        alone = noise_floor(draws[:, *place])
        assert (mean[place], high[place]) == pytest.approx((alone.mean, alone.high), rel=1e-12, nan_ok=True)
