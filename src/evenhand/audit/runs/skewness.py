"""Allows for the skewness of numbers without a known range, and says when their interval is promised to cover.

The t interval of a mean of skewed numbers is too short on one side, however its variance is estimated. Where the range
of the numbers was declared, score intervals allow for rare ones anywhere in it (`score_steps`). Where it was not,
skewness is allowed for as far as the sample shows it. That is not enough for long tails, so the interval is promised
for large samples of moderately skewed numbers only, and nothing is judged without that promise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from evenhand.audit.measures.influence import Influence, Unbounded
from evenhand.audit.runs.allowance import Allowance, Difference, Sample
from evenhand.stats.contrast import TwoWay
from evenhand.stats.differences import Interval
from evenhand.stats.few_runs import Wider
from evenhand.stats.means import MOST_SKEWED, SkewedMean, skewness_of

NO_SPREAD = "the values do not vary: there is no spread to judge by"
_FAR_LESS = 9.0
"""The variance of numbers over that of others, below which they say nothing about their tail."""
ALLOWED = "the interval allows for the skewness of the values"


@dataclass(frozen=True)
class SkewnessAllowance(Allowance):
    """The skewness of numbers without a known range.

    Attributes:
        unbounded: when they are judged.
    """

    unbounded: Unbounded
    note: str = ALLOWED

    def level(self, sample: Sample) -> Interval:
        return Wider(sample.mean, self.change(sample))

    def change(self, sample: Sample) -> Interval:
        return _skewed(sample.mean, sample.contributions)

    def difference(self, difference: Difference, values: int = 1) -> Interval:
        return _skewed(difference.whole, difference.totals)

    def gap_change(self, difference: Difference, changes: Sequence[Interval]) -> Interval:
        return _skewed(difference.whole, difference.totals)

    def caveats(self, difference: Difference) -> tuple[str, ...]:
        sides = difference.first, difference.second
        units = min(side.mean.units for side in sides)
        return self._doubts([side.contributions for side in sides], difference.whole.variance, units)

    def doubts(self, influences: Sequence[Influence], difference: Difference, word: str) -> tuple[str, ...]:
        return self.caveats(difference)

    def doubts_on_change(
        self, influences: Sequence[Influence], change: Sample, levels: Callable[[], Sequence[Sample]], word: str
    ) -> tuple[str, ...]:
        return self.caveats_on_mean(change)

    def caveats_on_mean(self, sample: Sample) -> tuple[str, ...]:
        """Notes on the interval of a mean over runs."""
        return self._doubts([sample.contributions], sample.mean.variance, sample.mean.units)

    def doubts_on_gap_change(self, difference: Difference, on_changes: Sequence[str]) -> tuple[str, ...]:
        return self.caveats(difference)

    def _doubts(self, sides: Sequence[np.ndarray], variance: float, units: float) -> tuple[str, ...]:
        """Why an estimate is not judged: its numbers are too few or too skewed for an interval that is promised.

        Samples hold less of a long tail than there is. So the numbers of both sides count as skewed as those of the
        more skewed side: a small group whose sample lacks the tail that its rest shows would look certain, and low. And
        the skewness of two sides may cancel by chance: it is added up.

        Args:
            sides: float [U] each, what every unit contributes to the estimate; of a difference between groups two.
            variance: of the estimate.
            units: of its smaller side.
        """
        least, remedy = self.unbounded.least_units, self.unbounded.remedy
        if not variance > 0:
            return (NO_SPREAD,)
        if units < least:
            return (f"fewer than {least} units do not show how skewed the values are: not judged; {remedy}",)
        if _skewness_of_sides(sides, variance) > MOST_SKEWED:
            return (f"the values are too skewed for so few: not judged, no coverage is promised; {remedy}",)
        return ()


def _skewness_of_sides(sides: Sequence[np.ndarray], variance: float) -> float:
    """The skewness of an estimate if the numbers of every side were as skewed as those of the most skewed one.

    Numbers that hardly vary beside those of another side say nothing about its tail, and count for their own side only.

    Args:
        sides: float [U] each, what every unit contributes to the estimate.
        variance: of the estimate.
    """
    spreads = [float(side @ side) for side in sides]
    units = [max(int(np.count_nonzero(side)), 1) for side in sides]
    own = [
        abs(skewness_of(side, spread)) * math.sqrt(size)
        for side, spread, size in zip(sides, spreads, units, strict=True)
    ]
    vary = [spread * size for spread, size in zip(spreads, units, strict=True)]
    lent = max(skewness for skewness, each in zip(own, vary, strict=True) if each >= max(vary) / _FAR_LESS)
    parts = (
        max(skewness, lent) * spread**1.5 / math.sqrt(size)
        for skewness, spread, size in zip(own, spreads, units, strict=True)
    )
    return sum(parts) / variance**1.5


def _skewed(whole: TwoWay, totals: np.ndarray) -> SkewedMean:
    return SkewedMean(whole, skewness_of(totals, whole.variance))
