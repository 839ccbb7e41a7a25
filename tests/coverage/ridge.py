"""Ridge classifiers on the same splits: the training set and the test set vary together, as in a real study."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evenhand.audit.design import Design
from evenhand.audit.evaluation import Evaluation, Groups, Population, Run
from random_effects import DESIGN, GROUPS, METHODS, names_of


@dataclass(frozen=True)
class Ridge:
    """n examples, 20% of them tested, a new split per seed; the method sees fewer features and shrinks more."""

    runs: int = 5
    n: int = 1000
    features: int = 10
    design: Design = DESIGN

    def draw(self, rng: np.random.Generator) -> Evaluation:
        """One repetition."""
        x = rng.normal(size=(self.n, self.features))
        group = rng.choice(len(GROUPS), self.n, p=GROUPS)
        slopes = np.linspace(1.0, 0.2, self.features)
        label = (x @ slopes + 0.3 * (group == 1) + 1.5 * rng.normal(size=self.n) > 0).astype(int)
        runs = {}
        for seed in range(self.runs):
            order = rng.permutation(self.n)
            test, train = np.sort(order[: self.n // 5]), order[self.n // 5 :]
            for method, used, penalty in zip(METHODS, (self.features, self.features - 3), (1.0, 50.0), strict=True):
                a, b = x[train][:, :used], 2.0 * label[train] - 1
                weights = np.linalg.solve(a.T @ a + penalty * np.eye(used), a.T @ b)
                score = x[test][:, :used] @ weights
                positive = 1 / (1 + np.exp(-2.5 * score))
                runs[method, seed] = Run(test, (score > 0).astype(int), np.stack([1 - positive, positive], axis=1))
        names = tuple("abcd")
        groups = Groups("who", names, group[:, None] == np.arange(4), np.ones(self.n, dtype=bool))
        population = Population(label, np.ones(self.n), np.arange(self.n), (groups,), names_of(self.n))
        every = np.ones(self.n, dtype=bool)
        return Evaluation("s", "test", self.design.settings["s"], population, METHODS, ("no", "yes"), runs, {}, every)
