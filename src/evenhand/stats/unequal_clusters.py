"""Variance and degrees of freedom of a mean over clusters that are few or differ in size (CR3).

U/(U − 1) times a sum of squares over units takes all units to be alike. Where one of them holds a third of the sample,
the mean follows it, its residual is too small, and the sum knows as much as a few units would. With s_u the share of
unit u in the sample, and T_u what it contributes,

    V_example = (1 − min s)·Σ_u T_u²/(1 − s_u)²
    1/df      = Σ s_u² + (Σ s_u²/(1 − s_u))² − Σ s_u⁴/(1 − s_u)²

the jackknife's variance CR3 and Bell and McCaffrey's (2002) degrees of freedom of a mean of independent examples, as
Imbens and Kolesár (2016) recommend. With units of one size these are U/(U − 1)·Σ T_u² and U − 1. Of the variants tried
(CR2 or CR3; examples independent, or a unit's examples moving together), CR2 with independent examples misses .06 for
.05 where units matter most, and degrees of freedom for units that move as one give intervals up to twice as wide.
Simulated in `tests/coverage/test_unequal_clusters.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

ALIKE = 1e-9
"""Units whose shares in a run have a smaller relative variance are of one size."""


@dataclass(frozen=True, eq=False)
class UnitFactors:
    """What squares of units' contributions are multiplied with before they are added up.

    Attributes:
        factor: float [U] over all columns, or one number for all units; nan with one unit.
        units: how many units of one size would be known as well: the degrees of freedom plus 1.
    """

    factor: np.ndarray | float
    units: float

    @classmethod
    def alike(cls, units: float) -> UnitFactors:
        """Those of so many units of one size: U/(U − 1)."""
        return cls(units / (units - 1) if units > 1 else math.nan, units)

    @classmethod
    def of(cls, shares: np.ndarray) -> UnitFactors:
        """Those of clusters.

        Args:
            shares: float [J, U], each unit's share of each run's sample; rows sum to 1, and 0 where a run did not test
                a unit.

        Example:
            >>> import numpy as np
            >>> from evenhand.stats.unequal_clusters import UnitFactors
            >>> round(UnitFactors.of(np.full((3, 5), 0.2)).units, 6)
            5
            >>> round(UnitFactors.of(np.array([[0.6, 0.1, 0.1, 0.1, 0.1]])).units, 2)
            3.08
        """
        present = (shares > 0).any(axis=0)
        units = int(present.sum())
        counts = (shares > 0).sum(axis=1)
        if units < 2 or bool((counts * (shares**2).sum(axis=1) <= 1 + ALIKE).all()):
            return cls.alike(units)
        mean = shares.mean(axis=0)
        rest = 1 - mean
        if not rest.min() > ALIKE:  # one unit is the whole sample
            return cls.alike(1)
        least = float(mean[present].min())
        inverse = (mean**2).sum() + ((mean**2 / rest).sum()) ** 2 - (mean**4 / rest**2).sum()
        return cls((1 - least) / rest**2, min(1 + 1 / float(inverse), float(units)))

    def at_most(self, known: float | None) -> UnitFactors:
        """The same, where no more is known than from so many units; None: no such limit.

        Example:
            >>> from evenhand.stats.unequal_clusters import UnitFactors
            >>> UnitFactors.alike(100).at_most(5)
            UnitFactors(factor=1.25, units=5)
        """
        if known is None or known >= self.units:
            return self
        return replace(self, units=known) if np.ndim(self.factor) else UnitFactors.alike(known)

    def squares(self, totals: np.ndarray) -> float:
        """V_example of units' contributions over all runs, float [U]."""
        return (
            float(np.sum(self.factor * totals**2)) if np.ndim(self.factor) else float(self.factor * np.sum(totals**2))
        )
