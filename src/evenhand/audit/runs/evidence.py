"""Estimates how a measure of predictions changes between two methods, paired by seed and example or unpaired."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from evenhand.audit.comparisons import DISCORDANT, Evidence, discordant_note, enough_runs
from evenhand.audit.estimands import Comparison, Estimand
from evenhand.audit.evaluation import Run
from evenhand.audit.measures.influence import Influence, aligned
from evenhand.audit.measures.steps import combined
from evenhand.audit.runs.allowance import Difference, Sample
from evenhand.audit.runs.allowances import allowance_of
from evenhand.audit.runs.by_unit import RunsByUnit, known_units, steps_of, unit_step
from evenhand.audit.runs.gains_and_losses import gains_and_losses, kish, repeats
from evenhand.audit.runs.influences import RunInfluences
from evenhand.audit.runs.rates import Changes, SubsetRates
from evenhand.audit.runs.rest_gaps import RestGapChanges
from evenhand.audit.trial_records import missing_note, one_against_several, seed_pairs
from evenhand.audit.unseen_calibration import Unseen, UnseenSide
from evenhand.stats.agreement import AgreementInterval
from evenhand.stats.contrast import TwoWay, by_unit, compact, count_distinct, two_way, unpaired
from evenhand.stats.differences import Apart, correlation_of
from evenhand.stats.multiplicity import unit_totals
from evenhand.stats.proportion import FEW, ProportionDifference, Widened, agreement, clumping
from evenhand.stats.subsets import TwoWays

FEW_OF_A_SIDE = f"fewer than {FEW} units have the rarer outcome: the interval is adjusted"
SKEWED = "the interval allows for the skewed error of the agreement between few runs"
UNPAIRED = "unpaired: the rows of the two methods could not be matched, so their variances are added"

Both = tuple[Run, Influence, Run, Influence]
"""One seed: the method's run and influence, the reference's run and influence."""


def paired_evidence(rates: SubsetRates, comparison: Comparison, notes: Sequence[str]) -> Evidence:
    """The evidence over the seeds that both methods were run with, on the examples that both predicted."""
    reader, estimand = rates.reader, comparison.estimand
    runs, planned, notes = paired_runs(reader, comparison, notes)
    closed = rates.changes(comparison, runs)
    if closed is not None and closed[0].exact[closed[1]] and enough_runs(len(runs), planned):
        changes, index = closed
        return evidence_of_subset(reader, comparison, changes.whole, changes, index, notes)
    pairs = pairs_of(reader, estimand, comparison.method, str(comparison.reference))
    defined = [pair for pair in pairs if is_defined(pair)]
    notes += undefined_note(pairs, len(defined), len(pairs))
    if not enough_runs(len(defined), planned):
        return Evidence(None, len(defined), planned, tuple(notes))
    return evidence_of_pairs(reader, comparison, defined, notes)


def paired_runs(
    reader: RunInfluences, comparison: Comparison, notes: Sequence[str]
) -> tuple[list[tuple[Run, Run]], int, list[str]]:
    """The runs of both methods by seed, how many seeds were planned, and notes on what is left out."""
    method, reference = comparison.method, str(comparison.reference)
    planned, apart = seed_pairs(reader.evaluation.seeds(method), reader.evaluation.seeds(reference))
    notes = [*notes, *apart]
    for side, name in enumerate((method, reference)):
        notes += absence_notes(reader, name, sorted({seeds[side] for seeds in planned}))
    runs, fewer = reader.pairs(method, reference)
    if fewer:
        of_one = f"{fewer} {reader.evaluation.records} of one method only"
        notes.append(f"{of_one} are left out, so that the comparison is paired")
    return runs, len(planned), notes


def undefined_note(pairs: Sequence[Both], defined: int, runs: int) -> list[str]:
    """The note on runs in which the measure is undefined, if there are any."""
    if defined == runs:
        return []
    reasons = {influence.reason for pair in pairs for influence in (pair[1], pair[3]) if math.isnan(influence.value)}
    return [f"defined in {defined} of {runs} runs ({', '.join(sorted(map(str, reasons)))})"]


def evidence_of_subset(
    reader: RunInfluences,
    comparison: Comparison,
    wholes: TwoWays,
    changes: Changes | RestGapChanges,
    index: int,
    notes: Sequence[str],
) -> Evidence:
    """The evidence of one change or gap change, of those that were computed for all subsets at once."""
    whole, whole_gram = wholes.at(index), wholes.gram
    return Evidence(
        whole,
        whole.runs,
        notes=tuple(notes),
        smallest=int(changes.smallest[index]),
        single=is_single(reader, comparison),
        closing=reader.closing(whole.runs),
        adjusted=changes.adjusted(index),
        adjustment="",
        totals=partial(changes.totals, index),
        gram=None if whole_gram is None else (whole_gram, index),
    )


def evidence_of_pairs(
    reader: RunInfluences, comparison: Comparison, pairs: Sequence[Both], notes: Sequence[str]
) -> Evidence:
    """The evidence of pairs of runs in which the measure is defined."""
    measure, (ours, theirs) = comparison.estimand.measure, comparison.signs
    units = reader.units([run for run, *_ in pairs], [influence for _, influence, *_ in pairs])
    values = np.array([ours * first.value + theirs * second.value for _, first, _, second in pairs])
    changes = [ours * expected(reader, first) + theirs * expected(reader, second) for _, first, _, second in pairs]
    weights = [influence.weights for _, influence, _, _ in pairs]
    shares, summed = by_unit(units, weights, changes)
    influences = [influence for pair in pairs for influence in (pair[1], pair[3])]
    by_run = RunsByUnit(values, shares, summed, reader.uneven, units, known_units(influences))
    whole, allowance = by_run.mean, allowance_of(influences)
    adjusted, adjustment, doubts = None, DISCORDANT, ()
    if allowance is not None:
        steps = [combined([(int(ours), first.steps), (int(theirs), second.steps)]) for _, first, _, second in pairs]
        sample = by_run.sample(list(zip(weights, steps, strict=True)))
        adjusted, adjustment = allowance.change(sample), allowance.note
        doubts = allowance.doubts_on_change(influences, sample, partial(_levels, reader, pairs), reader.sample)
    elif measure.proportion and all(influence.parts is None for influence in influences):
        adjusted = gains_and_losses(whole, units, weights, values, changes, reader.uneven)
        adjustment = discordant_note(adjusted)
    elif all(influence.max_unit_change is not None for influence in influences):
        (changed,) = by_unit(units, [_changed(pair) for pair in pairs])
        if int((changed > 0).any(axis=0).sum()) < FEW:
            together = clumping(repeats(shares), agreement([changed > 0], shares > 0))
            adjusted = Widened(whole, unit_step(influences[::2], shares) * together)
    if adjusted is None and any(influence.of_pairs for influence in influences) and whole.runs > 1:
        adjusted, adjustment = _skewed(whole, units, pairs, shares, reader.uneven, int(ours)), SKEWED
    present, _ = compact(units[0] if len({id(codes) for codes in units}) == 1 else np.concatenate(units))
    totals = (present, unit_totals(values, summed, shares))
    return Evidence(
        whole,
        whole.runs,
        notes=tuple(notes),
        smallest=min(influence.smallest for influence in influences),
        sample=reader.sample,
        doubts=doubts,
        adjusted=adjusted,
        adjustment=adjustment,
        single=is_single(reader, comparison),
        closing=reader.closing(whole.runs),
        totals=lambda: totals,
        unseen=unseen_of(influences[::2], influences[1::2], (units, units), int(ours)),
    )


def _levels(reader: RunInfluences, pairs: Sequence[Both]) -> list[Sample]:
    """The values of both methods."""
    samples = []
    for side in (0, 2):
        runs, influences = zip(*((pair[side], pair[side + 1]) for pair in pairs), strict=True)
        samples.append(RunsByUnit.of(reader, runs, influences).sample(steps_of(influences)))
    return samples


def pairs_of(reader: RunInfluences, estimand: Estimand, method: str, reference: str) -> list[Both]:
    """The estimand in every pair of runs, of the same examples."""
    found = []
    for ours, theirs in reader.pairs(method, reference)[0]:
        first, second = aligned(reader.influence(ours, estimand), reader.influence(theirs, estimand))
        found.append((ours, first, theirs, second))
    return found


def is_defined(pair: Both) -> bool:
    """Whether the measure is defined in both runs of a seed."""
    return not (math.isnan(pair[1].value) or math.isnan(pair[3].value))


def unpaired_evidence(reader: RunInfluences, comparison: Comparison, notes: Sequence[str]) -> Evidence:
    """The evidence of two means over runs whose variances are independent."""
    notes = list(notes)
    measure = comparison.estimand.measure
    sides, influences, shares, units, samples = [], [], [], [], []
    for term in sorted(comparison.terms, key=lambda term: term.method != comparison.method):
        name = term.method
        seeds = reader.evaluation.seeds(name)
        notes += absence_notes(reader, name, seeds)
        estimates = [(run, reader.influence(run, comparison.estimand)) for run in reader.runs_of(name)]
        defined = [(run, influence) for run, influence in estimates if not math.isnan(influence.value)]
        if len(defined) < len(estimates):
            reasons = {str(influence.reason) for _, influence in estimates if math.isnan(influence.value)}
            notes.append(f"{name}: defined in {len(defined)} of {len(estimates)} runs ({', '.join(sorted(reasons))})")
        if not enough_runs(len(defined), len(seeds)):
            return Evidence(None, len(defined), 0, tuple(notes), nothing=f"{name} was not run")
        softened = [replace(influence, influence=expected(reader, influence)) for _, influence in defined]
        by_run = RunsByUnit.of(reader, [run for run, _ in defined], softened)
        sides.append(by_run.mean)
        units.append(reader.units([run for run, _ in defined], softened))
        influences.append([influence for _, influence in defined])
        shares.append(by_run.weights)
        samples.append(by_run.sample(steps_of(softened)))
    if comparison.signs[0] < 0:  # a difference with the signs swapped, and not a negative variance
        parts = (sides, influences, shares, units, samples)
        sides, influences, shares, units, samples = (part[::-1] for part in parts)
    whole = unpaired(sides[0], sides[1])
    single = is_single(reader, comparison)
    if single:  # all that varies with the runs is known from those of the other method
        whole = replace(whole, runs=max(side.runs for side in sides))
    every = [influence for side in influences for influence in side]
    adjusted, doubts, allowance = None, (), None if measure.proportion else allowance_of(every)
    if allowance is not None:
        totals = np.concatenate([samples[0].contributions, -samples[1].contributions])
        difference = Difference(whole, samples[0], samples[1], totals, apart=samples[1])
        doubts = allowance.doubts(every, difference, reader.sample)
        adjusted = None if doubts else allowance.difference(difference)
    elif measure.proportion and _rare(sides, shares):
        adjusted = ProportionDifference(whole, sides[0], sides[1], min(kish(share) for share in shares))
    elif not measure.proportion and all(influence.max_unit_change is not None for influence in every):
        influential = min(max(int((influence.influence != 0).sum()) for influence in side) for side in influences)
        if influential < FEW:
            step = math.hypot(*(unit_step(side, share) for side, share in zip(influences, shares, strict=True)))
            adjusted = Widened(whole, step)
    smallest = min(influence.smallest for influence in every)
    notes.append(UNPAIRED)
    unseen = unseen_of(influences[0], influences[1], (units[0], units[1]), 1)
    return Evidence(
        whole,
        whole.runs,
        0,
        tuple(notes),
        smallest,
        reader.sample,
        doubts=doubts,
        adjusted=adjusted,
        adjustment=FEW_OF_A_SIDE if allowance is None else allowance.note,
        single=is_single(reader, comparison),
        unseen=unseen,
    )


def expected(reader: RunInfluences, influence: Influence) -> np.ndarray:
    """The influence of each example on the measure's expectation: softened at kinks, unless all runs share one sample.

    A single sample cannot show that another group might have been extreme, and softened bounds lie too low there.
    """
    fixed = len(reader.evaluation.samples) == 1
    return influence.influence if fixed else influence.softened


def is_single(reader: RunInfluences, comparison: Comparison) -> bool:
    """Whether one of two compared methods was run once and the other more often."""
    seeds = reader.evaluation.seeds
    return one_against_several(seeds(comparison.method), seeds(str(comparison.reference)))


def absence_notes(reader: RunInfluences, method: str, seeds: Sequence[int]) -> list[str]:
    """The notes on a method's missing predictions, each with the method's name."""
    missing = missing_note(method, seeds, reader.evaluation.absent, f"have no {reader.evaluation.records}")
    return [f"{method}: {note}" for note in missing]


def _skewed(
    whole: TwoWay, units: Sequence[np.ndarray], pairs: Sequence[Both], shares: np.ndarray, uneven: bool, sign: int
) -> Apart:
    """The interval of a difference between shares of pairs of runs, from those of both, whose errors are skewed."""
    cells = len(pairs) ** 2 / float((shares**2).sum())
    sides = []
    for own in ([ours for _, ours, *_ in pairs], [theirs for *_, theirs in pairs]):
        (summed,) = by_unit(units, [influence.influence for influence in own])
        mean = two_way(np.array([influence.value for influence in own]), summed, shares, uneven)
        sides.append(AgreementInterval(mean, cells, own[0].of_pairs != "agree"))
    first, second = sides[:: int(sign)]
    variances = (np.array(variance) for variance in (whole.variance, first.variance, second.variance))
    return Apart(whole, first, second, correlation=float(correlation_of(*variances)))


def unseen_of(
    ours: Sequence[Influence],
    theirs: Sequence[Influence],
    units: tuple[Sequence[np.ndarray], Sequence[np.ndarray]],
    sign: int,
) -> Unseen | None:
    """What the difference of two debiased calibration errors cannot see; None for other measures.

    Args:
        ours, theirs: by run.
        units: of the examples in each run of ours and of theirs.
        sign: 1 for ours − theirs, −1 for theirs − ours.
    """
    errors = [[influence.calibration for influence in side if influence.calibration] for side in (ours, theirs)]
    if not all(errors):
        return None
    sides = []
    for own, codes in zip(errors, units, strict=True):
        (moved,) = by_unit(codes, [error.moved for error in own])
        noise = float((moved.mean(axis=0) ** 2).sum())
        share, squares = np.mean([(error.unseen, error.squares) for error in own], axis=0)
        sides.append(UnseenSide(float(share), float(squares), noise))
    above, below = sides[:: int(sign)]
    return Unseen(above, below, min(count_distinct([codes]) for side in units for codes in side))


def _changed(pair: Both) -> np.ndarray:
    """1 for rows that the two runs predicted differently, among those that determine the value; else 0."""
    run, ours, other, theirs = pair
    if ours.parts is not None and theirs.parts is not None:
        return (ours.parts != theirs.parts).astype(float)
    differ = run.predicted[ours.rows] != other.predicted[theirs.rows]
    return (differ & (ours.active | theirs.active)).astype(float)


def _rare(sides: Sequence[TwoWay], shares: Sequence[np.ndarray]) -> bool:
    """Whether a proportion has few events or few non-events on a side."""
    return any(
        min(side.estimate, 1 - side.estimate) * kish(share) < FEW for side, share in zip(sides, shares, strict=True)
    )
