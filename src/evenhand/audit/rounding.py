"""Tells differences from rounding errors, which are no evidence and differ between processors."""

from __future__ import annotations

from dataclasses import replace

from evenhand.stats.contrast import TwoWay
from evenhand.stats.differences import Interval

ROUNDING = 1e-12
"""Of the size of what is compared, the share below which a difference or a standard error is one of rounding."""


def tolerance_of(magnitude: float) -> float:
    """The size below which a difference between numbers of this magnitude, or a standard error, is one of rounding."""
    return ROUNDING * magnitude


def without_rounding(bound: float, tolerance: float) -> float:
    """A bound, 0 where rounding alone keeps it from 0."""
    return 0.0 if abs(bound) <= tolerance else bound


def whole_without_rounding(whole: TwoWay, tolerance: float) -> TwoWay:
    """The estimate and its variance, each 0 where it is of the size of rounding."""
    if 0 < whole.variance <= tolerance**2:
        whole = replace(whole, variance=0.0, v_seed=0.0, v_example=0.0, v_both=0.0)
    if 0 < abs(whole.estimate) <= tolerance:
        whole = replace(whole, estimate=0.0)
    return whole


def has_width(interval: Interval, tolerance: float) -> bool:
    """Whether an interval is wider than rounding makes it; one of unknown width counts as wide."""
    return not interval.variance <= tolerance**2


def side(bounds: tuple[float, float], tolerance: float) -> int:
    """1 if an interval lies above 0, −1 if below, and 0 if it contains 0 or touches it but for rounding."""
    low, high = bounds
    return int(low > tolerance) - int(high < -tolerance)
