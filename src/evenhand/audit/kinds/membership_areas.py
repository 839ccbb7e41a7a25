"""What differences of areas of membership scores need: skewed intervals, and refusals near 0 and 1.

Near 1 an area rests on a few examples in the wrong order. A sample without them makes a model that gives nearly all of
its training examples away look certain, and the other model or group worse. The allowances are those of areas of
predictions (`audit.runs.areas`, `stats.ranking`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from evenhand.audit.membership.leakage import Leak
from evenhand.audit.runs.areas import LEAST_DISTANCE, LEAST_JUDGED, WIDENED
from evenhand.stats.contrast import TwoWay, degrees_of_freedom
from evenhand.stats.ranking import SkewedInterval, distance_in_units

ADJUSTED = WIDENED
_FAR = 10
"""A difference of so many times the distance of an area from 0 or 1, and one example more, does not rest on it."""


def skewed(whole: TwoWay, cells: np.ndarray, smallest: int) -> SkewedInterval:
    """The interval of a difference of areas, with the degrees of freedom of the class with fewer examples.

    Args:
        whole: the difference with its two-way variance.
        cells: float [T, U], contributions to it.
        smallest: distinct members or non-members of a side, whichever are fewest; at least 2.
    """
    few = max(min(smallest, whole.units), 2)
    longer = few / (few - 1) * (whole.units - 1) / whole.units
    example, both = whole.v_example * longer, whole.v_both * longer
    variance = max(whole.v_seed + example - both, example)
    df = degrees_of_freedom(variance, whole.v_seed, whole.runs, few)
    narrowed = replace(whole, variance=variance, df=df, v_example=example, v_both=both, units=few)
    return SkewedInterval.of(narrowed, cells.sum(axis=0))


def doubts_on(leaks: Sequence[Leak], contrast: float) -> tuple[str, ...]:
    """Why a difference of areas is shown and not judged; empty where there is no reason, or they are no areas.

    Args:
        leaks: the areas of all methods and sides.
        contrast: the difference. One that is many times as large as an area's distance from 0 or 1 is judged.
    """
    areas = [leak for leak in leaks if leak.area]
    if not areas:
        return ()
    if min(leak.smallest for leak in areas) < LEAST_JUDGED:
        return (f"fewer than {LEAST_JUDGED} distinct members or non-members: shown, not judged",)
    for leak in areas:
        end, distance = round(leak.pooled.estimate), min(leak.pooled.estimate, 1 - leak.pooled.estimate)
        one_more = float(np.abs(leak.pooled.cells.sum(axis=0)).max(initial=0.0)) + 1 / leak.smallest
        of_examples = replace(leak.pooled.two_way, variance=leak.pooled.two_way.v_example)
        if distance_in_units(of_examples) < LEAST_DISTANCE and abs(contrast) < _FAR * (distance + one_more):
            why = f"the distance from {end} rests on fewer than {LEAST_DISTANCE} effective examples"
            return (f"{why}: shown, not judged",)
    return ()
