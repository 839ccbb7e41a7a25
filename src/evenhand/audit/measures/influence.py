"""A measure of one run as a value and the influence of each example on it (its linear form).

The influence of an example is that of robust statistics divided by the sample's size (Σ = 0), so that the variance of
the value is about the sum of squared influences. Where a measure has a kink (max − min, |g − complement|), the
influence is the one at the groups that are extreme in this run; for its expectation over samples (`Influence.softened`)
every group counts by the chance that it is extreme.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Literal

import numpy as np

from evenhand.audit.measures.run_data import BASE, LACKING, Base, PredictiveValue, Rate, RunData, RunSubset
from evenhand.audit.measures.steps import LabelScores, Steps
from evenhand.metrics.pooled_bins import SquaredError
from evenhand.stats.contrast import compact
from evenhand.stats.extremes import range_slopes


@dataclass(frozen=True, eq=False)
class RateInfluence:
    """A rate in linear form.

    Attributes:
        value: the weighted share of examples with the outcome.
        rows: int [k], the examples of the denominator, positions in the run.
        influence: float [k], Σ = 0.
        weights: float [k], the weights over their sum.
    """

    value: float
    rows: np.ndarray
    influence: np.ndarray
    weights: np.ndarray

    @property
    def max_unit_change(self) -> float:
        """The most that one more example can change the value by."""
        return float(self.weights.max())

    @property
    def error(self) -> float:
        """The binomial standard error at the effective sample size, with two pseudo-examples: above 0 at 0 and 1."""
        size = 1 / float((self.weights**2).sum())
        value = (self.value * size + 1) / (size + 2)
        return math.sqrt(value * (1 - value) / size)


@dataclass(frozen=True)
class Ranking:
    """How many units of each class a ranking compares, at least.

    Attributes:
        units: the effective number of units of the rarer class.
        rarer: which class that is.
    """

    units: float
    rarer: Literal["positive", "negative"]


@dataclass(frozen=True)
class Unbounded:
    """When a measure of numbers without a known range is judged, whose interval allows for their skewness.

    Attributes:
        least_units: the fewest units of a side.
        remedy: what to do where it is not, in words.
    """

    least_units: int
    remedy: str


@dataclass(frozen=True, eq=False)
class Influence:
    """A measure of one run in linear form.

    `rows`, `weights` and `smallest` depend on labels and groups only, so that two methods on the same examples agree in
    them; but for predictive values and F1, whose denominators depend on predictions (see `aligned`).

    Attributes:
        value: nan when undefined.
        rows: int [k], the examples that the measure is computed from, positions in the run.
        influence: float [k], Σ = 0.
        weights: float [k], each example's share of the sample, Σ = 1.
        active: bool [k], examples of the groups that determine the value (of a range, the two extreme ones).
        smallest: the smallest number of resampling units in a denominator.
        max_unit_change: the most that one more example can change the value by; None where no weight bounds that.
        squared: the debiased squared value, whose root corrects a plug-in calibration error; nan when there is none.
        calibration: of a debiased calibration error, what it cannot see; None for others.
        reason: why the value is undefined, or a caveat about it.
        between: by rate, the groups' rates; the value is the largest of the rates' max − min. Empty for others.
        steps: the most that one more example can raise and lower the value by, which score intervals rest on; None
            where the interval is another one.
        ranking: of an area under a curve, how many units it compares; None for others.
        unbounded: of numbers without a known range, when they are judged; None of others.
        parts: float [k], of a mean of numbers in [0, 1] that need not be 0 or 1, that of each example; None for others.
        of_pairs: of a share of pairs of runs of one method, whose error over runs is skewed, which pairs count: those
            that `agree` or those that `differ`; None for others.
    """

    value: float
    rows: np.ndarray
    influence: np.ndarray
    weights: np.ndarray
    active: np.ndarray
    smallest: int
    max_unit_change: float | None = None
    squared: float = math.nan
    calibration: SquaredError | None = None
    reason: str | None = None
    between: tuple[Sequence[RateInfluence], ...] = ()
    steps: Steps | LabelScores | None = None
    ranking: Ranking | None = None
    unbounded: Unbounded | None = None
    parts: np.ndarray | None = None
    of_pairs: Literal["agree", "differ"] | None = None

    @cached_property
    def softened(self) -> np.ndarray:
        """float [k], Σ = 0: the influence on the value's expectation at these sizes; `influence` without a kink.

        Each group's influence is weighted by the slope of the expectation in its rate, given all groups' rates and
        their standard errors.
        """
        if not self.between:
            return self.influence
        values = [np.array([group.value for group in rate]) for rate in self.between]
        errors = [np.array([group.error for group in rate]) for rate in self.between]
        slopes = range_slopes(values, errors)
        if len(slopes) == 1 and len(slopes[0]) == 2:  # the same two groups: nothing to add up
            return float(slopes[0].max()) * self.influence
        spread = np.zeros(int(self.rows[-1]) + 1)
        for rate, group_slopes in zip(self.between, slopes, strict=True):
            for group, slope in zip(rate, group_slopes, strict=True):
                if slope:
                    spread[group.rows] += slope * group.influence
        return spread[self.rows]


def undefined(reason: str, smallest: int = 0) -> Influence:
    """The influence of a measure that is undefined in this run, with the reason."""
    none = np.empty(0)
    return Influence(math.nan, none.astype(np.int64), none, none, none.astype(bool), smallest, reason=reason)


@dataclass(frozen=True)
class RateOf:
    """Computes a rate of the members of a subset."""

    rate: Rate

    def __call__(self, data: RunData, subset: RunSubset) -> Influence:
        rate_influence = _share(data, self.rate, data.base(subset.rows, BASE[self.rate]))
        return undefined(absent(self.rate)) if rate_influence is None else as_influence(rate_influence)


@dataclass(frozen=True)
class GapOf:
    """Computes the largest difference of some rates: between the groups of an attribute, or a group and its rest."""

    rates: tuple[Rate, ...]

    def __call__(self, data: RunData, subset: RunSubset) -> Influence:
        if subset.level != "attribute":
            return reduce(larger, (_to_complement(data, subset, rate) for rate in self.rates))
        kept = eligible_for(subset.eligible, self.rates)
        return reduce(larger, (_range_of_groups(data, subset, rate, kept) for rate in self.rates))


@dataclass(frozen=True)
class LowestOf:
    """Computes the lowest rate over an attribute's groups.

    Its contrasts keep the influence at the worst group: softened, they covered .92 where harm in a small group makes
    it the worst.
    """

    rate: Rate

    @property
    def rates(self) -> tuple[Rate, ...]:
        """The rates that a group needs enough examples for."""
        return (self.rate,)

    def __call__(self, data: RunData, subset: RunSubset) -> Influence:
        groups = _eligible(data, subset, self.rate, eligible_for(subset.eligible, self.rates))
        if not groups:
            return undefined(_too_few(BASE[self.rate], "no group has"))
        worst = min(groups, key=lambda group: group.value)
        spread = np.zeros(len(data.label))
        spread[worst.rows] = worst.influence
        smallest = min(data.count(group.rows) for group in groups)
        return _spread(data, subset, worst.value, spread, worst.rows, smallest, worst.max_unit_change)


@dataclass(frozen=True)
class SpreadOf:
    """Computes the spread of a rate over the groups of an attribute: Σ ω (ℓ² − its expectation without any spread).

    ℓ is a group's rate minus the overall rate, ω the group's share of the groups' weights. What chance adds to ℓ² is
    subtracted, so that the expectation is 0 where all rates are equal; a single value may be negative.
    """

    rate: Rate

    @property
    def rates(self) -> tuple[Rate, ...]:
        """The rates that a group needs enough examples for."""
        return (self.rate,)

    def __call__(self, data: RunData, subset: RunSubset) -> Influence:
        groups = _eligible(data, subset, self.rate, eligible_for(subset.eligible, self.rates))
        overall = _share(data, self.rate, data.base(subset.rows, BASE[self.rate]))
        if len(groups) < 2 or overall is None:
            return undefined(_too_few(BASE[self.rate]))
        weights = np.array([data.weight[group.rows].sum() for group in groups])
        units = None if data.unit is None else compact(data.unit[overall.rows])[1]
        value, spread = 0.0, np.zeros(len(data.label))
        for share, group in zip(weights / weights.sum(), groups, strict=True):
            influence = np.zeros(len(data.label))
            influence[overall.rows] -= overall.influence
            influence[group.rows] += group.influence
            distance = group.value - overall.value
            value += share * (distance**2 - _chance(influence[overall.rows], units))
            spread += share * 2 * distance * influence
        smallest = min(data.count(group.rows) for group in groups)
        return replace(_spread(data, subset, value, spread, overall.rows, smallest, 0.0), max_unit_change=None)


def _chance(influence: np.ndarray, units: np.ndarray | None) -> float:
    """The variance of a rate's distance from the overall rate: U/(U − 1) · Σ over units of squared influences.

    Args:
        influence: float [n], of each example.
        units: int [n], the units 0 … U − 1; None: each example is a unit.
    """
    by_unit = influence if units is None else np.bincount(units, influence)
    count = len(by_unit)
    return count / (count - 1) * float(by_unit @ by_unit) if count > 1 else 0.0


def as_influence(rate: RateInfluence) -> Influence:
    """A rate as a measure of its own."""
    active = np.ones(len(rate.rows), dtype=bool)
    return Influence(rate.value, rate.rows, rate.influence, rate.weights, active, len(rate.rows), rate.max_unit_change)


def _to_complement(data: RunData, subset: RunSubset, rate: Rate) -> Influence:
    """|rate of the group − rate of its complement|."""
    inside, outside = (data.base(rows, BASE[rate]) for rows in (subset.rows, subset.others))
    ours, theirs = _share(data, rate, inside), _share(data, rate, outside)
    smallest = min(data.count(inside), data.count(outside))
    if ours is None:
        return undefined(absent(rate), smallest)
    if theirs is None:
        return undefined(absent(rate) + " outside the group", smallest)
    return _range(data, subset, [ours, theirs])


def _range_of_groups(data: RunData, subset: RunSubset, rate: Rate, eligible: Sequence[int]) -> Influence:
    """Largest minus smallest rate over the eligible groups."""
    groups = _eligible(data, subset, rate, eligible)
    if len(groups) < 2:
        return undefined(_too_few(BASE[rate]))
    return _range(data, subset, groups)


def larger(first: Influence, second: Influence) -> Influence:
    """The influence with the larger value; undefined when either is."""
    for influence in (first, second):
        if math.isnan(influence.value):
            return influence
    return replace(
        first if first.value >= second.value else second,
        smallest=min(first.smallest, second.smallest),
        max_unit_change=max(first.max_unit_change or 0.0, second.max_unit_change or 0.0),
        between=first.between + second.between,
    )


def aligned(first: Influence, second: Influence) -> tuple[Influence, Influence]:
    """Two influences on the same examples, those of either; an example that one of them does not count moves it by 0.

    The weights of both are the mean of theirs. Where both count the same examples nothing changes.
    """
    if first.rows is second.rows or np.array_equal(first.rows, second.rows):
        return first, second
    rows = np.union1d(first.rows, second.rows)
    parts = []
    for one in (first, second):
        place = np.searchsorted(rows, one.rows)
        influence, weights, active = np.zeros(len(rows)), np.zeros(len(rows)), np.zeros(len(rows), dtype=bool)
        influence[place], weights[place], active[place] = one.influence, one.weights, one.active
        parts.append((influence, weights, active))
    weights = (parts[0][1] + parts[1][1]) / 2
    ours, theirs = (
        replace(one, rows=rows, influence=influence, weights=weights, active=active)
        for one, (influence, _, active) in zip((first, second), parts, strict=True)
    )
    return ours, theirs


def share_of(data: RunData, outcome: np.ndarray, rows: np.ndarray) -> RateInfluence | None:
    """The share of some examples, int [k], that have an outcome, bool [n]; None without any."""
    weight = data.weight[rows]
    total = weight.sum()
    if not total > 0:
        return None
    outcome = outcome[rows]
    value = float(weight[outcome].sum() / total)  # one division, so that all of them is exactly 1
    shares = weight / total
    return RateInfluence(value, rows, shares * (outcome - value), shares)


def _share(data: RunData, rate: Rate, rows: np.ndarray) -> RateInfluence | None:
    """A rate of some examples; None without any."""
    return share_of(data, data.outcome(rate), rows)


def eligible_for(eligible: Mapping[Base, Sequence[int]], rates: Sequence[Rate]) -> list[int]:
    """The groups with enough examples for all of these rates: a group is in a measure or out of it as a whole."""
    return sorted(set.intersection(*(set(eligible[BASE[rate]]) for rate in rates)))


def _eligible(data: RunData, subset: RunSubset, rate: Rate, eligible: Sequence[int]) -> list[RateInfluence]:
    """The rate of each eligible group."""
    groups = (_share(data, rate, data.base(subset.members[index], BASE[rate])) for index in eligible)
    return [group for group in groups if group is not None]


def _range(data: RunData, subset: RunSubset, groups: Sequence[RateInfluence]) -> Influence:
    """The largest rate minus the smallest."""
    # The first of the highest and the last of the lowest: two groups, even where all are equal.
    top, low = max(groups, key=lambda group: group.value), min(reversed(groups), key=lambda group: group.value)
    spread = np.zeros(len(data.label))
    spread[top.rows] += top.influence
    spread[low.rows] -= low.influence
    smallest = min(data.count(group.rows) for group in groups)
    extreme = np.concatenate([top.rows, low.rows])
    influence = _spread(
        data, subset, top.value - low.value, spread, extreme, smallest, max(top.max_unit_change, low.max_unit_change)
    )
    return replace(influence, between=(groups,))


def _spread(
    data: RunData, subset: RunSubset, value: float, spread: np.ndarray, extreme: np.ndarray, smallest: int, step: float
) -> Influence:
    """The influence over everyone in the attribute's groups, or in the group and its complement.

    Args:
        spread: float [n], the influence of each example of the run.
        extreme: int [m], the examples that determine the value.
    """
    rows = subset.rows if subset.level == "attribute" else subset.both
    shares = data.weight[rows] / data.weight[rows].sum()
    active = np.zeros(len(data.label), dtype=bool)
    active[extreme] = True
    return Influence(value, rows, spread[rows], shares, active[rows], smallest, step)


def absent(rate: Rate | PredictiveValue) -> str:
    """Why a rate without a denominator is undefined."""
    return f"no {LACKING[BASE[rate]]}"


def _too_few(base: Base, who: str = "fewer than two groups have") -> str:
    """Why a comparison of groups with too few examples is undefined."""
    return f"{who} enough {LACKING[base]} in every run"
