"""Families over overlapping groups: a wrong bound on a side is as rare as promised, from three runs on.

Bounds are those for few runs (`FewRuns`): the two-way interval alone fails at the small levels of a family where runs
vary most, which the last test holds on record.
"""

from __future__ import annotations

import numpy as np
import pytest

import bounds
from overlapping import SPREADS, draw

ALPHA = 0.05


def wrong(repetitions: int, *world, seed: int = 0) -> tuple[np.ndarray, float]:
    """How often a family has a wrong bound, as `Family.wrong` orders them; and the mean gain in level."""
    found, gain = np.zeros(4), 0.0
    for repetition in range(repetitions):
        family = draw(*world, np.random.default_rng([seed, repetition]))
        found += family.wrong(ALPHA)
        gain += family.joint.level(ALPHA) * len(family.means) / ALPHA
    return found / repetitions, gain / repetitions


def most(repetitions: int) -> float:
    """Of alpha, at the level of two and a half standard errors; the two sides of a repetition count as one and a
    half."""
    return bounds.most(ALPHA, round(1.5 * repetitions), 0.006)


@pytest.mark.parametrize("kind", ["overlapping", "nested"])
@pytest.mark.parametrize("vary", [True, False])
@pytest.mark.parametrize("runs", [3, 5])
def test_a_family_without_harm_is_rarely_wrong(kind, vary, runs):
    for spread in ("examples", "seeds"):
        found, gain = wrong(60, kind, runs, vary, spread)
        assert found[3] <= most(60), spread
        assert gain >= 1


def test_overlapping_groups_gain_over_bonferroni():
    """Nested groups on a fixed test set: each bound has more than twice Bonferroni's level, and holds."""
    found, gain = wrong(100, "nested", 5, False, "examples")
    assert gain > 2
    assert found[2] <= found[3] <= most(100)


def test_what_bonferroni_finds_max_t_finds():
    more = 0
    for repetition in range(100):
        family = draw("nested", 5, False, "examples", np.random.default_rng(repetition), harm=0.28)
        level = family.joint.level(ALPHA)
        assert level >= ALPHA / len(family.means)
        found = [[mean.bounds(at)[0] > 0 for mean in family.means] for at in (ALPHA / len(family.means), level)]
        more += sum(found[1]) - sum(found[0])
    assert more > 40


def test_the_two_way_interval_alone_fails_where_three_runs_vary_most():
    """16 contrasts at .05/16: one of them is wrong in about 10% of the studies, with or without max T."""
    found, _ = wrong(200, "overlapping", 3, True, "seeds")
    assert found[0] > 0.06
    assert found[2] <= most(200)


@pytest.mark.simulate
@pytest.mark.parametrize("kind", ["overlapping", "nested", "disjoint"])
@pytest.mark.parametrize("vary", [True, False])
@pytest.mark.parametrize("runs", [3, 5])
def test_every_family_in_every_regime(kind, vary, runs, repetitions):
    n = repetitions(300)
    for spread in SPREADS:
        found, _ = wrong(n, kind, runs, vary, spread, seed=1)
        assert found[3] <= most(n), spread
