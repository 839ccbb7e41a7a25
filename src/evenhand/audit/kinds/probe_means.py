"""Means of what probes tell over runs and control tasks, and contrasts of them, with their intervals.

A run's probes are tested on a sample of examples, and compared with control tasks, whose labels are a sample, too: of
what a probe may have to learn by heart. Control tasks stand where questions stand in `stats.questions`: with the runs
and the examples they are the third source of chance. Labels of control tasks are the same in runs that share their
examples, so that more runs do not remove what they add.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evenhand.audit.comparisons import LEAST_RUNS, ONE_SEED, TWO_WAY, Contrast
from evenhand.audit.kinds.probe_answers import Probed
from evenhand.metrics.probing import selectivity_by_example
from evenhand.stats.contrast import TwoWay, by_unit, compact
from evenhand.stats.few_runs import FewRuns, Wider
from evenhand.stats.multiplicity import unit_totals
from evenhand.stats.proportion import FEW, Widened, proportion_interval
from evenhand.stats.questions import apart, over_questions

ACCURACY, CONTROL, SELECTIVITY = "probe_accuracy", "control_accuracy", "selectivity"


@dataclass(frozen=True, eq=False)
class Told:
    """What the probes of one run tell of one target in one layer.

    Attributes:
        probed: the answers.
        unit: int [n], the resampling unit of each example.
    """

    probed: Probed
    unit: np.ndarray

    def values(self, measure: str) -> np.ndarray:
        """float [T, n], what each example adds to the measure, by control task; [1, n] where these have no part."""
        if measure == ACCURACY:
            return self.probed.correct[None].astype(float)
        if measure == CONTROL:
            return self.probed.control.astype(float)
        return selectivity_by_example(self.probed.correct, self.probed.control)


def mean_over(runs: Sequence[Told], measure: str) -> TwoWay:
    """The mean over runs and control tasks; with one run it holds the noise of the examples, and of control tasks."""
    return _over([run.values(measure) for run in runs], [run.unit for run in runs])[0]


def bounds_over(runs: Sequence[Told], measure: str, level: float) -> tuple[float, float] | None:
    """The two-sided interval of `mean_over`; None with a single unit. An accuracy has Wilson's."""
    values, units = [run.values(measure) for run in runs], [run.unit for run in runs]
    whole, cells = _over(values, units)
    if math.isnan(whole.variance):
        return None
    if measure == ACCURACY:
        return proportion_interval(whole, cells.kish, level)
    if apart(cells.moves, cells.shares) < FEW:
        return Widened(whole, 1 / whole.units).bounds((1 - level) / 2)
    return whole.bounds((1 - level) / 2)


def contrast_of(
    pairs: Sequence[tuple[Told, Told]], *, sign: int, planned: int, support: int, vary: bool, notes: Sequence[str]
) -> Contrast:
    """Selectivity of a method minus that of its reference, over the runs that both have: example by example and control
    task by control task.

    Args:
        pairs: of each run the method's and its reference's, on the same examples and control tasks.
        sign: 1 where more is worse (or neither), −1 where less is.
        planned: runs that both were to have.
        support: with fewer tested examples in a run it is shown and not judged.
        vary: whether each run has examples of its own.
        notes: what comes first among the notes.
    """
    said = list(notes)
    if len(pairs) < max(min(LEAST_RUNS, planned), 1):
        if pairs:
            said.append(f"a contrast needs at least {min(LEAST_RUNS, planned)} runs")
        return Contrast(None, None, None, len(pairs), tuple(said or ["no seed was run with both methods"]))
    values = [sign * (one.values(SELECTIVITY) - other.values(SELECTIVITY)) for one, other in pairs]
    units = [one.unit for one, _ in pairs]
    whole, cells = _over(values, units)
    small = min(len(unit) for unit in units) < support
    if small or math.isnan(whole.variance):
        why = (
            f"fewer than {support} tested examples in some run: shown, not judged"
            if small
            else "a single resampling unit: there is no spread to judge by"
        )
        return Contrast(whole.estimate, None, whole, whole.runs, (*said, why))
    interval = runs = FewRuns(whole)
    (discordant,) = by_unit(units, [np.abs(part).max(axis=0) for part in values])
    if int((discordant > 0).any(axis=0).sum()) < FEW:
        interval = Wider(runs, Widened(whole, 1 / whole.units))
        said.append(f"fewer than {FEW} discordant units: the interval is adjusted")
    said.append(TWO_WAY[vary] if whole.runs > 1 else ONE_SEED)
    said.append(f"{len(values[0])} control tasks, whose labels were drawn: the interval holds what that adds")
    present, _ = compact(np.concatenate(units))
    totals = unit_totals(cells.values.mean(axis=1), cells.moves.mean(axis=1), cells.shares.mean(axis=1))
    return Contrast(whole.estimate, interval, whole, whole.runs, tuple(said), present, totals)


@dataclass(frozen=True, eq=False)
class _Cells:
    """A quantity by run and control task, and by unit.

    Attributes:
        values: float [J, T].
        moves: float [J, T, U], each unit's influence over the size of the sample.
        shares: float [J, T, U], its share of the sample.
    """

    values: np.ndarray
    moves: np.ndarray
    shares: np.ndarray

    @property
    def kish(self) -> float:
        """The effective number of (unit, run) cells."""
        shares = self.shares.mean(axis=1) / len(self.shares)
        return 1 / float((shares**2).sum())


def _over(values: Sequence[np.ndarray], units: Sequence[np.ndarray]) -> tuple[TwoWay, _Cells]:
    """The mean of values [T, n_j] of each run, with its variance, and what it is made of."""
    means = np.stack([part.mean(axis=1) for part in values])
    moves, shares = [], []
    for task in range(means.shape[1]):
        own = [(part[task] - part[task].mean()) / part.shape[1] for part in values]
        found = by_unit(units, own, [np.full(part.shape[1], 1 / part.shape[1]) for part in values])
        moves.append(found[0])
        shares.append(found[1])
    cells = _Cells(means, np.stack(moves, axis=1), np.stack(shares, axis=1))
    return over_questions(cells.values, cells.moves, cells.shares).whole, cells
