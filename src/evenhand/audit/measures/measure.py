"""The class `Measure`: one frozen object with the name, range, direction, function and wording of a measure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from evenhand.audit.measures.display import Display
from evenhand.audit.measures.run_data import Level

Kind = Literal["predictions", "translations", "options", "benchmarks", "probes", "membership", "values", "regression"]
"""The kinds of records that measures are computed from."""

_QUESTIONS: Mapping[Kind, str] = {
    "predictions": "other measures",
    "translations": "translated gender",
    "options": "answers",
    "benchmarks": "bias benchmarks",
    "probes": "probes",
    "membership": "privacy",
    "values": "values",
    "regression": "errors",
}
"""The questions that measures answer unless their display names another."""

UNLIMITED = (-math.inf, math.inf)
RANGE_NOTE = "max − min is biased upward at these group sizes: the interval is about its expectation at these sizes"
NO_PROMISE = (
    "no coverage is promised: in simulations 95% intervals of such contrasts cover .95 to 1.00 where groups fare "
    "alike, and down to .85 where one is harmed"
)

EVERYWHERE: tuple[Level, ...] = ("everyone", "group")
BETWEEN: tuple[Level, ...] = ("attribute", "group")
ASKED: tuple[Level, ...] = ("everyone",)
RANGE: tuple[tuple[Level, str], ...] = (("attribute", RANGE_NOTE),)


MORE_IS: Mapping[str, Literal[-1, 1]] = {"positive": -1, "negative": 1}
"""By the favourable prediction, whether more positive predictions are worse (1) or better (−1)."""


@dataclass(frozen=True)
class Measure:
    """A named quantity computed from records of one kind.

    Attributes:
        name: as in records; fairlearn's where it has one.
        kind: of the records that it is computed from.
        summary: one line for `evenhand list measures`.
        direction: +1 where more is worse (less fair, less useful), −1 where more is better, 0 where neither: then there
            are estimates and no contrasts, unless it is `two_sided` or `by_favourable`. A contrast is
            (method − reference)·direction.
        levels: what it is computed over: everyone, each group, an attribute's groups together.
        influence: computes its value and the influence of each example on it, from records of its kind; its arguments
            are described in the reading of that kind.
        title: as reports show it; the name in words unless given.
        limits: the least and the most that it can be.
        debiased: whether it is an unbiased estimate of a quantity within the limits, which may itself lie outside of
            them by chance.
        digits: decimals that it is shown with.
        default_margin: whether `margins.default` serves it; else it needs a margin of its own.
        proportion: whether it is a share of examples, which gets Wilson's interval.
        by_class: whether, with more than two classes, it is computed for each class against the rest.
        distance_from: the value that means no preference, if the measure is a signed quantity's distance from it; else
            None.
        decides: whether its contrasts get a verdict.
        decided_by: where it has none, the comparison that decides in its place, in words.
        gaps: whether a group's value is compared with that of its rest, too.
        gaps_decided_by: where these gaps and their changes have no verdict, what decides in its place and why.
        one_sided: whether `worse` is its only verdict besides `inconclusive`.
        two_sided: whether, where neither direction is worse, its changes have two-sided verdicts: `different`,
            `equivalent` or `inconclusive`.
        by_favourable: whether its direction follows from what is favourable, positive or negative predictions; where
            that is not said, its verdict is two-sided: `different`, `equivalent` or `inconclusive`.
        squares: the measure whose margin, squared, serves it; none unless given.
        floor: how its noise floor is drawn, if it has one: group labels `permuted`, or outcomes `redrawn` from the
            predicted probabilities.
        planted: whether harm is planted into it, to see what the study would have detected.
        on_request: whether it is computed only where it is asked for, by its name or as one of `all`.
        tested_by: an absolute limit `at least` this value is tested by another measure, which is at least 0 where this
            one is at least the value: (value, name of that measure), or None. That measure is computed along with it.
        notes: the note on its rows, by level.
        on_contrasts: a further note on the rows of its contrasts.
        display: where and how reports show it.
    """

    name: str
    kind: Kind
    summary: str
    direction: Literal[-1, 0, 1]
    levels: tuple[Level, ...]
    influence: Callable[..., Any]
    title: str = ""
    limits: tuple[float, float] = (0.0, 1.0)
    debiased: bool = False
    digits: int = 3
    default_margin: bool = True
    proportion: bool = False
    by_class: bool = False
    distance_from: float | None = None
    decides: bool = True
    decided_by: str = ""
    gaps: bool = False
    gaps_decided_by: str = ""
    one_sided: bool = False
    two_sided: bool = False
    by_favourable: bool = False
    squares: str = ""
    floor: Literal["permuted", "redrawn"] | None = None
    planted: bool = False
    on_request: bool = False
    tested_by: tuple[float, str] | None = None
    notes: tuple[tuple[Level, str], ...] = ()
    on_contrasts: str = ""
    display: Display = field(default_factory=Display)

    def __post_init__(self) -> None:
        if not self.title:
            object.__setattr__(self, "title", self.name.replace("_", " "))

    @property
    def question(self) -> str:
        """The question of a reader that it answers, one of `evenhand.audit.measures.display.QUESTIONS` or its own.

        Example:
            >>> from evenhand.audit.measures import measure_named
            >>> measure_named("true_positive_rate").question
            'error rates'
        """
        return self.display.question or _QUESTIONS[self.kind]

    @property
    def in_points(self) -> bool:
        """Whether its differences are said in percentage points.

        Example:
            >>> from evenhand.audit.measures import measure_named
            >>> measure_named("accuracy").in_points, measure_named("bleu").in_points
            (True, False)
        """
        return self.proportion or self.display.points

    def within(self, bounds: tuple[float, float]) -> tuple[float, float]:
        """The ends of a range of estimates, such as an axis, cut at what an estimate can be."""
        if self.debiased:
            return bounds
        least, most = self.limits
        low, high = (min(max(bound, least), most) for bound in bounds)
        return low, high

    def interval(self, bounds: tuple[float, float], value: float) -> tuple[float, float]:
        """The bounds of the interval of a value, cut at what the measure can be, but not beyond the value itself.

        Example:
            >>> from evenhand.audit.measures import measure_named
            >>> measure_named("calibration_error_squared").interval((-0.02, 0.01), value=-0.005)
            (-0.005, 0.01)
        """
        if not self.debiased:
            return self.within(bounds)
        (low, high), (least, most) = bounds, self.limits
        return max(low, min(least, value)), min(high, max(most, value))

    def given(self, favourable: Literal["positive", "negative"] | None) -> Measure:
        """The measure with the direction that follows from the favourable prediction, if it follows from it at all."""
        if favourable is None or not self.by_favourable:
            return self
        return replace(self, direction=MORE_IS[favourable])

    def note(self, level: Level) -> str | None:
        """The note on its rows at a level, if there is one."""
        return dict(self.notes).get(level)

    def margin(self, margins: Mapping[str, float]) -> float | None:
        """The margin of its contrasts: its own, else the default where that serves it; None where it does not decide.

        Example:
            >>> from evenhand.audit.measures import measure_named
            >>> measure_named("accuracy").margin({"default": 0.02})
            0.02
            >>> measure_named("bleu").margin({"default": 0.02}) is None
            True
        """
        if not self.decides:
            return None
        if self.squares and self.name not in margins:
            margin = margins.get(self.squares, margins.get("default"))
            return None if margin is None else margin**2
        return margins.get(self.name, margins.get("default") if self.default_margin else None)


def by_name(*measures: Measure) -> dict[str, Measure]:
    """Measures in their order, by their names."""
    return {measure.name: measure for measure in measures}


def unknown_measure(name: str) -> Measure:
    """A measure known by name only, from a plug-in or an older folder: its rows are shown, not computed."""
    return Measure(
        name, "predictions", "", 0, EVERYWHERE, _not_computed, limits=UNLIMITED, default_margin=False, decides=False
    )


def _not_computed(*records: Any) -> None:
    """The influence of an unknown measure: none."""
