"""The intervals of areas under curves, and where they are refused.

`stats.ranking` has the intervals and what makes them valid; `tests/coverage/test_areas.py` the simulations behind the
three numbers below.
"""

from __future__ import annotations

from collections.abc import Sequence

from evenhand.audit.comparisons import in_some_run
from evenhand.audit.measures.influence import Influence
from evenhand.audit.reading import LEVEL, Estimate
from evenhand.audit.runs.by_unit import RunsByUnit
from evenhand.stats.contrast import TwoWay
from evenhand.stats.ranking import LogitInterval, distance_in_units

LEAST_JUDGED = 30
"""The fewest effective units of each class from which a comparison of areas is judged."""
LEAST_SHOWN = 10
"""The fewest from which an area has an interval."""
LEAST_DISTANCE = 5
"""The fewest effective units that the distance of an area from 0 or 1 must rest on."""
WIDENED = "the interval allows for one more example like the one that matters most"


def is_area(influences: Sequence[Influence]) -> bool:
    """Whether these are influences on an area under a curve."""
    return bool(influences) and all(influence.ranking is not None for influence in influences)


def refused(
    influences: Sequence[Influence],
    areas: Sequence[TwoWay],
    sample: str,
    least: int = LEAST_JUDGED,
    instead: str = "shown, not judged",
) -> tuple[str, ...]:
    """Why there is no interval, as a note; empty where there is one.

    Args:
        influences: on the areas, of all runs and sides.
        areas: the means over runs.
        sample: the word for what is counted.
        least: effective units that each class needs.
        instead: the end of the note.
    """
    rarer = min((each.ranking for each in influences if each.ranking is not None), key=lambda ranking: ranking.units)
    if rarer.units < least - 1e-9:  # rounding must not decide
        runs = max(area.runs for area in areas)
        return (f"fewer than {least} {rarer.rarer} {sample}{in_some_run(runs)}: {instead}",)
    nearest = min(areas, key=distance_in_units)
    if distance_in_units(nearest) < LEAST_DISTANCE:
        end = round(nearest.estimate)
        return (f"the distance from {end} rests on fewer than {LEAST_DISTANCE} effective {sample}: {instead}",)
    return ()


def area_estimate(influences: Sequence[Influence], runs: RunsByUnit, n: int, sample: str) -> Estimate:
    """The estimate of an area in one run, or over several, with its 95% interval or the note why there is none.

    Args:
        influences: by run.
        runs: their influences by unit.
        n: distinct examples behind it.
        sample: the word for what is counted.
    """
    mean = runs.mean
    caveats = sorted({influence.reason for influence in influences if influence.reason})
    if caveats and (mean.estimate in (0, 1) or not mean.variance > 0):
        return Estimate(mean.estimate, None, None, n, tuple(f"{caveat}: no interval" for caveat in caveats))
    notes = refused(influences, [mean], sample, LEAST_SHOWN, "no interval")
    if notes:
        return Estimate(mean.estimate, None, None, n, notes)
    return Estimate(mean.estimate, *LogitInterval(mean, runs.step).bounds((1 - LEVEL) / 2), n)
