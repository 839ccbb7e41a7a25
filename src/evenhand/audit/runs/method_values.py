"""An estimand in the runs of one method: of each run, and of the mean over runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from evenhand.audit.measures.calibration import BELOW_ZERO
from evenhand.audit.measures.influence import Influence
from evenhand.audit.reading import Estimate
from evenhand.audit.runs.by_unit import Bounded
from evenhand.audit.runs.rates import Levels


@dataclass(frozen=True)
class Values:
    """An estimand in the runs of a method.

    Attributes:
        of_runs: by seed; where it is undefined with the reason as the first note.
        mean: over the runs in which it is defined.
        defined: their seeds.
        smallest: the fewest examples in a denominator of any run; None without runs.
    """

    of_runs: dict[int, Estimate]
    mean: Estimate
    defined: list[int]
    smallest: int | None


def of_subset(levels: Levels, index: int, seeds: Sequence[int]) -> Values:
    """The values of one subset, taken from those that were computed for all subsets at once."""
    mean = levels.mean
    low, high = levels.low[index].tolist(), levels.high[index].tolist()
    bounds = [(None, None) if math.isnan(lower) else (lower, upper) for lower, upper in zip(low, high, strict=True)]
    values, counts = mean.values[index].tolist(), levels.counts[index].tolist()
    of_runs = {seed: Estimate(values[j], *bounds[j], counts[j]) for j, seed in enumerate(seeds)}
    whole = Estimate(float(mean.estimate[index]), *bounds[-1], int(mean.units[index]))
    return Values(of_runs, whole, list(seeds), int(levels.smallest[index]))


def estimate_of(influences: Sequence[Influence], bounded: Bounded, n: int) -> Estimate:
    """The estimate of one run or of several, from its value and bounds, with the corrected calibration error."""
    reasons = sorted({influence.reason for influence in influences if influence.reason}) if len(influences) == 1 else []
    corrected = None
    squared = math.fsum(influence.squared for influence in influences) / len(influences)
    if squared >= 0:
        corrected = math.sqrt(squared)
    elif squared < 0:
        reasons.append(BELOW_ZERO)
    value, low, high, notes = bounded
    reasons = [reason for reason in reasons if not any(note.startswith(reason) for note in notes)]
    return Estimate(value, low, high, n, (*reasons, *notes), corrected)
