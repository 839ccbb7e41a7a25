"""Finds what the intervals of a measure allow for, from its influences."""

from __future__ import annotations

from collections.abc import Sequence

from evenhand.audit.measures.influence import Influence
from evenhand.audit.runs.allowance import Allowance
from evenhand.audit.runs.areas import AreaAllowance
from evenhand.audit.runs.score_steps import StepAllowance
from evenhand.audit.runs.skewness import SkewnessAllowance


def allowance_of(influences: Sequence[Influence]) -> Allowance | None:
    """The allowance of a measure; None where the two-way variance, or the rules of rates, are enough.

    Args:
        influences: on the measure, of all runs and sides.
    """
    if all(influence.ranking is not None for influence in influences):
        return AreaAllowance()
    if all(influence.steps is not None for influence in influences):
        return StepAllowance()
    unbounded = [influence.unbounded for influence in influences if influence.unbounded is not None]
    return SkewnessAllowance(unbounded[0]) if unbounded else None
