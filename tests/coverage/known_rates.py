"""Predictions whose rates are known exactly: correct predictions by a probit model with shared effects.

A prediction is right where Φ⁻¹(p) + √e·(effect of the example) + √s·(effect of the run) + noise > 0; all effects
together have variance 1, so that the share of right predictions of a group is p whatever the correlations are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.stats import norm

from counting import compared, reading_of
from evenhand.audit.design import Design, SettingDesign
from evenhand.audit.evaluation import Evaluation, Groups, Population, Run
from evenhand.audit.verdicts import families
from random_effects import DESIGN, METHODS, names_of

BOTH = ("change", "gap change")


@dataclass(frozen=True)
class KnownRates:
    """Two methods with known accuracies, or known selection rates, in each group.

    Attributes:
        rates: by method and group float [G]; of right predictions, or of positive ones.
        sizes: tested examples of each group; with `overlap` the shares of the groups are sizes over their sum.
        of: `right` makes every rate of the predictions the given one; `positive` makes selection rates so.
        runs, vary: as in `random_effects.World`.
        example, run: shares of the variance that examples and runs have; the methods share `together` of the former.
        overlap: whether an example may be in several groups; rates are then those of the first group it is in.
        size: examples per unit, which share the example's effect.
        weights: whether examples have weights.
        alone: whether there is no reference, so that gaps get the verdicts.
        single: whether the reference has one run, whose rates are exactly the given ones.
        against: whom groups are compared with: `rest`, `overall` or a group.
    """

    rates: Mapping[str, tuple[float, ...]]
    sizes: tuple[int, ...]
    of: str = "right"
    runs: int = 5
    vary: bool = False
    example: float = 0.5
    run: float = 0.02
    together: float = 0.8
    overlap: bool = False
    size: int = 1
    weights: bool = False
    margins: Mapping[str, float] = field(default_factory=dict)
    alone: bool = False
    single: bool = False
    against: str = "rest"

    @property
    def design(self) -> Design:
        references = () if self.alone else ("reference",)
        against = {} if self.against == "rest" else {"who": self.against}
        setting = SettingDesign(references=references, methods=METHODS, vary=self.vary, against=against)
        return DESIGN.model_copy(update={"settings": {"s": setting}, "margins": dict(self.margins)})

    def draw(self, rng: np.random.Generator) -> Evaluation:
        """One repetition."""
        count, tested = len(self.sizes), sum(self.sizes)
        n = tested * (5 if self.vary else 1)
        group = np.repeat(np.arange(count), self.sizes)
        group = np.tile(group, n // tested)
        if self.size == 1:
            group = rng.permutation(group)
        unit = np.arange(n) // self.size
        members = group[:, None] == np.arange(count)
        if self.overlap:
            members |= rng.random((n, count)) < 0.15
        label = rng.integers(0, 2, n)
        shared = rng.normal(size=unit[-1] + 1)
        weight = rng.choice([0.5, 1.0, 2.0], n) if self.weights else np.ones(n)
        runs, effects = {}, {}
        for method in METHODS:
            apart = rng.normal(size=len(shared))
            effects[method] = (np.sqrt(self.together) * shared + np.sqrt(1 - self.together) * apart)[unit]
        for seed in range(self.runs):
            rows = np.sort(rng.choice(n, tested, replace=False)) if self.vary else np.arange(n)
            for method in METHODS:
                single = self.single and method == "reference"
                if single and seed:
                    continue
                run = 0.0 if single else self.run
                level = norm.ppf(np.array(self.rates[method]))[group[rows]]
                score = level + np.sqrt(self.example) * effects[method][rows] + np.sqrt(run) * rng.normal()
                score += np.sqrt(1 - self.example - run) * rng.normal(size=len(rows))
                hit = score > 0
                predicted = hit.astype(int) if self.of == "positive" else np.where(hit, label[rows], 1 - label[rows])
                runs[method, seed] = Run(rows, predicted, None)
        names = tuple("abcdefghijklmnopqrstuvwxyz"[:count])
        population = Population(
            label, weight, unit, (Groups("who", names, members, np.ones(n, dtype=bool)),), names_of(len(shared))
        )
        setting = self.design.settings["s"]
        return Evaluation("s", "test", setting, population, METHODS, ("no", "yes"), runs, {}, np.ones(n, dtype=bool))


def gap_change_of(world: KnownRates, group: str) -> float:
    """The true gap change of the error rate of a group, where groups do not overlap."""
    return gap_of(world, group) - gap_of(world, group, "reference")


def gap_of(world: KnownRates, group: str, method: str = "method") -> float:
    """The true gap of the error rate of a group, where groups do not overlap."""
    return other_rate(world, group, method) - world.rates[method]["abcdefghijklmnopqrstuvwxyz".index(group)]


def other_rate(world: KnownRates, group: str, method: str = "method") -> float:
    """The true rate of whom a group is compared with, where groups do not overlap."""
    size, names = np.array(world.sizes, dtype=float), "abcdefghijklmnopqrstuvwxyz"[: len(world.sizes)]
    chosen = {"rest": np.array([name != group for name in names]), "overall": np.ones(len(size), dtype=bool)}
    others = chosen.get(world.against, np.array([name == world.against for name in names]))
    return float(np.array(world.rates[method])[others] @ size[others] / size[others].sum())


def rows_of(world: KnownRates, rng: np.random.Generator, measures: tuple[str, ...]) -> list[dict[str, Any]]:
    """The verdict rows of one repetition."""
    contrasts = list(compared(reading_of(world, rng), measures, ("gap",) if world.alone else BOTH))
    return [row for family in families(contrasts, world.design) for row in family.rows()]
