"""Gap changes of benchmarks accuse nobody for being merely less accurate, find a gap that opens, and hold the truth.

Rates are known exactly (`known_benchmarks`). Distances from no preference are the counterexample: their gap change says
`worse` of methods that treat all groups alike, so that it has no verdict.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

import bounds
from evenhand.audit.measures import measure_named
from known_benchmarks import KnownBenchmarks, gap_changes_of, rows_of

ALPHA = 0.05
CLAIMS = ("worse", "better", "different", "widens", "narrows", "reversed")


def world(reference: float | tuple[float, ...], method: float | tuple[float, ...], templates: tuple[int, ...], **how):
    """Two methods with one rate in all groups, or one in each."""
    rates = {
        name: rate if isinstance(rate, tuple) else (rate,) * len(templates)
        for name, rate in (("reference", reference), ("method", method))
    }
    return KnownBenchmarks(rates, templates, **how)


EIGHT = (40,) * 8
FAIR = {
    "less accurate": world(0.9, 0.7, EIGHT),
    "more accurate": world(0.7, 0.9, EIGHT),
    "one group in ten": world(0.9, 0.7, (12, 108)),
    "pronouns of one occupation": world(0.9, 0.7, (60, 60, 60), copies=1, crossed=True),
    "stereotypes": world(0.5, 0.7, EIGHT, metric="pct_stereotype"),
}
"""Both methods treat all groups alike, whatever else they do."""
MORE_FAIR = {
    "three runs": world(0.9, 0.7, EIGHT, runs=3),
    "ten runs that vary much": world(0.9, 0.7, EIGHT, runs=10, run=0.2),
    "one run": world(0.9, 0.7, EIGHT, runs=1, run=0.0),
    "templates of eight": world(0.9, 0.7, (15,) * 8, copies=8),
    "hardly any errors": world(0.97, 0.95, EIGHT),
    "no stereotype left": world(0.7, 0.5, (12, 36, 108), metric="pct_stereotype"),
}
UNEQUAL = {
    "fifteen templates of 60 to 4": world(
        0.9, 0.7, (15,) * 4, unequal=tuple(max(round(60 / r), 1) for r in range(1, 16))
    ),
    "one large template in each group": world(0.9, 0.7, (20,) * 3, unequal=(60, *(4,) * 19)),
    "templates that decide": world(0.8, 0.6, (30,) * 4, unequal=(20, 10, 5, 1, 1), template=0.7),
}
"""Templates of very unequal size, of which the large ones decide a group's rate."""
HARMED = world((0.85, 0.9, 0.9, 0.9), (0.6, 0.9, 0.9, 0.9), (80,) * 4)


def claimed(drawn: KnownBenchmarks, repetitions: int, seed: int = 0) -> dict[str, float]:
    """The share of studies with each claim about some group, and between groups."""
    found: Counter[str] = Counter()
    for repetition in range(repetitions):
        claims = set()
        for row in rows_of(drawn, np.random.default_rng([seed, repetition]), drawn.metric):
            where = "" if row["group"] is not None else "between groups "
            claims |= {f"{where}{row['verdict']}", f"{where}{row['disparity']}"}
        found.update(claims)
    return {claim: count / repetitions for claim, count in found.items()}


def false_claims_are_rare(drawn: KnownBenchmarks, repetitions: int) -> None:
    """At most as often as the level says; `better`, which no gate counts, at most twice as often."""
    for claim, share in claimed(drawn, repetitions).items():
        if claim.split()[-1] in CLAIMS:
            level = 2 * ALPHA if claim == "better" else ALPHA
            assert share <= bounds.most(level, repetitions, 0.01), (claim, share)


def coverage(drawn: KnownBenchmarks, repetitions: int) -> dict[str, float]:
    """The share of 95% intervals of gap changes that hold the truth, by group."""
    held: dict[str, list[bool]] = {}
    direction = measure_named(drawn.metric).direction or 1.0
    for repetition in range(repetitions):
        for member in gap_changes_of(drawn, np.random.default_rng([1, repetition]), drawn.metric):
            interval, group = member.contrast.interval, str(member.comparison.estimand.subset.group)
            if interval is not None:
                low, high = interval.bounds(0.025)
                held.setdefault(group, []).append(low <= drawn.gap_change_of(group, direction) <= high)
    return {group: float(np.mean(each)) for group, each in held.items()}


@pytest.mark.parametrize("name", FAIR)
def test_methods_that_are_fair_are_not_accused_and_win_nothing(name):
    false_claims_are_rare(FAIR[name], 40)


def test_a_gap_that_opens_is_found():
    found = claimed(HARMED, 40)
    for claim in ("worse", "widens", "between groups worse"):
        assert found[claim] >= bounds.least(0.8, 40), (claim, found)


def test_intervals_hold_the_truth_in_eight_groups():
    shares = coverage(FAIR["less accurate"], 40)
    assert np.mean(list(shares.values())) >= bounds.least(0.93, 40), shares


@pytest.mark.simulate
@pytest.mark.parametrize("name", [*FAIR, *MORE_FAIR, *UNEQUAL])
def test_false_claims_of_every_design(name, repetitions):
    false_claims_are_rare((FAIR | MORE_FAIR | UNEQUAL)[name], repetitions(500))


@pytest.mark.simulate
def test_a_gap_that_opens_is_found_often(repetitions):
    n = repetitions(500)
    found = claimed(HARMED, n)
    for claim in ("worse", "widens", "between groups worse"):
        assert found[claim] >= bounds.least(0.8, n), (claim, found)


@pytest.mark.simulate
@pytest.mark.parametrize(
    "drawn",
    [
        FAIR["less accurate"],
        FAIR["pronouns of one occupation"],
        FAIR["stereotypes"],
        MORE_FAIR["templates of eight"],
        *UNEQUAL.values(),
        HARMED,
        replace(HARMED, run=0.3, template=0.2),
    ],
)
def test_intervals_of_gap_changes_hold_the_truth(drawn, repetitions):
    n = repetitions(500)
    shares = coverage(drawn, n)
    assert min(shares.values()) >= bounds.least(0.93, n), shares
    assert np.mean(list(shares.values())) <= bounds.most(0.98, n), shares


SMALL = world(0.7, 0.5, (12, 108), metric="pct_stereotype")
"""Both methods treat both groups alike, and one of them has no preference; a group has twelve templates."""


def of_distances(drawn: KnownBenchmarks, repetitions: int) -> tuple[float, float]:
    """The mean gap change of group a in the distance, and how often a bound says `worse` of some group (Bonferroni)."""
    accused, estimates = 0, []
    for repetition in range(repetitions):
        rng = np.random.default_rng([0, repetition])
        members = list(gap_changes_of(drawn, rng, f"{drawn.metric}_distance"))
        accused += any(one.contrast.interval.bounds(ALPHA / len(members))[0] > 0 for one in members)
        estimates.append(members[0].contrast.estimate)
    return float(np.mean(estimates)), accused / repetitions


def test_gap_changes_of_distances_are_biased_against_small_groups_and_have_no_verdict():
    found, _ = of_distances(SMALL, 60)
    assert found > 0.02
    rows = rows_of(SMALL, np.random.default_rng(0), "pct_stereotype_distance")
    assert rows and all(row["verdict"] is None and row["disparity"] is None for row in rows)
    assert all("gap change of pct_stereotype" in row["note"] and row["contrast"] is not None for row in rows)


@pytest.mark.simulate
def test_gap_changes_of_distances_of_one_run_would_accuse_too_often(repetitions):
    drawn = world(0.99, 0.5, (12, 12, 12, 12, 300), metric="pct_stereotype", runs=1, run=0.0)
    n = repetitions(500)
    found, accused = of_distances(drawn, n)
    assert found > 0.04 and (accused > ALPHA or n < 200)


def main(repetitions: int) -> None:
    """Print the table of docs/generation.md."""
    for name, drawn in (FAIR | MORE_FAIR | {"harmed": HARMED}).items():
        found, held = claimed(drawn, repetitions), coverage(drawn, repetitions)
        shares = " | ".join(f"{found.get(claim, 0):.3f}" for claim in CLAIMS)
        print(f"| {name} | {shares} | {min(held.values()):.3f}–{max(held.values()):.3f} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
