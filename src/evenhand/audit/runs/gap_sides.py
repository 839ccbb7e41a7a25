"""Differences between groups and whom they are compared with, of rates, in all groups of an evaluation at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from evenhand.stats.contrast import TwoWay, units_of_two_sides
from evenhand.stats.differences import FewEvents, correlation_of
from evenhand.stats.few_runs import FewRuns, Wider
from evenhand.stats.ratios import TwoProportions
from evenhand.stats.subsets import TwoSided, TwoWays, correction


@dataclass(frozen=True, eq=False)
class Sides:
    """Differences between groups and whom they are compared with, and what their intervals for few events rest on.

    Attributes:
        two: the differences, with both sides.
        apart: of those whom a group is compared with, without its own examples: of everybody the rest.
        part: float [S, J + 1], of each run and of the mean: the difference is so many times that of the group and
            `apart`, 1 − the group's share where it is compared with everybody, else 1.
        together: bool [S], whether examples are on both sides.
        examples: int [S], those on either side in any run.
    """

    two: TwoSided
    apart: TwoWays
    part: np.ndarray
    together: np.ndarray
    examples: np.ndarray

    def interval(self, index: int, rates: int = 1) -> FewEvents | Wider:
        """The interval of the mean over runs of one difference; its sides are sums of so many rates."""
        whole, inside, apart = (each.at(index) for each in (self.two.whole, self.two.inside, self.apart))
        variances = (np.array(each.variance) for each in (whole, inside, apart))
        correlation = float(correlation_of(*variances)) if self.overlaps[index] else 0.0
        return gap_interval(whole, inside, apart, rates, float(self.part[index, -1]), correlation)

    @property
    def overlaps(self) -> np.ndarray:
        """bool [S], whether examples are in the group and in `apart`."""
        return self.together & (self.part[:, -1] == 1)

    @cached_property
    def variance_of_runs(self) -> np.ndarray:
        """float [S, J], of each run's difference, from its examples; each side has a factor U/(U − 1) of its own."""
        inside, outside, whole = self.two.inside, self.two.outside, self.two.whole
        added = inside.of_runs + outside.of_runs
        if not self.together.any():
            return added
        factors = [correction(side.units_of_runs) for side in (inside, outside, whole)]
        ours, theirs, both = (
            side.of_runs / factor for side, factor in zip((inside, outside, whole), factors, strict=True)
        )
        covariance = np.sqrt(factors[0] * factors[1]) * (ours + theirs - both) / 2
        return np.where(self.together[:, None], np.maximum(added - 2 * covariance, 0.0), added)

    def proportions(self, index: int) -> list[TwoProportions]:
        """The rates of a group and of whom it is compared with, of each run and last of the mean."""
        two = self.two
        share, together, common = 1 - self.part[index], bool(self.together[index]), bool(self.overlaps[index])
        parts = (two.inside, two.outside, self.apart)
        found = []
        for run in range(two.whole.values.shape[1]):
            ours, theirs, apart = (_of_run(side, index, run) for side in parts)
            value, variance = float(two.whole.values[index, run]), float(self.variance_of_runs[index, run])
            (first, n), (second, m) = ((np.array([side.variance]), np.array([side.units])) for side in (ours, theirs))
            units = int(units_of_two_sides(first, second, n, m, two.whole.units_of_runs[[index], run])[0])
            whole = TwoWay(value, variance, float(max(units - 1, 1)), 0.0, variance, 0.0, 1, units)
            found.append(TwoProportions(whole, ours, theirs, apart, float(share[run]), together, common))
        means = [side.at(index) for side in (two.whole, *parts)]
        return [*found, TwoProportions(*means, share=float(share[-1]), together=together, overlaps=common)]


def gap_interval(
    whole: TwoWay,
    first: TwoWay,
    second: TwoWay,
    rates: float = 1,
    part: float = 1.0,
    correlation: float = 0.0,
    more: float = 0.0,
    least: float = 0.0,
) -> FewEvents | Wider:
    """The interval of a gap of proportions.

    Args:
        whole: the gap.
        first, second: its sides.
        rates: how many rates each side is the sum of: 2 for the sum of two gaps.
        part: the gap is so many times the difference of the sides; see `Sides`.
        correlation: of the sides, where they have examples or units in common.
        more, least: see `FewEvents`.
    """
    ours, theirs = (
        replace(side, estimate=side.estimate / rates, variance=side.variance / rates**2) for side in (first, second)
    )
    few = FewEvents(whole, ours, theirs, (rates * part, rates * part), correlation, more, least)
    return few if whole.runs < 2 else Wider(FewRuns(whole), few)


def either(chosen: np.ndarray, first: TwoWays, second: TwoWays) -> TwoWays:
    """The first where chosen, bool [S], else the second; without a gram matrix."""
    parts = {}
    for name in ("values", "variance", "df", "v_seed", "v_example", "v_both", "units", "of_runs", "units_of_runs"):
        ours, theirs = getattr(first, name), getattr(second, name)
        parts[name] = np.where(chosen if ours.ndim == 1 else chosen[:, None], ours, theirs)
    return TwoWays(**parts)


def _of_run(side: TwoWays, index: int, run: int) -> TwoWay:
    """One run of a side, whose variance is that of its examples."""
    variance, units = float(side.of_runs[index, run]), int(side.units_of_runs[index, run])
    value = float(side.values[index, run])
    return TwoWay(value, variance, float(max(units - 1, 1)), 0.0, variance, 0.0, 1, units)
