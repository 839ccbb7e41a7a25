"""A search finds something where nothing is there in at most 5% of data, and finds what was planted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from bounds import least, most
from evenhand.audit.subgroups.attributes import SearchedAttribute
from evenhand.audit.subgroups.questions import Outcome
from searched import Searched, attributes, outcome, rights, searched

pytestmark = pytest.mark.simulate
ROWS = 1500


def members(found: Sequence[SearchedAttribute]) -> list[np.ndarray]:
    """The members of every group of every attribute."""
    return [attribute.code == group for attribute in found for group in range(len(attribute.groups))]


def gaps_of_one_run(rng: np.random.Generator, found: Sequence[SearchedAttribute], rate: float = 0.8) -> list[Outcome]:
    """One model that is right equally often for everybody."""
    return [outcome(rights(rng, np.full(ROWS, rate), 1, 1.0), ("gap",))]


def rare_errors(rng: np.random.Generator, found: Sequence[SearchedAttribute]) -> list[Outcome]:
    """One model that is hardly ever wrong, so that most subgroups hold an error or two."""
    return gaps_of_one_run(rng, found, 0.97)


def changes_of_one_run(rng: np.random.Generator, found: Sequence[SearchedAttribute]) -> list[Outcome]:
    """Two models that agree in 85% of the examples."""
    right = rng.random(ROWS) < 0.8
    other = np.where(rng.random(ROWS) < 0.15, rng.random(ROWS) < 0.8, right)
    return [outcome((other.astype(float) - right)[:, None], ("change", "gap change"))]


def a_loss_for_everybody(rng: np.random.Generator, found: Sequence[SearchedAttribute]) -> list[Outcome]:
    """A method that loses four points for everybody alike: no change of a gap."""
    right = rng.random(ROWS) < 0.8
    other = np.where(rng.random(ROWS) < 0.15, rng.random(ROWS) < 0.53, right)
    return [outcome((other.astype(float) - right)[:, None], ("gap change",))]


def five_runs(rng: np.random.Generator, found: Sequence[SearchedAttribute]) -> list[Outcome]:
    """Five runs, each of which treats every group at random a little better or worse, with no tendency."""
    return [outcome(rights(rng, np.full(ROWS, 0.8), 5, 0.8, members(found), 0.05), ("gap",))]


def five_runs_of_few_unstable_groups(rng: np.random.Generator, found: Sequence[SearchedAttribute]) -> list[Outcome]:
    """Five runs that differ in the smallest group of each attribute only, and much."""
    return [outcome(rights(rng, np.full(ROWS, 0.8), 5, 0.8, members(found)[3::4], 0.1), ("gap",))]


def five_runs_of_two_methods(rng: np.random.Generator, found: Sequence[SearchedAttribute]) -> list[Outcome]:
    """Two methods with five runs each, whose differences in groups are random."""
    masks, rate = members(found), np.full(ROWS, 0.8)
    one, other = (rights(rng, rate, 5, 0.0, masks, 0.04) for _ in range(2))
    return [outcome(one - other, ("change", "gap change"))]


def five_test_sets(rng: np.random.Generator, found: Sequence[SearchedAttribute]) -> list[Outcome]:
    """Five runs, each of which tests another third of the examples."""
    tested = (rng.random((ROWS, 5)) < 0.33).astype(float)
    return [outcome(rights(rng, np.full(ROWS, 0.8), 5, 0.5), ("gap",), tested)]


def clusters(rng: np.random.Generator, found: Sequence[SearchedAttribute]) -> list[Outcome]:
    """Units of three examples that are right or wrong together more often than not."""
    ease = np.repeat(rng.normal(size=ROWS // 3), 3)
    return [outcome((rng.normal(size=ROWS) + ease < 1.2).astype(float)[:, None], ("gap",))]


NOTHING: Sequence[Callable[..., list[Outcome]]] = (
    gaps_of_one_run,
    rare_errors,
    changes_of_one_run,
    a_loss_for_everybody,
    five_runs,
    five_runs_of_few_unstable_groups,
    five_runs_of_two_methods,
    five_test_sets,
    clusters,
)


@pytest.mark.parametrize("case", NOTHING, ids=lambda case: case.__name__)
def test_where_nothing_is_there_a_search_finds_something_in_at_most_5_percent(case, repetitions):
    n, found = repetitions(400), 0
    unit = np.repeat(np.arange(ROWS // 3), 3) if case is clusters else None
    for draw in range(n):
        rng = np.random.default_rng((draw, 1))
        groups = attributes(rng, ROWS, 5, 4)
        found += searched(groups, case(rng, groups), rng, unit=unit).smallest <= 0.05
    print(f"{case.__name__}: found in {found} of {n}")
    assert found / n <= most(0.05, n, 0.025 / len(NOTHING))


@pytest.mark.parametrize("runs", [1, 5])
def test_ten_thousand_candidates_are_paid_for(runs, repetitions):
    n, found, size = repetitions(200), 0, 0
    for draw in range(n):
        rng = np.random.default_rng((draw, 2, runs))
        groups = attributes(rng, 4000, 12, 4)
        made = [outcome(rights(rng, np.full(4000, 0.8), runs, 0.7, members(groups), 0.02 * (runs > 1)), ("gap",))]
        result = searched(groups, made, rng, support=20)
        size = max(size, len(result.conjunctions))
        found += result.smallest <= 0.05
    print(f"{runs} runs: found in {found} of {n}, {size} candidates")
    assert size > 10_000 and found / n <= most(0.05, n)


def planted_xor(rng: np.random.Generator, runs: int, comparison: str) -> tuple[Searched, str]:
    """A search where one conjunction is harmed and its neighbours gain, so that each attribute alone is fair."""
    rows = 4000
    groups = [SearchedAttribute(f"a{place}", ("0", "1"), rng.integers(0, 2, rows)) for place in range(6)]
    same = groups[0].code == groups[1].code
    rate = 0.8 - np.where(same, 0.1, -0.1) * (groups[2].code == 0)
    if comparison == "gap":
        made = [outcome(rights(rng, rate, runs, 0.8), ("gap",))]
    else:
        common = rng.random(rows)
        drawn = [np.where(rng.random((rows, runs)) < 0.8, common[:, None], rng.random((rows, runs))) for _ in range(2)]
        change = (drawn[0] < rate[:, None]).astype(float) - (drawn[1] < 0.8)
        made = [outcome(change, ("change", "gap change"))]
    return searched(groups, made, rng, draws=499), "a2=0"


@pytest.mark.parametrize("comparison", ["gap", "change"])
@pytest.mark.parametrize("runs", [1, 5])
def test_a_disparity_that_no_single_attribute_shows_is_found_where_it_is(comparison, runs, repetitions):
    n, right = repetitions(100), 0
    for draw in range(n):
        result, shared = planted_xor(np.random.default_rng((draw, 3)), runs, comparison)
        names = set(result.worst.split(" & "))
        planted = [{"a0=0", "a1=0", shared}, {"a0=1", "a1=1", shared}]
        right += names in planted and result.smallest < 0.01
    print(f"{comparison}, {runs} runs: found in {right} of {n}")
    assert right / n >= least(0.9, n)
