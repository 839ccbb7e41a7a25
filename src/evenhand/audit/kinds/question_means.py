"""Means of quantities over questions and runs, and contrasts of them, with their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from evenhand.audit.comparisons import LEAST_RUNS, TWO_WAY, Contrast
from evenhand.audit.kinds.option_quantities import Taken
from evenhand.stats.contrast import TwoWay, by_unit, compact
from evenhand.stats.few_runs import FewRuns, Wider
from evenhand.stats.multiplicity import unit_totals
from evenhand.stats.proportion import FEW, Widened
from evenhand.stats.questions import apart, over_questions


@dataclass(frozen=True)
class Mean:
    """A mean over questions and runs.

    Attributes:
        interval: None where it is undefined.
        notes: reasons, and what must be known.
    """

    interval: TwoWay | Wider | None
    notes: tuple[str, ...]


def mean_of(runs: Sequence[Sequence[Taken]], units: Sequence[np.ndarray], absolute: bool) -> Mean:
    """The mean of a quantity.

    Args:
        runs: by run and question.
        units: by run int [n], the resampling unit of each review.
        absolute: the distance of each run's mean from 0 is meant; its influence is that of the mean with its sign.
    """
    if not runs:
        return Mean(None, ())
    places, keep, notes = _defined(runs)
    doubts = {one.doubt for run in runs for one in run if one.doubt}
    notes += sorted(doubts)
    if not keep:
        return Mean(None, tuple(notes))
    chosen = [[run[place] for place in places] for run in (runs[row] for row in keep)]
    own = [units[row] for row in keep]
    values, moves, shares = _cells(chosen, own)
    if absolute:
        values, moves = _absolute(values, moves)
    found = over_questions(values, moves, shares)
    step = _step(chosen, shares)
    if step is not None and apart(moves, shares) < FEW:
        return Mean(Wider(found.whole, _of_units(found.of_these, step)), tuple(notes))
    return Mean(found.whole, tuple(notes))


def compared_means(
    ours: Sequence[Sequence[Taken]],
    theirs: Sequence[Sequence[Taken]],
    units: Sequence[np.ndarray],
    *,
    sign: int,
    absolute: bool,
    planned: int,
    support: int,
    vary: bool,
    notes: Sequence[str],
    of: str = "reviews",
) -> Contrast:
    """A quantity of a method minus that of its reference, over the runs and questions that both have.

    Args:
        ours, theirs: by run and question, on the same reviews.
        units: by run int [n], the resampling unit of each review.
        sign: 1 where more is worse, −1 where less is.
        absolute: see `mean_of`.
        planned: runs that both were to have.
        support: with fewer reviews in a run it is shown and not judged.
        vary: whether each run has reviews of its own.
        notes: what comes first among the notes.
        of: what the quantity is a mean over, for the notes.
    """
    said = list(notes)
    if not ours:
        return Contrast(None, None, None, 0, tuple(said or ["no seed was run with both methods"]))
    both = [[_worse(one, other) for one, other in zip(*pair, strict=True)] for pair in zip(ours, theirs, strict=True)]
    places, keep, left = _defined(both)
    said += left
    if len(keep) < max(min(LEAST_RUNS, planned), 1):
        if keep:
            said.append(f"a contrast needs at least {min(LEAST_RUNS, planned)} runs")
        return Contrast(None, None, None, len(keep), tuple(said))
    sides = [[[side[row][place] for place in places] for row in keep] for side in (ours, theirs)]
    own = [units[row] for row in keep]
    values, moves, shares = _cells(sides[0], own)
    other, away, _ = _cells(sides[1], own)
    if absolute:
        (values, moves), (other, away) = _absolute(values, moves), _absolute(other, away)
    values, moves = sign * (values - other), sign * (moves - away)
    found = over_questions(values, moves, shares)
    whole = found.whole
    doubts = sorted({one.doubt for side in sides for run in side for one in run if one.doubt})
    small = min(int((run[0].shares > 0).sum()) for run in sides[0]) < support
    if doubts or small or math.isnan(whole.variance):
        why = doubts or [
            f"fewer than {support} {of} in some run: shown, not judged"
            if small
            else "a single resampling unit: there is no spread to judge by"
        ]
        return Contrast(whole.estimate, None, whole, whole.runs, (*said, *why))
    interval = runs = FewRuns(whole)
    step = _step([*sides[0], *sides[1]], np.concatenate([shares, shares]))
    if step is not None and apart(moves, shares) < FEW:
        interval = Wider(runs, _of_units(found.of_these, step))
        said.append(f"fewer than {FEW} discordant units: the interval is adjusted")
    if whole.runs > 1:
        said.append(TWO_WAY[vary])
    if found.questions > 1:
        said.append(f"{found.questions} questions, which cluster as well: the interval is about others like them, too")
    present, _ = compact(np.concatenate(own))
    totals = unit_totals(values.mean(axis=1), moves.mean(axis=1), shares.mean(axis=1))
    return Contrast(whole.estimate, interval, whole, whole.runs, tuple(said), present, totals)


def _worse(one: Taken, other: Taken) -> Taken:
    """Of a pair the one that is undefined, if any."""
    return one if math.isnan(one.value) else other


def _defined(runs: Sequence[Sequence[Taken]]) -> tuple[list[int], list[int], list[str]]:
    """Which questions and which runs are taken, and what is left out and why. Of several questions those that are
    defined in every run; of a single one the runs in which it is."""
    defined = np.array([[not math.isnan(one.value) for one in run] for run in runs])
    reasons = sorted({str(one.reason) for run in runs for one in run if math.isnan(one.value)})
    why = f" ({', '.join(reasons)})"
    every = np.flatnonzero(defined.all(axis=0))
    if defined.shape[1] > 1:
        if not len(every):
            return [], [], [f"no question is defined in every run{why}"]
        left = defined.shape[1] - len(every)
        notes = [f"defined in {len(every)} of {defined.shape[1]} questions{why}"] if left else []
        return every.tolist(), list(range(len(runs))), notes
    keep = np.flatnonzero(defined[:, 0])
    if not len(keep):
        return [], [], [", ".join(reasons)]
    notes = [f"defined in {len(keep)} of {len(runs)} runs{why}"] if len(keep) < len(runs) else []
    return [0], keep.tolist(), notes


def _cells(runs: Sequence[Sequence[Taken]], units: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values [J, T], and by unit what each contributes and its share, [J, T, U]."""
    values = np.array([[one.value for one in run] for run in runs])
    moves, shares = [], []
    for place in range(values.shape[1]):
        own = [run[place] for run in runs]
        found = by_unit(units, [one.moves for one in own], [one.shares for one in own])
        moves.append(found[0])
        shares.append(found[1])
    return values, np.stack(moves, axis=1), np.stack(shares, axis=1)


def _absolute(values: np.ndarray, moves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values whose mean over questions is the distance of each run's mean from 0."""
    sign = np.where(values.mean(axis=1, keepdims=True) < 0, -1.0, 1.0)
    return sign * values, sign[:, :, None] * moves


def _step(runs: Sequence[Sequence[Taken]], shares: np.ndarray) -> float | None:
    """What one unit can change in the mean over runs; None where that has no bound."""
    steps = [one.step for run in runs for one in run]
    if any(step is None for step in steps):
        return None
    present = (shares > 0).any(axis=1).sum(axis=0)
    return float(np.mean([step for step in steps if step is not None]) * present[present > 0].mean() / len(shares))


def _of_units(mean: TwoWay, step: float) -> Widened:
    """An interval for few units that are apart, with the degrees of freedom that units have: how runs and questions
    vary is what the interval beside it is for, and where nothing varies theirs would be of rounding errors."""
    return Widened(replace(mean, df=float(max(mean.units - 1, 1))), step)
