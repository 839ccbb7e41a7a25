"""Gap changes accuse nobody for being merely less accurate, find a gap that opens, and hold the truth.

Rates are known exactly (`known_rates`), so that the truth of a gap change is computed and not taken from repetitions.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

import bounds
from counting import compared, reading_of
from known_rates import KnownRates, gap_change_of, rows_of

ALPHA = 0.05


def world(reference: float | tuple[float, ...], method: float | tuple[float, ...], sizes: tuple[int, ...], **how):
    """Two methods with one rate in all groups, or one in each."""
    rates = {
        name: rate if isinstance(rate, tuple) else (rate,) * len(sizes)
        for name, rate in (("reference", reference), ("method", method))
    }
    return KnownRates(rates, sizes, **how)


EIGHT = (75,) * 8
FAIR = {
    "less accurate": world(0.95, 0.85, EIGHT),
    "more accurate": world(0.85, 0.95, EIGHT),
    "selects more": world(0.05, 0.5, EIGHT, of="positive"),
    "selects less": world(0.5, 0.05, EIGHT, of="positive"),
}
"""Both methods treat all groups alike, whatever else they do."""
MORE_FAIR = {
    "new splits": world(0.95, 0.85, EIGHT, vary=True),
    "two groups": world(0.95, 0.85, (75, 75)),
    "twelve groups of 30, three runs": world(0.95, 0.85, (30,) * 12, runs=3),
    "overlapping groups, weights": world(0.95, 0.85, (150,) * 4, overlap=True, weights=True),
    "units of three": world(0.95, 0.85, (150,) * 4, size=3),
    "ten runs that vary much": world(0.95, 0.85, (100,) * 4, runs=10, vary=True, run=0.2),
    "methods that go together": world(0.95, 0.94, (100,) * 4, together=1.0, example=0.9),
    "a gap that stays": world((0.85, 0.95, 0.95, 0.95), (0.75, 0.85, 0.85, 0.85), (150,) * 4),
}
HARMED = world((0.9, 0.95, 0.95, 0.95), (0.75, 0.95, 0.95, 0.95), (150,) * 4)
RATES = ("accuracy", "true_positive_rate", "selection_rate")
CLAIMS = ("worse", "better", "widens", "narrows", "reversed")


def claimed(drawn: KnownRates, measures: tuple[str, ...], repetitions: int, seed: int = 0) -> dict[str, float]:
    """The share of studies with each claim about some group, between groups, and by each spread."""
    found: Counter[str] = Counter()
    for repetition in range(repetitions):
        claims = set()
        for row in rows_of(drawn, np.random.default_rng([seed, repetition]), measures):
            name = row["measure"]
            if name.endswith("_spread"):
                claims |= {f"{name} {row['verdict']}"}
            elif row["comparison"] == "gap change":
                where = name if row["group"] is not None else f"{name} between groups"
                claims |= {f"{where} {row['verdict']}", f"{where} {row['disparity']}"}
        found.update(claims)
    return {claim: count / repetitions for claim, count in found.items()}


def false_claims_are_rare(drawn: KnownRates, measures: tuple[str, ...], repetitions: int) -> None:
    found = claimed(drawn, measures, repetitions)
    for claim, share in found.items():
        if claim.endswith(CLAIMS):
            assert share <= bounds.most(ALPHA, repetitions), (claim, share)


@pytest.mark.parametrize("name", FAIR)
def test_methods_that_are_fair_are_not_accused_and_win_nothing(name):
    measure = "selection_rate" if FAIR[name].of == "positive" else "accuracy"
    false_claims_are_rare(FAIR[name], (measure, f"{measure}_spread"), 40)


def test_a_gap_that_opens_is_found():
    found = claimed(HARMED, ("accuracy", "accuracy_spread"), 40)
    for claim in ("accuracy worse", "accuracy widens", "accuracy between groups worse", "accuracy_spread worse"):
        assert found[claim] >= bounds.least(0.8, 40), claim


@pytest.mark.simulate
@pytest.mark.parametrize("name", [*FAIR, *MORE_FAIR])
def test_false_claims_of_every_design(name, repetitions):
    drawn = (FAIR | MORE_FAIR)[name]
    measures = ("selection_rate",) if drawn.of == "positive" else ("accuracy", "true_positive_rate")
    false_claims_are_rare(drawn, (*measures, *(f"{measure}_spread" for measure in measures)), repetitions(1000))


@pytest.mark.simulate
@pytest.mark.parametrize("vary", [True, False])
def test_a_gap_that_opens_is_found_in_every_split(vary, repetitions):
    n = repetitions(500)
    found = claimed(replace(HARMED, vary=vary), ("accuracy", "accuracy_spread"), n)
    for claim in ("accuracy worse", "accuracy widens", "accuracy between groups worse", "accuracy_spread worse"):
        assert found[claim] >= bounds.least(0.8, n), (claim, found[claim])


@pytest.mark.simulate
def test_a_gap_change_of_the_margin_is_rarely_cleared(repetitions):
    """Of group a, whose gap widens by .1, and between groups."""
    n = repetitions(1000)
    drawn = world((0.9,) * 4, (0.8, 0.9, 0.9, 0.9), (300,) * 4, margins={"default": 0.1})
    cleared = between = 0
    for repetition in range(n):
        for row in rows_of(drawn, np.random.default_rng([2, repetition]), ("accuracy",)):
            if row["comparison"] == "gap change":
                cleared += row["group"] == "a" and row["verdict"] in ("equivalent", "not worse")
                between += row["group"] is None and row["verdict"] == "equivalent"
    assert max(cleared, between) / n <= bounds.most(ALPHA, n)


@pytest.mark.simulate
@pytest.mark.parametrize(
    "drawn",
    [
        *(FAIR[name] for name in ("less accurate", "more accurate")),
        *(MORE_FAIR[name] for name in ("new splits", "units of three", "ten runs that vary much")),
        HARMED,
        replace(HARMED, run=0.3, example=0.2),
        replace(HARMED, weights=True),
    ],
)
def test_intervals_of_gap_changes_hold_the_truth(drawn, repetitions):
    """Of 95%, and not much more often where there are five runs."""
    n = repetitions(500)
    held: dict[str, list[bool]] = {}
    for repetition in range(n):
        for member in compared(
            reading_of(drawn, np.random.default_rng([1, repetition])), ("accuracy",), ("gap change",)
        ):
            interval, group = member.contrast.interval, member.comparison.estimand.subset.group
            if interval is not None and group is not None:
                low, high = interval.bounds(0.025)
                held.setdefault(group, []).append(low <= gap_change_of(drawn, group) <= high)
    shares = {group: float(np.mean(each)) for group, each in held.items()}
    assert min(shares.values()) >= bounds.least(0.93, n), shares
    assert np.mean(list(shares.values())) <= bounds.most(0.985, n), shares
