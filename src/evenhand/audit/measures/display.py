"""The display of a measure in reports: its sections, wording and axis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

QUESTIONS = (
    "accuracy",
    "parity",
    "error rates",
    "ranking",
    "calibration",
    "stability",
    "privacy",
    "translated gender",
    "translation quality",
    "answers",
    "answer format",
    "bias benchmarks",
    "benchmark accuracy",
    "probes",
    "values",
    "errors",
    "subgroups",
    "other measures",
)
"""The questions of a reader that measures answer, in the reader's order; other packages may add questions."""


@dataclass(frozen=True)
class Display:
    """The display of a measure in reports, besides title, digits and limits; tables show every measure.

    Attributes:
        shown_in: the chart, table or sentence that shows it besides: `accuracy`, `disparities`, `calibration`,
            `shares`, `answers`, `benchmarks`, `probes`, `areas`, `rates`, `losses`, `correlations`, `values`,
            `regression`; none unless given.
        heading: its name there; its title unless given.
        corrected: headings of its values after a correction, which have a panel each.
        even: the value that means no preference, at which a line is drawn.
        signed: whether its sign says which of two contents is preferred, so that its axis names both.
        fitted: whether an axis begins near the smallest value shown, and not at 0.
        panel: the measure in whose panel of the charts of verdicts its rows are drawn; its own unless given.
        row: what its row about all groups of an attribute is called there.
        judged_by: the measure whose verdicts are shown beside it; itself unless given.
        tabled: whether it has a table of estimates of its own; a distance is left to the tables of verdicts where what
            it is a distance of is shown with its sign.
        summary: whether a terminal shows it where nothing is compared.
        detectable: what the sentence about the smallest detectable harm calls it; that sentence is about the first
            measure that has such words and a verdict.
        worse: what a model is or has for a group that fares worse in it than the rest: `is less accurate`.
        not_worse: what a model is not shown to do where nothing is worse: `leak more of its training set`; unless
            given, to harm a group.
        factor: whether it is a mean of logarithms, so that its differences are said as factors.
        points: whether its differences are said in percentage points; those of proportions always are.
        condition: what the condition of a row is, with `{}` for it, where it is added to what the row is about.
        question: the question that it answers, one of `QUESTIONS` or another; that of its kind of records unless given.
    """

    shown_in: str = ""
    heading: str = ""
    corrected: Mapping[str, str] = field(default_factory=dict, hash=False)
    even: float | None = None
    signed: bool = False
    fitted: bool = False
    panel: str = ""
    row: str = "between groups"
    judged_by: str = ""
    tabled: bool = True
    summary: bool = False
    detectable: str = ""
    worse: str = ""
    not_worse: str = ""
    factor: bool = False
    points: bool = False
    condition: str = "condition {}"
    question: str = ""
