"""Estimates the gap between a group and the one it is compared with, under one method, with its variance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from evenhand.audit.comparisons import ONE_UNIT, Evidence, enough_runs
from evenhand.audit.estimands import Comparison, Estimand, Subset
from evenhand.audit.evaluation import Run
from evenhand.audit.measures import Measure
from evenhand.audit.measures.influence import Influence
from evenhand.audit.measures.steps import combined
from evenhand.audit.reading import LEVEL, Estimate
from evenhand.audit.runs.allowances import allowance_of
from evenhand.audit.runs.by_unit import known_units
from evenhand.audit.runs.evidence import unseen_of
from evenhand.audit.runs.influences import RunInfluences
from evenhand.audit.runs.rest_gaps import GapsToRest
from evenhand.audit.runs.sided import Sided
from evenhand.audit.trial_records import missing_note


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
        gap.doubts(both_of(defined), reader.sample),
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
    if allowance is not None and (notes := allowance.refused(both_of(runs), gap.samples, reader.sample)):
        return Estimate(gap.whole.estimate, None, None, n, notes)
    most = measure.limits[1] - measure.limits[0]
    low, high = gap.interval(measure.proportion).bounds((1 - LEVEL) / 2)
    if math.isnan(low) or math.isnan(high):
        return Estimate(gap.whole.estimate, None, None, n, (ONE_UNIT,))
    caveats = () if allowance is None else allowance.caveats(gap.difference)
    return Estimate(gap.whole.estimate, max(low, -most), min(high, most), n, caveats)


GapRun = tuple[Run, Influence, Influence, Influence | None]
"""A run with the influences of a group, of whom it is compared with, and where these are everybody, of its rest."""


def both_of(runs: Sequence[GapRun]) -> list[Influence]:
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
        return Sided.of(units, parts, reader.uneven, known, None if proportion else allowance_of(both_of(runs)))

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
