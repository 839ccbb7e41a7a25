"""Estimates the gap between a group and the one it is compared with, under one method, with its variance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from evenhand.audit.comparisons import Evidence, enough_runs
from evenhand.audit.estimands import Comparison, Estimand, Subset
from evenhand.audit.evaluation import Run
from evenhand.audit.measures import Measure
from evenhand.audit.measures.influence import Influence, RateOf
from evenhand.audit.measures.steps import LabelScores, Steps, combined
from evenhand.audit.reading import LEVEL, Estimate
from evenhand.audit.runs.allowance import Allowance, Difference, Sample
from evenhand.audit.runs.allowances import allowance_of
from evenhand.audit.runs.by_unit import known_units
from evenhand.audit.runs.evidence import unseen_of
from evenhand.audit.runs.gap_sides import gap_interval
from evenhand.audit.runs.influences import RunInfluences
from evenhand.audit.runs.rest_gaps import GapsToRest
from evenhand.audit.trial_records import missing_note
from evenhand.stats.contrast import TwoWay, by_unit, cells_of, compact, from_cells, two_sides
from evenhand.stats.differences import FewEvents, Interval
from evenhand.stats.few_runs import FewRuns, Wider
from evenhand.stats.ratios import TwoProportions
from evenhand.stats.unequal_clusters import UnitFactors

Part = tuple[float, np.ndarray, np.ndarray, Steps | LabelScores | None]
"""The value of one side in one run, with the weights and the influences of its examples, and its steps."""


@dataclass(frozen=True, eq=False)
class Sided:
    """A difference between a group and whom it is compared with, over runs.

    Attributes:
        whole: the difference.
        first, second: the group, and those whom it is compared with.
        units: int [U], the codes of the units of both; totals: float [U], what each contributes to the difference.
        apart: the second without the group: of everybody the rest.
        part: the difference is so many times that of the group and `apart`; see `gap_sides.Sides`.
        scale: the error of the difference is so many times that of the group minus `apart`.
        composition: the variance that the difference has since the group's share in everybody is an estimate.
        together: whether units are on both sides; overlaps: whether examples are in the group and in `apart`.
        samples: the group, those whom it is compared with, and `apart`, with what intervals allow for.
        allowance: what the measure's intervals allow for; None for proportions, and where it is nothing.
    """

    whole: TwoWay
    first: TwoWay
    second: TwoWay
    units: np.ndarray
    totals: np.ndarray
    apart: TwoWay
    part: float = 1.0
    scale: float = 1.0
    composition: float = 0.0
    together: bool = False
    overlaps: bool = False
    samples: tuple[Sample, ...] = ()
    allowance: Allowance | None = None

    @classmethod
    def of(
        cls,
        units: Sequence[np.ndarray],
        sides: Sequence[Sequence[Part]],
        uneven: bool,
        known: tuple[float | None, float | None] = (None, None),
        allowance: Allowance | None = None,
    ) -> Sided:
        """From both sides in each run.

        Args:
            units: the examples' unit codes, of the group in each run and then of the rest.
            sides: of the group and of the rest, by run.
            uneven: whether units may count for different weights; see `RunInfluences.uneven`.
            known: of areas, how many units each side is known as well as at most.
            allowance: see the class.
        """
        runs = len(sides[0])
        parts = [part for side in sides for part in side]
        shares, moves = by_unit(units, [part[1] for part in parts], [part[2] for part in parts])
        values = np.array([value for value, *_ in parts])
        both = [slice(0, runs), slice(runs, 2 * runs)]
        cells = [cells_of(values[side], moves[side], shares[side]) for side in both]
        present = [(shares[side] > 0).any(axis=0) for side in both]
        first, second = (
            (UnitFactors.of(shares[side]) if uneven else UnitFactors.alike(int(own.sum()))).at_most(most)
            for side, own, most in zip(both, present, known, strict=True)
        )
        means = [float(values[side].mean()) for side in both]
        distinct = int((present[0] | present[1]).sum())
        whole = two_sides(means[0] - means[1], cells[0], cells[1], (first, second), distinct)
        ours, theirs = (
            from_cells(mean, own, count) for mean, own, count in zip(means, cells, (first, second), strict=True)
        )
        codes, _ = compact(np.concatenate(units))
        totals = cells[0].sum(axis=0) - cells[1].sum(axis=0)
        together = bool((present[0] & present[1]).any())
        samples = tuple(
            Sample(
                mean, own.sum(axis=0), units[side], [(value, weights, step) for value, weights, _, step in parts[side]]
            )
            for mean, own, side in zip((ours, theirs), cells, both, strict=True)
        )
        samples = (*samples, samples[1])
        return cls(whole, ours, theirs, codes, totals, theirs, together=together, samples=samples, allowance=allowance)

    def beside(self, rest: Sided, share: float, measure: Measure) -> Sided:
        """The difference from everybody, whose interval has the form of that from the rest.

        Of means over examples it is 1 − share times that from the rest. The share of a group in what predictive values
        are taken of is an estimate, and F1 has other shares: their errors are as many times those of the difference
        from the rest as their standard errors are.

        Args:
            rest: the difference from the rest.
            share: of the group in everybody.
            measure: whose difference it is.
        """
        whole, other, part = self.whole.variance, rest.whole.variance, 1 - share
        given = isinstance(measure.influence, RateOf)  # whom labels choose, not predictions
        return replace(
            self,
            apart=rest.second,
            part=part,
            scale=math.sqrt(whole / other) if other > 0 else part,
            composition=0.0 if given else max(whole - part**2 * other, 0.0),
            samples=(*self.samples[:2], rest.samples[1]),
        )

    def interval(self, proportion: bool, rates: int = 1) -> Interval:
        """The interval of the difference, for few runs, and for few events of a proportion or few units that matter.

        Args:
            proportion: whether the measure is one.
            rates: how many rates each side is the sum of.
        """
        if proportion:
            return self.few_events_of(rates)
        if self.allowance is None:
            return FewRuns(self.whole)
        return Wider(FewRuns(self.whole), self.allowance.difference(self.difference, rates))

    @property
    def difference(self) -> Difference:
        """The difference, with what intervals allow for."""
        first, second, apart = self.samples
        return Difference(self.whole, first, second, self.totals, apart, self.scale, self.overlaps)

    def doubts(self, runs: Sequence[GapRun], word: str) -> tuple[str, ...]:
        """Why the gap of these runs is shown and not judged, if it is not; `word` is for what is counted."""
        return () if self.allowance is None else self.allowance.doubts(_both(runs), self.difference, word)

    def few_events_of(self, rates: int = 1) -> FewEvents | Wider:
        """The interval of a difference of proportions."""
        return gap_interval(self.whole, self.first, self.apart, rates, self.part, self.overlaps, self.composition)

    @property
    def proportions(self) -> TwoProportions:
        """Both sides of a gap of rates."""
        return TwoProportions(
            self.whole, self.first, self.second, self.apart, 1 - self.part, self.together, self.overlaps
        )


def gap_evidence(gaps: GapsToRest, comparison: Comparison, notes: Sequence[str]) -> Evidence:
    """The evidence on the gap of one method between a group and whom it is compared with, over its runs."""
    reader, measure = gaps.rates.reader, comparison.estimand.measure
    method, sign = comparison.method, int(comparison.signs[0])
    seeds = reader.evaluation.seeds(method)
    notes = [*notes, *missing_note(method, seeds, reader.evaluation.absent, f"have no {reader.evaluation.records}")]
    closing = reader.closing(len(reader.runs_of(method)))
    closed = gaps.gaps(comparison.estimand, method, sign)
    if closed is not None and closed[0].defined(closed[1]):
        of_method, index = closed
        whole, gram = of_method.sides.two.whole.at(index), of_method.sides.two.whole.gram
        return Evidence(
            whole,
            whole.runs,
            len(seeds),
            tuple(notes),
            int(of_method.smallest[index]),
            few_events=of_method.interval(index),
            closing=closing,
            totals=lambda: of_method.totals(index),
            gram=None if gram is None else (gram, index),
        )
    estimand, opposite = comparison.estimand, comparison.opposite
    defined = gap_runs(reader, estimand, opposite, method)
    if len(defined) < len(reader.runs_of(method)):
        notes.append(_undefined_note(reader, estimand, opposite, method, len(defined)))
    if not enough_runs(len(defined), len(seeds)):
        return Evidence(None, len(defined), len(seeds), tuple(notes), nothing=f"{method} was not run")
    gap = gap_of_runs(reader, defined, measure, sign)
    runs, inside, outside, _ = zip(*defined, strict=True)
    units = reader.units(runs, inside), reader.units(runs, outside)
    return Evidence(
        gap.whole,
        gap.whole.runs,
        len(seeds),
        tuple(notes),
        smallest_of(defined),
        reader.sample,
        gap.doubts(defined, reader.sample),
        adjusted=None if gap.allowance is None else gap.allowance.difference(gap.difference),
        adjustment="" if gap.allowance is None else gap.allowance.note,
        few_events=gap.few_events_of() if measure.proportion else None,
        closing=closing,
        totals=lambda: (gap.units, gap.totals),
        unseen=unseen_of(inside, outside, units, sign),
    )


def _undefined_note(reader: RunInfluences, estimand: Estimand, opposite: Subset, method: str, defined: int) -> str:
    """The note on runs of a method in which a gap is undefined, with the reasons."""
    attribute = str(estimand.subset.attribute)
    if opposite.complement and len(reader.groups(attribute).names) == 1:
        return f"{attribute} has one group only, so that there is nobody to compare it with"
    runs = reader.runs_of(method)
    influences = [reader.influence(run, side) for side in sides_of(estimand, opposite) for run in runs]
    reasons = sorted({str(influence.reason) for influence in influences if math.isnan(influence.value)})
    if len(runs) == 1:
        return f"not defined ({', '.join(reasons)})"
    return f"defined in {defined} of {len(runs)} runs ({', '.join(reasons)})"


def estimates_of_gap(
    reader: RunInfluences, estimand: Estimand, opposite: Subset, method: str
) -> tuple[list[Estimate], int | None]:
    """The gap of a method in each of its runs, and last the mean over those where it is defined.

    Returns:
        The estimates, and the fewest examples on a side in any run; None without runs in which the gap is defined.
    """
    measure, runs = estimand.measure, reader.runs_of(method)
    defined = gap_runs(reader, estimand, opposite, method)
    where = "its rest" if opposite.complement or opposite.group is None else opposite.group
    undefined = Estimate(None, None, None, 0, (f"undefined in the group or in {where}",))
    of_runs = {id(parts[0]): _gap_estimate(reader, [parts], measure) for parts in defined}
    estimates = [of_runs.get(id(run), undefined) for run in runs]
    if not defined:
        return [*estimates, Estimate(None, None, None, 0)], None
    mean = _gap_estimate(reader, defined, measure) if len(defined) > 1 else of_runs[id(defined[0][0])]
    return [*estimates, mean], smallest_of(defined)


def smallest_of(defined: Sequence[GapRun]) -> int:
    """The fewest examples on a side, in any run; of everybody those of the rest count."""
    return min(
        influence.smallest
        for _, inside, outside, rest in defined
        for influence in (inside, outside if rest is None else rest)
    )


def _gap_estimate(reader: RunInfluences, runs: Sequence[GapRun], measure: Measure) -> Estimate:
    gap = gap_of_runs(reader, runs, measure)
    n = len(gap.units)
    if math.isnan(gap.whole.variance):
        return Estimate(gap.whole.estimate, None, None, n)
    allowance = gap.allowance
    if allowance is not None and (notes := allowance.refused(_both(runs), gap.samples, reader.sample)):
        return Estimate(gap.whole.estimate, None, None, n, notes)
    most = measure.limits[1] - measure.limits[0]
    low, high = gap.interval(measure.proportion).bounds((1 - LEVEL) / 2)
    caveats = () if allowance is None else allowance.caveats(gap.difference)
    return Estimate(gap.whole.estimate, max(low, -most), min(high, most), n, caveats)


GapRun = tuple[Run, Influence, Influence, Influence | None]
"""A run with the influences of a group, of whom it is compared with, and where these are everybody, of its rest."""


def _both(runs: Sequence[GapRun]) -> list[Influence]:
    """The influences of both sides, of all runs."""
    return [influence for _, inside, outside, _ in runs for influence in (inside, outside)]


def gap_runs(reader: RunInfluences, estimand: Estimand, opposite: Subset, method: str) -> list[GapRun]:
    """The runs of a method in which the measure is defined in the group and in whom it is compared with."""
    runs = reader.runs_of(method)
    inside, outside, *rest = ([reader.influence(run, side) for run in runs] for side in sides_of(estimand, opposite))
    every = zip(runs, inside, outside, *(rest or [[None] * len(runs)]), strict=True)
    return [parts for parts in every if not any(math.isnan(part.value) for part in parts[1:] if part is not None)]


def gap_of_runs(reader: RunInfluences, runs: Sequence[GapRun], measure: Measure, sign: int = 1) -> Sided:
    """The gap of a method over runs; with the sign −1 positive where less of the measure is worse."""
    proportion = measure.proportion

    def sided(*sides: Sequence[Influence]) -> Sided:
        units = [codes for side in sides for codes in reader.units([parts[0] for parts in runs], side)]
        signed = [[positive_if_worse(influence, sign, proportion) for influence in side] for side in sides]
        parts = [[(one.value, one.weights, one.influence, one.steps) for one in side] for side in signed]
        known = known_units(sides[0]), known_units(sides[1])
        return Sided.of(units, parts, reader.uneven, known, None if proportion else allowance_of(_both(runs)))

    inside, outside = [ours for _, ours, *_ in runs], [theirs for *_, theirs, _ in runs]
    rests = [rest for *_, rest in runs if rest is not None]
    gap = sided(inside, outside)
    if not rests:
        common = gap.together and any(
            np.intersect1d(ours.rows, theirs.rows).size for ours, theirs in zip(inside, outside, strict=True)
        )
        return replace(gap, overlaps=common)
    return gap.beside(sided(inside, rests), share_of(reader, [parts[:3] for parts in runs]), measure)


def share_of(reader: RunInfluences, runs: Sequence[tuple[Run, Influence, Influence]]) -> float:
    """The share of a group in everybody whom it is compared with, the mean over runs."""
    weight = reader.evaluation.population.weight

    def total(run: Run, influence: Influence) -> float:
        return float(weight[run.rows[influence.rows]].sum())

    return float(np.mean([total(run, inside) / total(run, everybody) for run, inside, everybody in runs]))


def sides_of(estimand: Estimand, opposite: Subset) -> tuple[Estimand, ...]:
    """The estimand of the group, of whom it is compared with, and where these are everybody, of its rest."""
    rest = [] if opposite.group is not None or opposite.complement else [estimand.subset.rest]
    return tuple(replace(estimand, subset=subset) for subset in (estimand.subset, opposite, *rest))


def positive_if_worse(influence: Influence, sign: int, proportion: bool) -> Influence:
    """The influence itself; with the sign −1 that of the complement of a proportion or an area, or of the negative."""
    if sign > 0:
        return influence
    whole = 1 if proportion or influence.ranking is not None else 0
    return replace(
        influence,
        value=whole - influence.value,
        influence=-influence.influence,
        steps=combined([(-1, influence.steps)]),
    )
