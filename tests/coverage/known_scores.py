"""Predictions whose predictive values, F1, balanced accuracy and scores of probabilities are known exactly.

The score of an example is ±strength by its label, plus effects of the example and the run and noise, all together of
variance 1. It is predicted positive where the score exceeds the threshold, and its probability is the posterior one,
made sharper or duller. The truth is the mean over runs of each run's measure, by Gaussian quadrature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from evenhand.audit.design import Design, SettingDesign
from evenhand.audit.evaluation import Evaluation, Groups, Population, Run
from evenhand.metrics.scores import LEAST
from random_effects import DESIGN, METHODS, names_of

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(81)
WEIGHTS = WEIGHTS / WEIGHTS.sum()
GRID = np.linspace(-9, 9, 40_001)


@dataclass(frozen=True)
class Scorer:
    """How a method scores: one number for all groups, or one for each.

    Attributes:
        strength: half the distance between the mean scores of positives and negatives.
        threshold: of the score, above which an example is predicted positive.
        sharpness: of the probabilities: 1 is calibrated, more is overconfident.
    """

    strength: float | tuple[float, ...] = 1.0
    threshold: float | tuple[float, ...] = 0.0
    sharpness: float | tuple[float, ...] = 1.0

    def of(self, group: int) -> tuple[float, float, float]:
        """The three numbers of one group."""
        parts = (self.strength, self.threshold, self.sharpness)
        strength, threshold, sharpness = (part[group] if isinstance(part, tuple) else part for part in parts)
        return strength, threshold, sharpness


@dataclass(frozen=True)
class KnownScores:
    """Two methods that score examples of some groups.

    Attributes:
        sizes: tested examples of each group.
        prevalence: share of positives in each group.
        method, reference: how they score.
        runs, vary: as in `random_effects.World`.
        example, run: shares of the variance that examples and runs have; the methods share `together` of the former.
        size: examples per unit, which share the example's effect.
        weights: whether examples have weights.
        alone: whether there is no reference, so that gaps get the verdicts.
        against: whom groups are compared with: `rest`, `overall` or a group.
    """

    sizes: tuple[int, ...]
    prevalence: tuple[float, ...]
    method: Scorer = Scorer()
    reference: Scorer = Scorer()
    runs: int = 1
    vary: bool = False
    example: float = 0.5
    run: float = 0.0
    together: float = 0.8
    size: int = 1
    weights: bool = False
    alone: bool = False
    against: str = "rest"
    margins: Mapping[str, float] = field(default_factory=dict)

    @property
    def design(self) -> Design:
        references = () if self.alone else ("reference",)
        against = {} if self.against == "rest" else {"who": self.against}
        setting = SettingDesign(references=references, methods=METHODS, vary=self.vary, against=against)
        return DESIGN.model_copy(update={"settings": {"s": setting}, "margins": dict(self.margins)})

    def scorer(self, method: str) -> Scorer:
        """How a method scores."""
        return self.method if method == "method" else self.reference

    def draw(self, rng: np.random.Generator) -> Evaluation:
        """One repetition."""
        count, tested = len(self.sizes), sum(self.sizes)
        n = tested * (5 if self.vary else 1)
        group = np.tile(np.repeat(np.arange(count), self.sizes), n // tested)
        if self.size == 1:
            group = rng.permutation(group)
        unit = np.arange(n) // self.size
        rates = np.array(self.prevalence)[group]
        label = (rng.random(n) < rates).astype(int)
        shared = rng.normal(size=unit[-1] + 1)
        weight = rng.choice([0.5, 1.0, 2.0], n) if self.weights else np.ones(n)
        effects = {}
        for method in METHODS:
            apart = rng.normal(size=len(shared))
            effects[method] = (np.sqrt(self.together) * shared + np.sqrt(1 - self.together) * apart)[unit]
        runs = {}
        for seed in range(self.runs):
            rows = np.sort(rng.choice(n, tested, replace=False)) if self.vary else np.arange(n)
            for method in METHODS:
                strength, threshold, sharpness = np.array([self.scorer(method).of(g) for g in range(count)])[
                    group[rows]
                ].T
                score = strength * (2 * label[rows] - 1) + np.sqrt(self.example) * effects[method][rows]
                score += np.sqrt(self.run) * rng.normal()
                score += np.sqrt(1 - self.example - self.run) * rng.normal(size=len(rows))
                positive = probability(score, rates[rows], strength, sharpness)
                both = np.stack([1 - positive, positive], axis=1)
                runs[method, seed] = Run(rows, (score > threshold).astype(int), both)
        names = tuple("abcdefghijklm"[:count])
        members = group[:, None] == np.arange(count)
        population = Population(
            label, weight, unit, (Groups("who", names, members, np.ones(n, dtype=bool)),), names_of(len(shared))
        )
        setting = self.design.settings["s"]
        return Evaluation("s", "test", setting, population, METHODS, ("no", "yes"), runs, {}, np.ones(n, dtype=bool))

    def truth(self, measure: str, method: str, groups: Sequence[int] | None = None) -> float:
        """The value of a measure of a method in the union of some groups; of everyone where none are given."""
        groups = list(range(len(self.sizes))) if groups is None else list(groups)
        size = np.array(self.sizes, dtype=float)[groups]
        if measure in SCORES:
            means = [self._score(measure, method, group) for group in groups]
            return float(size @ means / size.sum())
        positives = size * np.array(self.prevalence)[groups]
        negatives = size - positives
        scores = [self.scorer(method).of(group) for group in groups]
        spread, shift = np.sqrt(1 - self.run), np.sqrt(self.run) * NODES
        tp, fp = (
            np.sum(
                [
                    count * norm.sf((threshold - sign * strength - shift) / spread)
                    for count, (strength, threshold, _) in zip(counts, scores, strict=True)
                ],
                axis=0,
            )
            for sign, counts in ((1, positives), (-1, negatives))
        )
        return float(WEIGHTS @ RATES[measure](tp, fp, positives.sum() - tp, negatives.sum() - fp))

    def _score(self, measure: str, method: str, group: int) -> float:
        strength, _, sharpness = self.scorer(method).of(group)
        rate, total = self.prevalence[group], 0.0
        for label, share in ((1, rate), (0, 1 - rate)):
            score = GRID + strength * (2 * label - 1)
            claimed = probability(score, rate, strength, sharpness)
            density = norm.pdf(GRID)
            total += share * float(SCORES[measure](claimed if label else 1 - claimed) @ density / density.sum())
        return total


def probability(
    score: np.ndarray, rate: np.ndarray | float, strength: np.ndarray | float, sharpness: np.ndarray | float
) -> np.ndarray:
    """The probability of the positive class given a score: with a sharpness of 1 the posterior one."""
    return expit(sharpness * (2 * strength * score + np.log(rate / (1 - rate))))


RATES: Mapping[str, Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "positive_predictive_value": lambda tp, fp, fn, tn: tp / (tp + fp),
    "negative_predictive_value": lambda tp, fp, fn, tn: tn / (tn + fn),
    "f1_score": lambda tp, fp, fn, tn: 2 * tp / (2 * tp + fp + fn),
    "balanced_accuracy": lambda tp, fp, fn, tn: (tp / (tp + fn) + tn / (tn + fp)) / 2,
}
"""Measures from the expected counts of true and false positives, false and true negatives in a run."""
SCORES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "brier_score": lambda own: (1 - own) ** 2,
    "log_loss": lambda own: -np.log(np.clip(own, LEAST, 1 - LEAST)),
}
"""Scores from the probability of the true class."""
MEASURES = (*RATES, *SCORES)
