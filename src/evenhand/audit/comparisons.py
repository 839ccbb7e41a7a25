"""Turn the evidence of a comparison into its interval: the one place where it is refused, widened, and given notes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evenhand.audit.disparities import GapIntervals
from evenhand.stats.contrast import TwoWay
from evenhand.stats.differences import Apart, FewEvents
from evenhand.stats.few_runs import FewRuns, Wider
from evenhand.stats.proportion import FEW, FewDiscordant, Widened

ONE_SEED = "one run of each: about these two models, not about the methods, whose other runs may differ"
ONE_MODEL = "one run: about this model, not about other runs of the method"
TWO_WAY = {
    True: "interval: two-way clustered by seed and example, a new split per seed",
    False: "interval: two-way clustered by seed and example, one fixed split: results do not generalize to other "
    "training sets",
}
LEAST_RUNS = 3
"""The fewest runs with a value that a contrast is made of, unless fewer were planned."""
NO_COMMON_SEED = "no seed was run with both methods"
ONE_UNIT = "a single resampling unit: there is no spread to judge by"
DISCORDANT = f"fewer than {FEW} discordant units: the interval is adjusted"


UnitTotals = Callable[[], tuple[np.ndarray, np.ndarray]]
"""Computes units and their influences when a family or a mean over settings needs them: they take memory."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """The estimate of a comparison with its variance and caveats, before `conclude` makes an interval of it.

    Attributes:
        whole: the estimate, positive where the method is worse, with its clustered variance; None where undefined.
        runs: the number of runs with a value.
        planned: the number of runs that were planned.
        notes: come first in its row.
        smallest: the size of the smallest sample behind it.
        sample: the name of that sample, for the note on samples that are too small.
        doubts: further reasons to show it and not to judge it.
        adjusted: the interval for few discordant units; None where there are enough.
        few_events: of a gap between proportions, its interval, which holds at any number of events.
        adjustment: the note on that.
        closing: come last in its row: how the interval was made.
        totals: computes the codes of the resampling units, int [U], and the influence of each over all runs, float
            [U]; None where the runs of the methods are not paired.
        gram: Σ over units of products of the influences on two subsets, float [S, S], and the index of this subset;
            None where subsets were not computed together.
        gaps: of a gap change, the intervals beside it.
        nothing: the note where there are no runs and no other notes.
        single: whether it is about one model, compared with each run of another method.
    """

    whole: TwoWay | None
    runs: int
    planned: int = 1
    notes: tuple[str, ...] = ()
    smallest: float = math.inf
    sample: str = "examples"
    doubts: tuple[str, ...] = ()
    adjusted: FewDiscordant | Widened | Apart | None = None
    few_events: FewEvents | Wider | None = None
    adjustment: str = DISCORDANT
    closing: tuple[str, ...] = ()
    totals: UnitTotals | None = None
    gram: tuple[np.ndarray, int] | None = None
    gaps: GapIntervals | None = None
    nothing: str = NO_COMMON_SEED
    single: bool = False


@dataclass(frozen=True, eq=False)
class Contrast:
    """A comparison with its interval, before its family is known.

    Attributes:
        estimate: positive where the method is worse; None where it cannot be made.
        interval: gives bounds at any level; None where the contrast is shown but not judged.
        whole: the two-way variance under the interval, which few runs or few discordant units make wider.
        runs: the number of runs with a value.
        notes: reasons and caveats.
        totals, gram, gaps, single: see `Evidence`.
    """

    estimate: float | None
    interval: FewRuns | Wider | FewEvents | None
    whole: TwoWay | None
    runs: int
    notes: tuple[str, ...] = ()
    totals: UnitTotals | None = None
    gram: tuple[np.ndarray, int] | None = None
    gaps: GapIntervals | None = None
    single: bool = False


def in_some_run(runs: int) -> str:
    """The end of a note on the smallest of several runs; empty where there is one."""
    return " in some run" if runs > 1 else ""


def clustering_note(vary: bool, runs: int) -> tuple[str, ...]:
    """The note on how the interval of several runs was made; none for one run."""
    return (TWO_WAY[vary],) if runs > 1 else ()


def enough_runs(runs: int, planned: int) -> bool:
    """Whether there are enough runs for a contrast: three, or all where fewer were planned."""
    return runs >= max(min(LEAST_RUNS, planned), 1)


def conclude(evidence: Evidence, support: int) -> Contrast:
    """Turn evidence into a contrast with its interval.

    Undefined or of too few runs, there is none. On samples below `support`, on a single unit, or where there is doubt
    it is shown and not judged. Few runs make the interval longer, and so do few discordant units.

    Args:
        evidence: the estimate with its variance and caveats.
        support: the least size of a sample that is judged.
    """
    notes = list(evidence.notes)
    if evidence.whole is None or not enough_runs(evidence.runs, evidence.planned):
        if evidence.runs and not enough_runs(evidence.runs, evidence.planned):
            notes.append(f"a contrast needs at least {min(LEAST_RUNS, evidence.planned)} runs")
        return Contrast(None, None, None, evidence.runs, tuple(notes or [evidence.nothing]))
    whole = evidence.whole
    refused = list(evidence.doubts)
    if not refused and evidence.smallest < support:
        refused = [f"fewer than {support} {evidence.sample}{in_some_run(evidence.runs)}: shown, not judged"]
    if not refused and math.isnan(whole.variance):
        refused = [ONE_UNIT]
    if refused:
        return Contrast(whole.estimate, None, whole, evidence.runs, (*notes, *refused), single=evidence.single)
    interval: FewRuns | Wider | FewEvents = FewRuns(whole)
    if evidence.few_events is not None:
        interval = evidence.few_events
    elif evidence.adjusted is not None:
        interval = Wider(interval, evidence.adjusted)
        notes.append(evidence.adjustment)
    notes += evidence.closing
    return Contrast(
        whole.estimate,
        interval,
        whole,
        evidence.runs,
        tuple(notes),
        evidence.totals,
        evidence.gram,
        evidence.gaps,
        evidence.single,
    )
