"""Subsets, and comparisons as linear combinations of estimands: their terms, coefficients and signs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from evenhand.audit.estimands import EVERYONE, Comparison, Estimand, Subset, change, gap, gap_change
from evenhand.audit.measures import known, measure_named

GROUP = Subset("who", "a")
REST = Subset("who", "a", complement=True)
OTHER = Subset("who", "b")
OF_GROUP = Estimand(measure_named("accuracy"), GROUP)

SIGN = {1: 1.0, 0: 1.0, -1: -1.0}
"""By direction, what the terms are multiplied by: a measure without a direction is compared as it is."""


def terms_of(comparison: Comparison) -> dict[tuple[str, Subset], float]:
    """Coefficients by method and subset."""
    found = {(term.method, term.subset): term.coefficient for term in comparison.terms}
    assert len(found) == len(comparison.terms)
    return found


def value_of(comparison: Comparison, values: Mapping[tuple[str, Subset], float]) -> float:
    """The comparison of given estimates."""
    return sum(term.coefficient * values[term.method, term.subset] for term in comparison.terms)


@pytest.mark.parametrize("direction", [1, 0, -1])
def test_a_change_is_the_method_minus_its_reference_in_the_same_subset(direction):
    found = change(OF_GROUP, "lora", "full", direction)
    sign = SIGN[direction]
    assert terms_of(found) == {("lora", GROUP): sign, ("full", GROUP): -sign}
    assert (found.kind, found.method, found.reference) == ("change", "lora", "full")
    assert found.signs == (sign, -sign)


@pytest.mark.parametrize("direction", [1, 0, -1])
def test_a_gap_is_the_group_minus_the_rest_of_one_method(direction):
    found = gap(OF_GROUP, "lora", direction)
    sign = SIGN[direction]
    assert terms_of(found) == {("lora", GROUP): sign, ("lora", REST): -sign}
    assert (found.kind, found.method, found.reference) == ("gap", "lora", None)


@pytest.mark.parametrize("direction", [1, 0, -1])
def test_a_gap_change_is_the_gap_of_the_method_minus_that_of_its_reference(direction):
    found = gap_change(OF_GROUP, "lora", "full", direction)
    sign = SIGN[direction]
    assert terms_of(found) == {
        ("lora", GROUP): sign,
        ("lora", REST): -sign,
        ("full", GROUP): -sign,
        ("full", REST): sign,
    }
    assert (found.kind, found.method, found.reference) == ("gap change", "lora", "full")


@pytest.mark.parametrize("direction", [1, 0, -1])
def test_a_gap_change_is_the_gap_of_one_minus_the_gap_of_the_other_and_the_change_of_one_minus_that_of_the_other(
    direction,
):
    values = {("lora", GROUP): 0.71, ("lora", REST): 0.83, ("full", GROUP): 0.8, ("full", REST): 0.86}
    found = value_of(gap_change(OF_GROUP, "lora", "full", direction), values)
    gaps = [value_of(gap(OF_GROUP, method, direction), values) for method in ("lora", "full")]
    assert found == pytest.approx(gaps[0] - gaps[1])
    of_rest = replace(OF_GROUP, subset=REST)
    changes = [value_of(change(one, "lora", "full", direction), values) for one in (OF_GROUP, of_rest)]
    assert found == pytest.approx(changes[0] - changes[1])


def test_a_comparison_is_positive_where_the_method_or_the_group_is_worse():
    """Accuracy falls and an error rises, in the group alone: each is positive in its own direction."""
    accuracy = {("lora", GROUP): 0.7, ("full", GROUP): 0.8, ("lora", REST): 0.8, ("full", REST): 0.8}
    error = {place: 1 - value for place, value in accuracy.items()}
    for values, direction in ((accuracy, -1), (error, 1)):
        for comparison in (
            change(OF_GROUP, "lora", "full", direction),
            gap(OF_GROUP, "lora", direction),
            gap_change(OF_GROUP, "lora", "full", direction),
        ):
            assert value_of(comparison, values) == pytest.approx(0.1), comparison.kind


def test_coefficients_sum_to_0_so_that_what_moves_all_estimates_alike_plays_no_part():
    for direction in SIGN:
        for comparison in (
            change(OF_GROUP, "lora", "full", direction),
            gap(OF_GROUP, "lora", direction),
            gap_change(OF_GROUP, "lora", "full", direction),
            gap_change(OF_GROUP, "lora", "full", direction, OTHER),
        ):
            assert sum(comparison.signs) == 0


def test_a_gap_can_be_against_another_group():
    assert terms_of(gap(OF_GROUP, "lora", 1, OTHER)) == {("lora", GROUP): 1, ("lora", OTHER): -1}
    assert terms_of(gap_change(OF_GROUP, "lora", "full", -1, OTHER)) == {
        ("lora", GROUP): -1,
        ("lora", OTHER): 1,
        ("full", GROUP): 1,
        ("full", OTHER): -1,
    }


def test_a_change_of_everyone_has_no_group():
    found = change(Estimand(measure_named("accuracy")), "lora", "full", -1)
    assert terms_of(found) == {("lora", EVERYONE): -1, ("full", EVERYONE): 1}


@pytest.mark.parametrize("decides", [True, False])
def test_gaps_decide_where_their_measure_does_and_changes_where_they_are_told_to(decides):
    own = replace(OF_GROUP, measure=replace(OF_GROUP.measure, decides=decides))
    assert gap(own, "lora", 1).decides == gap_change(own, "lora", "full", 1).decides == decides
    assert change(OF_GROUP, "lora", "full", 1, decides).decides == decides


def test_the_rest_of_a_group_is_its_complement_and_the_rest_of_that_is_the_group():
    assert GROUP.rest == REST and REST.rest == GROUP
    both = Subset("who", "a", also=(Subset("age", "old"),))
    assert both.rest == Subset("who", "a", complement=True, also=(Subset("age", "old"),))


def test_a_subset_is_everyone_a_group_or_the_groups_of_an_attribute_together():
    assert [subset.level for subset in (EVERYONE, GROUP, REST, Subset("who"))] == [
        "everyone",
        "group",
        "group",
        "attribute",
    ]


def test_every_measure_has_one_of_the_three_directions():
    assert {measure.direction for measure in known().values()} == {1, 0, -1}


@pytest.mark.parametrize("name", ["accuracy", "calibration_error_squared"])
def test_bounds_are_cut_at_what_a_comparison_can_be(name):
    """A debiased squared error estimates what lies between 0 and 1, though the estimate itself may be below 0."""
    estimand = Estimand(measure_named(name), GROUP)
    assert change(estimand, "lora", "full", 1).within((-1.4, 1.2)) == (-1.0, 1.0)
    assert gap(estimand, "lora", 1).within((-0.2, 1.2)) == (-0.2, 1.0)
    assert gap_change(estimand, "lora", "full", 1).within((-2.4, 1.2)) == (-2.0, 1.2)
