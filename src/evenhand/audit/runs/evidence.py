"""What the runs of two methods show about a change of a measure of predictions, paired by seed and example or not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from evenhand.audit.comparisons import TWO_WAY, Evidence, enough_runs
from evenhand.audit.estimands import Comparison, Estimand
from evenhand.audit.evaluation import Run
from evenhand.audit.measures.influence import Influence
from evenhand.audit.runs.by_unit import RunsByUnit, unit_step
from evenhand.audit.runs.influences import RunInfluences
from evenhand.audit.runs.rates import Changes, SubsetRates
from evenhand.audit.trial_records import missing_note, shared_seeds
from evenhand.stats.contrast import TwoWay, by_unit, compact, two_way, unpaired
from evenhand.stats.multiplicity import unit_totals
from evenhand.stats.proportion import FEW, FewDiscordant, Widened

FEW_OF_A_SIDE = f"fewer than {FEW} units tell the outcomes apart: the interval is adjusted"
UNPAIRED = "unpaired: the rows of the two methods could not be matched, so their variances are added"

Both = tuple[Run, Influence, Run, Influence]
"""One seed: the method's run and effect, the reference's run and effect."""


def paired_evidence(rates: SubsetRates, comparison: Comparison, notes: Sequence[str]) -> Evidence:
    """The evidence over the seeds that both methods were run with, on the examples that both predicted."""
    reader = rates.reader
    evaluation, estimand = reader.evaluation, comparison.estimand
    method, reference = comparison.method, str(comparison.reference)
    planned, apart = shared_seeds(evaluation.seeds(method), evaluation.seeds(reference))
    notes = [*notes, *apart]
    for name in (method, reference):
        notes += absence_notes(reader, name, planned)
    runs, fewer = reader.pairs(method, reference)
    if fewer:
        notes.append(f"{fewer} predictions of one method only are left out, so that the comparison is paired")
    closed = rates.changes(comparison, runs)
    if closed is not None and closed[0].exact[closed[1]] and enough_runs(len(runs), len(planned)):
        return _of_subset(reader, *closed, notes)
    pairs = pairs_of(reader, estimand, method, reference)
    defined = [pair for pair in pairs if is_defined(pair)]
    if len(defined) < len(pairs):
        reasons = {effect.reason for pair in pairs for effect in (pair[1], pair[3]) if math.isnan(effect.value)}
        notes.append(f"defined in {len(defined)} of {len(pairs)} runs ({', '.join(sorted(map(str, reasons)))})")
    if not enough_runs(len(defined), len(planned)):
        return Evidence(None, len(defined), len(planned), tuple(notes))
    return evidence_of_pairs(reader, comparison, defined, notes)


def _of_subset(reader: RunInfluences, changes: Changes, place: int, notes: Sequence[str]) -> Evidence:
    """The evidence of a change that was computed for all subsets at once."""
    whole, whole_gram = changes.whole.at(place), changes.whole.gram
    return Evidence(
        whole,
        whole.runs,
        notes=tuple(notes),
        smallest=int(changes.smallest[place]),
        closing=(TWO_WAY[reader.evaluation.design.vary],) if whole.runs > 1 else (),
        totals=partial(changes.totals, place),
        gram=None if whole_gram is None else (whole_gram, place),
    )


def evidence_of_pairs(
    reader: RunInfluences, comparison: Comparison, pairs: Sequence[Both], notes: Sequence[str]
) -> Evidence:
    """The evidence of pairs of runs in which the measure is defined."""
    measure, (ours, theirs) = comparison.estimand.measure, comparison.signs
    units = reader.units([run for run, *_ in pairs], [effect for _, effect, *_ in pairs])
    values = np.array([ours * first.value + theirs * second.value for _, first, _, second in pairs])
    moves = [ours * expected(reader, first) + theirs * expected(reader, second) for _, first, _, second in pairs]
    weights = [effect.weights for _, effect, _, _ in pairs]
    shares, influence = by_unit(units, weights, moves)
    whole = two_way(values, influence, shares)
    effects = [effect for pair in pairs for effect in (pair[1], pair[3])]
    adjusted = None
    if measure.proportion:
        signs = [
            np.rint(np.divide(move, weight, out=np.zeros_like(move), where=weight > 0) + value)
            for move, weight, value in zip(moves, weights, values, strict=True)
        ]
        (changed,) = by_unit(units, [np.abs(part) for part in signs])
        if int((changed > 0).any(axis=0).sum()) < FEW:
            adjusted = _few_discordant(whole, units, weights, signs, shares)
    elif all(effect.max_unit_change is not None for effect in effects):
        (changed,) = by_unit(units, [_changed(pair) for pair in pairs])
        if int((changed > 0).any(axis=0).sum()) < FEW:
            adjusted = Widened(whole, unit_step(effects[::2], shares))
    present, _ = compact(units[0] if len({id(codes) for codes in units}) == 1 else np.concatenate(units))
    totals = (present, unit_totals(values, influence, shares))
    return Evidence(
        whole,
        whole.runs,
        notes=tuple(notes),
        smallest=min(effect.smallest for effect in effects),
        adjusted=adjusted,
        closing=(TWO_WAY[reader.evaluation.design.vary],) if whole.runs > 1 else (),
        totals=lambda: totals,
    )


def pairs_of(reader: RunInfluences, estimand: Estimand, method: str, reference: str) -> list[Both]:
    """The estimand in every pair of runs."""
    return [
        (ours, reader.influence(ours, estimand), theirs, reader.influence(theirs, estimand))
        for ours, theirs in reader.pairs(method, reference)[0]
    ]


def is_defined(pair: Both) -> bool:
    """Whether the measure is defined in both runs of a seed."""
    return not (math.isnan(pair[1].value) or math.isnan(pair[3].value))


def unpaired_evidence(reader: RunInfluences, comparison: Comparison, notes: Sequence[str]) -> Evidence:
    """The evidence of two means over runs whose variances are independent."""
    notes = list(notes)
    measure = comparison.estimand.measure
    sides, effects, shares = [], [], []
    for term in sorted(comparison.terms, key=lambda term: term.method != comparison.method):
        name = term.method
        seeds = reader.evaluation.seeds(name)
        notes += absence_notes(reader, name, seeds)
        runs = [reader.evaluation.runs[name, seed] for seed in seeds if (name, seed) in reader.evaluation.runs]
        every = [(run, reader.influence(run, comparison.estimand)) for run in runs]
        defined = [(run, effect) for run, effect in every if not math.isnan(effect.value)]
        if len(defined) < len(every):
            reasons = {str(effect.reason) for _, effect in every if math.isnan(effect.value)}
            notes.append(f"{name}: defined in {len(defined)} of {len(every)} runs ({', '.join(sorted(reasons))})")
        if not enough_runs(len(defined), len(seeds)):
            return Evidence(None, len(defined), 0, tuple(notes), nothing=f"{name} was not run")
        softened = [replace(effect, influence=expected(reader, effect)) for _, effect in defined]
        by_run = RunsByUnit.of(reader, [run for run, _ in defined], softened)
        sides.append(by_run.mean)
        effects.append([effect for _, effect in defined])
        shares.append(by_run.weights)
    if comparison.signs[0] < 0:  # a difference with the signs swapped, and not a negative variance
        sides, effects, shares = sides[::-1], effects[::-1], shares[::-1]
    whole = unpaired(sides[0], sides[1])
    adjusted = None
    if measure.proportion and _rare(sides, shares):
        adjusted = FewDiscordant(whole, sides[0], sides[1], min(kish(share) for share in shares))
    elif not measure.proportion and all(effect.max_unit_change is not None for side in effects for effect in side):
        moved = min(max(int((effect.influence != 0).sum()) for effect in side) for side in effects)
        if moved < FEW:
            step = math.hypot(*(unit_step(side, share) for side, share in zip(effects, shares, strict=True)))
            adjusted = Widened(whole, step)
    smallest = min(effect.smallest for side in effects for effect in side)
    notes.append(UNPAIRED)
    return Evidence(whole, whole.runs, 0, tuple(notes), smallest, adjusted=adjusted, adjustment=FEW_OF_A_SIDE)


def expected(reader: RunInfluences, effect: Influence) -> np.ndarray:
    """What each example contributes: softened at kinks, but where all runs share one sample. That cannot show that
    another group might have been extreme, and softened bounds lie too low there."""
    fixed = len(reader.evaluation.samples) == 1
    return effect.influence if fixed else effect.softened


def absence_notes(reader: RunInfluences, method: str, seeds: Sequence[int]) -> list[str]:
    """What of a method is missing, with its name."""
    missing = missing_note(method, seeds, reader.evaluation.absent, "have no predictions")
    return [f"{method}: {note}" for note in missing]


def kish(shares: np.ndarray) -> float:
    """Kish's effective number of units of a mean over runs, from the shares [J, U]."""
    return 1 / float((shares.mean(axis=0) ** 2).sum())


def _few_discordant(
    whole: TwoWay,
    units: Sequence[np.ndarray],
    weights: Sequence[np.ndarray],
    signs: Sequence[np.ndarray],
    shares: np.ndarray,
) -> FewDiscordant:
    parts = []
    for side in (1, -1):
        events = [part == side for part in signs]
        values = np.array([float(weight @ event) for weight, event in zip(weights, events, strict=True)])
        moves = [weight * (event - value) for weight, event, value in zip(weights, events, values, strict=True)]
        (influence,) = by_unit(units, moves)
        parts.append(two_way(values, influence, shares))
    return FewDiscordant(whole, parts[0], parts[1], kish(shares))


def _changed(pair: Both) -> np.ndarray:
    """Which rows of the effect were predicted differently, among those that the value is made of."""
    run, ours, other, theirs = pair
    differ = run.predicted[ours.rows] != other.predicted[theirs.rows]
    return (differ & (ours.active | theirs.active)).astype(float)


def _rare(sides: Sequence[TwoWay], shares: Sequence[np.ndarray]) -> bool:
    """Whether a proportion has few events or few non-events on a side."""
    return any(
        min(side.estimate, 1 - side.estimate) * kish(share) < FEW for side, share in zip(sides, shares, strict=True)
    )
