"""What a measure is, and what measures of all kinds share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from evenhand.audit.measures.influence import Effect, Level, Place, View, undefined

RANGE_NOTE = "max − min is biased upward at these group sizes: the interval is about its expectation at these sizes"

EVERYWHERE: tuple[Level, ...] = ("everyone", "group")
BETWEEN: tuple[Level, ...] = ("attribute", "group")
ASKED: tuple[Level, ...] = ("everyone",)
RANGE: tuple[tuple[Level, str], ...] = (("attribute", RANGE_NOTE),)


@dataclass(frozen=True)
class Measure:
    """A named quantity computed from predictions, translations, options, benchmarks, probes, or membership scores.

    Attributes:
        name: as in records; fairlearn's where it has one.
        summary: one line for `evenhand list measures`.
        worse: +1 where more is less fair or less useful, −1 where more is better, 0 where neither: then there are
            estimates and no contrasts. A contrast is (method − reference)·worse.
        levels: where it is taken: everyone, each group, an attribute's groups together.
        effect: its value and contributions for one run at one place.
        scale: "share" is 0–1 and served by `margins.default`; "own" needs a margin of its own.
        proportion: a share of examples, which gets Wilson's interval.
        by_class: with more than two classes, taken one class against the rest.
        decides: whether its contrast gets a verdict.
        notes: what a reader of its rows must know, by level.
        range: of its values, where it is known and not that of a share.
    """

    name: str
    summary: str
    worse: Literal[-1, 0, 1]
    levels: tuple[Level, ...]
    effect: Callable[[View, Place], Effect]
    scale: Literal["share", "own"] = "share"
    proportion: bool = False
    by_class: bool = False
    decides: bool = True
    notes: tuple[tuple[Level, str], ...] = ()
    range: tuple[float, float] | None = None

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the most that it can be."""
        return self.range or ((0.0, 1.0) if self.scale == "share" else (-math.inf, math.inf))

    def within(self, bounds: tuple[float, float]) -> tuple[float, float]:
        """The bounds of an interval, cut at what the measure can be."""
        least, most = self.limits
        low, high = (min(max(bound, least), most) for bound in bounds)
        return low, high

    def note(self, level: Level) -> str | None:
        return dict(self.notes).get(level)

    def margin(self, margins: Mapping[str, float]) -> float | None:
        """The margin of its contrasts; `default` serves measures on a 0–1 scale that decide."""
        if not self.decides:
            return None
        return margins.get(self.name, margins.get("default") if self.scale == "share" else None)


def by_name(*measures: Measure) -> dict[str, Measure]:
    """Measures in their order, by their names."""
    return {measure.name: measure for measure in measures}


def taken_of(what: str) -> Callable[[View, Place], Effect]:
    """The effect of a measure of other records than predictions, of which it is undefined."""
    return partial(_elsewhere, what=what)


def _elsewhere(view: View, place: Place, what: str) -> Effect:
    return undefined(f"taken of {what}, not of predictions", len(place.rows))
