"""Predictions whose calibration error is known: confidences in the middle of bins, each with a gap of its own.

The truth of a method's error is Σ π_b·g_b² over its bins. Most examples lie in a few bins where every method is
calibrated; the rest are spread thinly over the others, where the method is off by the same distance in every bin. The
reference is calibrated everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from evenhand.audit.design import Design
from evenhand.audit.evaluation import Evaluation, Groups, Population, Run
from random_effects import DESIGN, METHODS, names_of

CENTRES = (np.arange(15) + 0.5) / 15


@dataclass(frozen=True)
class Binned:
    """What varies.

    Attributes:
        runs: J.
        vary: a new test set per run, from a pool of five times its size, or one fixed test set.
        test: units in a test set.
        size: examples per unit.
        together: the share of units whose examples have one outcome, drawn with one number; else each has its own.
            Examples of a unit have one confidence.
        error: the method's squared error; the reference's is 0.
        thin: share of the examples in thin bins, which are the first and last ones; the two bins in the middle have
            the rest.
        moves: the share of predictions whose bin a run draws anew.
        rest: examples per run of a second group, where both methods are calibrated; 0: there are no groups.
        weight: of an example of the first group; the second one's have 1.
        margin: of the squared error, if there is one.
        lumped: the reference is off in its thin bins as the method is otherwise, and the method has one confidence for
            all, with the same error in one full bin: the change is 0.
    """

    runs: int = 5
    vary: bool = True
    test: int = 20
    size: int = 1
    together: float = 0.0
    error: float = 0.05
    thin: float = 0.4
    moves: float = 0.0
    rest: int = 0
    weight: float = 1.0
    margin: float | None = None
    lumped: bool = False

    @property
    def design(self) -> Design:
        """With the margin of the squared error, if there is one."""
        margins = {} if self.margin is None else {"calibration_error_squared": self.margin}
        return DESIGN.model_copy(update={"margins": margins})

    @cached_property
    def mass(self) -> np.ndarray:
        """float [15], π_b."""
        mass = np.full(15, self.thin / 12)
        mass[6:9] = (1 - self.thin) / 3
        return mass

    @cached_property
    def gap(self) -> np.ndarray:
        """float [15], g_b of the method, towards overconfidence."""
        gap = np.sqrt(self.error / self.thin) * np.sign(CENTRES - 0.5)
        gap[6:9] = 0.0
        return gap

    def draw(self, rng: np.random.Generator) -> Evaluation:
        """One repetition."""
        first, second = (self._examples(count, rng) for count in (self.test, self.rest))
        unit = np.concatenate([first[0], first[0].max() + 1 + second[0]])
        bins, own = (np.concatenate([one, other]) for one, other in zip(first[1:3], second[1:3], strict=True))
        # The share of positives in a bin, of predictions that stay in it or come there anew.
        gap = np.where(np.arange(len(bins)) < len(first[0]), 1.0, 0.0)[:, None] * self.gap
        chance = CENTRES[bins] - gap[np.arange(len(bins)), bins]
        label = (own < chance).astype(int)
        runs = {}
        for seed in range(self.runs):
            rows = np.flatnonzero(np.isin(unit, self._tested(first[0], second[0], rng)))
            anew = rng.random(len(rows)) < self.moves
            moved = np.where(anew, rng.choice(15, len(rows), p=self.mass), bins[rows])
            for method in METHODS:
                confidence = chance[rows]
                if (method == "method") != self.lumped:
                    confidence = CENTRES[moved]
                elif self.lumped:
                    confidence = np.full(len(rows), 0.5 + np.sqrt(self.error))
                both = np.stack([1 - confidence, confidence], axis=1)
                runs[method, seed] = Run(rows, both.argmax(axis=1), both)
        inside = np.arange(len(unit)) < len(first[0])
        groups = (Groups("who", ("a", "b"), np.stack([inside, ~inside], 1), np.ones(len(unit), dtype=bool)),)
        weight = np.where(inside, self.weight, 1.0)
        population = Population(label, weight, unit, groups if self.rest else (), names_of(int(unit.max()) + 1))
        known = np.ones(len(unit), dtype=bool)
        setting = self.design.settings["s"]
        return Evaluation("s", "test", setting, population, METHODS, ("no", "yes"), runs, {}, known)

    @cached_property
    def truth(self) -> float:
        """The method's squared error in the first group, where a share `moves` of its bins is drawn anew."""
        chance = CENTRES - self.gap
        mixed = (1 - self.moves) * chance + self.moves * float(self.mass @ chance)
        return float(self.mass @ (CENTRES - mixed) ** 2)

    def _examples(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Unit, bin, and a uniform number for the outcome of each example of a pool for `count` units per run."""
        units = count * 5 if self.vary else count
        code = np.repeat(np.arange(units), self.size)
        shared = np.repeat(rng.random(units), self.size)
        own = np.where(np.repeat(rng.random(units) < self.together, self.size), shared, rng.random(len(code)))
        return code, np.repeat(rng.choice(15, units, p=self.mass), self.size), own

    def _tested(self, first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The units of one run."""
        units = int(first.max()) + 1
        if not self.vary:
            return np.arange(units + len(np.unique(second)))
        others = units + rng.choice(self.rest * 5, self.rest, replace=False) if self.rest else np.array([], dtype=int)
        return np.concatenate([rng.choice(units, self.test, replace=False), others])


def with_margin_at_the_truth(world: Binned) -> Binned:
    """The same world, whose margin is the change of the squared error in the first group."""
    return replace(world, margin=world.truth)
