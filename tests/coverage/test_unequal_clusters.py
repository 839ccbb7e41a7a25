"""Few and unequal clusters: `worse` is said as rarely as promised, and intervals hold the truth.

Values of examples have an effect of the cluster, of the example, of the run, and a residual; the truth is 0. Sums over
clusters are drawn directly, so that thousands of repetitions take a second. Predictions of such clusters go through
the whole audit in `audited`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import bounds
from counting import compared
from evenhand.audit.evaluation import Evaluation, Groups, Population, Run
from evenhand.audit.kinds.predictions import PredictionReading
from evenhand.stats.contrast import two_way
from evenhand.stats.few_runs import FewRuns
from random_effects import DESIGN, METHODS, names_of

ZIPF_15 = tuple(max(round(150 / rank), 1) for rank in range(1, 16))
ZIPF_40 = tuple(max(round(100 / rank), 1) for rank in range(1, 41))
ONE_LARGE = (200,) + (10,) * 14
TEN = tuple(max(round(60 / rank), 1) for rank in range(1, 11))
MANY = (1,) * 60 + (5,) * 20 + (12,) * 5
SIZES = {"15 Zipf": ZIPF_15, "40 Zipf": ZIPF_40, "one large": ONE_LARGE, "10 Zipf": TEN, "85 of 1, 5 or 12": MANY}
EFFECTS = {"clusters": (1.0, 0.5), "both": (0.3, 1.0), "examples": (0.0, 1.0)}
"""Standard deviations of the cluster's and of the example's effect."""

LEVEL = 0.001
"""Of each of some sixty comparisons with a promised rate."""


@dataclass(frozen=True)
class Found:
    """Shares of repetitions.

    Attributes:
        worse: with a lower bound above the truth, at .05; before: by the two-way interval for units of one size.
        covers: with a 90% interval that holds the truth.
        wider: the mean half-width over that for units of one size.
    """

    worse: float
    covers: float
    before: float
    wider: float


def simulated(sizes: tuple[int, ...], effects: tuple[float, float], repetitions: int, runs: int = 5) -> Found:
    """Intervals of the mean over examples in clusters of these sizes, on a fixed split."""
    size, (of_cluster, of_example) = np.array(sizes, dtype=float), effects
    shares = np.tile(size / size.sum(), (runs, 1))
    rows = []
    for repetition in range(repetitions):
        rng = np.random.default_rng([len(sizes), repetition])
        sums = size * (of_cluster * rng.normal(size=len(size)) + 0.05 * rng.normal(size=(runs, 1)))
        sums += np.sqrt(size) * (of_example * rng.normal(size=len(size)) + 0.5 * rng.normal(size=(runs, len(size))))
        values = sums.sum(axis=1) / size.sum()
        contributions = sums / size.sum() - values[:, None] * shares
        now, before = (FewRuns(two_way(values, contributions, shares, clustered)) for clustered in (True, False))
        low, high = now.bounds(0.05)
        lower, higher = before.bounds(0.05)
        rows.append((low > 0, low <= 0 <= high, lower > 0, (high - low) / (higher - lower)))
    return Found(*np.mean(rows, axis=0))


def audited(repetitions: int, kind: str = "change", groups: int = 2, runs: int = 5) -> tuple[float, float, int]:
    """40 clusters, each inside of a group, of very unequal size: through the audit, over groups.

    Args:
        repetitions: studies.
        kind: of the comparisons, `change` or `gap change`.
        groups: into which the clusters fall, as many in each.
        runs: J.

    Returns:
        The share of `worse` at .05, the coverage of 90% intervals, and how many intervals there are. Both methods are
        right equally often in truth: their difference has one distribution with the signs swapped.
    """
    sizes = np.concatenate([[max(round(60 / rank), 1) for rank in range(1, 40 // groups + 1)]] * groups)
    unit = np.repeat(np.arange(len(sizes)), sizes)
    group = unit // (40 // groups)
    worse = covers = count = 0
    for repetition in range(repetitions):
        rng = np.random.default_rng([7, repetition])
        label = rng.integers(0, 2, len(unit))
        effect = {name: 0.8 * rng.normal(size=len(sizes))[unit] + 0.4 * rng.normal(size=len(unit)) for name in METHODS}
        drawn: dict[tuple[str, int], Run] = {}
        for seed in range(runs):
            for name in METHODS:
                right = 0.6 + effect[name] + 0.05 * rng.normal() + 0.4 * rng.normal(size=len(unit)) > 0
                drawn[name, seed] = Run(np.arange(len(unit)), np.where(right, label, 1 - label), None)
        members = group[:, None] == np.arange(groups)
        about = Groups("who", tuple("abcdefgh"[:groups]), members, np.ones(len(unit), dtype=bool))
        people = Population(label, np.ones(len(unit)), unit, (about,), names_of(len(sizes)))
        evaluation = Evaluation(
            "s", "test", DESIGN.settings["s"], people, METHODS, ("no", "yes"), drawn, {}, np.ones(len(unit), dtype=bool)
        )
        for one in compared(PredictionReading(evaluation, DESIGN), ("accuracy",), (kind,)):
            if one.comparison.estimand.subset.level == "group" and one.contrast.interval is not None:
                low, high = one.contrast.interval.bounds(0.05)
                worse, covers, count = worse + (low > 0), covers + (low <= 0 <= high), count + 1
    return worse / count, covers / count, count


def holds(found: Found, repetitions: int) -> None:
    assert found.worse <= bounds.most(0.05, repetitions, LEVEL)
    assert found.covers >= bounds.least(0.9, repetitions, LEVEL)


@pytest.mark.parametrize("name", ["15 Zipf", "one large"])
def test_unequal_clusters_are_rarely_called_worse(name):
    found = simulated(SIZES[name], EFFECTS["clusters"], 1500)
    holds(found, 1500)
    assert found.before > 0.08  # units of one size are what it is not


def test_units_of_nearly_one_size_lose_nothing():
    found = simulated((9, 10, 11) * 30, EFFECTS["both"], 300)
    holds(found, 300)
    assert found.wider < 1.02


@pytest.mark.parametrize("kind", ["change", "gap change"])
def test_clusters_inside_of_groups(kind):
    worse, covers, count = audited(30, kind)
    assert worse <= bounds.most(0.05, count, 0.0014)
    assert covers >= bounds.least(0.9, count, 0.0014)


@pytest.mark.simulate
@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("effects", EFFECTS)
@pytest.mark.parametrize("runs", [3, 5])
def test_clusters_of_every_kind(name, effects, runs, repetitions):
    n = repetitions(4000)
    holds(simulated(SIZES[name], EFFECTS[effects], n, runs), n)


@pytest.mark.simulate
@pytest.mark.parametrize("kind", ["change", "gap change"])
@pytest.mark.parametrize("groups", [2, 4])
def test_clusters_inside_of_groups_at_length(kind, groups, repetitions):
    worse, covers, count = audited(repetitions(400), kind, groups)
    assert worse <= bounds.most(0.05, count, 0.01)
    assert covers >= bounds.least(0.9, count, 0.01)


if __name__ == "__main__":
    for name, sizes in SIZES.items():
        for effects, size in EFFECTS.items():
            print(name, effects, simulated(sizes, size, 2000), flush=True)
    for kind in ("change", "gap change"):
        print("inside of groups: worse, covers, intervals", kind, audited(200, kind), flush=True)
