"""The debiased squared calibration error of small groups: its bias, and verdicts where the truth is known.

Truths are analytic: see `binned`. Before masses were pooled over runs, a truth of .0725 was seen as .033 at 12
examples, .043 at 20 and .068 at 60, and a change at the margin of .05 called harmless in .18 (5 runs of 20) and .27
(10).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import bounds
from binned import Binned, with_margin_at_the_truth
from counting import compared, reading_of
from evenhand.audit.measures import select
from evenhand.audit.verdicts import families

MEASURE = "calibration_error_squared"
HARMLESS = ("equivalent", "not worse", "better")


@dataclass(frozen=True)
class Said:
    """What the contrast of the first group, or of everyone, came to.

    Attributes:
        mean, error: of the estimates, with its standard error.
        unseen: the mean of what the method's errors cannot see.
        harmless, worse: shares of the verdicts.
    """

    mean: float
    error: float
    unseen: float
    harmless: float
    worse: float


def said(world: Binned, repetitions: int, kind: str = "change") -> Said:
    estimates, unseen, words = [], [], []
    group = "a" if world.rest else None
    for repetition in range(repetitions):
        reading = reading_of(world, np.random.default_rng([7, repetition]))
        for member in compared(reading, (MEASURE,), (kind,)):
            if member.comparison.estimand.subset.group != group:
                continue
            for family in families([member], world.design):
                (row, *_) = family.rows()
                estimates.append(np.nan if row["contrast"] is None else row["contrast"])
                words.append(row["verdict"])
                assert member.contrast.unseen is not None
                unseen.append(member.contrast.unseen.above.share)
    assert len(words) == repetitions
    return Said(
        float(np.nanmean(estimates)),
        float(np.nanstd(estimates)) / np.sqrt(repetitions),
        float(np.mean(unseen)),
        float(np.mean([word in HARMLESS for word in words])),
        float(np.mean([word == "worse" for word in words])),
    )


def seen_within_its_bounds(world: Binned, repetitions: int) -> None:
    """The mean is the truth, but for what it says that it cannot see."""
    found = said(world, repetitions)
    assert world.truth - found.unseen - 3.5 * found.error < found.mean < world.truth + 3.5 * found.error


def outside_of_floors(world: Binned, repetitions: int) -> float:
    """How often the calibrated reference's squared error, the mean over runs, is outside of its noise floor."""
    outside = 0
    (measure,) = select((MEASURE,), "predictions")
    for repetition in range(repetitions):
        reading = reading_of(world, np.random.default_rng([8, repetition]))
        (estimand, *_) = reading.estimands(measure)
        estimate = dict(reading.estimates(estimand, "reference"))[None]
        assert estimate.value is not None and estimate.floor is not None
        outside += estimate.value > estimate.floor.high
    return outside / repetitions


CLUSTERED = [
    Binned(runs=1, test=100, size=4, together=1.0, vary=False),
    Binned(runs=1, test=200, size=2, together=0.5, vary=False),
    Binned(runs=3, test=60, size=3, together=0.3, thin=0.9),
    Binned(runs=1, test=300),
]
SMALL = [Binned(test=n, error=0.0725) for n in (12, 20, 60)]
AT_THE_MARGIN = [
    Binned(test=20),
    Binned(test=20, runs=10),
    Binned(test=40, vary=False, moves=0.2),
    Binned(test=30, size=3, together=0.5),
]
NO_CHANGE = [
    Binned(test=20, lumped=True),
    Binned(test=60, lumped=True, vary=False),
    Binned(test=40, size=2, together=0.5, error=1e-9),
]
BESIDE_A_REST = Binned(test=60, rest=150)


@pytest.mark.parametrize("world", SMALL)
def test_thin_bins_are_seen(world):
    seen_within_its_bounds(world, 60)
    if world.test > 12:
        found = said(world, 60)
        assert found.mean > 0.8 * world.truth - 3.5 * found.error


@pytest.mark.parametrize("world", AT_THE_MARGIN)
def test_a_change_at_the_margin_is_seldom_called_harmless(world):
    assert said(with_margin_at_the_truth(world), 60).harmless <= bounds.most(0.05, 60)


@pytest.mark.parametrize("world", NO_CHANGE)
def test_where_nothing_changes_hardly_any_verdict_is_worse(world):
    assert said(world, 60).worse <= bounds.most(0.05, 60)


def test_a_gap_change_of_calibration_has_a_verdict():
    assert said(with_margin_at_the_truth(BESIDE_A_REST), 40, "gap change").harmless <= bounds.most(0.05, 40)
    assert said(BESIDE_A_REST, 40, "gap change").worse > 0.4


def test_below_twenty_units_nothing_is_called_harmless():
    assert said(Binned(test=19, margin=0.9), 20).harmless == 0
    assert said(Binned(test=200, margin=0.2), 20).harmless > 0.5


@pytest.mark.parametrize("world", CLUSTERED)
def test_calibrated_units_are_seldom_outside_of_their_floor(world):
    assert outside_of_floors(world, 40) <= bounds.most(0.05, 40)


@pytest.mark.simulate
def test_small_groups_at_length(repetitions):
    n = repetitions(1500)
    for world in SMALL:
        seen_within_its_bounds(world, n)
    for world in AT_THE_MARGIN:
        assert said(with_margin_at_the_truth(world), n).harmless <= bounds.most(0.05, n, 0.01)
    for world in NO_CHANGE:
        assert said(world, n).worse <= bounds.most(0.05, n, 0.01)
    for world in CLUSTERED:
        assert outside_of_floors(world, n // 3) <= bounds.most(0.05, n // 3, 0.01)
    changed = with_margin_at_the_truth(BESIDE_A_REST)
    assert said(changed, n // 2, "gap change").harmless <= bounds.most(0.05, n // 2, 0.01)
