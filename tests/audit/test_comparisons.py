"""From evidence to a contrast: refused, shown and not judged, adjusted, and in which order its notes stand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from evenhand.audit.comparisons import (
    DISCORDANT,
    LEAST_RUNS,
    NO_COMMON_SEED,
    ONE_UNIT,
    Evidence,
    conclude,
    enough_runs,
)
from evenhand.stats.contrast import TwoWay, two_way
from evenhand.stats.few_runs import FewRuns, Wider
from evenhand.stats.proportion import ProportionDifference, Widened

SUPPORT = 10
ADJUSTMENTS = {
    "one more unit": lambda whole: Widened(whole, 0.2),
    "shares": lambda whole: ProportionDifference(whole, mean(0.02), mean(0.01), 30.0),
}


def mean(value: float = 0.1, runs: int = 4, units: int = 30, seed: int = 0) -> TwoWay:
    """A mean over runs with noise of runs and of units."""
    rng = np.random.default_rng(seed)
    values = value + 0.01 * rng.normal(size=runs)
    influence = 0.1 * rng.normal(size=(runs, units)) / units
    shares = np.full((runs, units), 1 / units)
    return two_way(values, influence - influence.mean(axis=1, keepdims=True), shares)


def evidence(whole: TwoWay | None = None, **more) -> Evidence:
    """Of a contrast that is judged unless `more` says otherwise."""
    whole = whole or mean()
    given = {"totals": lambda: (np.arange(whole.units), np.full(whole.units, 0.5)), "notes": ("first",)}
    return Evidence(whole, whole.runs, **{"planned": whole.runs, "closing": ("last",), **given, **more})


def test_what_is_judged_has_the_estimate_the_interval_for_few_runs_and_what_its_units_contribute():
    given = evidence()
    found = conclude(given, SUPPORT)
    assert found.estimate == given.whole.estimate and found.whole is given.whole
    assert found.interval == FewRuns(given.whole)
    assert found.runs == 4
    assert found.totals is given.totals
    assert found.notes == ("first", "last")


# Undefined


def test_what_is_undefined_is_no_contrast_and_keeps_its_notes():
    found = conclude(Evidence(None, 0, 3, ("no positive examples",)), SUPPORT)
    assert (found.estimate, found.interval, found.whole, found.runs) == (None, None, None, 0)
    assert found.totals is None
    assert found.notes == ("no positive examples",)


def test_without_runs_and_notes_it_says_that_there_are_none():
    assert conclude(Evidence(None, 0), SUPPORT).notes == (NO_COMMON_SEED,)
    assert conclude(Evidence(None, 0, nothing="lora was not run"), SUPPORT).notes == ("lora was not run",)


def test_runs_that_are_enough_and_undefined_get_no_note_on_their_number():
    found = conclude(Evidence(None, 3, 3, ("why",)), SUPPORT)
    assert found.estimate is None and found.runs == 3 and found.notes == ("why",)


# Too few runs, and few of them


@pytest.mark.parametrize(
    ("runs", "planned", "enough"),
    [(0, 0, False), (1, 0, True), (1, 1, True), (1, 2, False), (2, 2, True), (2, 3, False), (2, 10, False),
     (3, 3, True), (3, 10, True)],
)  # fmt: skip
def test_a_contrast_needs_three_runs_or_all_where_fewer_were_planned(runs, planned, enough):
    assert enough_runs(runs, planned) == enough
    found = conclude(Evidence(mean(runs=max(runs, 1)), runs, planned), SUPPORT)
    assert (found.estimate is not None) == enough
    assert (found.interval is not None) == enough


@pytest.mark.parametrize(("planned", "needed"), [(2, 2), (3, 3), (5, LEAST_RUNS)])
def test_too_few_runs_are_no_contrast_even_where_there_is_a_value_and_say_how_many_it_needs(planned, needed):
    found = conclude(evidence(mean(runs=1), planned=planned), SUPPORT)
    assert (found.estimate, found.interval, found.whole, found.runs) == (None, None, None, 1)
    assert found.notes == ("first", f"a contrast needs at least {needed} runs")


def test_of_two_runs_the_interval_is_longer_than_the_two_way_one_at_small_levels():
    whole = mean(runs=2)
    found = conclude(evidence(whole), SUPPORT)
    low, high = found.interval.bounds(0.005)
    least, most = whole.bounds(0.005)
    assert low < least and most < high
    assert found.interval.bounds(0.005) == FewRuns(whole).bounds(0.005)


def test_one_run_of_one_that_was_planned_is_a_contrast_with_the_interval_of_its_units():
    whole = mean(runs=1)
    found = conclude(evidence(whole), SUPPORT)
    assert found.runs == 1 and found.interval.bounds(0.025) == whole.bounds(0.025)


# Shown and not judged


def refused(given: Evidence) -> tuple[str, ...]:
    """The notes of what is shown and not judged."""
    found = conclude(given, SUPPORT)
    assert found.estimate == given.whole.estimate and found.whole is given.whole
    assert found.runs == given.runs
    assert found.interval is found.totals is None
    return found.notes


def test_where_there_is_doubt_it_is_shown_and_not_judged():
    assert refused(evidence(doubts=("not balanced", "few units"))) == ("first", "not balanced", "few units")


def test_on_a_small_sample_it_is_shown_and_not_judged():
    small = evidence(smallest=SUPPORT - 1)
    assert refused(small) == ("first", "fewer than 10 examples in some run: shown, not judged")
    assert refused(replace(small, sample="documents"))[-1] == "fewer than 10 documents in some run: shown, not judged"
    assert refused(replace(small, runs=1, planned=1))[-1] == "fewer than 10 examples: shown, not judged"
    assert conclude(evidence(smallest=SUPPORT), SUPPORT).interval is not None
    assert conclude(small, SUPPORT - 1).interval is not None


def test_of_a_single_unit_it_is_shown_and_not_judged():
    whole = mean(units=1)
    assert math.isnan(whole.variance)
    assert refused(evidence(whole)) == ("first", ONE_UNIT)


def test_one_reason_not_to_judge_is_enough_doubts_first_then_the_sample_then_the_single_unit():
    one = mean(units=1)
    assert refused(evidence(one, doubts=("doubt",), smallest=1)) == ("first", "doubt")
    assert refused(evidence(one, smallest=1)) == ("first", "fewer than 10 examples in some run: shown, not judged")


def test_what_is_not_judged_is_not_said_to_be_adjusted_nor_how_its_interval_was_made():
    whole = mean()
    notes = refused(evidence(whole, smallest=1, adjusted=Widened(whole, 0.2)))
    assert DISCORDANT not in notes and "last" not in notes


# Adjusted


@pytest.mark.parametrize("kind", list(ADJUSTMENTS))
def test_few_discordant_units_make_the_interval_the_wider_of_two_and_are_noted(kind):
    whole = mean(0.01)
    adjusted = ADJUSTMENTS[kind](whole)
    found = conclude(evidence(whole, adjusted=adjusted), SUPPORT)
    assert found.interval == Wider(FewRuns(whole), adjusted)
    for tail in (0.05, 0.005):
        both = [one.bounds(tail) for one in (FewRuns(whole), adjusted)]
        assert found.interval.bounds(tail) == (min(low for low, _ in both), max(high for _, high in both))
    assert found.estimate == whole.estimate and found.whole is whole


def test_an_adjustment_may_have_a_note_of_its_own():
    whole = mean()
    given = evidence(whole, adjusted=Widened(whole, 0.2), adjustment="few events: the interval is adjusted")
    assert conclude(given, SUPPORT).notes == ("first", "few events: the interval is adjusted", "last")


def test_notes_stand_in_the_order_of_what_must_be_known_first_the_adjustment_and_how_the_interval_was_made():
    whole = mean()
    given = evidence(whole, notes=("one", "two"), adjusted=Widened(whole, 0.2), closing=("three", "four"))
    assert conclude(given, SUPPORT).notes == ("one", "two", DISCORDANT, "three", "four")


def test_an_estimate_without_any_variance_is_still_given_an_interval():
    """Of no width: the verdict's row says so, and not the contrast."""
    whole = two_way(np.zeros(3), np.zeros((3, 20)), np.full((3, 20), 1 / 20))
    found = conclude(evidence(whole), SUPPORT)
    assert found.interval.bounds(0.05) == (0, 0)


def test_of_what_is_not_paired_nobody_knows_what_the_units_contribute():
    found = conclude(evidence(totals=None), SUPPORT)
    assert found.interval is not None and found.totals is None


# Rounding


def of_one_run(value: float, spread: float, units: int = 30) -> TwoWay:
    """A mean of one run whose units differ by `spread`."""
    influence = spread * np.where(np.arange(units) % 2, 1.0, -1.0)[None] / units
    return two_way(np.array([value]), influence, np.full((1, units), 1 / units))


@pytest.mark.parametrize("value", [4.5e-17, -4.5e-17])
def test_a_difference_of_rounding_is_none_and_its_interval_has_no_width(value: float):
    found = conclude(evidence(of_one_run(value, 1e-17)), SUPPORT)
    assert found.estimate == 0 and found.bounds(0.05) == (0, 0)


def test_a_constant_difference_stays_and_loses_the_width_that_rounding_gave_it():
    found = conclude(evidence(of_one_run(0.1, 1e-17)), SUPPORT)
    assert found.estimate == 0.1 and found.bounds(0.05) == (0.1, 0.1)


def test_an_adjusted_interval_keeps_its_width_where_the_estimate_is_one_of_rounding():
    whole = of_one_run(4.5e-17, 1e-17)
    found = conclude(evidence(whole, adjusted=Widened(whole, 0.2)), SUPPORT)
    low, high = found.bounds(0.05)
    assert found.estimate == 0 and low < 0 < high and found.p_greater() == pytest.approx(0.5)


def test_small_differences_between_small_numbers_are_not_those_of_rounding():
    whole = of_one_run(1e-14, 1e-15)
    found = conclude(evidence(whole, magnitude=1e-13), SUPPORT)
    assert found.estimate == 1e-14 and found.whole is whole and found.bounds(0.05)[0] > 0
