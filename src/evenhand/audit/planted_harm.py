"""Would this study have noticed? Harm is planted into its own predictions, and its contrasts are judged again.

Right predictions of the method, drawn at random and the same examples in every run, are made wrong until a group has
lost a given share of its accuracy. The contrast of the altered predictions is made by the audit's own code; its
interval is longer than the observed one, since harm brings discordant examples with it. What is asked of it is how
often studies with such intervals, whose truth is the planted harm, say `worse` at the family's level: the observed
contrast itself, which is one draw, plays no part.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from evenhand.audit.comparisons import conclude
from evenhand.audit.design import Design
from evenhand.audit.evaluation import Run
from evenhand.audit.measures.influence import Influence
from evenhand.audit.runs.evidence import Both, evidence_of_pairs, is_defined, pairs_of
from evenhand.audit.runs.influences import RunInfluences
from evenhand.audit.verdict_rows import SettingContrast
from evenhand.audit.verdicts import Family
from evenhand.seeds import generator
from evenhand.stats.contrast import compact
from evenhand.stats.power import Repeated, half_widths, shares_worse, unbiased_seed_variance
from evenhand.stats.proportion import FEW

MEASURE = "detected_harm"
STEPS = 8
"""Sizes of harm, evenly spaced above 0."""
ALMOST = 0.95
"""They reach to where this share of the studies finds it."""
FARTHER = 1.4
PLANTINGS = 8
"""Where a group is small, the mean is over so many ways of planting."""
ENOUGH = 40_000
"""So many predictions, in one planting or several, tell what harm does to an interval."""


def detected_harm(reader: RunInfluences, families: Sequence[Family], design: Design) -> Iterator[dict[str, Any]]:
    """Rows of the table `curves`: for everyone and each group, x is the accuracy lost against the first reference and y
    the share of studies like this one that would say `worse`.

    At 0 it is the share of false alarms. The sizes reach to a harm that nearly every study finds, and that is above the
    margin: smaller harm was declared harmless and ends `equivalent`. Contrasts that are not judged, unpaired
    ones, and those of one run have no curve. Plantings that leave nothing that varies are left out, since an audit does
    not judge them; where all do, the curve ends before.
    """
    if design.paired == "none":
        return
    for family in families:
        for one in family.members:
            interval, comparison = one.contrast.interval, one.comparison
            estimand = comparison.estimand
            if comparison.kind != "change" or not estimand.measure.planted:
                continue
            if comparison.reference != reader.evaluation.design.references[0]:
                continue
            if interval is None or one.contrast.runs < 2 or not interval.variance > 0:
                continue
            for harm, share in curve(reader, one, family.level):
                if math.isnan(share):
                    continue
                yield {
                    "setting": one.setting,
                    "split": one.split,
                    "measure": MEASURE,
                    "attribute": estimand.subset.attribute,
                    "group": estimand.subset.group,
                    "method": comparison.method,
                    "x": harm,
                    "y": share,
                    "low": None,
                    "high": None,
                }


def curve(reader: RunInfluences, one: SettingContrast, level: float) -> Iterator[tuple[float, float]]:
    """Planted losses of accuracy, and the share of studies like this one that would say `worse`: NaN where nothing
    varies.

    Args:
        reader: of the evaluation.
        one: a judged contrast of accuracy, of two runs or more.
        level: one-sided, of its bounds.
    """
    assert one.contrast.interval is not None
    observed = Repeated.of(one.contrast.interval, level)
    harmed = HarmedPairs.of(reader, one, level)
    most = float(harmed.accuracy.min())  # nobody loses more accuracy than there is
    reach = min(observed.smallest() + max(observed.smallest(), one.margin or 0.0), most)
    while (share := harmed.detected(np.array([reach]))[0]) < ALMOST and reach < most:
        reach = min(FARTHER * reach, most)
    yield 0.0, observed.worse(0.0, one.margin)
    inner = np.linspace(0.0, reach, STEPS + 1)[1:-1]
    yield from zip(inner.tolist(), harmed.detected(inner).tolist(), strict=True)
    yield reach, float(share)


@dataclass(frozen=True, eq=False)
class HarmedPairs:
    """The pairs of runs of a contrast of accuracy, into which harm is planted.

    Attributes:
        reader: of the evaluation.
        one: the contrast.
        level: one-sided, of its bounds.
        pairs: by seed, with the influences as observed.
        examples: int [n], those that some run tested.
        chances: float [P, n], uniform on [0, 1): right predictions of examples with a low one are made wrong, in every
            run alike.
        weight: float [J, n]; 0 where a run did not test the example.
        right, against: bool [J, n], whether the method and its reference were right.
    """

    reader: RunInfluences
    one: SettingContrast
    level: float
    pairs: Sequence[Both]
    examples: np.ndarray
    chances: np.ndarray
    weight: np.ndarray
    right: np.ndarray
    against: np.ndarray

    @classmethod
    def of(cls, reader: RunInfluences, one: SettingContrast, level: float) -> HarmedPairs:
        """The pairs in which accuracy is defined."""
        comparison, population = one.comparison, reader.evaluation.population
        every = pairs_of(reader, comparison.estimand, comparison.method, str(comparison.reference))
        pairs = [pair for pair in every if is_defined(pair)]
        tested = [run.rows[effect.rows] for run, effect, _, _ in pairs]
        alike = all(rows is tested[0] or np.array_equal(rows, tested[0]) for rows in tested)
        examples = tested[0] if alike else np.unique(np.concatenate(tested))
        plantings = min(max(ENOUGH // sum(map(len, tested)), 1), PLANTINGS)
        chances = np.stack([chance[examples] for chance in planting_chances(len(population.label), plantings)])
        shape = (len(pairs), len(examples))
        weight, right, against = np.zeros(shape), np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        for place, ((run, effect, other, _), rows) in enumerate(zip(pairs, tested, strict=True)):
            at = slice(None) if alike else np.searchsorted(examples, rows)
            weight[place, at] = population.weight[rows]
            right[place, at] = run.predicted[effect.rows] == population.label[rows]
            against[place, at] = other.predicted[effect.rows] == population.label[rows]
        return cls(reader, one, level, pairs, examples, chances, weight, right, against)

    @cached_property
    def accuracy(self) -> np.ndarray:
        """float [J], of the method."""
        return np.array([effect.value for _, effect, _, _ in self.pairs])

    @cached_property
    def units(self) -> int:
        """How many resampling units there are."""
        return len(compact(self.reader.evaluation.population.unit[self.examples])[0])

    def detected(self, harms: np.ndarray) -> np.ndarray:
        """The share of studies that detect each harm, float [H], the mean over plantings after which something varies;
        nan where nothing does."""
        shares = np.stack([self._shares(harm) for harm in harms])
        varies = ~np.isnan(shares)
        total = np.where(varies, shares, 0.0).sum(axis=1)
        return np.divide(total, varies.sum(axis=1), out=np.full(len(harms), np.nan), where=varies.any(axis=1))

    @cached_property
    def observed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """By run Σ wd, Σ (wd)² and Σ w²d of the change d that is there without harm, float [J]; and what each example
        contributes to its mean over runs, float [n]. The change is positive where the method is worse."""
        change = self.weight * (self.against.astype(float) - self.right)
        total = (change / self.size[:, None]).sum(axis=0)
        return change.sum(axis=1), (change**2).sum(axis=1), (change * self.weight).sum(axis=1), total

    @cached_property
    def size(self) -> np.ndarray:
        """float [J], Σ w."""
        return self.weight.sum(axis=1)

    @cached_property
    def even(self) -> bool:
        """Whether all runs tested all examples, each of which counts once: then sums are counts."""
        return bool((self.weight == 1).all())

    def _shares(self, harm: float) -> np.ndarray:
        """The share of studies that detect a harm, by planting, float [P]."""
        if self.units < len(self.examples):
            return np.array([self._one_by_one(harm, chance) for chance in self.chances])
        runs = len(self.pairs)
        lost = self.right & (self.chances[:, None] < (harm / self.accuracy)[:, None])
        added, squares, crossed, total = self.observed
        loss, loss_crossed, moved, gained = self._sums(lost)
        values = (added + loss) / self.size
        mean = values.mean(axis=1, keepdims=True)
        weights = (self.weight**2).sum(axis=1)
        both = squares + moved - 2 * mean * (crossed + loss_crossed) + mean**2 * weights
        total = total + gained - mean * (self.weight / self.size[:, None]).sum(axis=0)
        v_example = self.units / (self.units - 1) * np.einsum("pn,pn->p", total, total) / runs**2
        v_seed = unbiased_seed_variance(values.var(axis=1, ddof=1) / runs, runs)
        v_both = (both / self.size**2).sum(axis=1) / runs**2
        halves = half_widths(v_seed, v_example, v_both, runs, np.full(len(values), self.units), self.level)
        errors = np.sqrt(np.maximum(v_seed + v_example - v_both, v_example))
        shares = shares_worse(errors, halves, np.full(len(values), harm), self.one.margin)
        differ = (self.right & ~lost) != self.against
        for planting in np.flatnonzero(np.count_nonzero(differ, axis=2).max(axis=1) < FEW):
            if np.count_nonzero(differ[planting].any(axis=0)) < FEW:
                shares[planting] = self._one_by_one(harm, self.chances[planting])
        return shares

    def _sums(self, lost: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What lost predictions [P, J, n] add to Σ wd, Σ w²d and Σ (wd)² [P, J], and to the examples' totals [P, n]."""
        if self.even:
            loss = np.count_nonzero(lost, axis=2).astype(float)
            moved = 2.0 * np.count_nonzero(lost & self.against, axis=2) - loss
            return loss, loss, moved, lost.sum(axis=1, dtype=np.int16) / self.size[0]
        weighted = lost * self.weight
        moved = np.einsum("pjn,jn->pj", weighted, self.weight * (2.0 * self.against - 1))
        crossed = np.einsum("pjn,jn->pj", weighted, self.weight)
        return weighted.sum(axis=2), crossed, moved, np.einsum("pjn,j->pn", weighted, 1 / self.size)

    def _one_by_one(self, harm: float, chance: np.ndarray) -> float:
        """The share of studies that detect a harm, from the audit's own evidence of altered predictions."""
        altered = [
            (run, self._harmed(run, ours, harm, chance), other, theirs) for run, ours, other, theirs in self.pairs
        ]
        evidence = evidence_of_pairs(self.reader, self.one.comparison, altered, ())
        interval = conclude(evidence, self.reader.support).interval
        assert interval is not None
        return Repeated.of(interval, self.level).worse(harm, self.one.margin)

    def _harmed(self, run: Run, effect: Influence, harm: float, chance: np.ndarray) -> Influence:
        """The accuracy of a run when right predictions are made wrong where the example's chance is low."""
        examples = run.rows[effect.rows]
        right = run.predicted[effect.rows] == self.reader.evaluation.population.label[examples]
        lost = right & (chance[np.searchsorted(self.examples, examples)] < harm / effect.value)
        loss = float(effect.weights[lost].sum())
        moves = effect.influence - effect.weights * (lost - loss)
        return replace(effect, value=effect.value - loss, influence=moves)


@lru_cache(maxsize=2)
def planting_chances(examples: int, plantings: int = PLANTINGS) -> Sequence[np.ndarray]:
    """The same uniform numbers for every contrast of an evaluation, float [examples] by planting."""
    rng = generator(0, "planted harm")
    return [rng.random(examples) for _ in range(plantings)]
