"""Gaps between a group and its rest, and their changes, of quantities that are means over documents.

A run has one such quantity on each side, with the influence of each document. Documents of one resampling unit, such as
a template with its names exchanged, may lie on both sides: the covariance of the sides is then part of the variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from evenhand.audit.arrays.linear_estimate import LinearEstimate
from evenhand.audit.disparities import GapIntervals
from evenhand.audit.runs.gap_sides import gap_interval
from evenhand.audit.runs.items import ItemRuns, change_of_outcomes, combined
from evenhand.audit.runs.sided import Part, Sided
from evenhand.stats.differences import Apart
from evenhand.stats.few_runs import FewRuns, Wider
from evenhand.stats.rate_changes import RateChange, cluster_step


@dataclass(frozen=True, eq=False)
class SidedRuns:
    """A quantity of a group and of its rest in the runs of one method.

    Attributes:
        inside, outside: by run; defined in every run.
        units: the codes of the documents' units, int [n] by run, of the group and then of the rest.
    """

    inside: Sequence[LinearEstimate]
    outside: Sequence[LinearEstimate]
    units: tuple[Sequence[np.ndarray], Sequence[np.ndarray]]

    def signed(self, sign: int) -> SidedRuns:
        """Itself; with the sign −1 that of one minus the quantity, so that more is worse."""
        if sign > 0:
            return self
        inside, outside = ([_complement(one) for one in side] for side in (self.inside, self.outside))
        return replace(self, inside=inside, outside=outside)

    @property
    def share(self) -> bool:
        """Whether documents' values lie in an interval of length 1, so that few events can be allowed for."""
        return all(one.max_unit_change is not None for one in (*self.inside, *self.outside))

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why the gap is shown and not judged, if there is a reason."""
        return tuple(sorted({one.doubt for one in (*self.inside, *self.outside) if one.doubt}))

    @property
    def smallest(self) -> int:
        """The fewest units on a side in any run."""
        sides = zip((self.inside, self.outside), self.units, strict=True)
        return min(
            len(np.unique(codes[one.weights > 0]))
            for side, by_run in sides
            for one, codes in zip(side, by_run, strict=True)
        )

    @property
    def gap(self) -> Sided:
        """The group minus the rest, over runs."""
        return _sided([(1, self)])

    @property
    def interval(self) -> Wider | FewRuns:
        """The interval of the gap."""
        return _interval_of(self)


def _interval_of(*methods: SidedRuns) -> Wider | FewRuns:
    """The interval of the gap of a method, or of the sum of several; of shares at any number of events.

    The sides may have units in common, so that it is never narrower than the interval that knows their covariance.
    """
    summed = _sided([(1, runs) for runs in methods])
    plain = FewRuns(summed.whole)
    if not all(runs.share for runs in methods):
        return plain
    few = gap_interval(summed.whole, summed.first, summed.second, float(len(methods)))
    return few if isinstance(few, Wider) else Wider(plain, few)


@dataclass(frozen=True, eq=False)
class ItemGapChange:
    """The gap of a method minus that of its reference, positive where the group fares worse.

    Attributes:
        difference: with both sides.
        adjusted: its interval, of outcomes or for few discordant units; None where it needs none.
        gaps: the intervals beside it.
    """

    difference: Sided
    adjusted: Apart | RateChange | None
    gaps: GapIntervals

    @classmethod
    def of(cls, method: SidedRuns, reference: SidedRuns) -> ItemGapChange:
        """From the runs of both methods on the same documents."""
        difference = _sided([(1, method), (-1, reference)])
        runs, special = [], []
        for ours, theirs, units in zip(
            (method.inside, method.outside), (reference.inside, reference.outside), method.units, strict=True
        ):
            change = combined((1.0, -1.0), [ItemRuns.of([[one] for one in side], units) for side in (ours, theirs)])
            mean = change.mean
            outcomes = change_of_outcomes(mean.whole, (1.0, -1.0), (ours, theirs), units)
            runs.append(FewRuns(mean.whole))
            special.append(change.widened(mean) if outcomes is None else outcomes)
        inside, outside = (one if more is None else Wider(one, more) for one, more in zip(runs, special, strict=True))
        adjusted = None
        if all(isinstance(more, RateChange) for more in special):
            moved = tuple(part for more in special for part in more.sides)
            adjusted = RateChange(difference.whole, moved, cluster_step(difference.totals))
        elif any(more is not None for more in special):
            adjusted = Apart(difference.whole, inside, outside)
        return cls(
            difference,
            adjusted,
            GapIntervals(
                _interval_of(method, reference),
                method.interval,
                reference.interval,
                inside,
                outside,
            ),
        )


def distance(estimate: LinearEstimate) -> LinearEstimate:
    """|estimate|, whose influence is that of the estimate times its sign; no share."""
    sign = -1.0 if estimate.value < 0 else 1.0
    return replace(estimate, value=sign * estimate.value, influence=sign * estimate.influence, max_unit_change=None)


def _complement(estimate: LinearEstimate) -> LinearEstimate:
    return replace(estimate, value=1 - estimate.value, influence=-estimate.influence)


def _sided(sides: Sequence[tuple[int, SidedRuns]]) -> Sided:
    """A signed sum of gaps of methods on the same documents."""
    first = sides[0][1]

    def parts(runs: Sequence[Sequence[LinearEstimate]]) -> list[Part]:
        signs = [sign for sign, _ in sides]
        return [
            (
                sum(sign * one.value for sign, one in zip(signs, together, strict=True)),
                together[0].weights,
                np.sum([sign * one.influence for sign, one in zip(signs, together, strict=True)], axis=0),
                None,
            )
            for together in zip(*runs, strict=True)
        ]

    inside, outside = (parts([getattr(own, side) for _, own in sides]) for side in ("inside", "outside"))
    return Sided.of([*first.units[0], *first.units[1]], [inside, outside], uneven=True)
