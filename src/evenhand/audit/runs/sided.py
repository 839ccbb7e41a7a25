"""The difference between a group and whom it is compared with, over runs, from influences example by example."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from evenhand.audit.measures import Measure
from evenhand.audit.measures.influence import Influence, RateOf
from evenhand.audit.measures.steps import LabelScores, Steps
from evenhand.audit.runs.allowance import Allowance, Difference, Sample
from evenhand.audit.runs.gap_sides import gap_interval
from evenhand.stats.contrast import TwoWay, by_unit, cells_of, compact, from_cells, two_sides
from evenhand.stats.differences import FewEvents, Interval, signed_correlation_of
from evenhand.stats.few_runs import FewRuns, Wider
from evenhand.stats.ratios import TwoProportions
from evenhand.stats.unequal_clusters import UnitFactors

Part = tuple[float, np.ndarray, np.ndarray, Steps | LabelScores | None]
"""The value of one side in one run, with the weights and the influences of its examples, and its steps."""


@dataclass(frozen=True, eq=False)
class Sided:
    """A difference between a group and whom it is compared with, over runs.

    Attributes:
        whole: the difference.
        first, second: the group, and those whom it is compared with.
        units: int [U], the codes of the units of both; totals: float [U], what each contributes to the difference.
        apart: the second without the group: of everybody the rest.
        part: the difference is so many times that of the group and `apart`; see `gap_sides.Sides`.
        scale: the error of the difference is so many times that of the group minus `apart`.
        composition: the variance that the difference has since the group's share in everybody is an estimate.
        together: whether units are on both sides; overlaps: whether examples are in the group and in `apart`.
        correlation: of the group and `apart`, through units on both sides; 0 where there are none.
        step: what one unit that is on both sides moves a side by, on average; 0 where there are none.
        samples: the group, those whom it is compared with, and `apart`, with what intervals allow for.
        allowance: what the measure's intervals allow for; None for proportions, and where it is nothing.
    """

    whole: TwoWay
    first: TwoWay
    second: TwoWay
    units: np.ndarray
    totals: np.ndarray
    apart: TwoWay
    part: float = 1.0
    scale: float = 1.0
    composition: float = 0.0
    together: bool = False
    overlaps: bool = False
    correlation: float = 0.0
    step: float = 0.0
    samples: tuple[Sample, ...] = ()
    allowance: Allowance | None = None

    @classmethod
    def of(
        cls,
        units: Sequence[np.ndarray],
        sides: Sequence[Sequence[Part]],
        uneven: bool,
        known: tuple[float | None, float | None] = (None, None),
        allowance: Allowance | None = None,
    ) -> Sided:
        """From both sides in each run.

        Args:
            units: the examples' unit codes, of the group in each run and then of the rest.
            sides: of the group and of the rest, by run.
            uneven: whether units may count for different weights; see `RunInfluences.uneven`.
            known: of areas, how many units each side is known as well as at most.
            allowance: see the class.
        """
        runs = len(sides[0])
        parts = [part for side in sides for part in side]
        shares, moves = by_unit(units, [part[1] for part in parts], [part[2] for part in parts])
        values = np.array([value for value, *_ in parts])
        both = [slice(0, runs), slice(runs, 2 * runs)]
        cells = [cells_of(values[side], moves[side], shares[side]) for side in both]
        present = [(shares[side] > 0).any(axis=0) for side in both]
        first, second = (
            (UnitFactors.of(shares[side]) if uneven else UnitFactors.alike(int(own.sum()))).at_most(most)
            for side, own, most in zip(both, present, known, strict=True)
        )
        means = [float(values[side].mean()) for side in both]
        distinct = int((present[0] | present[1]).sum())
        whole = two_sides(means[0] - means[1], cells[0], cells[1], (first, second), distinct)
        ours, theirs = (
            from_cells(mean, own, count) for mean, own, count in zip(means, cells, (first, second), strict=True)
        )
        codes, _ = compact(np.concatenate(units))
        totals = cells[0].sum(axis=0) - cells[1].sum(axis=0)
        crossing = present[0] & present[1]
        together = bool(crossing.any())
        variances = (np.array(each.variance) for each in (whole, ours, theirs))
        correlation = float(signed_correlation_of(*variances)) if together else 0.0
        # The mean share of a unit, weighted by itself: of units that count alike one in so many.
        step = max(float((shares[side].mean(axis=0)[crossing] ** 2).sum()) for side in both) if together else 0.0
        samples = tuple(
            Sample(
                mean, own.sum(axis=0), units[side], [(value, weights, step) for value, weights, _, step in parts[side]]
            )
            for mean, own, side in zip((ours, theirs), cells, both, strict=True)
        )
        samples = (*samples, samples[1])
        return cls(
            whole,
            ours,
            theirs,
            codes,
            totals,
            theirs,
            together=together,
            correlation=correlation,
            step=step,
            samples=samples,
            allowance=allowance,
        )

    def beside(self, rest: Sided, share: float, measure: Measure) -> Sided:
        """The difference from everybody, whose interval has the form of that from the rest.

        Of means over examples it is 1 − share times that from the rest. The share of a group in what predictive values
        are taken of is an estimate, and F1 has other shares: their errors are as many times those of the difference
        from the rest as their standard errors are.

        Args:
            rest: the difference from the rest.
            share: of the group in everybody.
            measure: whose difference it is.
        """
        whole, other, part = self.whole.variance, rest.whole.variance, 1 - share
        given = isinstance(measure.influence, RateOf)  # whom labels choose, not predictions
        return replace(
            self,
            apart=rest.second,
            part=part,
            scale=math.sqrt(whole / other) if other > 0 else part,
            composition=0.0 if given else max(whole - part**2 * other, 0.0),
            correlation=rest.correlation,
            step=rest.step,
            samples=(*self.samples[:2], rest.samples[1]),
        )

    def interval(self, proportion: bool, rates: int = 1) -> Interval:
        """The interval of the difference, for few runs, and for few events of a proportion or few units that matter.

        Args:
            proportion: whether the measure is one.
            rates: how many rates each side is the sum of.
        """
        if proportion:
            return self.few_events_of(rates)
        if self.allowance is None:
            return FewRuns(self.whole)
        return Wider(FewRuns(self.whole), self.allowance.difference(self.difference, rates))

    @property
    def difference(self) -> Difference:
        """The difference, with what intervals allow for."""
        first, second, apart = self.samples
        return Difference(self.whole, first, second, self.totals, apart, self.scale, self.overlaps)

    def doubts(self, influences: Sequence[Influence], word: str) -> tuple[str, ...]:
        """Why it is shown and not judged, if it is not.

        Args:
            influences: of both sides, of all runs.
            word: for what is counted.
        """
        return () if self.allowance is None else self.allowance.doubts(influences, self.difference, word)

    def few_events_of(self, rates: int = 1) -> FewEvents | Wider:
        """The interval of a difference of proportions."""
        # Sides that agree in all units show little of units that do not: one more that differs, at two standard errors.
        least = 0.0 if self.overlaps else self.whole.variance + (2 * rates * self.part * self.step) ** 2
        return gap_interval(
            self.whole, self.first, self.apart, rates, self.part, self.correlation, self.composition, least
        )

    @property
    def proportions(self) -> TwoProportions:
        """Both sides of a gap of rates."""
        return TwoProportions(
            self.whole, self.first, self.second, self.apart, 1 - self.part, self.together, self.overlaps
        )
