"""A search by areas finds something where nothing is there in at most 5% of data, and finds what was planted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from bounds import least, most
from evenhand.audit.subgroups.areas import AreaQuestion
from evenhand.audit.subgroups.attributes import SearchedAttribute
from searched import attributes
from searched_areas import area_question, attacked, searched_areas, searched_membership

pytestmark = pytest.mark.simulate
ROWS = 1500
EXAMPLES = 1000


def scored(rng: np.random.Generator, positive: np.ndarray, step: np.ndarray | float, runs: int = 1) -> np.ndarray:
    """Normal scores that are higher of positives, .64 of their variance common to all runs, float [R, J]."""
    common = 0.8 * rng.normal(size=(ROWS, 1))
    return common + 0.6 * rng.normal(size=(ROWS, runs)) + (step * positive)[:, None]


def gaps(rng: np.random.Generator, found: Sequence[SearchedAttribute], step: float = 1.5) -> AreaQuestion:
    """One model that ranks everybody alike, with an area of .86."""
    positive = rng.random(ROWS) < 0.4
    return area_question([scored(rng, positive, step)], positive, ("gap",))


def gaps_near_1(rng: np.random.Generator, found: Sequence[SearchedAttribute]) -> AreaQuestion:
    """One model with an area of .97."""
    return gaps(rng, found, 2.6)


def gaps_of_other_scales(rng: np.random.Generator, found: Sequence[SearchedAttribute]) -> AreaQuestion:
    """Groups with other shares of positives, which the model ranks as well as each other; scores are in classes."""
    positive = rng.random(ROWS) < np.array([0.2, 0.3, 0.5, 0.6])[found[0].code]
    return area_question([np.round(scored(rng, positive, 1.2), 1)], positive, ("gap",))


def gaps_of_five_runs(rng: np.random.Generator, found: Sequence[SearchedAttribute]) -> AreaQuestion:
    """Five runs, each of which treats every group at random a little better or worse, with no tendency."""
    positive, score = rng.random(ROWS) < 0.4, np.empty((ROWS, 5))
    common = 0.8 * rng.normal(size=ROWS)
    for run in range(5):
        step = 1.5 + sum(rng.normal(scale=0.15, size=4)[each.code] for each in found)
        score[:, run] = common + 0.6 * rng.normal(size=ROWS) + step * positive
    return area_question([score], positive, ("gap",))


def gaps_in_units(rng: np.random.Generator, found: Sequence[SearchedAttribute]) -> AreaQuestion:
    """Units of three examples whose scores go together."""
    positive = rng.random(ROWS) < 0.4
    score = 0.8 * np.repeat(rng.normal(size=ROWS // 3), 3) + 0.6 * rng.normal(size=ROWS) + 1.5 * positive
    return area_question([score[:, None]], positive, ("gap",))


def changes(rng: np.random.Generator, found: Sequence[SearchedAttribute], step: float = 1.5) -> AreaQuestion:
    """Two models that rank as well as each other."""
    positive = rng.random(ROWS) < 0.4
    both = scored(rng, positive, step, 2)
    return area_question([both[:, :1], both[:, 1:]], positive, ("change", "gap change"))


def changes_near_1(rng: np.random.Generator, found: Sequence[SearchedAttribute]) -> AreaQuestion:
    """Two models with an area of .97."""
    return changes(rng, found, 2.6)


def a_loss_for_everybody(rng: np.random.Generator, found: Sequence[SearchedAttribute]) -> AreaQuestion:
    """A model that ranks everybody less well than the other one does: no change of a gap."""
    positive = rng.random(ROWS) < 0.4
    both = scored(rng, positive, 1.5, 2)
    return area_question([both[:, :1] - 0.5 * positive[:, None], both[:, 1:]], positive, ("gap change",))


NOTHING: Sequence[Callable[..., AreaQuestion]] = (
    gaps,
    gaps_near_1,
    gaps_of_other_scales,
    gaps_of_five_runs,
    gaps_in_units,
    changes,
    changes_near_1,
    a_loss_for_everybody,
)


@pytest.mark.parametrize("case", NOTHING, ids=lambda case: case.__name__)
def test_where_nothing_is_there_a_search_by_areas_finds_something_in_at_most_5_percent(case, repetitions):
    n, found = repetitions(200), 0
    unit = np.repeat(np.arange(ROWS // 3), 3) if case is gaps_in_units else None
    for draw in range(n):
        rng = np.random.default_rng((draw, 11))
        groups = attributes(rng, ROWS, 5, 4)
        found += searched_areas(groups, case(rng, groups), rng, unit).smallest <= 0.05
    print(f"{case.__name__}: found in {found} of {n}")
    assert found / n <= most(0.05, n, 0.025 / len(NOTHING))


@pytest.mark.parametrize("comparison", ["gap", "change"])
def test_a_smaller_area_is_found_where_it_was_planted(comparison, repetitions):
    n, right = repetitions(50), 0
    for draw in range(n):
        rng = np.random.default_rng((draw, 12))
        groups = attributes(rng, ROWS, 4, 3)
        harmed = (groups[0].code == 1) & (groups[1].code == 0)
        positive = rng.random(ROWS) < 0.4
        step = 1.5 - 1.3 * harmed
        if comparison == "gap":
            question = area_question([scored(rng, positive, step)], positive, ("gap",))
        else:
            both = scored(rng, positive, 0.0, 2)
            sides = [both[:, :1] + (step * positive)[:, None], both[:, 1:] + 1.5 * positive[:, None]]
            question = area_question(sides, positive, ("change", "gap change"))
        result = searched_areas(groups, question, rng)
        right += set(result.worst.split(" & ")) >= {"a0=1", "a1=0"} and result.smallest <= 0.05
    print(f"area, {comparison}: found in {right} of {n}")
    assert right / n >= least(0.9, n)


@pytest.mark.parametrize("methods", [1, 2])
def test_where_everybody_leaks_alike_a_search_finds_something_in_at_most_5_percent(methods, repetitions):
    n, found = repetitions(100), 0
    for draw in range(n):
        rng = np.random.default_rng((draw, 13, methods))
        groups = attributes(rng, EXAMPLES, 5, 3)
        reading = attacked(rng, groups, [np.full(EXAMPLES, 0.4)] * methods, models=2, gaps=False)
        found += searched_membership(reading)[1].smallest <= 0.05
    print(f"membership, {methods} methods: found in {found} of {n}")
    assert found / n <= most(0.05, n, 0.025 / 2)


def test_a_subgroup_that_leaks_more_is_found(repetitions):
    n, right = repetitions(50), 0
    for draw in range(n):
        rng = np.random.default_rng((draw, 14))
        groups = attributes(rng, EXAMPLES, 4, 3)
        leak = 0.2 + 1.1 * ((groups[0].code == 1) & (groups[1].code == 0))
        result = searched_membership(attacked(rng, groups, [leak], models=2))[1]
        right += set(result.worst.split(" & ")) >= {"a0=1", "a1=0"} and result.smallest <= 0.05
    print(f"leak: found in {right} of {n}")
    assert right / n >= least(0.9, n)
