"""Linear estimates of runs and items: linear combinations against plain loops and the jackknife, means and clusters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from evenhand.audit.arrays.linear_estimate import LinearEstimate
from evenhand.audit.estimands import Estimand, Subset, change, gap, gap_change
from evenhand.audit.measures import measure_named
from evenhand.audit.runs.items import ItemRuns, combined, defined_items, interval_of
from evenhand.stats.contrast import two_way
from evenhand.stats.few_runs import Wider
from evenhand.stats.questions import over_questions
from template_means import lean_over_templates, mean_over_templates

RNG = np.random.default_rng
RUNS, ITEMS, EXAMPLES, UNITS = 4, 3, 40, 25
ESTIMAND = Estimand(measure_named("accuracy"), Subset("who", "a"))
COMPARISONS = {
    "change": change(ESTIMAND, "lora", "full", 1),
    "gap": gap(ESTIMAND, "lora", 1),
    "gap change": gap_change(ESTIMAND, "lora", "full", 1),
    "gap change of a measure of which less is worse": gap_change(ESTIMAND, "lora", "full", -1),
}
BY_HAND = {
    "change": lambda a, b: a - b,
    "gap": lambda a, b: a - b,
    "gap change": lambda a, b, c, d: (a - b) - (c - d),
    "gap change of a measure of which less is worse": lambda a, b, c, d: (c - d) - (a - b),
}


def drawn(parts: int, items: int = ITEMS, runs: int = RUNS, seed: int = 0) -> list[list[list[LinearEstimate]]]:
    """Random linear estimates by part, run and item; all parts of a run and item share their weights."""
    rng = RNG(seed)
    found: list[list[list[LinearEstimate]]] = [[[] for _ in range(runs)] for _ in range(parts)]
    for run in range(runs):
        for _ in range(items):
            weights = rng.uniform(0.2, 1, EXAMPLES)
            weights /= weights.sum()
            for part in range(parts):
                influence = rng.normal(size=EXAMPLES)
                influence -= influence.mean()
                value, change = rng.normal(), rng.uniform()
                found[part][run].append(LinearEstimate(value, influence, weights, change))
    return found


def units_of(runs: int = RUNS, seed: int = 1) -> list[np.ndarray]:
    """A new sample of clusters in every run; each has all of its 25 units."""
    rng = RNG(seed)
    return [rng.permutation(np.arange(EXAMPLES) % UNITS) for _ in range(runs)]


def summed(examples: np.ndarray, units: np.ndarray) -> list[float]:
    """Sums by unit, in a plain loop."""
    sums = [0.0] * UNITS
    for value, unit in zip(examples, units, strict=True):
        sums[unit] += float(value)
    return sums


def variance_by_loops(values: Sequence[float], influence: np.ndarray, shares: np.ndarray) -> float:
    """The two-way variance of a mean over runs and clusters of unequal size (CR3), from its definition."""
    runs, units = influence.shape
    mean = sum(values) / runs
    cells = [[((values[j] - mean) * shares[j, u] + influence[j, u]) / runs for u in range(units)] for j in range(runs)]
    seed = runs / (runs - 1) * sum(sum(row) ** 2 for row in cells)
    size = [sum(shares[j, u] for j in range(runs)) / runs for u in range(units)]
    totals = [sum(cells[j][u] for j in range(runs)) for u in range(units)]
    example = (1 - min(size)) * sum((totals[u] / (1 - size[u])) ** 2 for u in range(units))
    both = sum(cell**2 for row in cells for cell in row)
    return max(seed + example - both, example)


@pytest.mark.parametrize("kind", list(COMPARISONS))
def test_values_and_influences_are_the_sums_of_the_terms(kind):
    comparison, by_hand, units = COMPARISONS[kind], BY_HAND[kind], units_of()
    parts = drawn(len(comparison.terms))
    found = combined(comparison.signs, [ItemRuns.of(part, units) for part in parts])
    for run in range(RUNS):
        for item in range(ITEMS):
            own = [part[run][item] for part in parts]
            assert found.values[run, item] == pytest.approx(by_hand(*(one.value for one in own)))
            each = [np.array(summed(one.influence, units[run])) for one in own]
            assert found.influence[run, item] == pytest.approx(by_hand(*each))
            assert found.weights[run, item] == pytest.approx(summed(own[0].weights, units[run]))
    assert found.units.tolist() == list(range(UNITS))


@pytest.mark.parametrize("kind", list(COMPARISONS))
def test_the_variance_is_the_two_way_one_of_the_differences(kind):
    comparison, by_hand, units = COMPARISONS[kind], BY_HAND[kind], units_of()
    parts = drawn(len(comparison.terms), items=1)
    found = combined(comparison.signs, [ItemRuns.of(part, units) for part in parts]).mean.whole
    values = [by_hand(*(part[run][0].value for part in parts)) for run in range(RUNS)]
    influence = np.array(
        [summed(by_hand(*(part[run][0].influence for part in parts)), units[run]) for run in range(RUNS)]
    )
    shares = np.array([summed(parts[0][run][0].weights, units[run]) for run in range(RUNS)])
    assert found.variance == pytest.approx(variance_by_loops(values, influence, shares))
    expected = two_way(np.array(values), influence, shares, clustered=True)
    for name in ("estimate", "variance", "df", "v_seed", "v_example", "v_both", "units"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name)), name
    assert found.runs == RUNS and found.units < UNITS, "units of unequal size are known as well as fewer of one size"


@pytest.mark.parametrize("kind", list(COMPARISONS))
def test_the_variance_over_items_is_that_of_differences_taken_example_by_example(kind):
    comparison, by_hand, units, rng = COMPARISONS[kind], BY_HAND[kind], units_of(), RNG(3)
    scores = rng.normal(size=(len(comparison.terms), RUNS, ITEMS, EXAMPLES))

    def runs_of(own: np.ndarray) -> ItemRuns:
        return ItemRuns.of([[LinearEstimate.mean(item) for item in run] for run in own], units)

    found = combined(comparison.signs, [runs_of(own) for own in scores])
    direct = runs_of(by_hand(*scores))
    expected = over_questions(direct.values, direct.influence, direct.weights)
    assert found.mean.v_question == pytest.approx(expected.v_question)
    assert found.mean.whole.estimate == pytest.approx(expected.whole.estimate)
    assert found.mean.whole.variance == pytest.approx(expected.whole.variance)
    assert found.mean.whole.df == pytest.approx(expected.whole.df)
    assert found.totals == pytest.approx(direct.totals)
    assert found.discordant == direct.discordant == UNITS


@pytest.mark.parametrize("kind", list(COMPARISONS))
def test_the_variance_of_one_run_is_that_of_the_jackknife_over_examples(kind):
    comparison, by_hand, rng = COMPARISONS[kind], BY_HAND[kind], RNG(5)
    scores = rng.normal(size=(len(comparison.terms), EXAMPLES))
    rows = [np.arange(EXAMPLES)]
    parts = [ItemRuns.of([[LinearEstimate.mean(own)]], rows) for own in scores]
    found = combined(comparison.signs, parts).mean.whole
    left = [by_hand(*(np.delete(own, place).mean() for own in scores)) for place in range(EXAMPLES)]
    jackknife = (EXAMPLES - 1) / EXAMPLES * sum((one - np.mean(left)) ** 2 for one in left)
    assert found.variance == pytest.approx(jackknife)
    assert found.estimate == pytest.approx(by_hand(*(own.mean() for own in scores)))


def test_what_the_same_examples_say_of_both_methods_cancels():
    """The same noise in both: none is left of their difference, and the gap change of equal gaps is 0."""
    (part,), units = drawn(1), units_of()
    one = ItemRuns.of(part, units)
    for signs in ((1, -1), (1, -1, -1, 1)):
        found = combined(signs, [one] * len(signs))
        assert found.mean.whole.estimate == found.mean.whole.variance == 0
        assert found.discordant == 0


def test_what_one_unit_can_change_is_the_mean_over_the_parts_and_unbounded_where_one_is():
    parts, units = drawn(2), units_of()
    first, second = (ItemRuns.of(part, units) for part in parts)
    found = combined((1, -1), (first, second))
    steps = [[(a.max_unit_change + b.max_unit_change) / 2 for a, b in zip(*both, strict=True)]
             for both in zip(*parts, strict=True)]  # fmt: skip
    assert found.steps == pytest.approx(np.array(steps))
    parts[1][2][0] = replace(parts[1][2][0], max_unit_change=None)
    assert combined((1, -1), (first, ItemRuns.of(parts[1], units))).steps is None


def group_and_rest(inside: int = 8) -> tuple[ItemRuns, ItemRuns]:
    """The mean over the first few examples, and that over all others, in runs on the same examples."""
    scores, member = RNG(2).normal(size=(RUNS, EXAMPLES)), np.arange(EXAMPLES) < inside
    rows = [np.arange(EXAMPLES)] * RUNS
    parts = [
        ItemRuns.of([[LinearEstimate.mean(np.where(own, run, np.nan))] for run in scores], rows)
        for own in (member, ~member)
    ]
    return parts[0], parts[1]


def test_the_gap_of_a_group_and_that_of_its_rest_differ_in_their_sign_only():
    group, rest = group_and_rest()
    one, other = (combined((1, -1), pair).mean.whole for pair in ((group, rest), (rest, group)))
    assert one.estimate == pytest.approx(-other.estimate)
    # The examples of the small group count for more, so that fewer alike ones would be known as well.
    assert one.units == pytest.approx(other.units) and one.units < EXAMPLES
    assert (one.variance, one.df) == pytest.approx((other.variance, other.df))


# Distances, and what is defined


def test_a_distance_has_the_sign_of_each_run_and_its_influence_turned_alike():
    (part,), units = drawn(1), units_of()
    plain = ItemRuns.of(part, units)
    for run in range(RUNS):
        sign = -1 if sum(item.value for item in part[run]) < 0 else 1
        assert plain.distances.values[run] == pytest.approx(sign * plain.values[run])
        assert plain.distances.influence[run] == pytest.approx(sign * plain.influence[run])
        assert plain.distances.values[run].mean() >= 0
    assert (plain.values.mean(axis=1) < 0).any() and (plain.values.mean(axis=1) > 0).any()


def test_of_several_items_those_that_every_run_has_are_used_and_of_one_the_runs_that_have_it():
    known, none = LinearEstimate.mean(np.arange(5.0)), LinearEstimate.undefined("it was not asked", 5)
    assert defined_items([[known, none], [known, known]]) == (
        [0],
        [0, 1],
        ["defined in 1 of 2 questions (it was not asked)"],
    )
    assert defined_items([[known], [none], [known]]) == ([0], [0, 2], ["defined in 2 of 3 runs (it was not asked)"])
    assert defined_items([[none, known], [known, none]]) == (
        [],
        [],
        ["no question is defined in every run (it was not asked)"],
    )
    assert defined_items([[none], [none]]) == ([], [], ["it was not asked"])


def test_few_units_that_are_apart_make_the_interval_wider_where_their_effect_has_a_bound():
    answers = np.zeros((3, 40))
    answers[:, :2] = 1.0
    rows = [np.arange(40)] * 3
    bounded, free = (ItemRuns.of([[LinearEstimate.mean(run, width)] for run in answers], rows) for width in (1.0, None))
    assert bounded.apart == free.apart == 2
    assert isinstance(interval_of(bounded), Wider)
    (low, high), (lower, higher) = (interval_of(one).bounds(0.025) for one in (free, bounded))
    assert lower < low and high < higher


# Means over templates


def test_copies_of_an_example_in_one_unit_do_not_narrow_the_interval():
    values = RNG(0).normal(size=(4, 30))
    doubled = np.repeat(values, 2, axis=1)
    plain, together = mean_over_templates(values), mean_over_templates(doubled, np.repeat(np.arange(30), 2))
    assert together.estimate == pytest.approx(plain.estimate) and together.variance == pytest.approx(plain.variance)
    assert mean_over_templates(doubled).v_example < 0.6 * plain.v_example


def test_with_one_template_the_interval_is_the_ordinary_one_of_a_mean():
    from scipy import stats

    values = RNG(1).normal(size=(1, 25))
    expected = stats.t.interval(0.95, 24, values.mean(), stats.sem(values[0]))
    assert mean_over_templates(values).interval() == pytest.approx(expected)


def test_undefined_examples_are_left_out_and_a_template_without_any_leaves_no_interval():
    values = RNG(2).normal(size=(2, 20))
    values[0, :5] = np.nan
    assert mean_over_templates(values).estimate == pytest.approx((values[0, 5:].mean() + values[1].mean()) / 2)
    values[0] = np.nan
    assert math.isnan(mean_over_templates(values).estimate)
    assert math.isnan(lean_over_templates(np.zeros((2, 3)), np.zeros((2, 3))).estimate)


def test_the_interval_of_a_lean_is_around_the_mean_over_templates():
    first = RNG(3).random((3, 50))
    found = lean_over_templates(first, 1 - first)
    assert found.estimate == pytest.approx(first.mean() - 0.5)
    assert found.variance == pytest.approx(mean_over_templates(first).variance)
