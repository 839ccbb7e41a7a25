"""Defines the measures of predictions: rates, calibration errors, and parity between groups."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from evenhand.audit.measures.calibration import CalibrationError
from evenhand.audit.measures.display import Display
from evenhand.audit.measures.error_rates import ERROR_RATES
from evenhand.audit.measures.influence import GapOf, LowestOf, RateOf, SpreadOf
from evenhand.audit.measures.measure import BETWEEN, EVERYWHERE, NO_PROMISE, RANGE, Measure, by_name
from evenhand.audit.measures.ranking import AREAS
from evenhand.audit.measures.ratios import FOUR_FIFTHS, LinearOf, RatioOf
from evenhand.audit.measures.run_data import Level, Rate

PLUG_IN_NOTE = "plug-in ECE is biased at these sizes: the verdict on calibration is that of calibration_error_squared"
_PLUG_IN: tuple[tuple[Level, str], ...] = tuple((level, PLUG_IN_NOTE) for level in EVERYWHERE)


_ACCURACY = Display(
    "accuracy", fitted=True, summary=True, detectable="accuracy", worse="is less accurate", question="accuracy"
)
_SELECTION = Display(summary=True, question="parity")
_ERRORS = Display(summary=True, question="error rates")
_QUESTIONS: Mapping[Rate, str] = {"accuracy": "accuracy", "selection_rate": "parity"}
"""The questions of rates; the others are error rates."""
_SPREAD: tuple[Rate, ...] = ("accuracy", "selection_rate", "true_positive_rate", "false_positive_rate")
"""The rates whose spread over groups is judged."""


def _rate(name: Rate, summary: str, direction: Literal[-1, 0, 1], display: Display) -> Measure:
    return Measure(
        name,
        "predictions",
        summary,
        direction,
        EVERYWHERE,
        RateOf(name),
        proportion=True,
        by_class=name != "accuracy",
        planted=name == "accuracy",
        gaps=True,
        by_favourable=name == "selection_rate",
        display=display,
    )


def _spread_of(rate: Rate) -> Measure:
    words = rate.replace("_", " ")
    plural = "accuracies" if rate == "accuracy" else f"{words}s"
    return Measure(
        f"{rate}_spread",
        "predictions",
        f"spread of the groups' {plural}: debiased mean squared distance from the overall rate; worse or inconclusive",
        1,
        ("attribute",),
        SpreadOf(rate),
        title=f"spread of {words}",
        digits=5,
        limits=(-1.0, 1.0),
        by_class=rate != "accuracy",
        one_sided=True,
        squares=rate,
        default_margin=False,
        display=Display(question=_QUESTIONS.get(rate, "error rates")),
    )


PREDICTIONS = by_name(
    _rate("accuracy", "share of examples whose predicted class is the true one", -1, _ACCURACY),
    Measure(
        "worst_group_accuracy",
        "predictions",
        "accuracy of the group with the lowest",
        -1,
        ("attribute",),
        LowestOf("accuracy"),
        decides=False,
        decided_by="the groups' changes and gap changes of accuracy",
        display=Display(panel="accuracy", row="worst group", fitted=True, question="accuracy"),
        notes=(("attribute", "the lowest of several is biased downward at these group sizes"),),
        on_contrasts=NO_PROMISE,
    ),
    Measure(
        "accuracy_difference",
        "predictions",
        "accuracy of the best group minus that of the worst",
        1,
        ("attribute",),
        GapOf(("accuracy",)),
        decides=False,
        decided_by="the gap changes of accuracy and its spread",
        display=Display(panel="accuracy", row="best − worst group", question="accuracy"),
        floor="permuted",
        title="accuracy, best − worst group",
        notes=RANGE,
        on_contrasts=NO_PROMISE,
    ),
    _rate(
        "selection_rate",
        "share predicted positive; which direction is worse follows from what is favourable",
        0,
        _SELECTION,
    ),
    _rate("true_positive_rate", "share of the positives predicted positive", -1, _ERRORS),
    _rate("false_positive_rate", "share of the negatives predicted positive", 1, _ERRORS),
    *(_spread_of(rate) for rate in _SPREAD),
    Measure(
        "demographic_parity_difference",
        "predictions",
        "difference in selection rates: between the groups of an attribute, or a group and its complement",
        1,
        BETWEEN,
        GapOf(("selection_rate",)),
        decides=False,
        decided_by="the gap changes of the selection rate and its spread",
        display=Display(shown_in="disparities", question="parity"),
        floor="permuted",
        by_class=True,
        notes=RANGE,
        on_contrasts=NO_PROMISE,
    ),
    Measure(
        "demographic_parity_ratio",
        "predictions",
        "selection rate of a group over that of whom it is compared with: the rest, everybody, or a named group",
        0,
        ("group",),
        RatioOf("selection_rate"),
        limits=(0.0, math.inf),
        default_margin=False,
        decides=False,
        by_class=True,
        tested_by=(FOUR_FIFTHS, "four_fifths_difference"),
        display=Display(shown_in="ratios", question="parity"),
    ),
    Measure(
        "four_fifths_difference",
        "predictions",
        "selection rate of a group minus 0.8 times that of whom it is compared with (four-fifths rule: at least 0)",
        0,
        ("group",),
        LinearOf("selection_rate", FOUR_FIFTHS),
        title="selection rate − 0.8 × the other’s (four-fifths rule)",
        limits=(-FOUR_FIFTHS, 1.0),
        default_margin=False,
        decides=False,
        by_class=True,
        display=Display(shown_in="ratios", question="parity"),
    ),
    Measure(
        "equalized_odds_difference",
        "predictions",
        "the larger of the differences in true and false positive rates: between groups, or group and complement",
        1,
        BETWEEN,
        GapOf(("true_positive_rate", "false_positive_rate")),
        decides=False,
        decided_by="the gap changes of true and false positive rates and their spreads",
        display=Display(shown_in="disparities", question="error rates"),
        floor="permuted",
        by_class=True,
        notes=RANGE,
        on_contrasts=NO_PROMISE,
    ),
    Measure(
        "expected_calibration_error",
        "predictions",
        "mean gap between confidence and outcome over 15 equal-width bins (plug-in, biased; no verdict)",
        1,
        EVERYWHERE,
        CalibrationError(squared=False),
        display=Display("calibration", judged_by="calibration_error_squared", question="calibration"),
        floor="redrawn",
        title="expected calibration error (plug-in)",
        decides=False,
        notes=_PLUG_IN,
    ),
    Measure(
        "calibration_error_squared",
        "predictions",
        "debiased squared gap between confidence and outcome; decides on calibration, needs a margin of its own",
        1,
        EVERYWHERE,
        CalibrationError(squared=True),
        floor="redrawn",
        title="squared calibration error (debiased)",
        digits=5,
        debiased=True,
        default_margin=False,
        gaps=True,
        display=Display(worse="is less well calibrated", question="calibration"),
    ),
    *ERROR_RATES,
    *AREAS,
)
