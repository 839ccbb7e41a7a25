"""Functions that compare a rate of a group with that of others: ratio of rates, and the four-fifths rule."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from evenhand.audit.measures.run_data import Rate
from evenhand.stats.ratios import TwoProportions

FOUR_FIFTHS = 0.8
"""The least ratio of selection rates that the four-fifths rule of the US agencies (1978, 29 CFR 1607.4 D) accepts."""


@dataclass(frozen=True)
class Between(ABC):
    """Computes a number from a rate of a group and of whom it is compared with; subclasses say which number.

    Attributes:
        rate: which.
    """

    rate: Rate

    @abstractmethod
    def __call__(self, sides: TwoProportions, tail: float) -> tuple[float, float, float]:
        """The value with its bounds, each missed with probability `tail` at most; nan where it is undefined."""

    def undefined(self, sides: TwoProportions) -> str | None:
        """Why there is no value, as the middle of a sentence; None where there is one."""
        return None


@dataclass(frozen=True)
class RatioOf(Between):
    """Computes the ratio of a rate, with its score interval; undefined where those compared with have a rate of 0."""

    def __call__(self, sides: TwoProportions, tail: float) -> tuple[float, float, float]:
        return sides.ratio, *sides.ratio_bounds(tail)

    def undefined(self, sides: TwoProportions) -> str | None:
        return "is 0" if math.isnan(sides.ratio) else None


@dataclass(frozen=True)
class LinearOf(Between):
    """Computes the rate of a group minus so many times that of whom it is compared with.

    Attributes:
        times: the least ratio that a rule accepts; the value is below 0 where the ratio is below it.
    """

    times: float

    def __call__(self, sides: TwoProportions, tail: float) -> tuple[float, float, float]:
        return sides.linear(self.times).estimate, *sides.linear_interval(self.times).bounds(tail)
