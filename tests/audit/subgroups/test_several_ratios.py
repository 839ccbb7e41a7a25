"""Sums of several ratios: variances, draws and skewness of conjunctions equal those of a loop over them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.stats import skew

from evenhand.audit.measures import measure_named
from evenhand.audit.subgroups import draws, null
from evenhand.audit.subgroups.conjunctions import Conjunctions
from evenhand.audit.subgroups.contrasts import ComparisonKind, contrasts
from evenhand.audit.subgroups.moments import moments
from evenhand.audit.subgroups.questions import Outcome
from evenhand.audit.subgroups.search import ask
from evenhand.audit.subgroups.skewness import allowing_for_skewness
from evenhand.stats.subsets import correction
from searched import attributes

ROWS = 400


def made(seed: int, kind: ComparisonKind, terms: tuple[float, ...], runs: int = 1, clustered: bool = False):
    """Conjunctions and the outcome of predictive values, or of balanced accuracy."""
    rng = np.random.default_rng(seed)
    weight = (rng.random((ROWS, len(terms) * runs)) < 0.6) * rng.uniform(0.5, 2, (ROWS, 1))
    numerator = weight * (rng.random(weight.shape) < 0.7)
    unit = rng.integers(0, 150, ROWS) if clustered else None
    measure = measure_named("positive_predictive_value" if sum(terms) == 0 else "balanced_accuracy")
    reference = None if kind == "gap" else "full"
    outcome = Outcome(measure, None, None, "lora", reference, (kind,), numerator, weight, terms=terms)
    return Conjunctions(attributes(rng, ROWS, 3, 3), ROWS, 2, 20, unit), outcome, rng


@pytest.mark.parametrize("terms", [(1.0, -1.0), (0.5, 0.5)])
@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize("clustered", [False, True])
def test_values_and_squares_are_those_of_a_loop(terms, runs, clustered):
    found, outcome, _ = made(1, "gap change", terms, runs, clustered)
    side = moments(found, outcome.numerator, outcome.weight, terms).inside
    unit = np.arange(ROWS) if found.unit is None else found.unit
    for place in range(len(found)):
        inside = found.members(place)[:, None]
        added = np.zeros(ROWS)
        value = np.zeros(runs)
        for term, coefficient in enumerate(terms):
            own = slice(term * runs, (term + 1) * runs)
            y, n = outcome.numerator[:, own] * inside, outcome.weight[:, own] * inside
            ratio = y.sum(axis=0) / n.sum(axis=0)
            value += coefficient * ratio
            added += (coefficient * (y - ratio.mean() * n) / n.sum(axis=0) / runs).sum(axis=1)
        squares = (np.bincount(unit, added) ** 2).sum()
        np.testing.assert_allclose(side.values[place], value, atol=1e-12)
        np.testing.assert_allclose(side.squares(side.coefficients())[place], squares, rtol=1e-8)


@pytest.mark.parametrize("terms", [(1.0, -1.0), (0.5, 0.5)])
def test_a_permutation_gives_the_contrasts_of_the_permuted_outcomes(terms):
    found, outcome, rng = made(2, "gap change", terms)
    (asked,) = ask(found, outcome, 10)
    rows = asked.outcome.base
    order = np.arange(ROWS)
    order[rows] = rng.permutation(rows)
    members, patterns = null._by_pattern(found, rows)
    places = np.searchsorted(rows, order[rows])
    z = draws.permuted(asked, members, patterns, None, rows, places[None])[:, 0]
    again = replace(outcome, numerator=outcome.numerator[order], weight=outcome.weight[order])
    (expected,) = ask(found, again, 10)
    both = asked.judged & expected.judged
    np.testing.assert_allclose(z[both], expected.contrasts.z[both], atol=0.12)  # its floor is that of all its draws


def test_signs_that_change_nothing_give_the_change_itself():
    found, outcome, _ = made(3, "change", (1.0, -1.0))
    (asked,) = ask(found, outcome, 10)
    rows = np.arange(ROWS)
    members, patterns = null._by_pattern(found, rows)
    z = draws.flipped(asked, members, patterns, rows, np.ones((ROWS, 1)))[:, 0]
    side = asked.sums.inside
    t = side.values[:, 0] / np.sqrt(draws.variance_of_change(asked.sums, True))
    np.testing.assert_allclose(z, draws.to_normal(t, side.units - 1.0), atol=1e-10)


@pytest.mark.parametrize("kind", ["gap", "change"])
@pytest.mark.parametrize("clustered", [False, True])
def test_skewness_is_that_of_the_contributions(kind, clustered):
    rng = np.random.default_rng(4)
    unit = np.repeat(np.arange(ROWS // 2), 2) if clustered else None
    whole = np.arange(ROWS) if unit is None else 2 * unit  # a unit is on one side
    found = Conjunctions([each.take(whole) for each in attributes(rng, ROWS, 2, 2)], ROWS, 2, 20, unit)
    losses = -np.exp(rng.normal(size=(ROWS, 1)))
    ones = np.ones((ROWS, 1))
    reference = None if kind == "gap" else "full"
    outcome = Outcome(measure_named("log_loss"), None, None, "lora", reference, (kind,), losses, ones)
    sums = moments(found, losses, ones)
    before = contrasts(kind, sums, proportion=False)
    after, judged = allowing_for_skewness(before, found, outcome, kind, sums)
    assert (after.variance >= before.variance).all()
    units = np.arange(ROWS) if unit is None else unit
    for place in range(len(found)):
        inside = found.members(place)
        added = np.where(inside, (losses[:, 0] - losses[inside, 0].mean()) / inside.sum(), 0.0)
        if kind == "gap":
            added -= np.where(inside, 0.0, (losses[:, 0] - losses[~inside, 0].mean()) / (~inside).sum())
        own = np.bincount(units, added)
        g = skew(own) / np.sqrt(len(own))
        t = before.estimate[place]
        assert judged[place] == (np.sign(t) * g >= -0.1)
        size = abs(t) / np.sqrt(before.variance[place])
        against = min(np.sign(t) * (own**3).sum() / before.variance[place] ** 1.5, 0.0)
        if against < 0 and 1 + against * size / 3 > 0.5:
            expected = ((1 + against * size / 3) ** 3 - 1) / against
            assert abs(t) / np.sqrt(after.variance[place]) == pytest.approx(expected)


def test_a_right_answer_of_every_one_of_few_is_no_certainty():
    rng = np.random.default_rng(5)
    found = Conjunctions(attributes(rng, ROWS, 1, 2), ROWS, 1, 20)
    inside = found.members(0)
    weight = np.zeros((ROWS, 2))
    weight[:, 0] = 1.0
    weight[np.flatnonzero(inside)[:12], 1] = 1.0
    weight[~inside, 1] = 1.0
    right = rng.random((ROWS, 1)) < 0.7
    right[np.flatnonzero(inside)[:12]] = True
    sums = moments(found, weight * right, weight, (1.0, -1.0))
    made_of = contrasts("change", sums, proportion=True)
    assert np.sqrt(made_of.variance[0]) > np.sqrt(0.7 * 0.3 * (1 / 12 - 1 / inside.sum())) * 0.9
    assert correction(sums.inside.units)[0] >= 1


@pytest.mark.parametrize("kind", ["gap", "change"])
def test_units_that_keep_their_ratios_give_the_contrast_by_its_unsmoothed_variance(kind):
    """Where all rows of a unit are alike and each draws itself, the draw is the contrast itself."""
    rng = np.random.default_rng(6)
    unit = np.repeat(np.arange(ROWS // 2), 2)
    found = Conjunctions(attributes(rng, ROWS, 2, 2), ROWS, 2, 20, unit)
    losses, ones = np.exp(rng.normal(size=ROWS // 2))[unit][:, None], np.ones((ROWS, 1))
    reference = None if kind == "gap" else "full"
    outcome = Outcome(measure_named("log_loss"), None, None, "lora", reference, (kind,), losses, ones)
    (asked,) = ask(found, outcome, 10)
    whole, centre = np.full(ROWS // 2, 2.0), losses.mean() if kind == "gap" else 0.0
    inside = csr_array([np.bincount(unit, found.members(place)) for place in range(len(found))])
    level, order = losses[::2, 0] - centre, np.arange(ROWS // 2)[:, None]
    z = draws.resampled_units(asked, inside, whole, level, order)[:, 0]
    for place in range(len(found)):
        mask = found.members(place)
        shares = np.where(mask, 1 / mask.sum(), 0.0 if kind == "change" else -1 / (~mask).sum())
        added = np.bincount(unit, shares * (losses[:, 0] - centre))
        t = added.sum() / np.sqrt(correction(asked.sums.inside.units)[place] * (added**2).sum())
        df = np.maximum(asked.contrasts.df[place], 1)
        assert z[place] == pytest.approx(float(draws.to_normal(np.array(t), df)), abs=1e-9)
