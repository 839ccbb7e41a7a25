"""The debiased squared error with masses pooled over runs: against sums over pairs, its influence, its bias."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from evenhand.errors import InputError
from evenhand.metrics import (
    calibration_error_squared,
    debiased_calibration_error,
    equal_width_edges,
    expected_calibration_error,
)
from evenhand.metrics.pooled_bins import BinnedRun, SquaredError, pooled_squared_errors

BINS = 15


def of_pairs(run: BinnedRun, mass: np.ndarray) -> float:
    """Σ over ordered pairs of different units in one bin of their gaps over the bin's mass, by loops."""
    units = np.arange(len(run.gap)) if run.unit is None else run.unit
    total = pairs = 0.0
    for i, k in itertools.permutations(range(len(run.gap)), 2):
        if units[i] == units[k]:
            continue
        both = run.shares[i] * run.shares[k]
        pairs += both
        if run.bins[i] == run.bins[k]:
            total += both * run.gap[i] * run.gap[k] / mass[run.bins[i]]
    return total / pairs


def drawn(rng: np.random.Generator, n: int, bins: int = BINS, unit: np.ndarray | None = None) -> BinnedRun:
    return BinnedRun(rng.normal(size=n), rng.integers(0, bins, n), np.full(n, 1 / n), unit)


def test_thin_bins_have_the_mass_of_all_runs_without_the_example_itself():
    rng = np.random.default_rng(0)
    runs = [drawn(rng, 12) for _ in range(4)]
    count = np.bincount(np.concatenate([run.bins for run in runs]), minlength=BINS)
    mass = (count - 1) / (4 * 12 - 1)
    for run, error in zip(runs, pooled_squared_errors(runs, BINS), strict=True):
        assert error.value == pytest.approx(of_pairs(run, mass))
        assert error.influence.sum() == pytest.approx(0, abs=1e-12)


def test_runs_on_the_same_examples_count_these_once():
    rng = np.random.default_rng(1)
    bins, unit = rng.integers(0, BINS, 20), np.arange(20)
    runs = [BinnedRun(rng.normal(size=20), bins, np.full(20, 1 / 20), unit) for _ in range(3)]
    mass = (np.bincount(bins, minlength=BINS) - 1) / 19
    for run, error in zip(runs, pooled_squared_errors(runs, BINS), strict=True):
        assert error.value == pytest.approx(of_pairs(run, np.where(mass > 0, mass, 1)))
        assert error.unseen == pytest.approx((mass[bins] == 0).mean())


def test_a_full_bin_has_the_mass_of_its_run():
    rng = np.random.default_rng(2)
    runs = [drawn(rng, 60, bins=2), drawn(rng, 90, bins=2)]
    for run, error in zip(runs, pooled_squared_errors(runs, BINS), strict=True):
        (alone,) = pooled_squared_errors([run], BINS)
        assert error.value == pytest.approx(alone.value)
        assert error.influence == pytest.approx(alone.influence)


def test_pairs_of_one_unit_are_left_out():
    rng = np.random.default_rng(3)
    unit = np.repeat(np.arange(8), 3)
    run = BinnedRun(rng.normal(size=24), np.zeros(24, dtype=int), np.full(24, 1 / 24), unit)
    (error,) = pooled_squared_errors([run], BINS)
    assert error.value == pytest.approx(of_pairs(run, np.ones(BINS)))
    label, probability = rng.integers(0, 2, 24), np.full(24, 0.41)
    own = BinnedRun(probability - label, np.full(24, 6), np.full(24, 1 / 24), unit)
    names = [f"u{code}" for code in unit]
    assert calibration_error_squared(label, probability, units=names) == pytest.approx(of_pairs(own, np.ones(BINS)))
    assert debiased_calibration_error(label, probability, units=unit) >= 0


@pytest.mark.parametrize(("units", "told"), [([0, 1], "one label per example"), ([0, None, 1], "missing")])
def test_units_that_do_not_fit_are_refused(units, told):
    with pytest.raises(InputError, match=told):
        calibration_error_squared([0, 1, 1], [0.2, 0.5, 0.5], units=units)


def test_nothing_is_known_of_one_unit():
    run = BinnedRun(np.ones(3), np.zeros(3, dtype=int), np.full(3, 1 / 3), np.zeros(3, dtype=int))
    (error,) = pooled_squared_errors([run], BINS)
    assert np.isnan(error.value) and error.unseen == 1


@pytest.mark.parametrize("many", [10, 10**9])
def test_the_influence_is_that_of_leaving_a_unit_out_of_all_runs(many, monkeypatch):
    """The jackknife's variance of the mean over runs, with each run's own masses and with pooled ones."""
    monkeypatch.setattr("evenhand.metrics.pooled_bins.MANY", many)
    rng = np.random.default_rng(4)
    units, size = 600, 2
    unit = np.repeat(np.arange(units), size)
    bins = np.repeat(rng.integers(0, BINS, units), size)
    gaps = [0.3 + 0.2 * np.repeat(rng.normal(size=units), size) + 0.2 * rng.normal(size=units * size) for _ in "abc"]

    def errors(kept: np.ndarray) -> list[SquaredError]:
        shares = np.full(kept.sum(), 1 / kept.sum())
        return pooled_squared_errors([BinnedRun(gap[kept], bins[kept], shares, unit[kept]) for gap in gaps], BINS)

    influence = np.mean([np.bincount(unit, error.influence) for error in errors(unit >= 0)], axis=0)
    left = [np.mean([error.value for error in errors(unit != one)]) for one in range(units)]
    assert (influence**2).sum() == pytest.approx((units - 1) * np.var(left), rel=0.07)


@pytest.mark.parametrize(("size", "together"), [(4, 1.0), (2, 0.5), (3, 0.2)])
def test_what_units_have_in_common_is_no_miscalibration(size, together):
    rng = np.random.default_rng(5)
    values, one_by_one = [], []
    for _ in range(400):
        unit = np.repeat(np.arange(60), size)
        chance = np.repeat(rng.uniform(size=60), size)
        shared = np.repeat(rng.random(60) < together, size)
        number = np.where(shared, np.repeat(rng.random(60), size), rng.random(60 * size))
        label = (number < chance).astype(int)
        values.append(calibration_error_squared(label, chance, units=unit))
        one_by_one.append(calibration_error_squared(label, chance))
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values)) < 3.5 * error
    assert np.mean(one_by_one) > 5 * error


def test_equal_width_edges_are_the_fractions_themselves():
    """A probability of 5/6 lies in the fifth of six bins, (4/6, 5/6]."""
    for bins in range(1, 200):
        assert equal_width_edges(bins).tolist() == [place / bins for place in range(bins + 1)]
    assert expected_calibration_error([1, 0], [5 / 6, 1.0], n_bins=6) == pytest.approx((1 / 6 + 1) / 2)
