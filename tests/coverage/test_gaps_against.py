"""Gaps, and their changes, against everybody or a named group accuse nobody falsely and hold the truth.

Rates are known exactly (`known_rates`); against the rest see `test_one_run` and `test_gaps`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import bounds
from counting import reading_of
from known_rates import KnownRates
from test_one_run import false_claims_are_rare, held, world

AGAINST = ("overall", "b")
ONE_MODEL = {
    "a group of 12, few errors": world(0.95, 0.95, (12, 488)),
    "a group of 30, many errors": world(0.2, 0.2, (30, 470)),
    "eight groups of 75": world(0.95, 0.95, (75,) * 8),
    "twelve groups of 20, few errors": world(0.97, 0.97, (20,) * 12),
    "most are of one group": world(0.9, 0.9, (440, 60)),
    "units of three": world(0.9, 0.9, (150,) * 4, size=3),
}
"""One model that treats all groups alike."""
SEVERAL = {
    "five runs, a new split each": world(0.9, 0.9, (75,) * 4, runs=5, run=0.03, vary=True),
    "five runs, one split": world(0.9, 0.9, (75,) * 4, runs=5, run=0.03),
}
"""Several runs of one method that treats all groups alike."""
CHANGES = {
    "one run, less accurate": world(0.95, 0.85, (75,) * 8),
    "one run, small groups": world(0.95, 0.85, (20,) * 6),
    "one run, units of three": world(0.95, 0.85, (150,) * 4, size=3),
    "five runs, less accurate": world(0.95, 0.85, (75,) * 4, runs=5, run=0.02),
    "five runs, a new split each": world(0.95, 0.85, (75,) * 4, runs=5, run=0.02, vary=True),
}
"""Two methods that are fair, whatever else they do."""
UNEQUAL = {
    "unequal rates": world(0.9, (0.7, 0.95, 0.95), (25, 200, 275)),
    "few are right": world(0.9, (0.05, 0.2, 0.2), (20, 200, 280)),
    "the group is most of everybody": world(0.9, (0.7, 0.9), (420, 80)),
}


@pytest.mark.parametrize("against", AGAINST)
def test_a_fair_model_is_not_accused(against):
    drawn = replace(ONE_MODEL["a group of 12, few errors"], alone=True, against=against)
    false_claims_are_rare(drawn, "gap", 100)


def test_in_every_run_the_gap_to_everybody_is_a_share_of_that_to_the_rest():
    """(1 − π)·gap, with the shares of weights in that run: also with new splits and weights."""
    drawn = replace(UNEQUAL["unequal rates"], alone=True, vary=True, runs=3, run=0.02, weights=True)
    readings = [reading_of(replace(drawn, against=name), np.random.default_rng(5)) for name in ("overall", "rest")]
    evaluation = readings[0].evaluation
    inside, weight = evaluation.population.groups[0].masks[:, 0], evaluation.population.weight
    found = []
    for reading in readings:
        (accuracy,) = [each for each in _groups(reading) if each.subset.group == "a"]
        found.append(dict(reading.gaps(accuracy, "method")))
    for seed in range(3):
        rows = evaluation.runs["method", seed].rows
        share = weight[rows][inside[rows]].sum() / weight[rows].sum()
        everybody, rest = (gaps[seed] for gaps in found)
        assert everybody.value == pytest.approx((1 - share) * rest.value, abs=1e-12)
        assert everybody.high - everybody.low == pytest.approx((1 - share) * (rest.high - rest.low), rel=0.05)


def _groups(reading):
    from evenhand.audit.measures import measure_named

    return [each for each in reading.estimands(measure_named("accuracy")) if each.subset.level == "group"]


@pytest.mark.simulate
@pytest.mark.parametrize("against", AGAINST)
@pytest.mark.parametrize("name", [*ONE_MODEL, *SEVERAL])
def test_no_fair_model_is_accused(name, against, repetitions):
    drawn: KnownRates = {**ONE_MODEL, **SEVERAL}[name]
    false_claims_are_rare(replace(drawn, alone=True, against=against), "gap", repetitions(2000), ("worse",))


@pytest.mark.simulate
@pytest.mark.parametrize("against", AGAINST)
@pytest.mark.parametrize("name", CHANGES)
def test_no_two_fair_methods_are_accused(name, against, repetitions):
    claims = ("worse", "better", "widens", "narrows", "reversed")
    false_claims_are_rare(replace(CHANGES[name], against=against), "gap change", repetitions(1000), claims)


@pytest.mark.simulate
@pytest.mark.parametrize("against", AGAINST)
@pytest.mark.parametrize("name", [*ONE_MODEL, *SEVERAL, *UNEQUAL])
def test_intervals_of_gaps_hold_the_truth(name, against, repetitions):
    drawn, n = {**ONE_MODEL, **SEVERAL, **UNEQUAL}[name], repetitions(1000)
    shares = held(replace(drawn, alone=True, against=against), "gap", n, 0.025)
    assert min(shares.values()) >= bounds.least(0.93, n), shares


@pytest.mark.simulate
@pytest.mark.parametrize("against", AGAINST)
@pytest.mark.parametrize("name", CHANGES)
def test_intervals_of_gap_changes_hold_the_truth(name, against, repetitions):
    n = repetitions(1000)
    shares = held(replace(CHANGES[name], against=against), "gap change", n, 0.025)
    assert min(shares.values()) >= bounds.least(0.93, n), shares
