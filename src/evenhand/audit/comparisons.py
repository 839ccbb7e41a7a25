"""Turns the evidence of a comparison into its interval; decides what is refused, widened or noted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from evenhand.audit.disparities import GapIntervals
from evenhand.audit.rounding import has_width, tolerance_of, whole_without_rounding, without_rounding
from evenhand.audit.unseen_calibration import Unseen
from evenhand.stats.contrast import TwoWay
from evenhand.stats.differences import Interval
from evenhand.stats.few_runs import FewRuns, Wider
from evenhand.stats.proportion import FEW
from evenhand.stats.rate_changes import RateChange

ONE_SEED = "one run of each: about these two models, not about the methods, whose other runs may differ"
ONE_MODEL = "one run: about this model, not about other runs of the method"
TWO_WAY = {
    True: "interval: two-way clustered by seed and example, a new split per seed",
    False: "interval: two-way clustered by seed and example, one fixed split: results do not generalize to other "
    "training sets",
}
OVERLAP = (
    "the runs draw their training sets from few examples, which they share: in simulations of such studies, 90% "
    "intervals contain the truth in only 72% to 89% of cases"
)
LEAST_RUNS = 3
"""The fewest runs with a value that a contrast is made of, unless fewer were planned."""
NO_COMMON_SEED = "no seed was run with both methods"
ONE_UNIT = "a single resampling unit: there is no spread to judge by"
DISCORDANT = f"fewer than {FEW} discordant units: the interval is adjusted"


def discordant_note(adjusted: Interval | None) -> str:
    """Return the note on an interval of a change, empty where it allows for few discordant units at any number."""
    return "" if isinstance(adjusted, RateChange) else DISCORDANT


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
        adjusted: the interval that allows for more than the two-way variance shows, such as few discordant units; None
            where nothing needs to be allowed for.
        adjustment: the note on that; empty where it needs none.
        few_events: of a gap between proportions, its interval, which holds at any number of events.
        closing: come last in its row: how the interval was made.
        totals: computes the codes of the resampling units, int [U], and the influence of each over all runs, float
            [U]; None where the runs of the methods are not paired.
        gram: Σ over units of products of the influences on two subsets, float [S, S], and the index of this subset;
            None where subsets were not computed together.
        gaps: of a gap change, the intervals beside it.
        unseen: of debiased calibration errors, what they cannot see.
        nothing: the note where there are no runs and no other notes.
        single: whether it is about one model, compared with each run of another method.
        collapsed: the runs that look collapsed, each with the reason; without: the evidence without them.
        magnitude: the size of the numbers behind it, by which rounding is told from a difference.
    """

    whole: TwoWay | None
    runs: int
    planned: int = 1
    notes: tuple[str, ...] = ()
    smallest: float = math.inf
    sample: str = "examples"
    doubts: tuple[str, ...] = ()
    adjusted: Interval | None = None
    adjustment: str = DISCORDANT
    few_events: Interval | None = None
    closing: tuple[str, ...] = ()
    totals: UnitTotals | None = None
    gram: tuple[np.ndarray, int] | None = None
    gaps: GapIntervals | None = None
    unseen: Unseen | None = None
    nothing: str = NO_COMMON_SEED
    single: bool = False
    collapsed: tuple[str, ...] = ()
    without: Evidence | None = None
    magnitude: float = 1.0

    @property
    def tolerance(self) -> float:
        """The size below which a difference or a standard error is one of rounding."""
        return tolerance_of(self.magnitude)


@dataclass(frozen=True, eq=False)
class Contrast:
    """A comparison with its interval, before its family is known.

    Attributes:
        estimate: positive where the method is worse; None where it cannot be made.
        interval: gives bounds at any level; None where the contrast is shown but not judged.
        whole: the two-way variance under the interval, which few runs or few discordant units make wider.
        runs: the number of runs with a value; planned: of those that were planned.
        notes: reasons and caveats.
        totals, gram, gaps, unseen, single, collapsed: see `Evidence`.
        without: the contrast without collapsed runs; None where none looks so.
        tolerance: the distance below which a bound is at 0, but for rounding.
    """

    estimate: float | None
    interval: Interval | None
    whole: TwoWay | None
    runs: int
    notes: tuple[str, ...] = ()
    totals: UnitTotals | None = None
    gram: tuple[np.ndarray, int] | None = None
    gaps: GapIntervals | None = None
    unseen: Unseen | None = None
    single: bool = False
    collapsed: tuple[str, ...] = ()
    without: Contrast | None = None
    planned: int = 1
    tolerance: float = 0.0

    def bounds(self, tail: float) -> tuple[float, float] | None:
        """Lower and upper bound, each missed with probability `tail` at most; None where it is not judged."""
        if self.interval is None:
            return None
        low, high = (without_rounding(bound, self.tolerance) for bound in self.interval.bounds(tail))
        if self.unseen is None or not high > low:  # an interval without width says nothing, and stays as it is
            return low, high
        return self.unseen.bounds(self.interval, low, high)

    def lowest(self, tail: float) -> float:
        """The lower bound that `equivalent` rests on; nan where it is not judged."""
        if self.interval is None:
            return math.nan
        low, _ = self.interval.bounds(tail)
        return low if self.unseen is None else self.unseen.lowest(self.interval, low)

    def p_greater(self) -> float:
        """The tail probability at which the lower bound reaches 0; nan where it is not judged."""
        if self.interval is None:
            return math.nan
        # Where the estimate is 0 but for rounding, so is the number that its interval is around.
        zero = self.interval.estimate if abs(self.interval.estimate) <= self.tolerance else 0.0
        return self.interval.p_greater(zero + (self.unseen.below.squares if self.unseen else 0.0))

    def not_worse(self, margin: float, tail: float) -> bool:
        """Whether it lies below the margin at the one-sided level `tail`."""
        bounds = self.bounds(tail)
        return bounds is not None and not (self.unseen and self.unseen.few) and bounds[0] < bounds[1] < margin

    def inside(self, margin: float, tail: float) -> bool:
        """Whether it lies within ±margin at the one-sided level `tail`."""
        return self.not_worse(margin, tail) and -margin < self.lowest(tail)


def in_some_run(runs: int) -> str:
    """The end of a note on the smallest of several runs; empty where there is one."""
    return " in some run" if runs > 1 else ""


def clustering_note(vary: bool, runs: int) -> tuple[str, ...]:
    """The note on how the interval of several runs was made; none for one run."""
    return (TWO_WAY[vary],) if runs > 1 else ()


def overlapping_training(examples: int, share: float | None, runs: int) -> bool:
    """Whether training sets of runs, drawn anew from one pool, overlap so much that intervals are too short.

    What the examples of a pool have in common by chance, all its training sets learn and all its test sets confirm.
    `tests/coverage/test_overlapping_training.py` has the simulations that the numbers are from.

    Args:
        examples: of the pool.
        share: of them that is tested in each run; None: not known.
        runs: how many.
    """
    if share is None or runs < 2:
        return False
    trained = examples * (1 - share)
    return (share >= 0.4 and trained < 500) or (runs >= 10 and trained < 300)


def enough_runs(runs: int, planned: int) -> bool:
    """Whether there are enough runs for a contrast: three, or all where fewer were planned."""
    return runs >= max(min(LEAST_RUNS, planned), 1)


def conclude(evidence: Evidence, support: int) -> Contrast:
    """Turn evidence into a contrast with its interval, and where runs look collapsed also that without them.

    Undefined or of too few runs, there is none. On samples below `support`, on a single unit, or where there is doubt
    it is shown and not judged. Few runs make the interval longer, and so do few discordant units. What differs by
    rounding only does not differ: its estimate is 0, and without other spread its interval has no width.

    Args:
        evidence: the estimate with its variance and caveats.
        support: the least size of a sample that is judged.
    """
    contrast = _concluded(evidence, support)
    if evidence.without is None:
        return contrast
    return replace(contrast, collapsed=evidence.collapsed, without=_concluded(evidence.without, support))


def _concluded(evidence: Evidence, support: int) -> Contrast:
    notes = list(evidence.notes)
    if evidence.whole is None or not enough_runs(evidence.runs, evidence.planned):
        if evidence.runs and not enough_runs(evidence.runs, evidence.planned):
            notes.append(f"a contrast needs at least {min(LEAST_RUNS, evidence.planned)} runs")
        unjudged = tuple(notes or [evidence.nothing])
        return Contrast(None, None, None, evidence.runs, unjudged, single=evidence.single, planned=evidence.planned)
    whole = whole_without_rounding(evidence.whole, evidence.tolerance)
    refused = list(evidence.doubts)
    if not refused and evidence.smallest < support:
        refused = [f"fewer than {support} {evidence.sample}{in_some_run(evidence.runs)}: shown, not judged"]
    if not refused and math.isnan(whole.variance):
        refused = [ONE_UNIT]
    if refused:
        return Contrast(whole.estimate, None, whole, evidence.runs, (*notes, *refused), single=evidence.single)
    interval: Interval = FewRuns(whole)
    if evidence.few_events is not None and has_width(evidence.few_events, evidence.tolerance):
        interval = evidence.few_events
    elif evidence.adjusted is not None and has_width(evidence.adjusted, evidence.tolerance):
        interval = Wider(FewRuns(whole), evidence.adjusted)
        notes += [evidence.adjustment] if evidence.adjustment else []
    notes += evidence.unseen.notes if evidence.unseen else []
    notes += evidence.closing
    return Contrast(
        whole.estimate,
        interval,
        whole,
        evidence.runs,
        tuple(notes),
        evidence.totals,
        evidence.gram,
        None if evidence.gaps is None else replace(evidence.gaps, tolerance=evidence.tolerance),
        evidence.unseen,
        evidence.single,
        tolerance=evidence.tolerance,
    )
