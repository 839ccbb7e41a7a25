"""Differences between methods in the area and in the true positive rate at 1% of a membership attack hold the truth.

Areas and rates are known exactly (`known_leaks`). A rate at 1% rests on few non-members, and a difference of two on the
same few: what one threshold gets wrong, both rates do.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import bounds
from known_leaks import AUC, RATE, KnownLeaks, contrasts_of, rows_of

ALPHA = 0.05


def world(reference: float, method: float, sizes: tuple[int, ...], **how) -> KnownLeaks:
    """Two methods that leak by steps of their own, alike in all groups."""
    return KnownLeaks({"reference": (reference,) * len(sizes), "method": (method,) * len(sizes)}, sizes, **how)


ALIKE = {
    "some leak": world(1.5, 1.5, (700, 3000)),
    "large leak": world(3.0, 3.0, (700, 1500)),
    "models differ": world(2.0, 2.0, (900,) * 3, varied=0.6),
    "heavy tails": world(2.5, 2.5, (700, 3000), heavy=True),
    "three models": world(2.0, 2.0, (900,) * 3, models=3),
}
"""Both methods leak as much, so that whatever is called worse is false."""
APART = {
    "leaks more": world(0.5, 2.0, (700, 3000)),
    "leaks less": world(2.5, 1.0, (900,) * 3),
    "examples vary most": world(1.0, 2.0, (700, 1500), shared=0.9),
}


def held(drawn: KnownLeaks, measure: str, repetitions: int) -> Iterator[bool]:
    """Whether each 95% interval of a difference, of everyone or a group, holds the truth."""
    truth = drawn.value(measure, "method", 0) - drawn.value(measure, "reference", 0)
    for repetition in range(repetitions):
        for member in contrasts_of(drawn, np.random.default_rng([5, repetition]), measure, "change"):
            if member.contrast.interval is not None:
                low, high = member.contrast.interval.bounds(0.025)
                yield low <= truth <= high


@pytest.mark.simulate
@pytest.mark.parametrize("measure", [AUC, RATE])
@pytest.mark.parametrize("name", ALIKE)
def test_methods_that_leak_alike_are_seldom_told_apart(name, measure, repetitions):
    many = repetitions(400)
    wrong = sum(
        "worse"
        in {row["verdict"] for row in rows_of(ALIKE[name], np.random.default_rng([6, repetition]), measure, "change")}
        for repetition in range(many)
    )
    # Everyone and the groups are two families.
    assert wrong / many <= bounds.most(2 * ALPHA, many, 0.01)


@pytest.mark.simulate
@pytest.mark.parametrize("measure", [AUC, RATE])
@pytest.mark.parametrize("name", [*APART, "some leak", "models differ"])
def test_intervals_of_differences_hold_the_truth(name, measure, repetitions):
    many = repetitions(400)
    found = list(held((APART | ALIKE)[name], measure, many))
    assert len(found) >= many
    assert bounds.least(0.93, many, 0.01) <= np.mean(found)
