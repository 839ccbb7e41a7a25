"""Groups that leak alike have p ≤ .05 in one of twenty tables, however their sizes, members and difficulty differ."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import ndtri

from bounds import most
from evenhand.stats.permuted_curves import permuted_areas

LEVEL = 0.01
"""Of each comparison: the one-sided 99% bound of the rate does not exclude .05."""
AREA = 0.75

Scores = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Scores and membership [T, n], and the group of each example [n]."""


def leak(spread: float) -> float:
    """How much higher members of spread SD are, so that the area against standard normal non-members is AREA."""
    return float(ndtri(AREA)) * np.sqrt(1 + spread**2)


def members_of_unequal_spread(rng: np.random.Generator) -> Scores:
    """One model; a small group with few non-members, whose members are alike."""
    group = (np.arange(1500) >= 1200).astype(int)
    member = rng.random(1500) < np.where(group == 0, 0.5, 0.9)
    spread = np.array([1.0, 0.3])[group]
    score = rng.normal(size=1500) * np.where(member, spread, 1) + member * leak(spread)
    return score[None], member[None], group


def examples_of_unequal_difficulty(rng: np.random.Generator) -> Scores:
    """Eight models with the same members; what they share of an example is most of the scores of a small group."""
    group = (np.arange(800) >= 650).astype(int)
    shared = np.array([0.1, 0.9])[group]
    member = np.tile(rng.random(800) < 0.5, (8, 1))
    noise = np.sqrt(shared) * rng.normal(size=800) + np.sqrt(1 - shared) * rng.normal(size=(8, 800))
    return noise + leak(1.0) * member, member, group


def four_groups(rng: np.random.Generator) -> Scores:
    """Two models; four groups of other sizes, shares of members, places and spreads."""
    group = np.repeat(np.arange(4), [600, 300, 150, 100])
    member = np.tile(rng.random(len(group)) < np.array([0.5, 0.8, 0.3, 0.5])[group], (2, 1))
    spread = np.array([1.0, 2.0, 0.5, 1.5])[group]
    score = rng.normal(size=member.shape) * np.where(member, spread, 1) + member * leak(spread)
    return score + np.array([0.0, 3.0, -2.0, 1.0])[group], member, group


def leaks_that_vary_by_model_and_group(rng: np.random.Generator) -> Scores:
    """Eight models leak differently, and in the second group in the reverse order: together as much."""
    group = (np.arange(1000) >= 700).astype(int)
    member = rng.random((8, 1000)) < 0.5
    leaks = np.linspace(0.0, 2.0, 8)
    own = np.where(group[None] == 0, leaks[:, None], leaks[::-1, None])
    return rng.normal(size=member.shape) + own * member, member, group


DESIGNS: list[Callable[[np.random.Generator], Scores]] = [
    members_of_unequal_spread,
    examples_of_unequal_difficulty,
    four_groups,
    leaks_that_vary_by_model_and_group,
]


def false_alarms(design: Callable[[np.random.Generator], Scores], repetitions: int, draws: int) -> float:
    """How often p ≤ .05 for groups with equal areas."""
    alarms = 0
    for repetition in range(repetitions):
        rng = np.random.default_rng([11, repetition])
        score, member, group = design(rng)
        masks = group[:, None] == np.unique(group)
        alarms += permuted_areas(score, member, masks, np.zeros(len(group), dtype=int), draws, rng).p <= 0.05
    return alarms / repetitions


@pytest.mark.parametrize("design", DESIGNS)
def test_groups_that_leak_alike(design):
    assert false_alarms(design, 60, 39) <= most(0.05, 60, LEVEL)


@pytest.mark.simulate
@pytest.mark.parametrize("design", DESIGNS)
def test_groups_that_leak_alike_often(design, repetitions):
    n = repetitions(600)
    assert false_alarms(design, n, 99) <= most(0.05, n, LEVEL)
