"""Predictions with a known truth: scores with random effects of examples, seeds, seeds × groups, and a residual.

Two methods are run with J seeds on a fixed test set or on a new one per seed; the truth of a contrast is its
expectation at these sizes, which is the mean of the estimates over all repetitions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evenhand.audit.design import Design, SettingDesign
from evenhand.audit.evaluation import Evaluation, Groups, Population, Run

GROUPS = (0.55, 0.25, 0.12, 0.08)
METHODS = ("reference", "method")
DESIGN = Design(settings={"s": SettingDesign(references=("reference",), methods=METHODS)})


@dataclass(frozen=True)
class World:
    """What varies.

    Attributes:
        runs: J.
        vary: a new test set per seed, from a pool of five times its size, or one fixed test set.
        test: examples in a test set.
        example, seed, seed_group, residual: standard deviations of the score's parts. The example's part is shared
            by the methods to the share `shared` of its variance.
        harm: how much the method lowers the score's signal, per group; empty: nowhere.
        groups: shares of the groups.
        overlap: groups are drawn apart, and an example may be in several or none, where harms and seeds' effects add
            up; else each example is in one.
        size: examples per unit; those of a unit share the example's part.
        flips: None, or the method's predictions are the reference's but for this share, which are flipped.
        flipped: what is flipped: "cells" at random, "units" in every seed alike, "seeds": cells, at a share that is
            drawn per seed (exponential), or "harm": units whose prediction was right.
    """

    runs: int = 5
    vary: bool = True
    test: int = 200
    example: float = 1.0
    seed: float = 0.1
    seed_group: float = 0.1
    residual: float = 0.5
    shared: float = 0.8
    harm: tuple[float, ...] = ()
    groups: tuple[float, ...] = GROUPS
    overlap: bool = False
    size: int = 1
    flips: float | None = None
    flipped: str = "cells"
    design: Design = DESIGN

    def draw(self, rng: np.random.Generator) -> Evaluation:
        """One repetition of a study in this world."""
        return draw(self, rng)


REGIMES: dict[str, dict[str, float]] = {
    "examples": {"seed": 0.02, "seed_group": 0.02, "residual": 0.3},
    "mixed": {},
    "seeds": {"seed": 0.4, "seed_group": 0.4, "residual": 0.3},
}


def draw(world: World, rng: np.random.Generator) -> Evaluation:
    """One repetition of a study in a world."""
    n = world.test * 5 if world.vary else world.test
    units = np.arange(n) // world.size
    count = units[-1] + 1
    members = membership(world, n, rng)
    label = rng.integers(0, 2, n)
    common = rng.normal(size=count)
    runs, parts = {}, {}
    lasting = rng.random(count)
    for method in METHODS:
        own = np.sqrt(world.shared) * common + np.sqrt(1 - world.shared) * rng.normal(size=count)
        harm = members @ np.array(world.harm) if method == "method" and world.harm else 0.0
        parts[method] = (1.0 - harm) * (2 * label - 1) + world.example * own[units]
    for seed in range(world.runs):
        rows = np.sort(rng.choice(n, world.test, replace=False)) if world.vary else np.arange(n)
        for method in METHODS:
            score = (
                parts[method][rows]
                + world.seed * rng.normal()
                + members[rows] @ (world.seed_group * rng.normal(size=len(world.groups)))
                + world.residual * rng.normal(size=len(rows))
            )
            predicted = (score > 0).astype(int)
            if method == "method" and world.flips is not None:
                before = runs["reference", seed].predicted
                predicted = np.where(
                    _flipped(world, rng, lasting[units[rows]], before == label[rows]), 1 - before, before
                )
            positive = 1 / (1 + np.exp(-2 * score))
            runs[method, seed] = Run(rows, predicted, np.stack([1 - positive, positive], axis=1))
    names = tuple("abcdefgh"[: len(world.groups)])
    groups = Groups("who", names, members, np.ones(n, dtype=bool))
    population = Population(label, np.ones(n), units, (groups,), names_of(count))
    setting = world.design.settings["s"]
    return Evaluation("s", "test", setting, population, METHODS, ("no", "yes"), runs, {}, np.ones(n, dtype=bool))


def names_of(units: int) -> np.ndarray:
    """Names of so many resampling units, in the order of their codes."""
    return np.array([f"u{unit:06d}" for unit in range(units)])


def membership(world: World, n: int, rng: np.random.Generator) -> np.ndarray:
    """bool [n, G]: who is in which group."""
    if world.overlap:
        return rng.random((n, len(world.groups))) < world.groups
    return rng.choice(len(world.groups), n, p=world.groups)[:, None] == np.arange(len(world.groups))


def _flipped(world: World, rng: np.random.Generator, lasting: np.ndarray, right: np.ndarray) -> np.ndarray:
    share = float(world.flips or 0.0)
    if world.flipped == "cells":
        return rng.random(len(lasting)) < share
    if world.flipped == "seeds":
        return rng.random(len(lasting)) < rng.exponential(share)
    return (lasting < share) & (right if world.flipped == "harm" else True)
