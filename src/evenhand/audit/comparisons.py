"""One contrast: a measure at one place, a method against a reference, over the runs that both have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from evenhand.audit.design import Design
from evenhand.audit.evaluation import Run
from evenhand.audit.kinds.estimands import Case, Reader
from evenhand.audit.kinds.predictions import assemble, unit_step
from evenhand.audit.measures.influence import Effect
from evenhand.audit.trial_records import gaps, shared_seeds
from evenhand.stats.contrast import TwoWay, by_unit, compact, two_way, unpaired
from evenhand.stats.few_runs import FewRuns, Wider
from evenhand.stats.multiplicity import unit_totals
from evenhand.stats.proportion import FEW, FewDiscordant, Widened

ONE_SEED = "one seed: no method variance is known, the interval holds the noise of the examples only"
NO_MARGIN = "no margin was declared, so equivalent and not worse cannot be said"
TWO_WAY = {
    True: "interval: two-way clustered by seed and example, a new split per seed",
    False: "interval: two-way clustered by seed and example, one fixed split: other training sets are not spoken of",
}
LEAST_RUNS = 3
"""With fewer defined runs than this, where more were made, there is no contrast."""

Both = tuple[Run, Effect, Run, Effect]
"""One seed: the method's run and effect, the reference's run and effect."""


@dataclass(frozen=True)
class Contrast:
    """A contrast before its family is known.

    Attributes:
        estimate: positive where the method is worse; None where it cannot be made.
        interval: gives bounds at any level; None where the contrast is shown but not judged.
        whole: the two-way variance under the interval, which few runs or few discordant units make wider.
        runs: how many runs it rests on.
        notes: reasons, and what must be known.
        units: int [U], the resampling units that it rests on; None where runs of the methods are not paired.
        totals: float [U], what each contributes over all runs.
    """

    estimate: float | None
    interval: FewRuns | Wider | None
    whole: TwoWay | None
    runs: int
    notes: tuple[str, ...] = ()
    units: np.ndarray | None = None
    totals: np.ndarray | None = None


def contrast(reader: Reader, case: Case, method: str, reference: str, design: Design) -> Contrast:
    """The contrast of a case.

    Paired: over the seeds that both were run with, on the examples that both predicted. Unpaired
    (`design.paired == "none"`): the two means over runs, with independent variances.
    """
    notes = _place_notes(reader, case)
    if design.paired == "none":
        return _unpaired(reader, case, method, reference, notes)
    evaluation = reader.evaluation
    planned, apart = shared_seeds(evaluation.seeds(method), evaluation.seeds(reference))
    notes += apart
    for name in (method, reference):
        notes += _absences(reader, name, planned)
    made, fewer = pairs_of(reader, case, method, reference)
    if fewer:
        notes.append(f"{fewer} predictions of one method only are left out, so that the comparison is paired")
    defined = [both for both in made if not (math.isnan(both[1].value) or math.isnan(both[3].value))]
    if len(defined) < len(made):
        reasons = {effect.reason for both in made for effect in (both[1], both[3]) if math.isnan(effect.value)}
        notes.append(f"defined in {len(defined)} of {len(made)} runs ({', '.join(sorted(map(str, reasons)))})")
    if len(defined) < max(min(LEAST_RUNS, len(planned)), 1):
        if defined:
            notes.append(f"a contrast needs at least {min(LEAST_RUNS, len(planned))} runs")
        return Contrast(None, None, None, len(defined), tuple(notes or ["no seed was run with both methods"]))
    return paired(reader, case, defined, notes)


def pairs_of(reader: Reader, case: Case, method: str, reference: str) -> tuple[list[Both], int]:
    """The case in every seed that both were run with, on the examples that both predicted, and how many predictions
    that leaves out."""
    evaluation = reader.evaluation
    made, fewer = [], 0
    for seed in sorted(set(evaluation.seeds(method)) & set(evaluation.seeds(reference))):
        pair = reader.pair(method, reference, seed)
        if pair is None:
            continue
        ours, theirs, dropped = pair
        fewer += dropped
        made.append((ours, reader.effect(ours, case), theirs, reader.effect(theirs, case)))
    return made, fewer


def paired(reader: Reader, case: Case, defined: Sequence[Both], notes: list[str]) -> Contrast:
    """The contrast of runs in which the case is defined; `notes` come first in it."""
    sign = case.measure.direction
    units = [reader.units(run, effect) for run, effect, _, _ in defined]
    values = np.array([sign * (ours.value - theirs.value) for _, ours, _, theirs in defined])
    moves = [sign * (_moves(reader, ours) - _moves(reader, theirs)) for _, ours, _, theirs in defined]
    shares, contributions = by_unit(units, [effect.shares for _, effect, _, _ in defined], moves)
    whole = two_way(values, contributions, shares)
    effects = [effect for both in defined for effect in (both[1], both[3])]
    refused = _too_small(reader, effects, whole)
    if refused:
        return Contrast(whole.estimate, None, whole, whole.runs, (*notes, refused))
    interval = runs = FewRuns(whole)
    if case.measure.proportion:
        signs = [
            np.rint(np.divide(move, effect.shares, out=np.zeros_like(move), where=effect.shares > 0) + value)
            for move, (_, effect, _, _), value in zip(moves, defined, values, strict=True)
        ]
        (changed,) = by_unit(units, [np.abs(part) for part in signs])
        if int((changed > 0).any(axis=0).sum()) < FEW:
            few = _few(whole, units, [effect.shares for _, effect, _, _ in defined], signs, shares)
            interval = Wider(runs, few)
    elif all(effect.step is not None for effect in effects):
        (changed,) = by_unit(units, [_changed(both) for both in defined])
        if int((changed > 0).any(axis=0).sum()) < FEW:
            interval = Wider(runs, Widened(whole, unit_step(effects[::2], shares)))
    if interval is not runs:
        notes.append(f"fewer than {FEW} discordant units: the interval is adjusted")
    if whole.runs > 1:
        notes.append(TWO_WAY[reader.evaluation.design.vary])
    present, _ = compact(np.concatenate(units))
    totals = unit_totals(values, contributions, shares)
    return Contrast(whole.estimate, interval, whole, whole.runs, tuple(notes), present, totals)


def _moves(reader: Reader, effect: Effect) -> np.ndarray:
    """What each example contributes: softened at kinks, but where all runs share one sample. That cannot show that
    another group might have been extreme, and softened bounds lie too low there."""
    fixed = len(reader.evaluation.samples) == 1
    return effect.contributions if fixed else effect.softened


def _few(
    whole: TwoWay, units: list[np.ndarray], weights: list[np.ndarray], signs: list[np.ndarray], shares: np.ndarray
) -> FewDiscordant:
    parts = []
    for side in (1, -1):
        events = [part == side for part in signs]
        values = np.array([float(weight @ event) for weight, event in zip(weights, events, strict=True)])
        moves = [weight * (event - value) for weight, event, value in zip(weights, events, values, strict=True)]
        (contributions,) = by_unit(units, moves)
        parts.append(two_way(values, contributions, shares))
    return FewDiscordant(whole, parts[0], parts[1], kish(shares))


def kish(shares: np.ndarray) -> float:
    """Kish's effective number of units of a mean over runs, from the shares [J, U]."""
    return 1 / float((shares.mean(axis=0) ** 2).sum())


def _changed(both: Both) -> np.ndarray:
    """Which rows of the effect were predicted differently, among those that the value is made of."""
    run, ours, other, theirs = both
    differ = run.predicted[ours.rows] != other.predicted[theirs.rows]
    return (differ & (ours.active | theirs.active)).astype(float)


def _unpaired(reader: Reader, case: Case, method: str, reference: str, notes: list[str]) -> Contrast:
    sides, effects, shares = [], [], []
    for name in (method, reference):
        seeds = reader.evaluation.seeds(name)
        notes += _absences(reader, name, seeds)
        runs = [reader.evaluation.runs[name, seed] for seed in seeds if (name, seed) in reader.evaluation.runs]
        made = [(run, reader.effect(run, case)) for run in runs]
        defined = [(run, effect) for run, effect in made if not math.isnan(effect.value)]
        if len(defined) < len(made):
            reasons = {str(effect.reason) for _, effect in made if math.isnan(effect.value)}
            notes.append(f"{name}: defined in {len(defined)} of {len(made)} runs ({', '.join(sorted(reasons))})")
        if len(defined) < max(min(LEAST_RUNS, len(seeds)), 1):
            return Contrast(None, None, None, len(defined), tuple(notes or [f"{name} was not run"]))
        expected = [replace(effect, contributions=_moves(reader, effect)) for _, effect in defined]
        mean, share = assemble(reader, [run for run, _ in defined], expected)
        sides.append(mean)
        effects.append([effect for _, effect in defined])
        shares.append(share)
    if case.measure.direction < 0:  # a difference with the signs swapped, and not a negative variance
        sides, effects, shares = sides[::-1], effects[::-1], shares[::-1]
    whole = unpaired(sides[0], sides[1])
    notes.append("unpaired: the rows of the two methods could not be matched, so their variances are added")
    refused = _too_small(reader, [effect for side in effects for effect in side], whole)
    if refused:
        return Contrast(whole.estimate, None, whole, whole.runs, (*notes, refused))
    interval = runs = FewRuns(whole)
    if case.measure.proportion and _rare(sides, shares):
        interval = Wider(runs, FewDiscordant(whole, sides[0], sides[1], min(kish(share) for share in shares)))
    elif not case.measure.proportion and all(effect.step is not None for side in effects for effect in side):
        moved = min(_moved(reader, side) for side in effects)
        if moved < FEW:
            step = math.hypot(*(unit_step(side, share) for side, share in zip(effects, shares, strict=True)))
            interval = Wider(runs, Widened(whole, step))
    if interval is not runs:
        notes.append(f"fewer than {FEW} units tell the outcomes apart: the interval is adjusted")
    return Contrast(whole.estimate, interval, whole, whole.runs, tuple(notes))


def _rare(sides: Sequence[TwoWay], shares: Sequence[np.ndarray]) -> bool:
    """Whether a proportion has few events or few non-events on a side."""
    return any(
        min(side.estimate, 1 - side.estimate) * kish(share) < FEW for side, share in zip(sides, shares, strict=True)
    )


def _moved(reader: Reader, effects: Sequence[Effect]) -> int:
    """The number of examples with a contribution, over the runs of one side."""
    return max(int((effect.contributions != 0).sum()) for effect in effects)


def _too_small(reader: Reader, effects: Sequence[Effect], whole: TwoWay) -> str | None:
    if min(effect.smallest for effect in effects) < reader.support:
        return f"fewer than {reader.support} examples in some run: shown, not judged"
    if math.isnan(whole.variance):
        return "a single resampling unit: there is no spread to judge by"
    return None


def _absences(reader: Reader, method: str, seeds: Sequence[int]) -> list[str]:
    return [f"{method}: {note}" for note in gaps(method, seeds, reader.evaluation.absent, "have no predictions")]


def _place_notes(reader: Reader, case: Case) -> list[str]:
    notes = []
    if case.level == "attribute":
        left = reader.left_out(case)
        if left:
            notes.append(f"left out, with fewer than {reader.support} examples in some run: {', '.join(left)}")
    note = case.measure.note(case.level)
    return [*notes, note] if note else notes
