"""Estimates the gap between a group and the rest under one method, with its variance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from evenhand.audit.comparisons import Evidence, enough_runs
from evenhand.audit.estimands import Comparison, Estimand
from evenhand.audit.evaluation import Run
from evenhand.audit.measures import Measure
from evenhand.audit.measures.influence import Influence
from evenhand.audit.reading import LEVEL, Estimate
from evenhand.audit.runs.evidence import (
    unseen_of,
)
from evenhand.audit.runs.influences import RunInfluences
from evenhand.audit.runs.rest_gaps import GapsToRest, gap_interval
from evenhand.audit.trial_records import missing_note
from evenhand.stats.contrast import TwoWay, by_unit, cells_of, compact, from_cells, two_sides
from evenhand.stats.differences import Interval
from evenhand.stats.few_runs import FewRuns
from evenhand.stats.unequal_clusters import UnitFactors


@dataclass(frozen=True, eq=False)
class Sided:
    """A difference between a group and its rest over runs.

    Attributes:
        whole: group − rest.
        first, second: the group, and the rest.
        units: int [U], the codes of the units of both; totals: float [U], what each contributes to the difference.
    """

    whole: TwoWay
    first: TwoWay
    second: TwoWay
    units: np.ndarray
    totals: np.ndarray

    @classmethod
    def of(
        cls,
        units: Sequence[np.ndarray],
        sides: Sequence[Sequence[tuple[float, np.ndarray, np.ndarray]]],
        clustered: bool,
    ) -> Sided:
        """From both sides in each run: the value, and the weights and influences of its examples.

        Args:
            units: the examples' unit codes, of the group in each run and then of the rest.
            sides: of the group and of the rest, by run.
            clustered: whether units are clusters of examples.
        """
        runs = len(sides[0])
        parts = [part for side in sides for part in side]
        shares, moves = by_unit(units, [weights for _, weights, _ in parts], [influence for *_, influence in parts])
        values = np.array([value for value, *_ in parts])
        both = [slice(0, runs), slice(runs, 2 * runs)]
        cells = [cells_of(values[side], moves[side], shares[side]) for side in both]
        present = [(shares[side] > 0).any(axis=0) for side in both]
        first, second = (
            UnitFactors.of(shares[side]) if clustered else UnitFactors.alike(int(own.sum()))
            for side, own in zip(both, present, strict=True)
        )
        means = [float(values[side].mean()) for side in both]
        distinct = int((present[0] | present[1]).sum())
        whole = two_sides(means[0] - means[1], cells[0], cells[1], (first, second), distinct)
        ours, theirs = (
            from_cells(mean, own, count) for mean, own, count in zip(means, cells, (first, second), strict=True)
        )
        codes, _ = compact(np.concatenate(units))
        return cls(whole, ours, theirs, codes, cells[0].sum(axis=0) - cells[1].sum(axis=0))

    def interval(self, proportion: bool, scale: float = 1.0) -> Interval:
        """The interval of the difference, for few runs, and for few events of a proportion."""
        if not proportion:
            return FewRuns(self.whole)
        return gap_interval(self.whole, self.first, self.second, scale)


def gap_evidence(gaps: GapsToRest, comparison: Comparison, notes: Sequence[str]) -> Evidence:
    """The evidence on the gap of one method between a group and its rest, over its runs."""
    reader, measure = gaps.rates.reader, comparison.estimand.measure
    method, sign = comparison.method, int(comparison.signs[0])
    seeds = reader.evaluation.seeds(method)
    notes = [*notes, *missing_note(method, seeds, reader.evaluation.absent, "have no predictions")]
    closing = reader.closing(len(reader.runs_of(method)))
    closed = gaps.gaps(comparison.estimand, method, sign)
    if closed is not None and closed[0].defined(closed[1]):
        of_method, index = closed
        whole, gram = of_method.sides.whole.at(index), of_method.sides.whole.gram
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
    defined = gap_runs(reader, comparison.estimand, method)
    if len(defined) < len(reader.runs_of(method)):
        notes.append(_undefined_note(reader, comparison.estimand, method, len(defined)))
    if not enough_runs(len(defined), len(seeds)):
        return Evidence(None, len(defined), len(seeds), tuple(notes), nothing=f"{method} was not run")
    gap = gap_of_runs(reader, defined, sign, measure.proportion)
    runs, inside, outside = zip(*defined, strict=True)
    units = reader.units(runs, inside), reader.units(runs, outside)
    return Evidence(
        gap.whole,
        gap.whole.runs,
        len(seeds),
        tuple(notes),
        min(influence.smallest for _, *both in defined for influence in both),
        few_events=gap_interval(gap.whole, gap.first, gap.second) if measure.proportion else None,
        closing=closing,
        totals=lambda: (gap.units, gap.totals),
        unseen=unseen_of(inside, outside, units, sign),
    )


def _undefined_note(reader: RunInfluences, estimand: Estimand, method: str, defined: int) -> str:
    """The note on runs of a method in which a gap is undefined, with the reasons."""
    runs = reader.runs_of(method)
    influences = [reader.influence(run, side) for side in sides_of(estimand) for run in runs]
    reasons = sorted({str(influence.reason) for influence in influences if math.isnan(influence.value)})
    if len(runs) == 1:
        return f"not defined ({', '.join(reasons)})"
    return f"defined in {defined} of {len(runs)} runs ({', '.join(reasons)})"


def estimates_of_gap(reader: RunInfluences, estimand: Estimand, method: str) -> tuple[list[Estimate], int | None]:
    """The gap of a method in each of its runs, and last the mean over those where it is defined.

    Returns:
        The estimates, and the fewest examples on a side in any run; None without runs in which the gap is defined.
    """
    measure, runs = estimand.measure, reader.runs_of(method)
    defined = gap_runs(reader, estimand, method)
    by_run = {id(parts[0]): parts for parts in defined}
    undefined = Estimate(None, None, None, 0, ("undefined in the group or in its rest",))
    estimates = [_gap_estimate(reader, [by_run[id(run)]], measure) if id(run) in by_run else undefined for run in runs]
    if not defined:
        return [*estimates, Estimate(None, None, None, 0)], None
    smallest = min(influence.smallest for _, *both in defined for influence in both)
    return [*estimates, _gap_estimate(reader, defined, measure)], smallest


def _gap_estimate(
    reader: RunInfluences, runs: Sequence[tuple[Run, Influence, Influence]], measure: Measure
) -> Estimate:
    gap = gap_of_runs(reader, runs, 1, measure.proportion)
    n = len(gap.units)
    if math.isnan(gap.whole.variance):
        return Estimate(gap.whole.estimate, None, None, n)
    largest = measure.limits[1] - measure.limits[0]
    low, high = gap.interval(measure.proportion).bounds((1 - LEVEL) / 2)
    return Estimate(gap.whole.estimate, max(low, -largest), min(high, largest), n)


def gap_runs(reader: RunInfluences, estimand: Estimand, method: str) -> list[tuple[Run, Influence, Influence]]:
    """The runs of a method in which the measure is defined in the group and in its rest, with both influences."""
    runs = reader.runs_of(method)
    inside, outside = ([reader.influence(run, side) for run in runs] for side in sides_of(estimand))
    every = zip(runs, inside, outside, strict=True)
    return [(run, ours, rest) for run, ours, rest in every if not np.isnan(ours.value + rest.value)]


def gap_of_runs(
    reader: RunInfluences, runs: Sequence[tuple[Run, Influence, Influence]], sign: int = 1, proportion: bool = False
) -> Sided:
    """The gap of a method over runs; with the sign −1 positive where less of the measure is worse."""
    sides = [[inside for _, inside, _ in runs], [outside for *_, outside in runs]]
    units = [codes for side in sides for codes in reader.units([run for run, *_ in runs], side)]
    signed = [[positive_if_worse(influence, sign, proportion) for influence in side] for side in sides]
    parts = [[(one.value, one.weights, one.influence) for one in side] for side in signed]
    return Sided.of(units, parts, reader.clustered)


def sides_of(estimand: Estimand) -> tuple[Estimand, Estimand]:
    """The estimand of the group, and of its rest."""
    return estimand, replace(estimand, subset=estimand.subset.rest)


def positive_if_worse(influence: Influence, sign: int, proportion: bool) -> Influence:
    """The influence itself; with the sign −1 that of the complement of a proportion, or of the negative."""
    if sign > 0:
        return influence
    return replace(influence, value=(1 if proportion else 0) - influence.value, influence=-influence.influence)
