"""A search finds something where nothing is there in at most 5% of data, and finds what was planted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from bounds import least, most
from evenhand.audit.measures import measure_named
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


def losses(rng: np.random.Generator, level: np.ndarray | float, runs: int = 1) -> np.ndarray:
    """Log losses with a long tail, as of a model that is sometimes sure and wrong, float [R, J]."""
    sure = np.broadcast_to(level, (ROWS,))[:, None] + rng.normal(scale=1.5, size=(ROWS, 1))
    return np.log1p(np.exp(-sure - rng.normal(scale=1.3, size=(ROWS, runs))))


def skewed(rng: np.random.Generator, spread: np.ndarray | float) -> np.ndarray:
    """Lognormal numbers of mean 1, float [R, 1]."""
    return np.exp(spread * rng.normal(size=ROWS) - np.square(spread) / 2)[:, None]


def log_losses(rng: np.random.Generator, found: Sequence[SearchedAttribute]) -> list[Outcome]:
    """One model whose losses are alike for everybody."""
    return [outcome(losses(rng, 2.0), ("gap",), measure="log_loss")]


def log_losses_of_five_runs(rng: np.random.Generator, found: Sequence[SearchedAttribute]) -> list[Outcome]:
    """Five runs whose losses are alike for everybody."""
    return [outcome(losses(rng, 2.0, 5), ("gap",), measure="log_loss")]


def changes_of_log_loss(rng: np.random.Generator, found: Sequence[SearchedAttribute]) -> list[Outcome]:
    """Two models whose losses differ for no reason."""
    both = losses(rng, 2.0, 2)
    return [outcome(both[:, :1] - both[:, 1:], ("change", "gap change"), measure="log_loss")]


def changes_with_a_long_tail(rng: np.random.Generator, found: Sequence[SearchedAttribute]) -> list[Outcome]:
    """Half of the losses grow a little, and few shrink much, so that the mean does not change."""
    change = np.where(rng.random((ROWS, 1)) < 0.5, 0.5 * (1 - skewed(rng, 0.5)), 0.0)
    return [outcome(change, ("change", "gap change"), measure="log_loss")]


def values_with_another_tail_in_a_group(rng: np.random.Generator, found: Sequence[SearchedAttribute]) -> list[Outcome]:
    """Numbers of equal mean, and a group whose numbers have a long tail; both directions are searched."""
    two_sided = replace(measure_named("log_loss"), direction=0, two_sided=True)
    spread = np.where(found[0].code == 0, 1.5, 0.5)
    return [outcome(skewed(rng, spread), ("gap",), measure=two_sided)]


def predictive_values(rng: np.random.Generator, found: Sequence[SearchedAttribute]) -> list[Outcome]:
    """One model that is right in 70% of those it selects, who are 20 to 60% of a group."""
    selected = rng.random((ROWS, 1)) < np.array([0.2, 0.3, 0.4, 0.6])[found[0].code][:, None]
    right = (rng.random((ROWS, 1)) < 0.7).astype(float)
    return [outcome(right, ("gap",), selected.astype(float), "positive_predictive_value")]


def changes_of_predictive_values(rng: np.random.Generator, found: Sequence[SearchedAttribute]) -> list[Outcome]:
    """Two models with the same predictive value, of which one selects a third as many."""
    many = rng.random((ROWS, 1)) < 0.6
    few = rng.random((ROWS, 1)) < np.where(many, 0.35, 0.02)
    right = np.repeat(rng.random((ROWS, 1)) < 0.7, 2, axis=1).astype(float)
    selected = np.hstack([many, few]).astype(float)
    return [outcome(right, ("change", "gap change"), selected, "positive_predictive_value", (1.0, -1.0))]


def f1_scores(rng: np.random.Generator, found: Sequence[SearchedAttribute]) -> list[Outcome]:
    """Two models of which each finds the positives as well as the other: gaps of one, and the change."""
    positive = rng.random((ROWS, 1)) < 0.4
    selected = rng.normal(size=(ROWS, 1)) + 1.2 * positive + 0.7 * rng.normal(size=(ROWS, 2)) > 1
    weight = selected + positive.astype(float)
    hit = (selected & positive).astype(float)
    gaps = outcome(hit[:, :1], ("gap",), weight[:, :1], "f1_score")
    return [gaps, outcome(hit, ("change", "gap change"), weight, "f1_score", (1.0, -1.0))]


def balanced_accuracies(rng: np.random.Generator, found: Sequence[SearchedAttribute]) -> list[Outcome]:
    """One model with the same recalls for everybody, whose groups have other shares of positives."""
    positive = rng.random(ROWS) < np.array([0.3, 0.4, 0.5, 0.6])[found[0].code]
    right = (rng.random(ROWS) < np.where(positive, 0.7, 0.9)).astype(float)[:, None]
    weight = np.stack([~positive, positive], axis=1).astype(float)
    return [outcome(np.repeat(right, 2, axis=1), ("gap",), weight, "balanced_accuracy", (0.5, 0.5))]


def all_measures_of_one_model(rng: np.random.Generator, found: Sequence[SearchedAttribute]) -> list[Outcome]:
    """Accuracy, log loss, predictive value and balanced accuracy of one model in one search."""
    positive = rng.random((ROWS, 1)) < 0.4
    score = 2.5 * positive - 1.2 + rng.normal(scale=1.5, size=(ROWS, 1))
    selected, right = score > 0, ((score > 0) == positive).astype(float)
    loss, classes = np.log1p(np.exp(np.where(positive, -score, score))), np.hstack([~positive, positive]).astype(float)
    return [
        outcome(right, ("gap",)),
        outcome(loss, ("gap",), measure="log_loss"),
        outcome(right, ("gap",), selected.astype(float), "positive_predictive_value"),
        outcome(np.repeat(right, 2, axis=1), ("gap",), classes, "balanced_accuracy", (0.5, 0.5)),
    ]


def clusters_with_a_long_tail(rng: np.random.Generator, found: Sequence[SearchedAttribute]) -> list[Outcome]:
    """Units of three examples whose losses change alike: mostly they grow, and some shrink much."""
    change = np.repeat(0.5 * (1 - skewed(rng, 0.7)[::3]), 3, axis=0)
    return [outcome(change, ("change", "gap change"), measure="log_loss")]


OF_OTHER_MEASURES: Sequence[Callable[..., list[Outcome]]] = (
    log_losses,
    log_losses_of_five_runs,
    changes_of_log_loss,
    changes_with_a_long_tail,
    values_with_another_tail_in_a_group,
    predictive_values,
    changes_of_predictive_values,
    f1_scores,
    balanced_accuracies,
    all_measures_of_one_model,
    clusters_with_a_long_tail,
)
UNITS_OF_THREE = (clusters, clusters_with_a_long_tail)


@pytest.mark.parametrize("case", OF_OTHER_MEASURES, ids=lambda case: case.__name__)
def test_searches_by_losses_and_other_ratios_find_something_in_at_most_5_percent_as_well(case, repetitions):
    n, found = repetitions(200), 0
    unit = np.repeat(np.arange(ROWS // 3), 3) if case in UNITS_OF_THREE else None
    for draw in range(n):
        rng = np.random.default_rng((draw, 4))
        groups = attributes(rng, ROWS, 5, 4)
        found += searched(groups, case(rng, groups), rng, unit=unit).smallest <= 0.05
    print(f"{case.__name__}: found in {found} of {n}")
    assert found / n <= most(0.05, n, 0.025 / len(OF_OTHER_MEASURES))


@pytest.mark.parametrize("comparison", ["gap", "change"])
def test_a_larger_mean_loss_is_found_where_it_was_planted(comparison, repetitions):
    n, right = repetitions(100), 0
    for draw in range(n):
        rng = np.random.default_rng((draw, 5))
        groups = attributes(rng, ROWS, 4, 3)
        harmed = (groups[0].code == 1) & (groups[1].code == 0)
        level = 2.0 - 2.0 * harmed
        if comparison == "gap":
            made = [outcome(losses(rng, level), ("gap",), measure="log_loss")]
        else:
            made = [outcome(losses(rng, level) - losses(rng, 2.0), ("change", "gap change"), measure="log_loss")]
        result = searched(groups, made, rng)
        right += set(result.worst.split(" & ")) >= {"a0=1", "a1=0"} and result.smallest <= 0.05
    print(f"mean loss, {comparison}: found in {right} of {n}")
    assert right / n >= least(0.9, n)


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
    unit = np.repeat(np.arange(ROWS // 3), 3) if case in UNITS_OF_THREE else None
    for draw in range(n):
        rng = np.random.default_rng((draw, 1))
        groups = attributes(rng, ROWS, 5, 4)
        found += searched(groups, case(rng, groups), rng, unit=unit).smallest <= 0.05
    print(f"{case.__name__}: found in {found} of {n}")
    assert found / n <= most(0.05, n, 0.025 / len(NOTHING))


def lognormal_weights(rng: np.random.Generator) -> np.ndarray:
    """Examples of which a few percent have most of the weight."""
    return np.exp(2 * rng.normal(size=(ROWS, 1)))


def one_heavy_example(rng: np.random.Generator) -> np.ndarray:
    """One example that counts for a thousand others."""
    return np.where(np.arange(ROWS)[:, None] == 0, 1000.0, 1.0)


@pytest.mark.parametrize("weights", [lognormal_weights, one_heavy_example], ids=lambda weights: weights.__name__)
@pytest.mark.parametrize("case", [gaps_of_one_run, changes_of_one_run, log_losses], ids=lambda case: case.__name__)
def test_unequal_weights_find_something_in_at_most_5_percent_as_well(case, weights, repetitions):
    n, found = repetitions(200), 0
    for draw in range(n):
        rng = np.random.default_rng((draw, 6))
        groups = attributes(rng, ROWS, 5, 4)
        weight = weights(rng)
        made = [replace(one, numerator=one.numerator * weight, weight=one.weight * weight) for one in case(rng, groups)]
        found += searched(groups, made, rng).smallest <= 0.05
    print(f"{case.__name__}, {weights.__name__}: found in {found} of {n}")
    assert found / n <= most(0.05, n, 0.025 / 6)


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
