"""How large a harm to a group a study would detect, by planting errors in its predictions.

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
from evenhand.audit.harm_curves import ABOVE_ZERO, MEASURE
from evenhand.audit.measures.influence import Influence
from evenhand.audit.runs.evidence import Both, evidence_of_pairs, is_defined, pairs_of
from evenhand.audit.runs.influences import RunInfluences
from evenhand.audit.verdict_rows import SettingContrast
from evenhand.audit.verdicts import Family
from evenhand.seeds import generator
from evenhand.stats.contrast import compact
from evenhand.stats.power import POWER, Repeated, half_widths, shares_worse, unbiased_seed_variance
from evenhand.stats.proportion import FEW

STEPS = 8
"""The number of sizes of harm, evenly spaced above 0."""
ALMOST = 0.95
"""The largest size is one that this share of the studies finds."""
FARTHER = 1.4
"""The ratio of a size that too few studies find to the next one that is tried."""
PLANTINGS = 8
"""The most random plantings that are averaged, for small groups."""
ENOUGH = 40_000
"""The number of predictions, over all plantings, that suffice to estimate the effect of harm on an interval."""


def detected_harm(reader: RunInfluences, families: Sequence[Family], design: Design) -> Iterator[dict[str, Any]]:
    """Rows of the table `curves` with the power to detect harm, for everyone and each group: two curves.

    x is the accuracy lost against the first reference. Of `MEASURE`, y is the share of studies like this one with the
    verdict `worse`; at 0 it is the share of false alarms. The sizes reach to a harm that nearly every study finds, and
    that is above the margin: smaller harm was declared harmless and ends `equivalent`. Of `ABOVE_ZERO`, y is the share
    whose lower bound is above 0, whatever the margin, at a few sizes up to one that four in five studies find.

    Contrasts that are not judged, unpaired contrasts, and those of one run have no curve. Plantings after which nothing
    varies are omitted, since an audit does not judge them; if all are omitted, the curve ends before.
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
            for measure, harm, share in curves(reader, one, family.level):
                if math.isnan(share):
                    continue
                yield {
                    "setting": one.setting,
                    "split": one.split,
                    "measure": measure,
                    "attribute": estimand.subset.attribute,
                    "group": estimand.subset.group,
                    "method": comparison.method,
                    "x": harm,
                    "y": share,
                    "low": None,
                    "high": None,
                }


def curves(reader: RunInfluences, one: SettingContrast, level: float) -> Iterator[tuple[str, float, float]]:
    """Points of both curves: the measure, a planted loss of accuracy, and the share of studies that find it.

    The share is NaN where nothing varies. Where a run predicts nothing right no harm can be planted: the only point is
    that of false alarms.

    Args:
        reader: of the evaluation.
        one: a judged contrast of accuracy, of two runs or more.
        level: one-sided, of its bounds.
    """
    assert one.contrast.interval is not None
    observed = Repeated.of(one.contrast.interval, level)
    harmed = HarmedPairs.of(reader, one, level)
    yield MEASURE, 0.0, observed.worse(0.0, one.margin)
    most = float(harmed.accuracy.min())  # nobody loses more accuracy than there is
    if not most > 0:
        return
    reach = min(observed.smallest() + max(observed.smallest(), one.margin or 0.0), most)
    while (share := harmed.detected(np.array([reach]), one.margin)[0]) < ALMOST and reach < most:
        reach = min(FARTHER * reach, most)
    inner = np.linspace(0.0, reach, STEPS + 1)[1:-1]
    shares = harmed.detected(inner, one.margin)
    yield from ((MEASURE, harm, found) for harm, found in zip(inner.tolist(), shares.tolist(), strict=True))
    yield MEASURE, reach, float(share)
    # The observed interval is shorter than one with harm, so that smaller losses need not be tried.
    tried = [min(observed.smallest(), most)]
    found = [_above_zero(harmed, tried[0])]
    while not found[-1] >= POWER and tried[-1] < most:
        tried.append(min(FARTHER * tried[-1], most))
        found.append(_above_zero(harmed, tried[-1]))
    if len(tried) > 1:
        tried.append(math.sqrt(tried[-1] * tried[-2]))
        found.append(_above_zero(harmed, tried[-1]))
    yield from ((ABOVE_ZERO, harm, share) for harm, share in zip(tried, found, strict=True))


def _above_zero(harmed: HarmedPairs, harm: float) -> float:
    """The share of studies that find a harm above 0, whatever the margin."""
    return float(harmed.detected(np.array([harm]), None)[0])


@dataclass(frozen=True, eq=False)
class HarmedPairs:
    """The pairs of runs of a contrast of accuracy, into which harm is planted.

    Attributes:
        reader: of the evaluation.
        one: the contrast.
        level: one-sided, of its bounds.
        examples: int [n], those that some run tested.
        chances: float [P, n], uniform on [0, 1): right predictions of examples with a low one are made wrong, in every
            run alike.
        weight: float [J, n]; 0 where a run did not test the example.
        right, against: bool [J, n], whether the method and its reference were right.
    """

    reader: RunInfluences
    one: SettingContrast
    level: float
    examples: np.ndarray
    chances: np.ndarray
    weight: np.ndarray
    right: np.ndarray
    against: np.ndarray

    @classmethod
    def of(cls, reader: RunInfluences, one: SettingContrast, level: float) -> HarmedPairs:
        """The pairs in which accuracy is defined."""
        comparison, population = one.comparison, reader.evaluation.population
        pairs, _ = reader.pairs(comparison.method, str(comparison.reference))
        members = [reader.subset(run, comparison.estimand).rows for run, _ in pairs]
        tested = [(*pair, inside) for pair, inside in zip(pairs, members, strict=True) if len(inside)]
        first, _, inside = tested[0]
        alike = all(run.rows is first.rows for run, *_ in tested)
        examples = first.rows[inside] if alike else np.unique(np.concatenate([run.rows[at] for run, _, at in tested]))
        plantings = min(max(ENOUGH // sum(len(at) for *_, at in tested), 1), PLANTINGS)
        rank = np.empty(len(population.label), dtype=np.int64)
        rank[reader.evaluation.by_content] = np.arange(len(rank))
        chances = np.stack([chance[rank[examples]] for chance in planting_chances(len(rank), plantings)])
        shape = (len(tested), len(examples))
        weight, right, against = np.zeros(shape), np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        for place, (run, other, inside) in enumerate(tested):
            rows = examples if alike else run.rows[inside]
            at = slice(None) if alike else np.searchsorted(examples, rows)
            weight[place, at] = population.weight[rows]
            right[place, at] = run.predicted[inside] == population.label[rows]
            against[place, at] = other.predicted[inside] == population.label[rows]
        return cls(reader, one, level, examples, chances, weight, right, against)

    @cached_property
    def pairs(self) -> list[Both]:
        """The pairs of runs by seed, with the influences as observed."""
        comparison = self.one.comparison
        every = pairs_of(self.reader, comparison.estimand, comparison.method, str(comparison.reference))
        return [pair for pair in every if is_defined(pair)]

    @cached_property
    def accuracy(self) -> np.ndarray:
        """float [J], of the method."""
        return (self.weight * self.right).sum(axis=1) / self.size

    @cached_property
    def units(self) -> int:
        """The number of resampling units."""
        return len(compact(self.reader.evaluation.population.unit[self.examples])[0])

    def detected(self, harms: np.ndarray, margin: float | None) -> np.ndarray:
        """The share of studies that detect each harm, float [H], the mean over plantings after which something varies;
        nan where nothing does.

        Args:
            harms: float [H], losses of accuracy.
            margin: a contrast inside of it is not `worse`; None asks for a lower bound above 0 alone.
        """
        shares = self._shares(harms, margin)
        varies = ~np.isnan(shares)
        total = np.where(varies, shares, 0.0).sum(axis=1)
        return np.divide(total, varies.sum(axis=1), out=np.full(len(harms), np.nan), where=varies.any(axis=1))

    @cached_property
    def observed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """By run Σ wd, Σ (wd)² and Σ w²d of the observed change d, float [J], and the terms of examples, float [n].

        These terms are each example's contributions to the mean change over runs. The change is positive where the
        method is worse.
        """
        change = self.weight * (self.against.astype(float) - self.right)
        total = (change / self.size[:, None]).sum(axis=0)
        return change.sum(axis=1), (change**2).sum(axis=1), (change * self.weight).sum(axis=1), total

    @cached_property
    def size(self) -> np.ndarray:
        """float [J], Σ w."""
        return self.weight.sum(axis=1)

    @cached_property
    def squared_weights(self) -> np.ndarray:
        """float [J], Σ w²."""
        return (self.weight**2).sum(axis=1)

    @cached_property
    def shares_of_examples(self) -> np.ndarray:
        """float [n], the shares of the runs' weight that an example has, summed over runs."""
        return (self.weight / self.size[:, None]).sum(axis=0)

    @cached_property
    def discordant(self) -> np.ndarray:
        """int [J], the examples in which the method and its reference are not both right or both wrong."""
        return np.count_nonzero(self.right != self.against, axis=1)

    @cached_property
    def even(self) -> bool:
        """Whether all runs tested all examples, each of which counts once: then sums are counts."""
        return bool((self.weight == 1).all())

    def _shares(self, harms: np.ndarray, margin: float | None) -> np.ndarray:
        """The share of studies that detect each harm, by planting, float [H, P]."""
        if self.units < len(self.examples):
            return np.array([[self._one_by_one(harm, chance, margin) for chance in self.chances] for harm in harms])
        parts = zip(*(self._variances(self._lost(harm)) for harm in harms), strict=True)
        v_seed, v_example, v_both, few = (np.concatenate(part) for part in parts)
        planted, units = np.repeat(harms, len(self.chances)), np.full(len(v_seed), self.units)
        halves = half_widths(v_seed, v_example, v_both, len(self.size), units, self.level)
        errors = np.sqrt(np.maximum(v_seed + v_example - v_both, v_example))
        shares = shares_worse(errors, halves, planted, margin)
        for place in np.flatnonzero(few):
            shares[place] = self._one_by_one(planted[place], self.chances[place % len(self.chances)], margin)
        return shares.reshape(len(harms), -1)

    def _lost(self, harm: float) -> np.ndarray:
        """The right predictions that a harm makes wrong, bool [P, J, n]."""
        return self.right & (self.chances[:, None] < (harm / self.accuracy)[:, None])

    def _variances(self, lost: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The parts of the variance after predictions [P, J, n] were lost, float [P] each; and bool [P], whether fewer
        than `FEW` examples are discordant."""
        runs = len(self.size)
        added, squares, crossed, total = self.observed
        loss, loss_crossed, moved, gained, discordant = self._sums(lost)
        values = (added + loss) / self.size
        mean = values.mean(axis=1, keepdims=True)
        both = squares + moved - 2 * mean * (crossed + loss_crossed) + mean**2 * self.squared_weights
        total = total + gained - mean * self.shares_of_examples
        v_example = self.units / (self.units - 1) * np.einsum("pn,pn->p", total, total) / runs**2
        v_seed = unbiased_seed_variance(values.var(axis=1, ddof=1) / runs, runs)
        v_both = (both / self.size**2).sum(axis=1) / runs**2
        few = discordant.max(axis=1) < FEW
        for planting in np.flatnonzero(few):
            differ = (self.right & ~lost[planting]) != self.against
            few[planting] = np.count_nonzero(differ.any(axis=0)) < FEW
        return v_seed, v_example, v_both, few

    def _sums(self, lost: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What lost predictions [P, J, n] add to Σ wd, Σ w²d and Σ (wd)² [P, J], and to the examples' totals [P, n];
        and how many examples are discordant then, int [P, J]."""
        # Where the reference is right a lost prediction makes an example discordant, elsewhere it ends that.
        count = np.count_nonzero(lost, axis=2)
        change = 2 * np.count_nonzero(lost & self.against, axis=2) - count
        discordant = self.discordant + change
        if self.even:
            loss = count.astype(float)
            return loss, loss, change, lost.sum(axis=1, dtype=np.int16) / self.size[0], discordant
        weighted = lost * self.weight
        moved = np.einsum("pjn,jn->pj", weighted, self.weight * (2.0 * self.against - 1))
        crossed = np.einsum("pjn,jn->pj", weighted, self.weight)
        totals = np.einsum("pjn,j->pn", weighted, 1 / self.size)
        return weighted.sum(axis=2), crossed, moved, totals, discordant

    def _one_by_one(self, harm: float, chance: np.ndarray, margin: float | None) -> float:
        """The share of studies that detect a harm, from the audit's own evidence of altered predictions."""
        altered = [
            (run, self._harmed(run, ours, harm, chance), other, theirs) for run, ours, other, theirs in self.pairs
        ]
        evidence = evidence_of_pairs(self.reader, self.one.comparison, altered, ())
        interval = conclude(evidence, self.reader.support).interval
        assert interval is not None
        return Repeated.of(interval, self.level).worse(harm, margin)

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
