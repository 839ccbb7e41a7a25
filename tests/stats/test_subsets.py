"""Subsets all at once against a plain loop over them."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from evenhand.stats import subset_rows, subsets
from evenhand.stats.contrast import TwoWay, degrees_of_freedom, many_degrees_of_freedom, two_sides, two_way
from evenhand.stats.subsets import (
    RatioSums,
    changes,
    gap_changes,
    gap_sums,
    gaps,
    levels,
)

ROWS = 240


def linear(sums: RatioSums, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One subset's values [J], and contributions and shares [J, units], row by row and summed to units."""
    y, n = (np.asarray(part, dtype=float)[mask].T for part in (sums.numerator, sums.weight))
    size = n.sum(axis=1, keepdims=True)
    values = np.divide(y.sum(axis=1, keepdims=True), size, out=np.full_like(size, np.nan), where=size > 0)
    unit = np.arange(len(mask)) if sums.unit is None else np.unique(sums.unit, return_inverse=True)[1]
    sides = []
    size[size == 0] = np.nan
    for part in ((y - values * n) / size, n / size):
        by_unit = np.zeros((len(values), unit.max() + 1))
        np.add.at(by_unit.T, unit[mask], part.T)
        sides.append(by_unit)
    return values[:, 0], sides[0], sides[1]


def pair(first: RatioSums, second: RatioSums | None, mask: np.ndarray):
    """The arguments of `two_way`; of a paired contrast the shares are the first's."""
    values, moves, shares = linear(first, mask)
    if second is None:
        return values, moves, shares
    others, against, _ = linear(second, mask)
    return values - others, moves - against, shares


def one_gap(first: RatioSums, second: RatioSums | None, mask: np.ndarray, rest: np.ndarray) -> TwoWay:
    """A gap or gap change from the contributions of both sides, each with what its runs are off by."""
    means, cells, present = [], [], []
    for side in (mask, rest):
        values, moves, shares = pair(first, second, side)
        means.append(values.mean())
        cells.append(((values - values.mean())[:, None] * shares + moves) / len(values))
        present.append((shares > 0).any(axis=0))
    counts = int(present[0].sum()), int(present[1].sum())
    return two_sides(float(means[0] - means[1]), cells[0], cells[1], counts, int((present[0] | present[1]).sum()))


def overlapping(rng: np.random.Generator, rows: int = ROWS) -> np.ndarray:
    """Small and large subsets, some that share most of their rows, a partition in two and one in many."""
    share = rng.choice([0.04, 0.1, 0.2, 0.3, 0.5, 0.9], size=(16, 1))
    kind, half = rng.integers(0, 7, rows), rng.integers(0, 2, rows)
    masks = [rng.random((16, rows)) < share, kind == np.arange(7)[:, None], half == np.arange(2)[:, None]]
    return np.concatenate([*masks, np.ones((1, rows), dtype=bool)])


def study(
    runs: int = 4,
    rows: int = ROWS,
    seed: int = 0,
    weighted: bool = True,
    split: bool = True,
    unit: np.ndarray | None = None,
    common: bool = True,
) -> tuple[RatioSums, RatioSums]:
    """Outcomes of two methods; weights are the same for both where `common`, else each counts rows of its own."""
    rng = np.random.default_rng(seed)
    weight = np.broadcast_to(rng.uniform(0.3, 2.0, (rows, 1)) if weighted else np.ones((rows, 1)), (rows, runs))
    if split:
        weight = weight * (rng.random((rows, runs)) < 0.6)
    ease = rng.random((rows, 1))
    found = []
    for shift in (0.0, 0.1):
        outcome = rng.random((rows, runs)) < 0.4 + 0.5 * ease - shift
        own = weight if common else weight * (rng.random((rows, runs)) < 0.7)
        found.append(RatioSums(own * outcome, own, unit))
    return found[0], found[1]


def clusters(seed: int = 1, rows: int = ROWS) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, rows // 3, rows) * 7 + 3


DESIGNS = {
    "new split": {},
    "fixed split": {"split": False},
    "without weights": {"weighted": False, "split": False},
    "one run": {"runs": 1},
    "clusters": {"unit": clusters()},
    "clusters, fixed split": {"unit": clusters(), "split": False},
    "pairs in order": {"unit": np.repeat(np.arange(ROWS // 2), 2)},
    "rows as units": {"unit": np.random.default_rng(2).permutation(ROWS)},
}
WEIGHTS = {"same weights": True, "weights of their own": False}


def same(found: subsets.TwoWays, subset: int, expected: TwoWay) -> None:
    one = found.at(subset)
    for name in ("estimate", "variance", "df", "v_seed", "v_example", "v_both"):
        least = 1e-15 if name == "estimate" else 1e-18  # two means of about 1 may cancel
        assert getattr(one, name) == pytest.approx(getattr(expected, name), rel=1e-12, abs=least, nan_ok=True), name
    assert (one.runs, one.units) == (expected.runs, expected.units)


@pytest.fixture(params=["at once", "block by block"])
def way(request, monkeypatch):
    """Sums hold in blocks of any size."""
    if request.param == "block by block":
        monkeypatch.setattr(subset_rows, "BLOCK", 700)


@pytest.mark.parametrize("design", DESIGNS.values(), ids=list(DESIGNS))
@pytest.mark.usefixtures("way")
def test_levels_are_those_of_a_loop(design):
    sums, _ = study(**design)
    masks = overlapping(np.random.default_rng(3))
    found = levels(sums, masks)
    for place, mask in enumerate(masks):
        same(found, place, two_way(*linear(sums, mask)))


@pytest.mark.parametrize("common", WEIGHTS.values(), ids=list(WEIGHTS))
@pytest.mark.parametrize("design", DESIGNS.values(), ids=list(DESIGNS))
@pytest.mark.usefixtures("way")
def test_changes_are_those_of_a_loop(design, common):
    first, second = study(**design, common=common)
    masks = overlapping(np.random.default_rng(4))
    found = changes(first, second, masks)
    for place, mask in enumerate(masks):
        same(found, place, two_way(*pair(first, second, mask)))


@pytest.mark.parametrize("design", DESIGNS.values(), ids=list(DESIGNS))
@pytest.mark.usefixtures("way")
def test_each_run_by_itself_has_the_noise_of_its_examples(design):
    sums, _ = study(**design)
    masks = overlapping(np.random.default_rng(5))
    found = levels(sums, masks)
    for place, mask in enumerate(masks):
        for run in range(sums.numerator.shape[1]):
            values, moves, shares = (part[[run]] for part in linear(sums, mask))
            expected = two_way(values, moves, shares)
            assert found.values[place, run] == pytest.approx(expected.estimate, rel=1e-12)
            assert found.of_runs[place, run] == pytest.approx(expected.variance, rel=1e-12, nan_ok=True)
            assert found.units_of_runs[place, run] == expected.units


def rests_of(kind: str, masks: np.ndarray) -> np.ndarray:
    """Everyone else; everyone; another subset that overlaps."""
    return {"complement": ~masks, "everyone": np.ones_like(masks), "another": np.roll(masks, 1, axis=0)}[kind]


@pytest.mark.parametrize("rest", ["complement", "everyone", "another"])
@pytest.mark.parametrize("design", DESIGNS.values(), ids=list(DESIGNS))
@pytest.mark.usefixtures("way")
def test_gaps_are_those_of_a_loop(design, rest):
    sums, _ = study(**design)
    masks = overlapping(np.random.default_rng(6))[:-1]
    rests = rests_of(rest, masks)
    found = gaps(sums, masks, rests).whole
    for place, sides in enumerate(zip(masks, rests, strict=True)):
        same(found, place, one_gap(sums, None, *sides))


@pytest.mark.parametrize("common", WEIGHTS.values(), ids=list(WEIGHTS))
@pytest.mark.parametrize("rest", ["complement", "everyone", "another"])
@pytest.mark.parametrize("design", DESIGNS.values(), ids=list(DESIGNS))
def test_gap_changes_are_those_of_a_loop_and_the_difference_of_two_gaps(design, rest, common):
    first, second = study(**design, common=common)
    masks = overlapping(np.random.default_rng(7))[:-1]
    rests = rests_of(rest, masks)
    own = masks, rests
    found = gap_changes(first, second, *own).whole
    apart = gaps(first, *own).whole.values - gaps(second, *own).whole.values
    np.testing.assert_allclose(found.values, apart, rtol=1e-11, atol=1e-14)
    for place, sides in enumerate(zip(masks, rests, strict=True)):
        same(found, place, one_gap(first, second, *sides))


@pytest.mark.parametrize("rest", ["complement", "another"])
@pytest.mark.parametrize("design", DESIGNS.values(), ids=list(DESIGNS))
def test_sums_of_gaps_are_gap_changes_against_the_negative_of_a_ratio(design, rest):
    first, second = study(**design)
    masks = overlapping(np.random.default_rng(16))[:-1]
    sides = masks, rests_of(rest, masks)
    negative = RatioSums(-second.numerator, second.weight, second.unit)
    found, expected = gap_sums(first, second, *sides).whole, gap_changes(first, negative, *sides).whole
    for name in ("values", "variance", "df", "v_seed", "v_example", "v_both"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9, atol=1e-16)


@pytest.mark.parametrize("design", DESIGNS.values(), ids=list(DESIGNS))
def test_the_sides_of_a_gap_change_are_the_changes_in_the_group_and_in_its_rest(design):
    first, second = study(**design)
    masks = overlapping(np.random.default_rng(17))[:-1]
    found = gap_changes(first, second, masks, ~masks)
    for side, own in ((found.inside, masks), (found.outside, ~masks)):
        expected = changes(first, second, own)
        for name in ("values", "variance", "df", "of_runs", "units"):
            np.testing.assert_allclose(getattr(side, name), getattr(expected, name), rtol=1e-9, atol=1e-16)


@pytest.mark.parametrize("design", DESIGNS.values(), ids=list(DESIGNS))
def test_the_gram_matrix_of_gaps_has_their_variances_and_mirrored_groups_go_against_each_other(design):
    sums, _ = study(**design)
    mask = overlapping(np.random.default_rng(18))[7:8]
    both = np.concatenate([mask, ~mask])
    found = gaps(sums, both, ~both).whole
    np.testing.assert_allclose(np.diag(found.gram), found.v_example, rtol=1e-9)
    np.testing.assert_allclose(found.gram[0, 1], -found.v_example[0], rtol=1e-9)


def test_a_gap_of_two_large_samples_is_one_of_all_their_units():
    """The plain clustered variance of the difference, but for each side's U/(U − 1)."""
    first, _ = study(rows=20_000, seed=8)
    mask = np.random.default_rng(8).random(20_000) < 0.5
    found = gaps(first, mask[None], ~mask[None]).whole.at(0)
    a, b = (linear(first, side) for side in (mask, ~mask))
    plain = two_way(a[0] - b[0], a[1] - b[1], (a[2] + b[2]) / 2)
    assert found.estimate == pytest.approx(plain.estimate)
    assert found.v_seed == pytest.approx(plain.v_seed)
    assert found.variance == pytest.approx(plain.variance, rel=1e-3)
    assert found.units == pytest.approx(plain.units, rel=2e-3)


def test_a_gap_of_a_small_group_has_the_degrees_of_freedom_of_the_group():
    rng = np.random.default_rng(9)
    y = rng.normal(size=(1012, 1))
    mask = np.arange(1012) < 12
    found = gaps(RatioSums(y, np.ones_like(y)), mask[None], ~mask[None]).whole.at(0)
    assert found.variance == pytest.approx(y[:12].var(ddof=1) / 12 + y[12:].var(ddof=1) / 1000)
    stats = pytest.importorskip("scipy.stats")
    welch = stats.ttest_ind(y[:12, 0], y[12:, 0], equal_var=False)
    assert found.df == np.floor(welch.df)


def test_degrees_of_freedom_of_many_are_those_of_each():
    rng = np.random.default_rng(10)
    variance, v_seed = rng.random(50), rng.random(50) * (rng.random(50) < 0.7)
    units = rng.integers(1, 60, 50)
    for runs in (1, 2, 5):
        found = many_degrees_of_freedom(variance, v_seed, runs, units)
        assert found.tolist() == [
            degrees_of_freedom(*one, runs, int(u)) for *one, u in zip(variance, v_seed, units, strict=True)
        ]


def test_a_subset_in_which_nothing_varies_has_no_variance_at_all():
    """Not a rounding error's: a verdict asks whether the interval has a width."""
    rng = np.random.default_rng(11)
    weight = rng.uniform(0.1, 3.0, (ROWS, 1)) * np.ones((ROWS, 4)) * (rng.random((ROWS, 4)) < 0.7)
    right = rng.random((ROWS, 4)) < 0.5
    right[: 3 * ROWS // 4] = True
    masks = np.array([np.arange(ROWS) < 3 * ROWS // 4, np.arange(ROWS) < 20])
    sums = RatioSums(weight * right, weight)
    for found in (levels(sums, masks), changes(sums, sums, masks)):
        assert found.variance.tolist() == found.v_seed.tolist() == [0, 0]
    assert levels(sums, masks).estimate.tolist() == [1, 1]
    own = gaps(sums, masks, masks).whole
    assert own.variance.tolist() == own.estimate.tolist() == [0, 0]


def test_values_far_from_zero_that_hardly_vary_keep_their_digits():
    rng = np.random.default_rng(12)
    y = 1e4 + rng.normal(size=(ROWS, 3))
    masks = overlapping(rng)
    found = levels(RatioSums(y, np.ones_like(y)), masks)
    for place, mask in enumerate(masks):
        expected = two_way(*linear(RatioSums(y - 1e4, np.ones_like(y)), mask))
        assert found.v_example[place] == pytest.approx(expected.v_example, rel=1e-9)
        assert found.v_both[place] == pytest.approx(expected.v_both, rel=1e-9)


@pytest.mark.filterwarnings("error")
def test_a_ratio_that_is_undefined_in_some_run_is_nan():
    sums, other = study(seed=13)
    weight = sums.weight.copy()
    weight[: ROWS // 2, 1] = 0
    undefined = RatioSums(sums.numerator * (weight > 0), weight)
    masks = np.array([np.arange(ROWS) < ROWS // 2, np.arange(ROWS) < 5, np.zeros(ROWS, dtype=bool), np.ones(ROWS) > 0])
    own, rests = masks, ~masks
    whole = masks[[3, 3, 3, 3]]
    for found in (
        levels(undefined, own),
        changes(undefined, other, own),
        gaps(undefined, own, whole).whole,
        gap_changes(undefined, other, own, whole).whole,
    ):
        assert np.isnan(found.estimate).tolist() == [True, True, True, False]
        assert np.isnan(found.variance).tolist() == [True, True, True, False]
    assert np.isnan(gaps(undefined, own, rests).whole.estimate).tolist() == [True, True, True, True]
    assert np.isnan(levels(undefined, own).values[0]).tolist() == [False, True, False, False]


def test_one_unit_has_no_variance():
    sums, other = study(unit=np.where(np.arange(ROWS) < 30, 0, np.arange(ROWS)))
    mask = np.arange(ROWS) < 30
    own, rest = mask[None], ~mask[None]
    for found in (levels(sums, own), changes(sums, other, own), gaps(sums, own, rest).whole):
        assert np.isfinite(found.estimate[0])
        assert np.isnan(found.variance[0])


def test_rows_that_no_run_tests_change_nothing():
    """A rate of the positives has weights of positives only."""
    sums, other = study(unit=clusters())
    masks = overlapping(np.random.default_rng(14))
    kept = np.random.default_rng(15).random(ROWS) < 0.3
    alone = [RatioSums(one.numerator[kept], one.weight[kept], one.unit[kept]) for one in (sums, other)]
    within = [RatioSums(one.numerator * kept[:, None], one.weight * kept[:, None], one.unit) for one in (sums, other)]
    few, many = changes(*alone, masks[:, kept]), changes(*within, masks)
    np.testing.assert_allclose(few.variance, many.variance, rtol=1e-12)
    assert (few.units == many.units).all()


def test_the_examples_in_its_docstrings_run():
    assert doctest.testmod(subsets, extraglobs={"np": np}).failed == 0
