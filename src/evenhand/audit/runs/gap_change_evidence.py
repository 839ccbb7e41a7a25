"""Estimates how a gap changes between two methods, paired by seed and example or unpaired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from evenhand.audit.comparisons import Evidence, enough_runs
from evenhand.audit.disparities import GapIntervals
from evenhand.audit.estimands import Comparison, change
from evenhand.audit.measures import Measure
from evenhand.audit.measures.steps import combined
from evenhand.audit.runs.allowances import allowance_of
from evenhand.audit.runs.by_unit import known_units
from evenhand.audit.runs.evidence import (
    SKEWED,
    UNPAIRED,
    Both,
    absence_notes,
    evidence_of_pairs,
    evidence_of_subset,
    is_defined,
    is_single,
    paired_runs,
    pairs_of,
    undefined_note,
)
from evenhand.audit.runs.gap_evidence import (
    both_of,
    gap_of_runs,
    gap_runs,
    positive_if_worse,
    share_of,
    sides_of,
    smallest_of,
)
from evenhand.audit.runs.influences import RunInfluences
from evenhand.audit.runs.rest_gaps import GapsToRest
from evenhand.audit.runs.sided import Sided
from evenhand.stats.contrast import TwoWay, unpaired
from evenhand.stats.differences import Apart, Interval
from evenhand.stats.few_runs import FewRuns, Wider
from evenhand.stats.rate_changes import RateChange, cluster_step

FEW_ON_A_SIDE = "the interval allows for few events in the group and in the rest"


def gap_change_evidence(gaps: GapsToRest, comparison: Comparison, notes: Sequence[str]) -> Evidence:
    """The evidence on a gap change over the seeds of both methods, on the examples that both predicted."""
    reader = gaps.rates.reader
    runs, planned, notes = paired_runs(reader, comparison, notes)
    closed = gaps.changes(comparison, runs)
    if closed is not None and closed[0].exact[closed[1]] and enough_runs(len(runs), planned):
        changes, index = closed
        whole = changes.change.two.whole
        found = evidence_of_subset(reader, comparison, whole, changes, index, notes)
        return replace(found, gaps=changes.intervals(index))
    method, reference = comparison.method, str(comparison.reference)
    estimands = sides_of(comparison.estimand, comparison.opposite)
    sides = [pairs_of(reader, estimand, method, reference) for estimand in estimands]
    defined = [pairs for pairs in zip(*sides, strict=True) if all(is_defined(pair) for pair in pairs)]
    notes += undefined_note([pair for side in sides for pair in side], len(defined), len(sides[0]))
    if not enough_runs(len(defined), planned):
        return Evidence(None, len(defined), planned, tuple(notes))
    return _of_pairs(reader, comparison, list(zip(*defined, strict=True)), notes)


def _of_pairs(
    reader: RunInfluences, comparison: Comparison, sides: Sequence[Sequence[Both]], notes: Sequence[str]
) -> Evidence:
    """The evidence of pairs of runs in which the measure is defined on both sides.

    Args:
        reader: of the evaluation.
        comparison: the gap change.
        sides: the pairs of the group, of whom it is compared with, and where these are everybody, of its rest.
        notes: come first.
    """
    measure, sign = comparison.estimand.measure, int(comparison.signs[0])
    inside, outside, *rest = sides
    both = zip(inside, outside, strict=True)
    common = not rest and any(np.intersect1d(ours[1].rows, theirs[1].rows).size for ours, theirs in both)

    def sided(first: int, second: int) -> Sided:
        gap = _sided(reader, measure, sign, (first, second), (inside, outside))
        if not rest:
            return replace(gap, overlaps=common)
        share = share_of(reader, [(ours[0], ours[1], all_[1]) for ours, all_ in zip(inside, outside, strict=True)])
        return gap.beside(_sided(reader, measure, sign, (first, second), (inside, *rest)), share, measure)

    difference = sided(1, -1)
    apart = (inside, rest[0] if rest else outside)
    estimands = sides_of(comparison.estimand, comparison.opposite)
    evidence = [
        evidence_of_pairs(reader, change(estimand, comparison.method, str(comparison.reference), sign), own, ())
        for estimand, own in zip((estimands[0], estimands[-1]), apart, strict=True)
    ]
    intervals = [_interval(side, side.whole) for side in evidence if side.whole is not None]
    whole, allowance = difference.whole, difference.allowance
    adjusted, doubts = None, [doubt for side in evidence for doubt in side.doubts]
    adjustments = [side.adjustment for side in evidence if side.adjusted is not None]
    if allowance is not None:
        adjusted = allowance.gap_change(difference.difference, intervals)
        doubts = allowance.doubts_on_gap_change(difference.difference, doubts)
    elif all(isinstance(side.adjusted, RateChange) for side in evidence):
        moved = [part for side in evidence if isinstance(side.adjusted, RateChange) for part in side.adjusted.sides]
        adjusted = RateChange(whole, tuple(moved), cluster_step(difference.totals) if reader.uneven else 0.0)
    elif any(adjustment != SKEWED for adjustment in adjustments):
        together = difference.difference.correlation_of_examples
        adjusted = Apart(whole, intervals[0], intervals[1], difference.scale, together)
    unseen = [side.unseen for side in evidence if side.unseen is not None]
    return Evidence(
        whole,
        whole.runs,
        notes=tuple(notes),
        smallest=min(side.smallest for side in evidence),
        sample=reader.sample,
        doubts=tuple(doubts),
        adjusted=adjusted,
        adjustment=next(filter(None, adjustments), ""),
        single=is_single(reader, comparison),
        closing=reader.closing(whole.runs),
        totals=lambda: (difference.units, difference.totals),
        gaps=GapIntervals(
            sided(1, 1).interval(measure.proportion, 2),
            sided(1, 0).interval(measure.proportion),
            sided(0, 1).interval(measure.proportion),
            intervals[0],
            intervals[1],
        ),
        unseen=unseen[0].minus(unseen[1]) if unseen else None,
    )


def _interval(evidence: Evidence, whole: TwoWay) -> Interval:
    """The interval of a change within one side."""
    return FewRuns(whole) if evidence.adjusted is None else Wider(FewRuns(whole), evidence.adjusted)


def _sided(
    reader: RunInfluences,
    measure: Measure,
    sign: int,
    times: tuple[int, int],
    sides: Sequence[Sequence[Both]],
) -> Sided:
    """The difference between two sides of `times[0]` times the method's value plus `times[1]` times the reference's."""
    pairs = [pair for side in sides for pair in side]
    units = reader.units([run for run, *_ in pairs], [influence for _, influence, *_ in pairs])
    parts = []
    for _, ours, _, theirs in pairs:
        first, second = (positive_if_worse(each, sign, measure.proportion) for each in (ours, theirs))
        value = times[0] * first.value + times[1] * second.value
        influence = times[0] * first.influence + times[1] * second.influence
        parts.append((value, first.weights, influence, combined([(times[0], first.steps), (times[1], second.steps)])))
    runs = len(sides[0])
    influences = [[influence for pair in side for influence in (pair[1], pair[3])] for side in sides]
    known = known_units(influences[0]), known_units(influences[1])
    allowance = None if measure.proportion else allowance_of([*influences[0], *influences[1]])
    return Sided.of(units, [parts[:runs], parts[runs:]], reader.uneven, known, allowance)


def unpaired_gap_change_evidence(reader: RunInfluences, comparison: Comparison, notes: Sequence[str]) -> Evidence:
    """The evidence on the difference of two methods' gaps whose variances are independent."""
    notes, measure, sign = list(notes), comparison.estimand.measure, int(comparison.signs[0])
    sides, smallest, doubts = [], [], []
    for method in (comparison.method, str(comparison.reference)):
        notes += absence_notes(reader, method, reader.evaluation.seeds(method))
        defined = gap_runs(reader, comparison.estimand, comparison.opposite, method)
        if not enough_runs(len(defined), len(reader.evaluation.seeds(method))):
            return Evidence(None, len(defined), 0, tuple(notes), nothing=f"{method} was not run")
        sides.append(gap_of_runs(reader, defined, measure, sign))
        smallest.append(smallest_of(defined))
        doubts += sides[-1].doubts(both_of(defined), reader.sample)
    ours, theirs = sides
    allowance = ours.allowance
    whole = unpaired(ours.whole, theirs.whole)
    intervals = [side.interval(measure.proportion) for side in sides]
    total = FewRuns(replace(whole, estimate=ours.whole.estimate + theirs.whole.estimate))
    inside, outside = (FewRuns(unpaired(getattr(ours, side), getattr(theirs, side))) for side in ("first", "apart"))
    return Evidence(
        whole,
        whole.runs,
        0,
        (*notes, UNPAIRED),
        min(smallest),
        reader.sample,
        doubts=tuple(dict.fromkeys(doubts)),
        adjusted=Apart(whole, intervals[0], intervals[1]) if measure.proportion or allowance is not None else None,
        adjustment=FEW_ON_A_SIDE if allowance is None else allowance.note,
        single=is_single(reader, comparison),
        gaps=GapIntervals(total, intervals[0], intervals[1], inside, outside),
    )
