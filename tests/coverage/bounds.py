"""Bounds of simulated shares: exact binomial tests, so that they fit any number of repetitions.

With fewer repetitions a bound is looser by as much as chance needs, and still fails where a share is far off. Levels
are those of one comparison. A tenth of every simulation makes about a thousand comparisons of 20 to 30 repetitions,
so that these have a smaller level: all of them together rarely fail by chance.
"""

from __future__ import annotations

from scipy.stats import binom

LEVEL = 0.025
"""About two standard errors on one side."""
FEW, LEVEL_OF_FEW = 40, 0.001
"""Below so many repetitions the level is at most this."""


def least(share: float, repetitions: int, level: float = LEVEL) -> float:
    """The smallest simulated share that an exact test does not take for a probability below `share`."""
    return float(binom.ppf(_level(repetitions, level), repetitions, share)) / repetitions


def most(share: float, repetitions: int, level: float = LEVEL) -> float:
    """The largest simulated share that an exact test does not take for a probability above `share`."""
    return float(binom.isf(_level(repetitions, level), repetitions, share)) / repetitions


def _level(repetitions: int, level: float) -> float:
    return level if repetitions >= FEW else min(level, LEVEL_OF_FEW)
