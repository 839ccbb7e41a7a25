"""Measures of one run in linear form: a value, and what each example contributes to its error.

A contribution is the example's influence on the measure divided by the sample's size (Σ = 0), so that the variance of
the value is about the sum of squared contributions. Where a measure has a kink (max − min, |g − complement|), the
influence is the one at the groups that are extreme in this run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

Level = Literal["everyone", "group", "attribute"]
Rate = Literal["accuracy", "selection_rate", "true_positive_rate", "false_positive_rate"]
Base = Literal["all", "positive", "negative"]

BASE: Mapping[Rate, Base] = {
    "accuracy": "all",
    "selection_rate": "all",
    "true_positive_rate": "positive",
    "false_positive_rate": "negative",
}
"""The examples that a rate is a share of."""


@dataclass(frozen=True, eq=False)
class View:
    """One run as measures see it.

    Attributes:
        label, predicted: int [n].
        probabilities: float64 [n, C], or None.
        weight: float [n].
        positive: code of the positive class; None for a measure of all classes at once.
    """

    label: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray | None
    weight: np.ndarray
    positive: int | None

    @cached_property
    def hit(self) -> np.ndarray:
        return self.predicted == self.label

    @cached_property
    def selected(self) -> np.ndarray:
        return self.predicted == self.positive

    @cached_property
    def actual(self) -> np.ndarray:
        return self.label == self.positive

    def outcome(self, rate: Rate) -> np.ndarray:
        """bool [n]: what the rate counts."""
        return self.hit if rate == "accuracy" else self.selected

    def base(self, rows: np.ndarray, base: Base) -> np.ndarray:
        """Those of `rows` that are in the rate's denominator."""
        if base == "all":
            return rows
        return rows[self.actual[rows] == (base == "positive")]


@dataclass(frozen=True, eq=False)
class Place:
    """Where a measure is taken, as positions in one run.

    Attributes:
        level: everyone, one group, or an attribute's groups together.
        rows: the members (everyone, group), or all for whom the attribute is defined (attribute).
        others: the group's complement.
        both: members and complement, ascending.
        members: by group (attribute).
        eligible: by the base of a rate, the indices of the groups with enough of it in every run.
    """

    level: Level
    rows: np.ndarray
    others: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    both: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    members: Sequence[np.ndarray] = ()
    eligible: Mapping[Base, Sequence[int]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Effect:
    """A measure of one run in linear form.

    `rows`, `shares` and `smallest` depend on labels and groups only, so that two methods on the same examples agree
    in them.

    Attributes:
        value: nan when undefined.
        rows: int [k], the examples that the measure rests on, positions in the run.
        contributions: float [k], Σ = 0.
        shares: float [k], each example's share of the sample, Σ = 1.
        active: bool [k], examples of the groups that the value is made of.
        smallest: the smallest number of examples in a denominator.
        step: what one more example can change the value by; None where that is not bounded by a weight.
        squared: the debiased squared value, whose root corrects a plug-in calibration error; nan when there is none.
        reason: why the value is undefined, or what must be known about it.
    """

    value: float
    rows: np.ndarray
    contributions: np.ndarray
    shares: np.ndarray
    active: np.ndarray
    smallest: int
    step: float | None = None
    squared: float = math.nan
    reason: str | None = None


def undefined(reason: str, smallest: int = 0) -> Effect:
    """A measure that does not exist for this run, with the reason."""
    none = np.empty(0)
    return Effect(math.nan, none.astype(np.int64), none, none, none.astype(bool), smallest, reason=reason)


def rate_effect(view: View, place: Place, rate: Rate) -> Effect:
    """A rate of the members of a place."""
    rows = view.base(place.rows, BASE[rate])
    part = _mean(view, rate, rows)
    if part is None:
        return undefined(_absent(rate))
    value, contributions, shares = part
    active = np.ones(len(rows), dtype=bool)
    return Effect(value, rows, contributions, shares, active, len(rows), float(shares.max()))


def complement_effect(view: View, place: Place, rate: Rate) -> Effect:
    """|rate of the group − rate of its complement|."""
    inside, outside = (view.base(rows, BASE[rate]) for rows in (place.rows, place.others))
    ours, theirs = _mean(view, rate, inside), _mean(view, rate, outside)
    smallest = min(len(inside), len(outside))
    if ours is None:
        return undefined(_absent(rate), smallest)
    if theirs is None:
        return undefined(_absent(rate) + " outside the group", smallest)
    sign = 1.0 if ours[0] >= theirs[0] else -1.0
    spread = np.zeros(len(view.label))
    spread[inside] += sign * ours[1]
    spread[outside] -= sign * theirs[1]
    step = max(float(ours[2].max()), float(theirs[2].max()))
    extreme = np.concatenate([inside, outside])
    return _spread(view, place, abs(ours[0] - theirs[0]), spread, extreme, smallest, step)


def range_effect(view: View, place: Place, rate: Rate) -> Effect:
    """Largest minus smallest rate over the eligible groups."""
    parts = _parts(view, place, rate)
    if len(parts) < 2:
        return undefined(_too_few(BASE[rate]))
    top = max(parts, key=lambda part: part[1][0])
    low = min(parts, key=lambda part: part[1][0])
    spread = np.zeros(len(view.label))
    np.add.at(spread, top[0], top[1][1])
    np.subtract.at(spread, low[0], low[1][1])
    step = max(float(top[1][2].max()), float(low[1][2].max()))
    smallest = min(len(rows) for rows, _ in parts)
    extreme = np.concatenate([top[0], low[0]])
    return _spread(view, place, top[1][0] - low[1][0], spread, extreme, smallest, step)


def worst_effect(view: View, place: Place, rate: Rate) -> Effect:
    """The smallest rate over the eligible groups."""
    parts = _parts(view, place, rate)
    if not parts:
        return undefined(_too_few(BASE[rate], "no group has"))
    rows, (value, contributions, shares) = min(parts, key=lambda part: part[1][0])
    spread = np.zeros(len(view.label))
    spread[rows] = contributions
    smallest = min(len(rows) for rows, _ in parts)
    return _spread(view, place, value, spread, rows, smallest, float(shares.max()))


def larger(first: Effect, second: Effect) -> Effect:
    """The effect with the larger value; undefined when either is."""
    for effect in (first, second):
        if math.isnan(effect.value):
            return effect
    chosen = first if first.value >= second.value else second
    smallest = min(first.smallest, second.smallest)
    step = max(first.step or 0.0, second.step or 0.0)
    return Effect(chosen.value, chosen.rows, chosen.contributions, chosen.shares, chosen.active, smallest, step)


_Mean = tuple[float, np.ndarray, np.ndarray]


def _mean(view: View, rate: Rate, rows: np.ndarray) -> _Mean | None:
    """The weighted share, its contributions and the weights' shares; None without examples."""
    weight = view.weight[rows]
    total = weight.sum()
    if not total > 0:
        return None
    outcome = view.outcome(rate)[rows]
    value = float(weight[outcome].sum() / total)  # one division, so that all of them is exactly 1
    shares = weight / total
    return value, shares * (outcome - value), shares


def _parts(view: View, place: Place, rate: Rate) -> list[tuple[np.ndarray, _Mean]]:
    parts = []
    for index in place.eligible[BASE[rate]]:
        rows = view.base(place.members[index], BASE[rate])
        part = _mean(view, rate, rows)
        if part is not None:
            parts.append((rows, part))
    return parts


def _spread(
    view: View, place: Place, value: float, spread: np.ndarray, extreme: np.ndarray, smallest: int, step: float
) -> Effect:
    """An effect over everyone whom the attribute or the group and its complement hold."""
    rows = place.rows if place.level == "attribute" else place.both
    shares = view.weight[rows] / view.weight[rows].sum()
    active = np.zeros(len(view.label), dtype=bool)
    active[extreme] = True
    return Effect(value, rows, spread[rows], shares, active[rows], smallest, step)


def _absent(rate: Rate) -> str:
    return {"all": "no test examples", "positive": "no positive examples", "negative": "no negative examples"}[
        BASE[rate]
    ]


def _too_few(base: Base, who: str = "fewer than two groups have") -> str:
    kind = {"all": "test examples", "positive": "positive examples", "negative": "negative examples"}[base]
    return f"{who} enough {kind} in every run"
