"""Variances of all conjunctions equal those of `stats.subsets`, which sums row by row."""

from __future__ import annotations

import numpy as np
import pytest

from evenhand.audit.subgroups.attributes import SearchedAttribute
from evenhand.audit.subgroups.conjunctions import Conjunctions
from evenhand.audit.subgroups.contrasts import contrasts, from_normal, to_normal
from evenhand.audit.subgroups.moments import moments
from evenhand.audit.subgroups.sides import by_run, quadratic
from evenhand.stats import RatioSums, levels
from evenhand.stats.student_t import t_tail
from evenhand.stats.subsets import correction, gaps

RUNS = (1, 3)


def problem(seed: int, runs: int, clustered: bool, vary: bool = True, undefined: bool = False):
    """Conjunctions of two attributes, and the sums of a rate with weights."""
    rng = np.random.default_rng(seed)
    rows = 160
    own = np.eye(3, dtype=bool)[rng.integers(0, 3, rows)]
    overlapping = rng.random((rows, 2)) < 0.5
    defined = rng.random(rows) < 0.8 if undefined else np.ones(rows, dtype=bool)
    own &= defined[:, None]
    attributes = [
        SearchedAttribute.of_masks("a", ("x", "y", "z"), own, defined),
        SearchedAttribute.of_masks("b", ("p", "q"), overlapping),
    ]
    unit = rng.integers(0, 50, rows) if clustered else None
    weight = rng.uniform(0.5, 2, rows)[:, None] * (rng.random((rows, runs)) < (0.6 if vary else 1))
    numerator = (rng.random((rows, runs)) < 0.3) * weight
    conjunctions = Conjunctions(attributes, rows, 2, 15, unit)
    masks = np.array([conjunctions.members(place) for place in range(len(conjunctions))])
    return conjunctions, RatioSums(numerator, weight, unit), masks, defined


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("vary", [False, True])
def test_a_mean_has_the_two_way_variance(runs, clustered, vary):
    conjunctions, sums, masks, _ = problem(runs, runs, clustered, vary)
    expected, side = levels(sums, masks), moments(conjunctions, sums.numerator, sums.weight).inside
    np.testing.assert_allclose(side.values, expected.values, rtol=1e-10)
    own = side.coefficients()
    np.testing.assert_allclose(correction(side.units) * side.squares(own), expected.v_example, rtol=1e-8)
    if runs > 1:
        np.testing.assert_allclose(side.squares_by_run(own), expected.v_both, rtol=1e-8)
    assert side.units.tolist() == expected.units.tolist()
    assert side.units_of_runs.tolist() == expected.units_of_runs.tolist()


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("undefined", [False, True])
def test_a_gap_to_the_rest_has_the_two_way_variance_of_both_sides(runs, clustered, undefined):
    conjunctions, sums, masks, defined = problem(7 + runs, runs, clustered, undefined=undefined)
    exists = np.array([defined if "a=" in conjunctions.name(place) else defined | True for place in range(len(masks))])
    expected = gaps(sums, masks, exists & ~masks).whole
    found = moments(conjunctions, sums.numerator, sums.weight)
    inside, outside = found.inside, found.outside
    np.testing.assert_allclose(inside.values - outside.values, expected.values, atol=1e-10)
    first, second = inside.coefficients(), outside.coefficients()
    factors = [np.sqrt(correction(side.units)) for side in (inside, outside)]
    v_example = factors[0] ** 2 * inside.squares(first) + factors[1] ** 2 * outside.squares(second)
    v_both = inside.squares_by_run(first) + outside.squares_by_run(second)
    if found.crossed is not None:
        v_example -= 2 * factors[0] * factors[1] * quadratic(first, found.crossed, second)
        v_both -= 2 * by_run(first, found.crossed, second, runs)
    np.testing.assert_allclose(v_example, expected.v_example, rtol=1e-8)
    if runs > 1:
        np.testing.assert_allclose(v_both, expected.v_both, rtol=1e-8)
    assert found.distinct.tolist() == [len(set(sums.unit[e])) if clustered else e.sum() for e in _tested(sums, exists)]


def _tested(sums: RatioSums, exists: np.ndarray) -> np.ndarray:
    return exists & (sums.weight > 0).any(axis=1)


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("clustered", [False, True])
def test_a_search_has_no_smaller_variance_than_the_two_way_one(runs, clustered):
    conjunctions, sums, masks, _ = problem(20 + runs, runs, clustered)
    expected = gaps(sums, masks, ~masks).whole
    found = contrasts("gap", moments(conjunctions, sums.numerator, sums.weight), proportion=True)
    np.testing.assert_allclose(found.estimate, expected.estimate, atol=1e-12)
    assert (found.variance >= expected.variance * (1 - 1e-9)).all()


def test_a_group_in_which_nothing_happened_is_not_known_exactly():
    rows = 400
    attribute = SearchedAttribute("a", ("x", "y"), np.repeat([0, 1], [20, 380]))
    right = np.ones((rows, 1))
    right[20:58] = 0  # everybody of the group is right, and 90% of the others
    found = contrasts("gap", moments(Conjunctions([attribute], rows, 1, 5), right, np.ones((rows, 1))), proportion=True)
    assert found.estimate[0] == pytest.approx(0.1)
    assert 0.03 < np.sqrt(found.variance[0]) < 0.06


def test_runs_that_agree_do_not_make_a_small_group_better_known():
    rows = 400
    attribute = SearchedAttribute("a", ("x", "y"), np.repeat([0, 1], [10, 390]))
    wrong = (np.random.default_rng(0).random(rows) < 0.3).astype(float)
    wrong[:10] = 1.0  # all of ten, in every run
    spread = []
    for runs in (1, 5):
        numerator = np.repeat(wrong[:, None], runs, axis=1)
        found = contrasts("gap", moments(Conjunctions([attribute], rows, 1, 5), numerator, np.ones((rows, runs))), True)
        spread.append(float(np.sqrt(found.variance[0])))
    assert spread[1] == pytest.approx(spread[0], rel=0.05) and spread[0] > 0.07


def test_a_change_of_few_units_is_at_most_the_root_of_their_number():
    attribute = SearchedAttribute("a", ("x", "y"), np.repeat([0, 1], [12, 88]))
    change = np.zeros((100, 1))
    change[:12] = 1  # all twelve lost their right answer
    found = contrasts("change", moments(Conjunctions([attribute], 100, 1, 5), change, np.ones((100, 1))), True)
    assert found.estimate[0] == 1
    assert found.z[0] < np.sqrt(12)


@pytest.mark.parametrize("df", [4.0, 9.0, 60.0])
def test_the_normal_scale_keeps_tails_and_goes_back(df):
    t = np.array([0.5, 2.0, 6.0])
    z = to_normal(t, np.full(3, df))
    tails = [t_tail(value, df) for value in t]
    np.testing.assert_allclose(z, [-_quantile(tail) for tail in tails], rtol=0.02)
    np.testing.assert_allclose([float(from_normal(value, np.array([df]))[0]) for value in z], t, rtol=1e-9)


def _quantile(tail: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(tail))


@pytest.mark.parametrize("clustered", [False, True])
def test_a_search_without_any_conjunction_compares_nothing(clustered):
    attribute = SearchedAttribute("a", ("x", "y"), np.repeat([0, 1], [5, 5]))
    unit = np.repeat(np.arange(5), 2) if clustered else None
    none = Conjunctions([attribute], 10, 1, 50, unit)
    found = contrasts("gap", moments(none, np.ones((10, 1)), np.ones((10, 1))), proportion=True)
    assert len(none) == len(found.estimate) == 0
