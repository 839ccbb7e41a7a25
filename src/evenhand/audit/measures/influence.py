"""Measures of one run in linear form: a value, and what each example contributes to its error.

A contribution is the example's influence on the measure divided by the sample's size (Σ = 0), so that the variance of
the value is about the sum of squared influence. Where a measure has a kink (max − min, |g − complement|), the
influence is the one at the groups that are extreme in this run; for its expectation over samples (`Influence.softened`)
every group counts by the chance that it is extreme.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce

import numpy as np

from evenhand.audit.measures.run_data import BASE, Base, Rate, RunData, RunSubset
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
        """What one more example can change the value by."""
        return float(self.weights.max())

    @property
    def error(self) -> float:
        """The binomial standard error at the effective sample size, with two pseudo-examples: above 0 at 0 and 1."""
        size = 1 / float((self.weights**2).sum())
        value = (self.value * size + 1) / (size + 2)
        return math.sqrt(value * (1 - value) / size)


@dataclass(frozen=True, eq=False)
class Influence:
    """A measure of one run in linear form.

    `rows`, `shares` and `smallest` depend on labels and groups only, so that two methods on the same examples agree
    in them.

    Attributes:
        value: nan when undefined.
        rows: int [k], the examples that the measure rests on, positions in the run.
        influence: float [k], Σ = 0.
        weights: float [k], each example's share of the sample, Σ = 1.
        active: bool [k], examples of the groups that the value is made of.
        smallest: the smallest number of examples in a denominator.
        max_unit_change: what one more example can change the value by; None where that is not bounded by a weight.
        squared: the debiased squared value, whose root corrects a plug-in calibration error; nan when there is none.
        reason: why the value is undefined, or what must be known about it.
        between: by rate, the groups' rates; the value is the largest of the rates' max − min. Empty for others.
    """

    value: float
    rows: np.ndarray
    influence: np.ndarray
    weights: np.ndarray
    active: np.ndarray
    smallest: int
    max_unit_change: float | None = None
    squared: float = math.nan
    reason: str | None = None
    between: tuple[Sequence[RateInfluence], ...] = ()

    @cached_property
    def softened(self) -> np.ndarray:
        """float [k], Σ = 0: influence to the value's expectation at these sizes; those to the value without kink.

        Each group's influence are weighted by the slope of the expectation in its rate, given all groups' rates and
        their standard errors.
        """
        if not self.between:
            return self.influence
        values = [np.array([one.value for one in rate]) for rate in self.between]
        errors = [np.array([one.error for one in rate]) for rate in self.between]
        by_rate = range_slopes(values, errors)
        if len(by_rate) == 1 and len(by_rate[0]) == 2:  # the same two groups: nothing to add up
            return float(by_rate[0].max()) * self.influence
        spread = np.zeros(int(self.rows[-1]) + 1)
        for rate, slopes in zip(self.between, by_rate, strict=True):
            for one, slope in zip(rate, slopes, strict=True):
                if slope:
                    spread[one.rows] += slope * one.influence
        return spread[self.rows]


def undefined(reason: str, smallest: int = 0) -> Influence:
    """A measure that does not exist for this run, with the reason."""
    none = np.empty(0)
    return Influence(math.nan, none.astype(np.int64), none, none, none.astype(bool), smallest, reason=reason)


@dataclass(frozen=True)
class RateOf:
    """Computes a rate of the members of a subset."""

    rate: Rate

    def __call__(self, view: RunData, place: RunSubset) -> Influence:
        one = _share(view, self.rate, view.base(place.rows, BASE[self.rate]))
        return undefined(_absent(self.rate)) if one is None else as_influence(one)


@dataclass(frozen=True)
class GapOf:
    """Computes the largest difference of some rates: between the groups of an attribute, or a group and its rest."""

    rates: tuple[Rate, ...]

    @property
    def bases(self) -> tuple[Base, ...]:
        """What groups need enough of to be among those of an attribute that are compared."""
        return tuple(BASE[rate] for rate in self.rates)

    def __call__(self, view: RunData, place: RunSubset) -> Influence:
        between = _range_of_groups if place.level == "attribute" else _to_complement
        return reduce(larger, (between(view, place, rate) for rate in self.rates))


@dataclass(frozen=True)
class LowestOf:
    """Computes the lowest rate over an attribute's groups.

    Its contrasts keep the influence at the worst group: softened, they covered .92 where harm in a small group makes
    it the worst.
    """

    rate: Rate

    @property
    def bases(self) -> tuple[Base, ...]:
        """What groups need enough of to be among those whose lowest is taken."""
        return (BASE[self.rate],)

    def __call__(self, view: RunData, place: RunSubset) -> Influence:
        groups = _eligible(view, place, self.rate)
        if not groups:
            return undefined(_too_few(BASE[self.rate], "no group has"))
        worst = min(groups, key=lambda one: one.value)
        spread = np.zeros(len(view.label))
        spread[worst.rows] = worst.influence
        smallest = min(len(one.rows) for one in groups)
        return _spread(view, place, worst.value, spread, worst.rows, smallest, worst.max_unit_change)


def as_influence(one: RateInfluence) -> Influence:
    """A share as a measure's effect."""
    active = np.ones(len(one.rows), dtype=bool)
    return Influence(one.value, one.rows, one.influence, one.weights, active, len(one.rows), one.max_unit_change)


def _to_complement(view: RunData, place: RunSubset, rate: Rate) -> Influence:
    """|rate of the group − rate of its complement|."""
    inside, outside = (view.base(rows, BASE[rate]) for rows in (place.rows, place.others))
    ours, theirs = _share(view, rate, inside), _share(view, rate, outside)
    smallest = min(len(inside), len(outside))
    if ours is None:
        return undefined(_absent(rate), smallest)
    if theirs is None:
        return undefined(_absent(rate) + " outside the group", smallest)
    return _range(view, place, [ours, theirs])


def _range_of_groups(view: RunData, place: RunSubset, rate: Rate) -> Influence:
    """Largest minus smallest rate over the eligible groups."""
    groups = _eligible(view, place, rate)
    if len(groups) < 2:
        return undefined(_too_few(BASE[rate]))
    return _range(view, place, groups)


def larger(first: Influence, second: Influence) -> Influence:
    """The effect with the larger value; undefined when either is."""
    for effect in (first, second):
        if math.isnan(effect.value):
            return effect
    return replace(
        first if first.value >= second.value else second,
        smallest=min(first.smallest, second.smallest),
        max_unit_change=max(first.max_unit_change or 0.0, second.max_unit_change or 0.0),
        between=first.between + second.between,
    )


def share_of(view: RunData, outcome: np.ndarray, rows: np.ndarray) -> RateInfluence | None:
    """The share of some examples, int [k], that have an outcome, bool [n]; None without any."""
    weight = view.weight[rows]
    total = weight.sum()
    if not total > 0:
        return None
    outcome = outcome[rows]
    value = float(weight[outcome].sum() / total)  # one division, so that all of them is exactly 1
    shares = weight / total
    return RateInfluence(value, rows, shares * (outcome - value), shares)


def _share(view: RunData, rate: Rate, rows: np.ndarray) -> RateInfluence | None:
    """A rate of some examples; None without any."""
    return share_of(view, view.outcome(rate), rows)


def _eligible(view: RunData, place: RunSubset, rate: Rate) -> list[RateInfluence]:
    found = (_share(view, rate, view.base(place.members[index], BASE[rate])) for index in place.eligible[BASE[rate]])
    return [one for one in found if one is not None]


def _range(view: RunData, place: RunSubset, groups: Sequence[RateInfluence]) -> Influence:
    """The largest rate minus the smallest."""
    # The first of the highest and the last of the lowest: two groups, even where all are equal.
    top, low = max(groups, key=lambda one: one.value), min(reversed(groups), key=lambda one: one.value)
    spread = np.zeros(len(view.label))
    spread[top.rows] += top.influence
    spread[low.rows] -= low.influence
    smallest = min(len(one.rows) for one in groups)
    extreme = np.concatenate([top.rows, low.rows])
    effect = _spread(
        view, place, top.value - low.value, spread, extreme, smallest, max(top.max_unit_change, low.max_unit_change)
    )
    return replace(effect, between=(groups,))


def _spread(
    view: RunData, place: RunSubset, value: float, spread: np.ndarray, extreme: np.ndarray, smallest: int, step: float
) -> Influence:
    """An effect over everyone whom the attribute or the group and its complement hold."""
    rows = place.rows if place.level == "attribute" else place.both
    shares = view.weight[rows] / view.weight[rows].sum()
    active = np.zeros(len(view.label), dtype=bool)
    active[extreme] = True
    return Influence(value, rows, spread[rows], shares, active[rows], smallest, step)


def _absent(rate: Rate) -> str:
    return {"all": "no test examples", "positive": "no positive examples", "negative": "no negative examples"}[
        BASE[rate]
    ]


def _too_few(base: Base, who: str = "fewer than two groups have") -> str:
    kind = {"all": "test examples", "positive": "positive examples", "negative": "negative examples"}[base]
    return f"{who} enough {kind} in every run"
