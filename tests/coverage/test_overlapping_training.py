"""Learners that really train, on pools of several sizes: intervals hold the truth, or say that they may not.

Two least-squares classifiers see five features each of ten that matter alike, so that their expected accuracies are
equal whatever the pool: the truth of the contrast is 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import bounds
from counting import compared
from evenhand.audit.comparisons import OVERLAP, overlapping_training
from evenhand.audit.evaluation import Evaluation, Population, Run
from evenhand.audit.kinds.predictions import PredictionReading
from random_effects import DESIGN, METHODS, names_of

FEATURES = 10
DESIGNS = [(runs, pool, share) for runs in (5, 20) for pool in (100, 300, 1000) for share in (0.2, 0.5, 0.8)]
"""Runs, examples of the pool, and the share of them that is tested."""


@dataclass(frozen=True)
class TwoHalves:
    """Two learners of one kind, on either half of the features; a new split per run."""

    runs: int
    pool: int
    share: float

    @property
    def design(self):
        setting = DESIGN.settings["s"].model_copy(update={"test_share": self.share})
        return DESIGN.model_copy(update={"settings": {"s": setting}})

    def draw(self, rng: np.random.Generator) -> Evaluation:
        x = rng.normal(size=(self.pool, FEATURES))
        label = (0.5 * x.sum(axis=1) + 1.5 * rng.normal(size=self.pool) > 0).astype(int)
        half, runs = FEATURES // 2, {}
        for seed in range(self.runs):
            order, tested = rng.permutation(self.pool), round(self.share * self.pool)
            test, train = np.sort(order[:tested]), order[tested:]
            for method, seen in zip(METHODS, (slice(0, half), slice(half, FEATURES)), strict=True):
                a, b = x[train][:, seen], 2.0 * label[train] - 1
                weights = np.linalg.solve(a.T @ a + np.eye(half), a.T @ b)
                runs[method, seed] = Run(test, (x[test][:, seen] @ weights > 0).astype(int), None)
        every = np.ones(self.pool, dtype=bool)
        population = Population(label, np.ones(self.pool), np.arange(self.pool), (), names_of(self.pool))
        setting = self.design.settings["s"]
        return Evaluation("s", "test", setting, population, METHODS, ("no", "yes"), runs, {}, every)


def shares_of(world: TwoHalves, repetitions: int) -> tuple[float, float, bool]:
    """How often the contrast of accuracy is worse and how often 90% intervals hold 0; whether its notes warn."""
    worse, held, warned = 0, 0, False
    for repetition in range(repetitions):
        rng = np.random.default_rng([world.runs, world.pool, repetition])
        (one,) = compared(PredictionReading(world.draw(rng), world.design), ("accuracy",))
        low, high = one.contrast.interval.bounds(0.05)
        worse, held, warned = worse + (low > 0), held + (low <= 0 <= high), OVERLAP in one.contrast.notes
    return worse / repetitions, held / repetitions, warned


@pytest.mark.parametrize(("runs", "pool", "share"), [(5, 100, 0.2), (5, 100, 0.8)])
def test_a_study_of_a_small_pool_warns_where_intervals_are_short(runs, pool, share):
    worse, held, warned = shares_of(TwoHalves(runs, pool, share), 60)
    assert warned == (share == 0.8)
    if not warned:
        assert worse <= bounds.most(0.05, 60) and held >= bounds.least(0.9, 60)


@pytest.mark.simulate
@pytest.mark.parametrize(("runs", "pool", "share"), DESIGNS)
def test_intervals_hold_the_truth_unless_they_warn(runs, pool, share, repetitions):
    n = repetitions(400)
    worse, held, warned = shares_of(TwoHalves(runs, pool, share), n)
    assert warned == overlapping_training(pool, share, runs)
    if warned:
        assert held >= bounds.least(0.70, n), held
    else:
        assert worse <= bounds.most(0.05, n, 0.01) and held >= bounds.least(0.9, n, 0.01), (worse, held)


@pytest.mark.parametrize(
    ("examples", "share", "runs", "expected"),
    [(1000, 0.2, 5, False), (1000, 0.8, 5, True), (300, 0.2, 5, False), (300, 0.2, 20, True), (1000, 0.5, 5, False)],
)
def test_the_rule(examples, share, runs, expected):
    assert overlapping_training(examples, share, runs) == expected
    assert not overlapping_training(examples, None, runs) and not overlapping_training(examples, share, 1)
