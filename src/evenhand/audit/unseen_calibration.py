"""How far debiased calibration errors may lie outside of their interval: examples alone in a bin show no error."""

from __future__ import annotations

import math
from dataclasses import dataclass

from evenhand.stats.differences import Interval

HARMLESS_UNITS = 20
"""The fewest units of a run from which a debiased calibration error may be called harmless."""


@dataclass(frozen=True)
class UnseenSide:
    """What debiased calibration errors cannot see on one side of their contrast.

    Attributes:
        share: of the weight in bins that hold a single unit, on average over runs: the most that the error is too small
            by, since no squared gap exceeds 1.
        squares: Σ share·gap² of these examples, which is larger than what is unseen, on average.
        noise: the variance of the mean gap. An error d has a variance of about 4·d·noise more than one of 0, so that an
            estimate which is too small looks more precise than it is.
    """

    share: float
    squares: float
    noise: float

    def plus(self, other: UnseenSide) -> UnseenSide:
        """That of two errors, either of which may be larger than it looks."""
        return UnseenSide(self.share + other.share, self.squares + other.squares, max(self.noise, other.noise))

    def larger(self, other: UnseenSide) -> UnseenSide:
        """The larger of two in each respect."""
        return UnseenSide(max(self.share, other.share), max(self.squares, other.squares), max(self.noise, other.noise))

    def reach(self, half: float, variance: float) -> float:
        """The distance x of a bound at which it is a quantile's number of its own standard errors away.

        x² = q²·(V + 4·noise·x), for a half-width q·√V: Wilson's idea, with the variance at the bound.
        """
        if not variance > 0:
            return half
        wider = 2 * self.noise * half**2 / variance
        return wider + math.hypot(wider, half)


@dataclass(frozen=True)
class Unseen:
    """How far outside of its interval a contrast of debiased calibration errors may lie.

    Attributes:
        above: of the errors that count positively, which raises the upper bound.
        below: of those that count negatively, which lowers the lower bound: by `squares` for `worse`, by all of it for
            `equivalent`.
        units: the fewest units of a run; below `HARMLESS_UNITS` no verdict says that the contrast is harmless.
    """

    above: UnseenSide
    below: UnseenSide
    units: int

    @property
    def few(self) -> bool:
        """Whether there are too few units for a verdict of harmlessness."""
        return self.units < HARMLESS_UNITS

    @property
    def notes(self) -> list[str]:
        """The notes on its row."""
        found = []
        if self.above.share > 0:
            found.append(f"the upper bound includes {self.above.share:.2g} for examples alone in a bin")
        if self.few:
            found.append(f"fewer than {HARMLESS_UNITS} units in some run: no verdict says that it is harmless")
        return found

    def bounds(self, interval: Interval, low: float, high: float) -> tuple[float, float]:
        """The bounds of an interval with what is not seen; the lower one is that of `worse`."""
        middle = interval.estimate
        raised = middle + self.above.reach(high - middle, interval.variance) + self.above.share
        return low - self.below.squares, raised

    def lowest(self, interval: Interval, low: float) -> float:
        """The lower bound of an interval that `equivalent` rests on."""
        middle = interval.estimate
        return middle - self.below.reach(middle - low, interval.variance) - self.below.share

    def larger(self, other: Unseen) -> Unseen:
        """The larger of two in each respect."""
        return Unseen(self.above.larger(other.above), self.below.larger(other.below), min(self.units, other.units))

    def minus(self, other: Unseen) -> Unseen:
        """That of the difference between two contrasts."""
        return Unseen(self.above.plus(other.below), self.below.plus(other.above), min(self.units, other.units))
