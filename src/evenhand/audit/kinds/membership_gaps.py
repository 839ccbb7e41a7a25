"""The evidence on gaps of leakage between a group and its rest, and on their changes between two methods.

Each side is ranked by itself, at its own threshold. The variance is two-way, over models and examples, with both sides'
own numbers of members and non-members, and without the jackknife over pairs of a pool (docs/membership-derivations.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from evenhand.audit.comparisons import Evidence
from evenhand.audit.disparities import GapIntervals
from evenhand.audit.kinds.membership_areas import ADJUSTED, doubts_on, skewed
from evenhand.audit.kinds.membership_evidence import (
    CLUSTERED,
    SAMPLE,
    LeakFunction,
    compare,
    none_of,
    paired_leaks,
)
from evenhand.audit.membership.group_gaps import LEAST_PERMUTED
from evenhand.audit.membership.leakage import Leak, Targets
from evenhand.audit.runs.gap_sides import gap_interval
from evenhand.stats.contrast import TwoWay, from_cells, two_sides, unpaired
from evenhand.stats.differences import Apart, FewEvents, Interval
from evenhand.stats.few_runs import FewRuns, Wider

FEW_ON_A_SIDE = (
    f"fewer than {LEAST_PERMUTED} distinct members or non-members in the group or in its rest: shown, not judged"
)
Sides = tuple[np.ndarray, np.ndarray]
"""bool [n] each, a group and its rest."""


@dataclass(frozen=True, eq=False)
class LeakGap:
    """A sum of signed gaps between a group and its rest, over methods on the same models and examples.

    Attributes:
        whole: the sum, with its two-way variance.
        inside, outside: the sums of the group's values and of the rest's.
        scale: over how many methods, of one sign.
        rows: of the group and of the rest, as an effective size is at most.
        cells: float [T, U], contributions to the sum.
        examples: distinct ones; smallest: distinct members or non-members of a side, whichever are fewest.
    """

    whole: TwoWay
    inside: TwoWay
    outside: TwoWay
    scale: float
    rows: tuple[int, int]
    cells: np.ndarray
    examples: int
    smallest: int

    @classmethod
    def of(cls, group: Leak, rest: Leak) -> LeakGap:
        """The gap of one method."""
        return cls.summed([(1, group, rest)])

    @classmethod
    def summed(cls, methods: Sequence[tuple[int, Leak, Leak]]) -> LeakGap:
        """From the sign, the group and the rest of each method."""
        sides = [[(sign, both[side]) for sign, *both in methods] for side in (0, 1)]
        values = [sum(sign * leak.pooled.estimate for sign, leak in side) for side in sides]
        cells = [np.sum([sign * leak.pooled.cells for sign, leak in side], axis=0) for side in sides]
        counts = [max(min(min(leak.smallest, leak.pooled.units) for _, leak in side), 1) for side in sides]
        units = [max(leak.pooled.units for _, leak in side) for side in sides]
        whole = two_sides(values[0] - values[1], cells[0], cells[1], (counts[0], counts[1]), max(sum(units), 1))
        inside, outside = (from_cells(*part) for part in zip(values, cells, counts, strict=True))
        every = [leak for side in sides for _, leak in side]
        examples = sum(max(leak.examples for _, leak in side) for side in sides)
        smallest = min(leak.smallest for leak in every)
        scale, rows = float(len(methods)), [max(leak.pooled.size for _, leak in side) for side in sides]
        return cls(whole, inside, outside, scale, (rows[0], rows[1]), cells[0] - cells[1], examples, smallest)

    @property
    def interval(self) -> FewEvents | Wider:
        """The interval of one gap, or of the sum of several with the sign 1: of shares, at any number of events."""
        inside, outside = (
            replace(side, units=float(rows if side.variance > 0 else side.units))
            for side, rows in zip((self.inside, self.outside), self.rows, strict=True)
        )
        return gap_interval(self.whole, inside, outside, self.scale)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why it is shown and not judged, if there is a reason."""
        return (FEW_ON_A_SIDE,) if self.smallest < LEAST_PERMUTED else ()


@dataclass(frozen=True, eq=False)
class Leaks:
    """The measure of some methods on both sides of a gap, over the same models.

    Attributes:
        by_method: each method's, in the group and in its rest.
        notes: on models that are left out, if any are.
        undefined: why a side has no value; None where all have one. Sides without a value may have other models.
    """

    by_method: list[list[Leak]]
    notes: tuple[str, ...] = ()
    undefined: str | None = None

    @property
    def examples(self) -> int:
        """How many distinct ones the group and its rest have."""
        return sum(max(of_method[side].examples for of_method in self.by_method) for side in (0, 1))


def leaks_of(methods: Sequence[Targets], sides: Sides, leak_of: LeakFunction) -> Leaks:
    """The measure of each method on each side, over the models that have a value on every side of every method.

    A model that was trained on all examples of a group, or on none, has no balanced accuracy there.

    Args:
        methods: each with the same models, unless there is one.
        sides: the group and its rest.
        leak_of: computes the measure.
    """
    used = np.ones(len(methods[0].seeds), dtype=bool)
    while True:
        leaks = [[leak_of(one, one.known & side & used[:, None]) for side in sides] for one in methods]
        every = [leak for of_method in leaks for leak in of_method]
        if undefined := next((leak.reason for leak in every if leak.reason), None):
            return Leaks(leaks, undefined=undefined)
        valued = [set(leak.models) for leak in every if leak.models is not None]
        common = sorted(set.intersection(*valued)) if valued else np.flatnonzero(used).tolist()
        if all(models == set(common) for models in valued):
            return Leaks(leaks, () if used.all() else (f"defined in {int(used.sum())} of {len(used)} models",))
        used[:] = False
        used[common] = True


def gap_evidence(targets: Targets, sides: Sides, leak_of: LeakFunction) -> Evidence:
    """The evidence on the gap of one method over its models."""
    if targets.absent:
        return none_of(0, (targets.absent,))
    leaks = leaks_of([targets], sides, leak_of)
    if leaks.undefined:
        return none_of(len(targets.seeds), (leaks.undefined,))
    found = LeakGap.of(*leaks.by_method[0])
    return _evidence(found, len(found.cells), leaks.notes, few_events=found.interval)


def gap_change_evidence(
    first: Targets, second: Targets, sides: Sides, leak_of: LeakFunction, matched: bool, decides: bool
) -> Evidence:
    """The evidence on the gap of a method minus that of its reference.

    Args:
        first, second: the models of the method and of the reference.
        sides: the group and its rest.
        leak_of: computes the measure.
        matched: whether the table's rows of several methods are about the same examples.
        decides: whether there are verdicts, and the words for what becomes of the gap.
    """
    compared = compare(first, second, sides[0] | sides[1], matched)
    if compared.undefined:
        return none_of(0, (*compared.notes, compared.undefined))
    both = compared.first, compared.second
    together = [both] if compared.paired else [[targets] for targets in both]
    found = [leaks_of(methods, sides, leak_of) for methods in together]
    models = min(len(targets.seeds) for targets in both)
    if undefined := next((one.undefined for one in found if one.undefined), None):
        return none_of(models, (*compared.notes, undefined))
    leaks = [pair for one in found for pair in one.by_method]
    gaps = [LeakGap.of(*pair) for pair in leaks]
    notes = (*compared.notes, *dict.fromkeys(note for one in found for note in one.notes))
    models = min(len(gap.cells) for gap in gaps)
    if not compared.paired:
        evidence = _apart(gaps, models, notes, decides)
        doubts = doubts_on([leak for pair in leaks for leak in pair], gaps[0].whole.estimate - gaps[1].whole.estimate)
        return replace(evidence, doubts=evidence.doubts or doubts)
    (group, rest), (group_before, rest_before) = leaks
    difference = LeakGap.summed([(1, group, rest), (-1, group_before, rest_before)])
    total = LeakGap.summed([(1, group, rest), (1, group_before, rest_before)])
    changes = [paired_leaks(group, group_before, (), ()), paired_leaks(rest, rest_before, (), ())]
    inside, outside = (
        FewRuns(whole) if one.adjusted is None else Wider(FewRuns(whole), one.adjusted)
        for one in changes
        if (whole := one.whole) is not None
    )
    areas = [group, rest, group_before, rest_before]
    adjusted: Interval | None = None
    if group.area:
        adjusted = skewed(difference.whole, difference.cells, difference.smallest)
    elif any(one.adjusted is not None for one in changes):
        adjusted = Apart(difference.whole, inside, outside)
    evidence = _evidence(difference, models, notes)
    return replace(
        evidence,
        doubts=evidence.doubts or doubts_on(areas, difference.whole.estimate),
        adjusted=adjusted,
        adjustment=ADJUSTED if group.area else evidence.adjustment,
        gaps=GapIntervals(total.interval, gaps[0].interval, gaps[1].interval, inside, outside) if decides else None,
    )


def _evidence(
    found: LeakGap, models: int, notes: tuple[str, ...], few_events: FewEvents | Wider | None = None
) -> Evidence:
    totals = found.cells.sum(axis=0)
    return Evidence(
        found.whole,
        models,
        0,
        notes,
        found.smallest,
        SAMPLE,
        found.doubts,
        few_events=few_events,
        closing=(CLUSTERED,) if models > 1 else (),
        totals=lambda: (np.arange(len(totals)), totals),
    )


def _apart(gaps: Sequence[LeakGap], models: int, notes: tuple[str, ...], decides: bool) -> Evidence:
    """The evidence where the methods were not trained on the same examples: variances add."""
    ours, theirs = gaps
    whole = unpaired(ours.whole, theirs.whole)
    total = FewRuns(replace(whole, estimate=ours.whole.estimate + theirs.whole.estimate))
    inside, outside = (
        FewRuns(unpaired(*pair)) for pair in ((ours.inside, theirs.inside), (ours.outside, theirs.outside))
    )
    return Evidence(
        whole,
        models,
        0,
        notes,
        min(ours.smallest, theirs.smallest),
        SAMPLE,
        (*ours.doubts, *theirs.doubts)[:1],
        adjusted=Apart(whole, ours.interval, theirs.interval),
        adjustment="the interval allows for few events in the group and in the rest",
        gaps=GapIntervals(total, ours.interval, theirs.interval, inside, outside) if decides else None,
    )
