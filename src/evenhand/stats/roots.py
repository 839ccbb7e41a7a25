"""Finds the root of an increasing function by Newton's method within a bracket."""

from __future__ import annotations

import math
from collections.abc import Callable

STEPS = 200
"""The most steps; bisection needs fewer between any two numbers whose ratio is below 1e15."""


def rising_root(function: Callable[[float], tuple[float, float]], low: float, high: float, start: float) -> float:
    """The point at which an increasing function is 0.

    Args:
        function: its value and its slope; where the slope does not help, as at a corner, the bracket is halved.
        low, high: where it is at most 0, and at least 0.
        start: where to begin, between them.
    """
    x, last = start, math.inf
    for _ in range(STEPS):
        value, slope = function(x)
        if value == 0:
            break
        if value < 0:
            low = x
        else:
            high = x
        before, x = x, x - value / slope if slope > 0 and abs(value) < last / 2 else low
        if not low < x < high:
            x = (low + high) / 2
        last = abs(value)
        if abs(x - before) <= 4e-16 * abs(x):
            break
    return x
