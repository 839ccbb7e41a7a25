"""Permuted and flipped contrasts are those of permuted outcomes, and p-values agree with bounds."""

from __future__ import annotations

import numpy as np
import pytest

from evenhand.audit.subgroups import draws, null
from evenhand.audit.subgroups.findings import adjusted, critical
from evenhand.audit.subgroups.search import ask
from searched import attributes, outcome, searched


def made(seed: int, kind: str, runs: int = 1, weights: bool = False):
    """Conjunctions and a question to them."""
    rng = np.random.default_rng(seed)
    rows = 400
    numerator = (rng.random((rows, runs)) < 0.8).astype(float)
    if kind != "gap":
        numerator -= rng.random((rows, runs)) < 0.7
    weight = np.repeat(rng.uniform(0.5, 2.0, (rows, 1)), runs, axis=1) if weights else None
    found = null.Conjunctions(attributes(rng, rows, 3, 3), rows, 2, 20)
    (asked,) = ask(found, outcome(numerator, (kind,), weight), 10)
    return found, asked, rng


@pytest.mark.parametrize("kind", ["gap", "gap change"])
@pytest.mark.parametrize("weights", [False, True])
def test_outcomes_in_their_own_order_give_the_contrasts_themselves(kind, weights):
    found, asked, _ = made(0, kind, weights=weights)
    rows = asked.outcome.base
    members, patterns = null._by_pattern(found, rows)
    z = draws.permuted(asked, members, patterns, None, rows, np.arange(len(rows))[None])[:, 0]
    np.testing.assert_allclose(z[asked.judged], asked.contrasts.z[asked.judged], atol=1e-10)


@pytest.mark.parametrize("kind", ["gap", "gap change"])
def test_a_permutation_gives_the_contrasts_of_the_permuted_outcomes(kind):
    found, asked, rng = made(1, kind)
    order = rng.permutation(found.rows)
    members, patterns = null._by_pattern(found, np.arange(found.rows))
    z = draws.permuted(asked, members, patterns, None, np.arange(found.rows), order[None])[:, 0]
    (again,) = ask(found, outcome(asked.outcome.numerator[order], (kind,)), 10)
    np.testing.assert_allclose(z[asked.judged], again.contrasts.z[asked.judged], atol=1e-10)


def test_swapping_the_methods_of_units_gives_the_contrasts_of_the_swapped_outcomes():
    found, asked, rng = made(2, "change")
    signs = rng.choice([-1.0, 1.0], found.rows)
    members, patterns = null._by_pattern(found, np.arange(found.rows))
    z = draws.flipped(asked, members, patterns, np.arange(found.rows), signs[:, None])[:, 0]
    (again,) = ask(found, outcome(asked.outcome.numerator * signs[:, None], ("change",)), 10)
    np.testing.assert_allclose(z[asked.judged], again.contrasts.z[asked.judged], atol=1e-10)


def test_the_rows_of_a_unit_are_swapped_together():
    rng = np.random.default_rng(3)
    unit = rng.integers(0, 40, 200)
    found = null.Conjunctions(attributes(rng, 200, 2, 2), 200, 2, 5, unit)
    signs = null._signs(found, np.arange(200), 7, rng)
    assert all(len(np.unique(signs[unit == one], axis=0)) == 1 for one in np.unique(unit))
    assert {-1.0, 1.0} == set(np.unique(signs))


def test_a_lower_bound_is_above_0_exactly_where_the_p_value_is_at_most_alpha():
    rng = np.random.default_rng(4)
    rows = 1500
    found = attributes(rng, rows, 3, 3)
    harmed = (found[0].code == 0) & (found[1].code == 1)
    right = (rng.random((rows, 1)) < np.where(harmed, 0.6, 0.85)[:, None]).astype(float)
    result = searched(found, [outcome(right, ("gap",))], rng)
    (asked,), (p,) = result.asked, result.p
    maxima = np.sort(null.null_maxima(result.conjunctions, asked := [asked], np.random.default_rng(5), 199))
    p, edge = adjusted(asked[0].z, maxima), critical(maxima, 0.05)
    _, high = asked[0].contrasts.bounds(edge)  # of the accuracy, of which less is worse
    judged = asked[0].judged
    assert ((-high[judged] > 1e-12) == (p[judged] <= 0.05)).all()
    assert (p[judged] <= 0.05).any() and (p[judged] > 0.05).any()


def test_p_values_count_the_observed_data_among_the_draws():
    maxima = np.array([1.0, 2.0, 3.0])
    assert adjusted(np.array([3.5, 2.5, 0.0]), maxima).tolist() == [0.25, 0.5, 1.0]
    assert critical(maxima, 0.25) == 3.0 and critical(maxima, 0.05) == np.inf


def test_jointly_normal_contrasts_have_the_correlations_of_permuted_ones():
    found, asked, rng = made(6, "gap")
    drawn = draws.normal(asked, found.memberships(), 4000, rng)
    members, patterns = null._by_pattern(found, np.arange(found.rows))
    order = rng.permuted(np.tile(np.arange(found.rows), (4000, 1)), axis=1)
    permuted = draws.permuted(asked, members, patterns, None, np.arange(found.rows), order)
    judged = asked.judged
    np.testing.assert_allclose(np.corrcoef(drawn[judged]), np.corrcoef(permuted[judged]), atol=0.09)


def test_a_subgroup_in_which_the_methods_never_differ_leaves_the_draws_as_they_are():
    rng = np.random.default_rng(7)
    rows = 600
    found = attributes(rng, rows, 2, 2)
    change = (rng.random((rows, 3)) < 0.1).astype(float) - (rng.random((rows, 3)) < 0.1)
    change[found[0].code == 1] = 0.0
    result = searched(found, [outcome(change, ("change", "gap change"))], rng)
    maxima = null.null_maxima(result.conjunctions, result.asked, rng, 99)
    assert np.isfinite(maxima).all()
    assert all(np.isfinite(p).all() for p in result.p)
