"""The intervals of areas under curves, and where they are refused.

`stats.ranking` has the intervals and what makes them valid; `tests/coverage/test_areas.py` the simulations behind the
three numbers below.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from evenhand.audit.comparisons import in_some_run
from evenhand.audit.measures.influence import Influence
from evenhand.audit.runs.allowance import Allowance, Difference, Sample
from evenhand.stats.differences import Apart, Interval
from evenhand.stats.ranking import LogitInterval, SkewedInterval, distance_in_units

LEAST_JUDGED = 30
"""The fewest effective units of each class from which a comparison of areas is judged."""
LEAST_SHOWN = 10
"""The fewest from which an area has an interval."""
LEAST_DISTANCE = 5
"""The fewest effective units that the distance of an area from 0 or 1 must rest on."""
WIDENED = "the interval allows for one more example like the one that matters most"


class AreaAllowance(Allowance):
    """The logit scale of areas, and one more example like the one that matters most."""

    note = WIDENED

    def level(self, sample: Sample) -> Interval:
        return _logit(sample)

    def change(self, sample: Sample) -> Interval:
        return SkewedInterval.of(sample.mean, sample.contributions)

    def difference(self, difference: Difference, values: int = 1) -> Interval:
        first, second = (_logit(sample).over(values) for sample in (difference.first, difference.second))
        # Runs move both sides, and so do units of both.
        return Apart(difference.whole, first, second, values, difference.correlation)

    def gap_change(self, difference: Difference, changes: Sequence[Interval]) -> Interval:
        return SkewedInterval.of(difference.whole, difference.totals)

    def refused(self, influences: Sequence[Influence], samples: Sequence[Sample], word: str) -> tuple[str, ...]:
        caveats = sorted({influence.reason for influence in influences if influence.reason})
        if caveats and any(sample.mean.estimate in (0, 1) or not sample.mean.variance > 0 for sample in samples):
            return tuple(f"{caveat}: no interval" for caveat in caveats)
        return _too_few(influences, samples, word, LEAST_SHOWN, "no interval")

    def doubts(self, influences: Sequence[Influence], difference: Difference, word: str) -> tuple[str, ...]:
        return _not_judged(influences, (difference.first, difference.second), word)

    def doubts_on_change(
        self, influences: Sequence[Influence], change: Sample, levels: Callable[[], Sequence[Sample]], word: str
    ) -> tuple[str, ...]:
        return _not_judged(influences, levels(), word)


def _not_judged(influences: Sequence[Influence], samples: Sequence[Sample], word: str) -> tuple[str, ...]:
    return _too_few(influences, samples, word, LEAST_JUDGED, "shown, not judged")


def _logit(sample: Sample) -> LogitInterval:
    return LogitInterval(sample.mean, float(np.abs(sample.contributions).max(initial=0.0)))


def _too_few(
    influences: Sequence[Influence],
    samples: Sequence[Sample],
    word: str,
    least: int,
    instead: str,
) -> tuple[str, ...]:
    """Why there is no interval, as a note; empty where there is one.

    Args:
        influences: on the areas, of all runs and sides.
        samples: the areas, means over runs.
        word: for what is counted.
        least: effective units that each class needs.
        instead: the end of the note.
    """
    areas = [sample.mean for sample in samples]
    rarer = min((each.ranking for each in influences if each.ranking is not None), key=lambda ranking: ranking.units)
    if rarer.units < least - 1e-9:  # rounding must not decide
        runs = max(area.runs for area in areas)
        return (f"fewer than {least} {rarer.rarer} {word}{in_some_run(runs)}: {instead}",)
    nearest = min(areas, key=distance_in_units)
    if distance_in_units(nearest) < LEAST_DISTANCE:
        end = round(nearest.estimate)
        return (f"the distance from {end} rests on fewer than {LEAST_DISTANCE} effective {word}: {instead}",)
    return ()
