"""Allows for the skewness of numbers without a known range, and says when their interval is promised to cover.

The t interval of a mean of skewed numbers is too short on one side, however its variance is estimated. Where the range
of the numbers was declared, score intervals allow for rare ones anywhere in it (`score_steps`). Where it was not,
skewness is allowed for as far as the sample shows it. That is not enough for long tails, so the interval is promised
for large samples of moderately skewed numbers only, and nothing is judged without that promise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evenhand.audit.measures.influence import Unbounded
from evenhand.stats.contrast import TwoWay
from evenhand.stats.means import MOST_SKEWED, SkewedMean, skewness_of

NO_SPREAD = "the values do not vary: there is no spread to judge by"
ALLOWED = "the interval allows for the skewness of the values"


def skewed_interval(unbounded: Unbounded | None, whole: TwoWay, totals: np.ndarray) -> SkewedMean | None:
    """The interval of a mean, or of a difference of means, of numbers without a known range; None of other measures.

    Args:
        unbounded: of the measure's influence (`Influence.unbounded`).
        whole: the mean or the difference.
        totals: float [U], what each unit contributes to it.
    """
    return None if unbounded is None else SkewedMean(whole, skewness_of(totals, whole.variance))


def doubts_on(
    unbounded: Unbounded | None, sides: Sequence[np.ndarray], variance: float, units: float
) -> tuple[str, ...]:
    """Why an estimate is not judged: its numbers are too few or too skewed for an interval that is promised.

    Samples hold less of a long tail than there is, and the skewness of two sides may cancel by chance: it is added up.

    Args:
        unbounded: see `skewed_interval`.
        sides: float [U] each, what every unit contributes to the estimate; of a difference between groups two.
        variance: of the estimate.
        units: of its smaller side.
    """
    if unbounded is None:
        return ()
    if not variance > 0:
        return (NO_SPREAD,)
    if units < unbounded.least_units:
        few = f"fewer than {unbounded.least_units} units do not show how skewed the values are: not judged"
        return (f"{few}; {unbounded.remedy}",)
    if sum(abs(skewness_of(side, variance)) for side in sides) > MOST_SKEWED:
        return (f"the values are too skewed for so few: not judged, no coverage is promised; {unbounded.remedy}",)
    return ()
