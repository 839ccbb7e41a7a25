"""One model of each method, which gives nearly all of its training examples away: who is accused, and what is cleared.

Areas near 1 rest on a few examples in the wrong order. A small group whose sample has none of them looks certain, so
that others seem to leak more than before.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

import bounds
from known_leaks import AUC, KnownLeaks, rows_of

ALPHA = 0.05
HARMLESS = ("equivalent", "not worse", "better")


def world(reference: float, method: float, sizes: tuple[int, ...]) -> KnownLeaks:
    """One method leaks more, alike in all groups, by as much as the margin."""
    leaks = {name: (leak,) * len(sizes) for name, leak in (("reference", reference), ("method", method))}
    drawn = KnownLeaks(leaks, sizes, models=1, varied=0.0)
    return replace(drawn, margins={AUC: abs(drawn.value(AUC, "method", 0) - drawn.value(AUC, "reference", 0))})


WORLDS = {
    ".97 and .995, a small group": world(2.66, 3.64, (60, 240)),
    ".94 and .99, a small group": world(2.2, 3.29, (60, 240)),
    ".90 and .97, a small group": world(1.81, 2.66, (60, 240)),
    ".90 and .97, too small a group": world(1.81, 2.66, (40, 160)),
    ".97 and .995, large groups": world(2.66, 3.64, (300, 1200)),
    ".995 and .97, a small group": world(3.64, 2.66, (60, 240)),
}


def claimed(name: str, repetitions: int) -> dict[str, float]:
    """The share of studies with a gap change that is `worse`, and with a change that is called harmless, by whom."""
    found: Counter[str] = Counter()
    for repetition in range(repetitions):
        gaps, changes = (
            rows_of(WORLDS[name], np.random.default_rng([8, repetition]), AUC, kind)
            for kind in ("gap change", "change")
        )
        found["worse"] += any(row["verdict"] == "worse" for row in gaps)
        for who, those in (("everyone", False), ("a group", True)):
            harmless = [row["verdict"] in HARMLESS for row in changes if (row["group"] is not None) == those]
            found[who] += any(harmless)
    return {claim: count / repetitions for claim, count in found.items()}


def test_a_group_that_gives_everything_away_accuses_no_other():
    assert claimed(".97 and .995, a small group", 20)["worse"] <= 0.05


@pytest.mark.simulate
@pytest.mark.parametrize("name", WORLDS)
def test_false_accusations_and_clearances_are_rare(name, repetitions):
    n = repetitions(400)
    found = claimed(name, n)
    print(f"{name}: {found}")
    assert found["worse"] <= bounds.most(ALPHA, n, 0.01), found
    if WORLDS[name].leaks["method"] > WORLDS[name].leaks["reference"]:
        assert max(found["everyone"], found["a group"]) <= bounds.most(0.06, n, 0.01), found
