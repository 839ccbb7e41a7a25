"""A true positive rate at 1% from few non-members: its interval holds the rate that new people would have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from bounds import least
from evenhand.metrics import attack_pool
from evenhand.stats.roc_point import RocPoint, pooled_tpr
from pools import ATTACKS, REGIMES, World, draw

ALPHA = 0.01
LEVEL = 0.01
"""Of each comparison: the one-sided 99% bound of the coverage does not exclude .95."""

NORMAL = stats.norm()
DESIGNS = {
    "normal": (NORMAL, 1.0, 300, 300),
    "no leak": (NORMAL, 0.0, 300, 300),
    "large leak": (NORMAL, 3.0, 300, 300),
    "heavy tails": (stats.t(2), 5.0, 300, 300),
    "t(3), few members": (stats.t(3), 2.0, 60, 450),
    "more people": (stats.t(2), 5.0, 2000, 1500),
}
"""Scores of non-members, how much higher those of members are, and how many there are of each."""


def misses(name: str, repetitions: int) -> tuple[np.ndarray, float, np.ndarray]:
    """How often the interval of one model lies above and below the truth, the truth, and the estimates."""
    score, leak, members, others = DESIGNS[name]
    truth = float(score.sf(score.isf(ALPHA) - leak))
    inside = np.arange(members + others)[None] < members
    missed, values = np.zeros(2), []
    for repetition in range(repetitions):
        drawn = score.rvs(size=inside.size, random_state=np.random.default_rng(repetition))[None] + leak * inside
        found = pooled_tpr(drawn, inside, ALPHA)
        low, high = found.interval()
        missed += low > truth, high < truth
        values.append(found.estimate)
    return missed / repetitions, truth, np.array(values)


@pytest.mark.parametrize("name", list(DESIGNS))
def test_one_model_with_few_non_members(name):
    missed, _, _ = misses(name, 100)
    assert 1 - missed.sum() >= least(0.95, 100, LEVEL)


@pytest.mark.simulate
@pytest.mark.parametrize("name", list(DESIGNS))
def test_one_model_with_few_non_members_often(name, repetitions):
    n = repetitions(2000)
    missed, _, _ = misses(name, n)
    assert 1 - missed.sum() >= least(0.95, n, LEVEL)


def test_normal_scores_have_an_estimate_near_the_truth():
    """Within a twentieth, where the papers' threshold finds .107 for .092."""
    _, truth, values = misses("normal", 400)
    assert values.mean() == pytest.approx(truth, rel=0.07)


def rate_of(world: World, attack: str, seed: tuple[int, int]) -> RocPoint:
    """The first method's rate in the first group."""
    pool = draw(world, np.random.default_rng(seed))
    return pooled_tpr(
        attack_pool(pool.phi[0], pool.member, pool.pairs, *ATTACKS[attack]), pool.member, ALPHA, ~pool.second
    )


@pytest.mark.simulate
@pytest.mark.parametrize("group", [350, 1000])
@pytest.mark.parametrize("regime", list(REGIMES))
@pytest.mark.parametrize("attack", ["loss", "difficulty calibration"])
def test_pools_hold_the_rate_of_a_huge_pool(attack, regime, group, repetitions):
    """The truth comes from other pools whose groups are large: .93, since eight models are few."""
    world, n = World(group=group, **REGIMES[regime]), repetitions(200)
    truth = np.mean([rate_of(replace(world, group=8000), attack, (9, each)).estimate for each in range(40)])
    intervals = np.array([rate_of(world, attack, (1, each)).interval() for each in range(n)])
    assert ((intervals[:, 0] <= truth) & (truth <= intervals[:, 1])).mean() >= least(0.93, n, LEVEL)
