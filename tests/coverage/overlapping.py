"""Families of contrasts over overlapping groups, with random effects of examples, seeds and seeds × groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evenhand.stats.contrast import TwoWay, two_way
from evenhand.stats.few_runs import FewRuns
from evenhand.stats.multiplicity import MaxT, correlations, max_t, unit_totals

SPREADS = {"examples": (0.002, 0.002), "mixed": (0.05, 0.05), "seeds": (0.3, 0.3), "common": (0.5, 0.05)}
"""Standard deviations of the seed, and of the seed × group; the example has 1 and the residual .5."""


@dataclass(frozen=True)
class Family:
    """One repetition.

    Attributes:
        means: the contrasts with their two-way variances.
        joint: the null distribution of their smallest p-value.
    """

    means: list[TwoWay]
    joint: MaxT

    def wrong(self, alpha: float = 0.05) -> np.ndarray:
        """Whether a bound of either side is wrong, [4]: two-way bounds at Bonferroni's level and at max T's, then
        bounds for few runs at both levels. The truth is 0; the mean over the sides."""
        intervals = [self.means, [FewRuns(mean) for mean in self.means]]
        levels = [alpha / len(self.means), self.joint.level(alpha)]
        found = []
        for family in intervals:
            for level in levels:
                bounds = np.array([one.bounds(level) for one in family])
                found.append(((bounds[:, 0] > 0).any() + (bounds[:, 1] < 0).any()) / 2)
        return np.array(found)


def groups(kind: str, n: int, rng: np.random.Generator) -> np.ndarray:
    """bool [n, G]: four overlapping groups, their intersections and complements; nested ones; or disjoint ones."""
    if kind == "overlapping":
        four = rng.random((n, 4)) < [0.6, 0.5, 0.4, 0.3]
        both = [four[:, i] & four[:, j] for i in range(4) for j in range(i)]
        return np.column_stack([four, *both, ~four])
    if kind == "nested":
        return rng.random(n)[:, None] < np.linspace(0.3, 1.0, 12)
    return rng.integers(0, 6, n)[:, None] == np.arange(6)


def draw(
    kind: str,
    runs: int,
    vary: bool,
    spread: str,
    rng: np.random.Generator,
    test: int = 150,
    draws: int = 1500,
    harm: np.ndarray | float = 0.0,
) -> Family:
    """One repetition: a new split per seed (`vary`) from a pool of five times the test set, or one fixed test set."""
    seed, seed_group = SPREADS[spread]
    n = 5 * test if vary else test
    members = groups(kind, n, rng)
    example = rng.normal(size=n)
    count = members.shape[1]
    values = np.empty((count, runs))
    moves, shares = np.zeros((2, count, runs, n))
    for run in range(runs):
        rows = rng.choice(n, test, replace=False) if vary else np.arange(n)
        delta = example[rows] + 0.5 * rng.normal(size=test)
        weight = members[rows] / members[rows].sum(axis=0)
        mean = delta @ weight
        values[:, run] = mean + seed * rng.normal() + seed_group * rng.normal(size=count) + harm
        shares[:, run, rows] = weight.T
        moves[:, run, rows] = (weight * (delta[:, None] - mean)).T
    means = [two_way(*one) for one in zip(values, moves, shares, strict=True)]
    totals = [unit_totals(*one) for one in zip(values, moves, shares, strict=True)]
    found = correlations([np.arange(n)] * count, totals, [mean.variance for mean in means])
    return Family(means, max_t(found, np.array([mean.df for mean in means]), rng, draws))
