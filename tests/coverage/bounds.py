"""Bounds of simulated shares: exact binomial tests, so that they fit any number of repetitions.

With fewer repetitions a bound is looser by as much as chance needs: it fails by chance as seldom as with many, and
still fails where the share is far off. The level is that of one comparison.
"""

from __future__ import annotations

from scipy.stats import binom

LEVEL = 0.025
"""About two standard errors on one side."""


def least(share: float, repetitions: int, level: float = LEVEL) -> float:
    """The smallest simulated share that an exact test does not take for a probability below `share`."""
    return float(binom.ppf(level, repetitions, share)) / repetitions


def most(share: float, repetitions: int, level: float = LEVEL) -> float:
    """The largest simulated share that an exact test does not take for a probability above `share`."""
    return float(binom.isf(level, repetitions, share)) / repetitions
