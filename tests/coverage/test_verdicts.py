"""Wrong verdicts are as rare as promised: `worse` over a family, `equivalent` where the truth is the margin."""

from __future__ import annotations

import pytest

import bounds
from counting import false_claims, false_worse
from random_effects import REGIMES, World

ALPHA = 0.05


def most(repetitions: int) -> float:
    """Of alpha, at the level of two and a half standard errors of its simulation."""
    return bounds.most(ALPHA, repetitions, 0.006)


@pytest.mark.parametrize("vary", [True, False])
def test_a_family_without_harm_is_rarely_called_worse(vary):
    for regime in ("examples", "seeds"):
        found = false_worse(World(runs=3, vary=vary, test=300, **REGIMES[regime]), ("accuracy",), 100)
        assert max(found.values()) <= most(100)


@pytest.mark.parametrize("vary", [True, False])
def test_a_family_of_overlapping_groups_is_rarely_called_worse(vary):
    """Its bounds have the level of max T, above Bonferroni's."""
    world = World(vary=vary, test=300, overlap=True, groups=(0.6, 0.5, 0.4, 0.3))
    found = false_worse(world, ("accuracy", "demographic_parity_difference"), 60)
    assert max(found.values()) <= most(60)


@pytest.mark.parametrize("vary", [True, False])
def test_a_harm_of_the_size_of_the_margin_is_rarely_cleared(vary):
    """Truths of 1 and 1.2 margins are called `equivalent` or `not worse` in 5% of the studies at most."""
    world = World(vary=vary, test=300, harm=(0.4, 0.0, 0.0, 0.0))
    for beyond in (1.0, 1.2):
        found = false_claims(world, ("accuracy", "accuracy_difference", "equalized_odds_difference"), 100, beyond)
        assert max(found.values()) <= most(100)


RANGES = ("accuracy_difference", "demographic_parity_difference", "equalized_odds_difference")
CLEARED = 0.2
"""How often a range over groups may clear a harm of the size of the margin: no coverage is promised of ranges."""
MEASURES = ("accuracy", "accuracy_difference", "demographic_parity_difference", "equalized_odds_difference")


@pytest.mark.simulate
@pytest.mark.parametrize("vary", [True, False])
@pytest.mark.parametrize("regime", ["examples", "seeds"])
@pytest.mark.parametrize("runs", [3, 5])
def test_false_verdicts_of_every_family(vary, regime, runs, repetitions):
    n = repetitions(100)
    world = World(runs=runs, vary=vary, test=400, **REGIMES[regime])
    found = false_worse(world, MEASURES, n, seed=1)
    assert max(found.values()) <= most(n), found


@pytest.mark.simulate
@pytest.mark.parametrize("vary", [True, False])
@pytest.mark.parametrize("harm", [(0.4, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.6)])
def test_harms_of_the_size_of_the_margin_in_every_measure(vary, harm, repetitions):
    n = repetitions(300)
    world = World(vary=vary, test=400, harm=harm)
    found = false_claims(world, (*MEASURES, "calibration_error_squared"), n, seed=1)
    assert max(share for name, share in found.items() if name not in RANGES) <= most(n), found
    assert max(found[name] for name in RANGES if name in found) <= bounds.most(CLEARED, n, 0.006), found
