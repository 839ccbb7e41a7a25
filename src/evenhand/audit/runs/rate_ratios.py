"""Estimates of ratios of rates between groups and whom they are compared with, in each run and over runs.

Over runs it is the ratio of the mean rates, and not the mean of ratios, which one run with a rate near 0 would decide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from evenhand.audit.design import OVERALL, REST
from evenhand.audit.estimands import Estimand, Subset
from evenhand.audit.measures.measure import Measure
from evenhand.audit.measures.ratios import Between
from evenhand.audit.reading import LEVEL, Estimate
from evenhand.audit.runs.gap_evidence import gap_of_runs, gap_runs, sides_of, smallest_of
from evenhand.audit.runs.rest_gaps import GapsToRest
from evenhand.stats.ratios import TwoProportions

IN_WORDS = {REST: "the rest", OVERALL: "everybody"}


def ratio_estimates(
    gaps: GapsToRest, estimand: Estimand, rate: Measure, opposite: Subset, method: str
) -> tuple[list[Estimate], int | None]:
    """The estimate of each run of a method, and last that over runs.

    Args:
        gaps: of the evaluation.
        estimand: whose measure is between two rates.
        rate: the measure that the rate is.
        opposite: whom the group is compared with.
        method: whose runs.

    Returns:
        The estimates, and the fewest examples on a side in any run; None where no run has both rates. Undefined ones
        are None with the reason.
    """
    between: Any = estimand.measure.influence
    of_rate = replace(estimand, measure=rate)
    named = IN_WORDS.get(opposite.name_against, opposite.name_against)
    closed = gaps.gaps(of_rate, method)
    if closed is not None and closed[0].defined(closed[1]):
        of_method, index = closed
        plain, smallest = of_method.estimates(index)
        sides = of_method.proportions(index)
        estimates = [_estimate(between, each, estimate.n, named) for each, estimate in zip(sides, plain, strict=True)]
        return _against(estimates, opposite), smallest
    reader = gaps.rates.reader
    defined = gap_runs(reader, of_rate, opposite, method)
    by_run = {id(parts[0]): parts for parts in defined}
    estimates = []
    for run in reader.runs_of(method):
        if id(run) in by_run:
            gap = gap_of_runs(reader, [by_run[id(run)]], of_rate.measure)
            estimates.append(_estimate(between, gap.proportions, len(gap.units), named))
            continue
        reasons = [reader.influence(run, side).reason for side in sides_of(of_rate, opposite)[:2]]
        reason = f"{reasons[0]} in the group" if reasons[0] else f"{reasons[1] or 'no test examples'} in {named}"
        estimates.append(Estimate(None, None, None, 0, (reason,)))
    if not defined:
        reasons = sorted({note for estimate in estimates for note in estimate.notes})
        return _against([*estimates, Estimate(None, None, None, 0, tuple(reasons))], opposite), None
    gap = gap_of_runs(reader, defined, of_rate.measure)
    estimates.append(_estimate(between, gap.proportions, len(gap.units), named))
    return _against(estimates, opposite), smallest_of(defined)


def _against(estimates: Sequence[Estimate], opposite: Subset) -> list[Estimate]:
    return [replace(estimate, against=opposite.name_against) for estimate in estimates]


def _estimate(between: Between, sides: TwoProportions, n: int | None, named: str) -> Estimate:
    """The estimate from the rates of both sides; without an interval from a single unit."""
    reason = between.undefined(sides)
    if reason is not None:
        rate = between.rate.replace("_", " ")
        return Estimate(None, None, None, n, (f"the {rate} of {named} {reason}",))
    if math.isnan(sides.whole.variance):
        value, *_ = between(replace(sides, whole=replace(sides.whole, variance=0.0)), 0.025)
        return Estimate(value, None, None, n)
    value, low, high = between(sides, (1 - LEVEL) / 2)
    return Estimate(value, None, None, n) if math.isnan(low + high) else Estimate(value, low, high, n)
