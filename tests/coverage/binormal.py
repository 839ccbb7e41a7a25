"""Predictions with probabilities whose areas are known exactly: normal scores of positives and of negatives.

Score of a positive of group g under a method: d_g + sd·z, of a negative: z, where z is normal with shared parts: of the
example (√e), which the methods share to the part `together`, of the run (√s, one number for all positives), and noise.
So AUC = Φ(d/√(1 + sd²)) on average over runs where s = 0. Where runs vary, the mean over runs of the area is
Φ(d/√(1 + sd² + s·sd²)), since the effect of a run on all positives is normal, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

from evenhand.audit.design import Design, SettingDesign
from evenhand.audit.evaluation import Evaluation, Groups, Population, Run
from random_effects import DESIGN, METHODS, names_of


@dataclass(frozen=True)
class Binormal:
    """Two methods with a known ROC AUC within each group.

    Attributes:
        areas: by method and group, the ROC AUC.
        positives, negatives: of each group, in every test set.
        shift: by group, what is added to all scores of a group: BPSN and BNSP follow from it.
        sd: the standard deviation of positives' scores; of negatives' it is 1.
        runs, vary: as in `random_effects.World`; with `vary` test sets are drawn from five times as many.
        example, run: shares of the variance that examples have, and what runs add to it.
        together: the share of an example's part that both methods have in common.
        size: examples per unit, which share the example's part; `mixed` units hold positives and negatives.
        weights: whether examples have weights.
        alone: whether there is no reference, so that gaps get the verdicts.
        against: whom groups are compared with: `rest`, `overall` or a group.
    """

    areas: Mapping[str, tuple[float, ...]]
    positives: tuple[int, ...]
    negatives: tuple[int, ...]
    shift: tuple[float, ...] = ()
    sd: float = 1.0
    runs: int = 1
    vary: bool = False
    example: float = 0.6
    run: float = 0.0
    together: float = 0.8
    size: int = 1
    mixed: bool = False
    weights: bool = False
    alone: bool = False
    against: str = "rest"
    margins: Mapping[str, float] = field(default_factory=dict)

    @property
    def design(self) -> Design:
        against = {} if self.against == "rest" else {"who": self.against}
        references = () if self.alone else ("reference",)
        setting = SettingDesign(references=references, methods=METHODS, vary=self.vary, against=against)
        return DESIGN.model_copy(update={"settings": {"s": setting}, "margins": dict(self.margins)})

    @property
    def shifts(self) -> np.ndarray:
        return np.array(self.shift or (0.0,) * len(self.positives))

    def distance(self, method: str) -> np.ndarray:
        """float [G]: d, of which the areas within groups follow."""
        return norm.ppf(np.array(self.areas[method])) * np.sqrt(1 + self.sd**2 + self.run * self.sd**2)

    def draw(self, rng: np.random.Generator) -> Evaluation:
        """One repetition."""
        count, times = len(self.positives), 5 if self.vary else 1
        classes = ((1, self.positives), (0, self.negatives))
        sizes = [(group, label, n) for label, by in classes for group, n in enumerate(by)]
        group = np.concatenate([np.full(n * times, one) for one, _, n in sizes])
        label = np.concatenate([np.full(n * times, one) for _, one, n in sizes])
        order = np.lexsort((rng.random(len(group)), group) if self.mixed else (rng.random(len(group)), label, group))
        unit = np.empty(len(group), dtype=int)
        unit[order] = np.arange(len(group)) // self.size
        names, unit = np.unique(unit, return_inverse=True)
        shared = rng.normal(size=len(names))
        weight = rng.choice([0.5, 1.0, 2.0], len(group)) if self.weights else np.ones(len(group))
        strata = [(np.flatnonzero((group == one) & (label == of)), n) for one, of, n in sizes]
        samples = [np.arange(len(group))] * self.runs
        if self.vary:  # methods share the split of a seed
            samples = [
                np.sort(np.concatenate([rng.choice(each, n, replace=False) for each, n in strata]))
                for _ in range(self.runs)
            ]
        runs = {}
        for method in METHODS:
            apart = rng.normal(size=len(names))
            part = (np.sqrt(self.together) * shared + np.sqrt(1 - self.together) * apart)[unit]
            for seed, rows in enumerate(samples):
                noise = np.sqrt(self.example) * part[rows] + np.sqrt(1 - self.example) * rng.normal(size=len(rows))
                positive = label[rows] == 1
                noise += positive * np.sqrt(self.run) * rng.normal()
                score = np.where(positive, self.distance(method)[group[rows]] + self.sd * noise, noise)
                probability = expit(score + self.shifts[group[rows]] - 1)
                both = np.stack([1 - probability, probability], axis=1)
                runs[method, seed] = Run(rows, (probability > 0.5).astype(int), both)
        everybody = np.ones(len(group), dtype=bool)
        groups = Groups("who", tuple("abcdefgh"[:count]), group[:, None] == np.arange(count), everybody)
        population = Population(label, weight, unit, (groups,), names_of(len(names)))
        setting = self.design.settings["s"]
        return Evaluation("s", "test", setting, population, METHODS, ("no", "yes"), runs, {}, everybody)

    def truth(self, measure: str, method: str, group: str | None) -> float:
        """The measure's expectation, of a group or of everyone, from the distributions."""
        inside = np.ones(len(self.positives), dtype=bool)
        if group is not None:
            inside = np.arange(len(inside)) == "abcdefgh".index(group)
        if measure == "average_precision":
            return self._precision(method, inside)
        ours = ~inside if measure == "bpsn_auc" else inside
        theirs = ~inside if measure == "bnsp_auc" else inside
        return self._area(method, ours, theirs)

    def rest(self, measure: str, method: str, group: str) -> float:
        """The same of everyone outside of a group."""
        outside = np.arange(len(self.positives)) != "abcdefgh".index(group)
        return (
            self._precision(method, outside) if measure == "average_precision" else self._area(method, *[outside] * 2)
        )

    def _area(self, method: str, ours: np.ndarray, theirs: np.ndarray) -> float:
        means, shifts = self.distance(method) + self.shifts, self.shifts
        positives, negatives = np.array(self.positives) * ours, np.array(self.negatives) * theirs
        pairs = norm.cdf((means[:, None] - shifts[None]) / np.sqrt(1 + self.sd**2 + self.run * self.sd**2))
        return float(positives @ pairs @ negatives / positives.sum() / negatives.sum())

    def _precision(self, method: str, inside: np.ndarray) -> float:
        """∫ precision d recall over the threshold; of runs that do not vary."""
        assert not self.run
        positives, negatives = np.array(self.positives) * inside, np.array(self.negatives) * inside
        means = self.distance(method) + self.shifts

        def at(threshold: float) -> float:
            true = positives @ norm.sf((threshold - means) / self.sd)
            false = negatives @ norm.sf(threshold - self.shifts)
            return float(true / (true + false) * (positives @ norm.pdf((threshold - means) / self.sd)) / self.sd)

        ends = float(means.min()) - 8 * self.sd, float(means.max()) + 8 * self.sd
        return quad(at, *ends, limit=300)[0] / positives.sum()
