"""Intervals of changes of rates, and of gap changes, that allow for a variance which goes with the change itself.

Of a method that errs more often, a sample that shows few of its errors shows a small variance as well, so that a t
interval takes it for too certain: its bound on the side of more errors misses more often than it says, the more so at
small levels. Wilson's bounds of a share do not have this fault. `RateChange` makes the examples' part of a t interval
as much longer as Wilson's bounds of those who gained and of those who lost are than the symmetric ones.

Where examples come in clusters, some lose more of them than others, and the error of the change is more skewed than
that of a share. Each cluster that the sample lacks would move the change by about h = Σc³/Σc², c being what the units
contribute, and add h² to its variance: the bound is at least that of a score interval with this step
(`score_interval`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evenhand.stats.contrast import TwoWay
from evenhand.stats.differences import tail_at
from evenhand.stats.few_runs import FewRuns
from evenhand.stats.proportion import effective_size, wilson
from evenhand.stats.student_t import t_quantile


@dataclass(frozen=True)
class Moved:
    """The shares of examples that gained and that lost an outcome.

    Attributes:
        plus, minus: the shares with their two-way variances; the change is plus − minus.
        cells: Kish's effective number of (example, run) cells, which no effective size exceeds.

    Example:
        Of 100 examples 15 lost the outcome, and none gained it:

        >>> from evenhand.stats import Moved, TwoWay
        >>> lost = TwoWay(0.15, 0.0013, df=99, v_seed=0, v_example=0.0013, v_both=0, runs=1, units=100)
        >>> gained = TwoWay(0.0, 0.0, df=99, v_seed=0, v_example=0.0, v_both=0, runs=1, units=100)
        >>> below, above, symmetric = Moved(lost, gained, 100).distances(1.96)
        >>> round(below, 3), round(above, 3), round(symmetric, 3)
        (0.068, 0.084, 0.071)
    """

    plus: TwoWay
    minus: TwoWay
    cells: float

    def distances(self, quantile: float) -> tuple[float, float, float]:
        """How far Wilson's bounds of the change lie below and above it, and how far the symmetric ones do.

        The examples alone count, not what runs vary by. The bounds of both shares are combined as Newcombe (1998) does.
        """
        below, above, symmetric = 0.0, 0.0, 0.0
        for share, other in ((self.plus, False), (self.minus, True)):
            p = min(max(share.estimate, 0.0), 1.0)
            size = effective_size(p, share.v_example, self.cells)
            low, high = wilson(p, size, quantile)
            down, up = (high - p, p - low) if other else (p - low, high - p)
            below, above = math.hypot(below, down), math.hypot(above, up)
            symmetric += quantile**2 * p * (1 - p) / size
        return below, above, math.sqrt(symmetric)


@dataclass(frozen=True)
class RateChange:
    """The interval of a change of a rate, or of a change within a group minus that within another.

    With h the half-width of `FewRuns`, and r ≥ 1 the ratio of the distance of Wilson's bound to that of the symmetric
    one, a bound lies √(h² + q²·V_example·(r² − 1)) from the estimate; q is t's quantile at U − 1 degrees of freedom.
    Of two sides the distances are added as squares before the ratio is taken. With a step s towards the bound it lies
    at least q²·s/2 + √(h² + (q²·s/2)²) away.

    Attributes:
        whole: the change with its two-way variance.
        sides: who gained and who lost, of the change, or of both that are compared.
        step: what one more unit of the kind that decides moves the change by, as `cluster_step` has it; 0 where
            examples are the units.

    Example:
        Of 100 examples 15 lost the outcome, and none gained it: a smaller loss is less certain than a larger one.

        >>> from evenhand.stats import Moved, RateChange, TwoWay
        >>> def share(p: float) -> TwoWay:
        ...     v = p * (1 - p) / 99
        ...     return TwoWay(p, v, df=99, v_seed=0, v_example=v, v_both=0, runs=1, units=100)
        >>> lost = share(0.15)
        >>> low, high = RateChange(lost, (Moved(lost, share(0.0), 100),)).bounds(0.025)
        >>> round(low, 3), round(high, 3)
        (0.079, 0.234)
    """

    whole: TwoWay
    sides: tuple[Moved, ...]
    step: float = 0.0

    @property
    def estimate(self) -> float:
        return self.whole.estimate

    @property
    def variance(self) -> float:
        return self.whole.variance

    def bounds(self, tail: float) -> tuple[float, float]:
        """Lower and upper bound, each missed with probability `tail` at most."""
        half = FewRuns(self.whole).half_width(tail)
        below, above = self.distances(tail, half, self.whole.v_example)
        return self.estimate - float(below), self.estimate + float(above)

    def distances(
        self, tail: float, half: float | np.ndarray, v_example: float | np.ndarray
    ) -> tuple[float | np.ndarray, float | np.ndarray]:
        """How far the bounds lie below and above the estimate, of one shape.

        Args:
            tail: the level of each bound.
            half: h, the half-width of the two-way interval.
            v_example: the part of its variance that is from examples.
        """
        square = t_quantile(tail, max(self.whole.units - 1, 1)) ** 2
        reached = []
        for more, step in zip(self.stretch(tail), (-self.step, self.step), strict=True):
            least = square * max(step, 0.0) / 2
            reached.append(_reach(half, v_example * more, least))
        return reached[0], reached[1]

    def stretch(self, tail: float) -> tuple[float, float]:
        """q²·(r² − 1) of the lower and of the upper bound: what they add to h², in units of V_example."""
        quantile = -t_quantile(tail, max(self.whole.units - 1, 1))
        below, above, symmetric = 0.0, 0.0, 0.0
        for place, side in enumerate(self.sides):
            down, up, equal = side.distances(quantile)
            down, up = (up, down) if place else (down, up)
            below, above, symmetric = math.hypot(below, down), math.hypot(above, up), math.hypot(symmetric, equal)
        if not symmetric > 0:
            return 0.0, 0.0
        low, high = (quantile**2 * max((part / symmetric) ** 2 - 1, 0.0) for part in (below, above))
        return low, high

    def p_greater(self, null: float = 0.0) -> float:
        """The tail probability at which a bound reaches `null`."""
        return tail_at(self, null)


def _reach(half: float | np.ndarray, more: float | np.ndarray, least: float) -> float | np.ndarray:
    """The larger of √(half² + more) and least + √(half² + least²)."""
    if isinstance(half, float) and isinstance(more, float):  # numpy takes ten times as long for one number
        return max(math.sqrt(half * half + more), least + math.hypot(half, least))
    return np.maximum(np.sqrt(half**2 + more), least + np.hypot(half, least))


def cluster_step(totals: np.ndarray) -> float:
    """Σc³/Σc² of what clusters of examples contribute to an estimate: how far one more of those that decide moves it.

    Args:
        totals: float [U], the contributions c, Σ = 0.

    Returns:
        Positive where the error is skewed upwards; 0 where nothing varies.

    Example:
        One cluster of four lost everything, as .25 of the change:

        >>> import numpy as np
        >>> from evenhand.stats import cluster_step
        >>> cluster_step((np.array([1.0, 0, 0, 0]) - 0.25) / 4)  # (1 − 2·.25)/4
        0.125
    """
    squares = float(totals @ totals)
    return float((totals**3).sum()) / squares if squares > 0 else 0.0
