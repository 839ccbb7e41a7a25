"""Gap changes of membership accuse nobody for leaking more in all groups alike, and hold the truth.

Areas and rates are known exactly (`known_leaks`): models differ, by group too, and are complementary pairs.
"""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np
import pytest

import bounds
from known_leaks import ACCURACY, AUC, RATE, KnownLeaks, contrasts_of, rows_of

ALPHA = 0.05
OF_ACCURACY = 0.07
"""What balanced accuracy reaches where examples vary most: its thresholds are taken as known, and are other models'."""
CLAIMS = ("worse", "better", "widens", "narrows", "reversed")


def world(reference: float | tuple[float, ...], method: float | tuple[float, ...], sizes: tuple[int, ...], **how):
    """Two methods that leak alike in all groups, or in each by a step of its own."""
    leaks = {
        name: leak if isinstance(leak, tuple) else (leak,) * len(sizes)
        for name, leak in (("reference", reference), ("method", method))
    }
    return KnownLeaks(leaks, sizes, **how)


FAIR = {
    "leaks less": world(1.5, 0.5, (200,) * 6),
    "leaks more": world(0.5, 1.5, (200,) * 6),
    "small group": world(1.5, 0.5, (80, 920)),
    "areas near 1": world(3.0, 1.0, (80, 600, 600)),
    "models vary by group": world(1.0, 1.0, (200,) * 4, varied=0.6),
    "three models": world(1.5, 0.5, (300,) * 4, models=3),
    "one model": world(1.5, 0.5, (300,) * 4, models=1, varied=0.0),
    "examples vary most": world(1.5, 0.5, (200,) * 4, shared=0.9),
}
"""A method leaks more or less than the other, in all groups alike."""
RATES = {
    "leaks less": world(2.0, 0.5, (600,) * 4),
    "small group": world(2.0, 0.5, (700, 3000)),
    "heavy tails": world(2.5, 0.5, (700, 3000), heavy=True),
}
"""The same, with enough non-members for a rate at 1%."""
HARMED = world(0.5, (1.5, 0.5, 0.5, 0.5), (400,) * 4)
HARMED_RATE = world(0.5, (2.5, 0.5, 0.5, 0.5), (1200,) * 4)


def claimed(drawn: KnownLeaks, measure: str, repetitions: int) -> dict[str, float]:
    """The share of studies with each claim about some group, and between groups."""
    found: Counter[str] = Counter()
    for repetition in range(repetitions):
        claims = set()
        for row in rows_of(drawn, np.random.default_rng([3, repetition]), measure):
            where = "" if row["group"] is not None else "between groups "
            claims |= {f"{where}{row['verdict']}", f"{where}{row['disparity']}"}
        found.update(claims)
    return {claim: count / repetitions for claim, count in found.items()}


def false_claims_are_rare(drawn: KnownLeaks, measure: str, repetitions: int) -> None:
    """At most as often as the level says; `better`, which no gate counts, at most twice as often."""
    for claim, share in claimed(drawn, measure, repetitions).items():
        if claim.split()[-1] in CLAIMS:
            level = 2 * ALPHA if claim == "better" else OF_ACCURACY if measure == ACCURACY else ALPHA
            assert share <= bounds.most(level, repetitions, 0.01), (claim, share)


def coverage(drawn: KnownLeaks, measure: str, repetitions: int, groups: str) -> float:
    """The share of 95% intervals of these groups' gap changes that hold the truth."""
    held = []
    for repetition in range(repetitions):
        for member in contrasts_of(drawn, np.random.default_rng([3, repetition]), measure):
            interval, group = member.contrast.interval, str(member.comparison.estimand.subset.group)
            if interval is not None and group in groups:
                low, high = interval.bounds(0.025)
                held.append(low <= drawn.gap_change_of(measure, group) <= high)
    return float(np.mean(held))


@pytest.mark.parametrize("name", ["small group", "one model"])
def test_methods_that_leak_alike_in_all_groups_are_not_accused(name):
    false_claims_are_rare(FAIR[name], AUC, 20)


def test_a_group_that_leaks_more_than_before_is_found():
    assert claimed(HARMED, AUC, 8)["worse"] == 1


@pytest.mark.parametrize("members", [25, 40])
def test_below_thirty_members_or_non_members_a_gap_change_is_not_judged(members):
    (_, small), *_ = [
        (member, member.contrast)
        for member in contrasts_of(world(1.5, 0.5, (2 * members, 400), models=1), np.random.default_rng(0), AUC)
    ]
    assert (small.interval is None) == (members < 30)


@pytest.mark.simulate
@pytest.mark.parametrize(
    ("name", "measure"),
    # The threshold of a balanced accuracy is chosen on other models, so that there have to be some.
    [
        (name, measure)
        for name, drawn in FAIR.items()
        for measure in (AUC, ACCURACY)
        if measure == AUC or drawn.models > 1
    ],
)
def test_false_claims_of_every_design(name, measure, repetitions):
    false_claims_are_rare(FAIR[name], measure, repetitions(300))


@pytest.mark.simulate
@pytest.mark.parametrize("name", RATES)
def test_false_claims_of_rates(name, repetitions):
    false_claims_are_rare(RATES[name], RATE, repetitions(300))


@pytest.mark.simulate
@pytest.mark.parametrize(("measure", "drawn"), [(AUC, HARMED), (RATE, HARMED_RATE)])
def test_a_group_that_leaks_more_is_found_often(measure, drawn, repetitions):
    n = repetitions(100)
    assert claimed(drawn, measure, n)["worse"] >= bounds.least(0.8, n)


@pytest.mark.simulate
@pytest.mark.parametrize(
    ("measure", "drawn", "groups"),
    [
        *((AUC, drawn, "abcdef") for drawn in FAIR.values()),
        (AUC, HARMED, "a"),
        *((RATE, RATES[name], "abcd") for name in ("leaks less", "small group")),
        (RATE, HARMED_RATE, "a"),
    ],
)
def test_intervals_of_gap_changes_hold_the_truth(measure, drawn, groups, repetitions):
    n = repetitions(300)
    found = coverage(drawn, measure, n, groups)
    assert bounds.least(0.93, n) <= found <= bounds.most(0.985, n), found


def main(repetitions: int) -> None:
    """Print false claims and coverage of docs/membership-derivations.md."""
    for measure, worlds in ((AUC, FAIR), (ACCURACY, FAIR), (RATE, RATES)):
        for name, drawn in worlds.items():
            if measure == ACCURACY and drawn.models < 2:
                continue
            found = {claim: share for claim, share in claimed(drawn, measure, repetitions).items() if claim in CLAIMS}
            known = measure != ACCURACY and not drawn.heavy
            held = f"{coverage(drawn, measure, repetitions, 'abcdef'):.3f}" if known else "–"
            print(f"| {measure} | {name} | {found} | {held} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 150)
