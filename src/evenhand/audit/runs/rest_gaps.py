"""Computes variances of gaps between groups and the rest, and of gap changes, in all groups at once.

In place of the rest may stand everybody, or another group (`SubsetRates.opposites`). As `runs.rates` does for rates. A
gap change in which few examples are discordant, inside or outside of the group, or
whose examples are resampled together, is left to `runs.gap_evidence`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from evenhand.audit.disparities import GapIntervals
from evenhand.audit.estimands import Comparison, Estimand
from evenhand.audit.evaluation import Run
from evenhand.audit.measures.influence import RateOf
from evenhand.audit.reading import LEVEL, Estimate
from evenhand.audit.runs.gains_and_losses import GainsAndLosses
from evenhand.audit.runs.gap_sides import Sides, either
from evenhand.audit.runs.rates import SubsetRates
from evenhand.stats.contrast import units_of_two_sides
from evenhand.stats.differences import FewEvents, Proportions, correlation_of, few_events_bounds
from evenhand.stats.few_runs import FewRuns, Wider
from evenhand.stats.proportion import FEW
from evenhand.stats.rate_changes import RateChange
from evenhand.stats.ratios import TwoProportions
from evenhand.stats.student_t import quantiles
from evenhand.stats.subsets import RatioSums, TwoSided, TwoWays, gap_changes, gap_sums, gaps


@dataclass(frozen=True, eq=False)
class RestGaps:
    """The gaps of one method between each group and its rest: rate of the group − rate of the rest.

    Attributes:
        sides: the mean over runs, and of each run, with both sides.
        low, high: float [S, J + 1], 95% intervals of each run, and last of the mean; nan where there is none.
        counts: int [S, J], examples behind each run's gap; smallest: int [S], of the smaller side in any run.
        totals: computes by subset what each unit contributes over all runs: codes and float [U].
    """

    sides: Sides
    low: np.ndarray
    high: np.ndarray
    counts: np.ndarray
    smallest: np.ndarray
    totals: Callable[[int], tuple[np.ndarray, np.ndarray]]

    def interval(self, index: int) -> FewEvents | Wider:
        """The interval of the mean over runs of one gap."""
        return self.sides.interval(index)

    def defined(self, index: int) -> bool:
        """Whether every run has the gap of a group."""
        sides = self.sides
        return bool(np.isfinite(sides.two.whole.values[index] + sides.apart.values[index]).all())

    def proportions(self, index: int) -> list[TwoProportions]:
        """The rates of a group and of whom it is compared with, of each run and last of the mean."""
        return self.sides.proportions(index)

    def estimates(self, index: int) -> tuple[list[Estimate], int]:
        """The gap of a group in each run, and last the mean, with the examples of its smaller side."""
        two = self.sides.two
        whole, units = two.whole, self.sides.examples[index]
        values, counts = [*whole.values[index], whole.estimate[index]], [*self.counts[index], units]
        bounds = zip(self.low[index], self.high[index], strict=True)
        estimates = []
        for value, (low, high), count in zip(values, bounds, counts, strict=True):
            bounded = not math.isnan(low)
            estimates.append(
                Estimate(float(value), float(low) if bounded else None, float(high) if bounded else None, int(count))
            )
        return estimates, int(self.smallest[index])


@dataclass(frozen=True, eq=False)
class RestGapChanges:
    """Changes between two methods of the gap between each group and its rest, positive where the group fares worse.

    Attributes:
        change, total: the method's gap minus, and plus, the reference's.
        of_method, of_reference: the gaps.
        smallest: int [S], the fewest examples on either side in any run.
        exact: bool [S], where this stands for what is computed example by example: it is defined, and at least `FEW`
            examples are discordant on either side.
        totals: computes by subset what each unit contributes over all runs: codes and float [U].
        gains: what groups, and those whom they are compared with, gained and lost.
    """

    change: Sides
    total: Sides
    of_method: Sides
    of_reference: Sides
    smallest: np.ndarray
    exact: np.ndarray
    totals: Callable[[int], tuple[np.ndarray, np.ndarray]]
    gains: tuple[GainsAndLosses, GainsAndLosses]

    def adjusted(self, index: int) -> RateChange:
        """The interval of one gap change, from who gained and who lost on both sides."""
        return RateChange(self.change.two.whole.at(index), tuple(side.at(index) for side in self.gains))

    def intervals(self, index: int) -> GapIntervals:
        """The intervals beside one gap change."""
        inside, outside = (
            Wider(FewRuns(side.at(index)), RateChange(side.at(index), (moved.at(index),)))
            for side, moved in zip((self.change.two.inside, self.change.apart), self.gains, strict=True)
        )
        gaps = self.of_method.interval(index), self.of_reference.interval(index)
        return GapIntervals(self.total.interval(index, 2), *gaps, inside, outside)


@dataclass(eq=False)
class GapsToRest:
    """The gaps of one evaluation; remembers those of the last measure and class.

    Attributes:
        rates: of the same evaluation.
    """

    rates: SubsetRates
    _last: tuple[object, ...] = ()
    _gaps: dict[tuple[str, int], RestGaps] = field(default_factory=dict)
    _changes: dict[tuple[str, str | None], RestGapChanges] = field(default_factory=dict)

    def gaps(self, estimand: Estimand, method: str, sign: int = 1) -> tuple[RestGaps, int] | None:
        """The gaps of a method's runs, and the index of the estimand's group; None where there is no closed form.

        With the sign −1 a gap is positive where the group has less than the rest.
        """
        runs = self.rates.reader.runs_of(method)
        if not self._applies(estimand) or not runs:
            return None
        key = (method, sign)
        if key not in self._gaps:
            table = self.rates.table(estimand, [runs])
            events, base = table.events[0][0], table.bases[0]
            self._gaps[key] = self._of_method(RatioSums(events if sign > 0 else base - events, base))
        return self._gaps[key], self.rates.places[estimand.subset]

    def changes(self, comparison: Comparison, pairs: Sequence[tuple[Run, Run]]) -> tuple[RestGapChanges, int] | None:
        """The gap changes over pairs of runs, and the index of the comparison's group; None as for `gaps`."""
        estimand, key = comparison.estimand, (comparison.method, comparison.reference)
        if not self._applies(estimand) or not pairs:
            return None
        if key not in self._changes:
            table = self.rates.table(estimand, [[pair[side] for pair in pairs] for side in (0, 1)])
            base = table.bases[0]
            # Less of the measure is worse: its complement, so that everything is positive where the group fares worse.
            events = [base - side[0] if comparison.signs[0] < 0 else side[0] for side in table.events]
            self._changes[key] = self._of_methods(*(RatioSums(side, base) for side in events))
        return self._changes[key], self.rates.places[estimand.subset]

    def _applies(self, estimand: Estimand) -> bool:
        if not (self.rates.able and isinstance(estimand.measure.influence, RateOf)):
            return False
        about = (estimand.measure.name, estimand.class_code)
        if about != self._last:
            self._last = about
            self._gaps.clear()
            self._changes.clear()
        return True

    def _of_method(self, sums: RatioSums) -> RestGaps:
        sides = self._sides(partial(gaps, sums), sums.weight)
        two = sides.two
        first, second = (
            Proportions(
                np.hstack([side.values, side.estimate[:, None]]),
                np.hstack([side.of_runs, side.variance[:, None]]),
                np.hstack([side.units_of_runs, side.units[:, None]]),
            )
            for side in (two.inside, sides.apart)
        )
        whole, runs = two.whole, sums.weight.shape[1]
        known = units_of_two_sides(
            two.inside.of_runs,
            two.outside.of_runs,
            two.inside.units_of_runs,
            two.outside.units_of_runs,
            whole.units_of_runs,
        )
        df = np.hstack([np.maximum(known - 1, 1), whole.df[:, None]])
        variance = np.hstack([sides.variance_of_runs, whole.variance[:, None]])
        quantile = quantiles(1 - (1 - LEVEL) / 2, df)
        low, high = few_events_bounds(
            first,
            second,
            np.hstack([whole.values, whole.estimate[:, None]]),
            quantile * np.sqrt(variance),
            quantile,
            np.array([1] * runs + [runs]),
            (sides.part, sides.part),
            np.where(sides.overlaps[:, None], correlation_of(variance, first.variance, second.variance), 0.0),
        )
        smallest = np.minimum(*(side.units_of_runs.min(axis=1) for side in (two.inside, sides.apart)))
        totals = self._totals(sums, [(1, self.rates.masks, two.inside), (-1, self.rates.opposites, two.outside)])
        return RestGaps(sides, np.clip(low, -1, 1), np.clip(high, -1, 1), whole.units_of_runs, smallest, totals)

    def _of_methods(self, first: RatioSums, second: RatioSums) -> RestGapChanges:
        masks, opposites, base = self.rates.masks, self.rates.opposites, first.weight
        change = self._sides(partial(gap_changes, first, second), base)
        two = change.two
        differ = (first.numerator != second.numerator).any(axis=1).astype(float)
        discordant = [np.rint(side.astype(float, copy=False) @ differ) for side in (masks, self.rates.apart)]
        exact = (np.minimum(*discordant) >= FEW) & np.isfinite(two.whole.values + change.apart.values).all(axis=1)
        apart = RatioSums(first.numerator - second.numerator, base)
        totals = self._totals(apart, [(1, masks, two.inside), (-1, opposites, two.outside)])
        gains = GainsAndLosses(first, second, masks), GainsAndLosses(first, second, self.rates.apart)
        return RestGapChanges(
            change,
            self._sides(partial(gap_sums, first, second), base),
            self._sides(partial(gaps, first), base),
            self._sides(partial(gaps, second), base),
            np.minimum(*(side.units_of_runs.min(axis=1) for side in (two.inside, change.apart))),
            exact,
            totals,
            gains,
        )

    def _sides(self, differences: Callable[[np.ndarray, np.ndarray], TwoSided], base: np.ndarray) -> Sides:
        """The differences between groups and whom they are compared with; `base` is float [R, J], the weights."""
        rates, shape = self.rates, (len(self.rates.masks), base.shape[1] + 1)
        two = differences(rates.masks, rates.opposites)
        if not rates.reader.evaluation.design.against:
            added = two.inside.units + two.outside.units
            return Sides(two, two.outside, np.ones(shape), np.zeros(shape[0], dtype=bool), added)
        together = np.einsum("sr,sr->s", rates.masks.astype(float), rates.opposites.astype(float)) > 0
        part, apart = np.ones(shape), two.outside
        if rates.overall.any():
            rest = differences(rates.masks, rates.rests).outside
            apart = either(rates.overall, rest, two.outside)
            with np.errstate(divide="ignore", invalid="ignore"):
                share = (rates.masks @ base) / (rates.opposites @ base)
            part[:, :-1] = np.where(rates.overall[:, None], 1 - share, 1.0)
            part[:, -1] = part[:, :-1].mean(axis=1)
        both = np.logical_or(rates.masks, rates.opposites).astype(float)
        return Sides(two, apart, part, together, np.rint(both @ (base > 0).any(axis=1)).astype(int))

    def _totals(
        self, sums: RatioSums, sides: Sequence[tuple[int, np.ndarray, TwoWays]]
    ) -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
        """A function that computes what each unit contributes to a subset, from sign, masks and means of both sides."""
        base, units = sums.weight, self.rates.reader.evaluation.population.unit[self.rates.rows]
        tested = (base > 0).any(axis=1)

        def totals(index: int) -> tuple[np.ndarray, np.ndarray]:
            of_rows, present = np.zeros(len(base)), np.zeros(len(base), dtype=bool)
            for sign, masks, side in sides:
                rows = np.flatnonzero((masks[index] > 0) & tested)
                moves = sums.numerator[rows] - side.estimate[index] * base[rows]
                of_rows[rows] += sign * (moves / base[rows].sum(axis=0)).mean(axis=1)
                present[rows] = True
            return units[present], of_rows[present]

        return totals
