"""Defines the measures of regression: how far predicted numbers are from the true ones, and in which direction."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from evenhand.audit.design import Range, RegressionDesign
from evenhand.audit.measures.display import Display
from evenhand.audit.measures.influence import Influence, Unbounded, undefined
from evenhand.audit.measures.measure import EVERYWHERE, UNLIMITED, Measure, by_name
from evenhand.audit.measures.numbers import mean_of
from evenhand.audit.measures.run_data import RunData, RunSubset
from evenhand.stats.means import LEAST_UNITS

OF_ERRORS = Unbounded(LEAST_UNITS, "declare the range of label and prediction")
OF_SQUARES = Unbounded(LEAST_UNITS, "mean_absolute_error is judged where the range of label and prediction is declared")
CONSTANT = "all labels are equal"
MEAN_CALIBRATION = "mean_calibration"
"""The measure of `curves` with the mean label against the mean prediction."""


@dataclass(frozen=True)
class MeanError:
    """Computes the mean of prediction − label, or of its absolute value.

    Attributes:
        absolute: whether it is of the absolute value.
        limits: between which such an error lies; None: that is not known.
    """

    absolute: bool
    limits: Range | None = None

    def __call__(self, data: RunData, subset: RunSubset) -> Influence:
        errors = data.predicted - data.label
        return mean_of(data, np.abs(errors) if self.absolute else errors, subset.rows, self.limits, OF_ERRORS)


def root_mean_squared_error(data: RunData, subset: RunSubset) -> Influence:
    """The root of the mean of (prediction − label)², with the influence of the delta method."""
    squared = mean_of(data, (data.predicted - data.label) ** 2.0, subset.rows, None, OF_SQUARES)
    if not squared.value > 0:  # where nothing is wrong nothing varies
        return squared
    value = math.sqrt(squared.value)
    return replace(squared, value=value, influence=squared.influence / (2 * value))


def r2_score(data: RunData, subset: RunSubset) -> Influence:
    """1 − Σ(prediction − label)²/Σ(label − mean label)², with the influence of the delta method."""
    rows = subset.rows
    errors = mean_of(data, (data.predicted - data.label) ** 2.0, rows, None, None)
    if not len(rows):
        return errors
    label = data.label[rows]
    centre = float(errors.weights @ label)
    spread = float(errors.weights @ (label - centre) ** 2)
    if (label == label[0]).all() or not spread > 0:
        return undefined(CONSTANT, len(rows))
    squares = errors.weights * ((label - centre) ** 2 - spread)
    influence = errors.value / spread**2 * squares - errors.influence / spread
    return replace(errors, value=1 - errors.value / spread, influence=influence)


def _error(name: str, summary: str, influence: Callable[..., Influence], display: Display) -> Measure:
    return Measure(
        name,
        "regression",
        summary,
        1,
        EVERYWHERE,
        influence,
        limits=(0.0, math.inf),
        default_margin=False,
        gaps=True,
        display=display,
    )


_LARGER = Display("regression", worse="has larger errors", not_worse="have larger errors", summary=True)

REGRESSION = by_name(
    _error(
        "mean_absolute_error",
        "mean of |prediction − label|, in units of the label",
        MeanError(absolute=True),
        _LARGER,
    ),
    replace(
        _error(
            "mean_error",
            "mean of prediction − label: above 0 where labels are overestimated; neither direction is worse",
            MeanError(absolute=False),
            Display("regression", even=0.0, summary=True),
        ),
        direction=0,
        two_sided=True,
        limits=UNLIMITED,
    ),
    _error(
        "root_mean_squared_error",
        "root of the mean of (prediction − label)², in units of the label",
        root_mean_squared_error,
        replace(_LARGER, summary=False),
    ),
    Measure(
        "r2_score",
        "regression",
        "1 − squared errors over the squared distances of labels from their mean; groups differ in both",
        -1,
        EVERYWHERE,
        r2_score,
        title="R²",
        limits=(-math.inf, 1.0),
        decides=False,
        decided_by="mean absolute and root mean squared error: R² also changes with how much the labels vary",
        default_margin=False,
        display=Display("regression", even=0.0),
    ),
)


def regression_measures(design: RegressionDesign) -> dict[str, Measure]:
    """The measures of regression for labels and predictions as a design declares them: their range and digits.

    Example:
        >>> from evenhand.audit.design import RegressionDesign
        >>> rating = regression_measures(RegressionDesign(label="stars", prediction="guess", range=(1, 5)))
        >>> rating["mean_error"].limits
        (-4.0, 4.0)
    """
    digits = {name: design.digits for name in REGRESSION if name != "r2_score"}
    measures = {name: replace(measure, digits=digits.get(name, 3)) for name, measure in REGRESSION.items()}
    if design.range is None:
        return measures
    length = design.range[1] - design.range[0]
    for name, limits in (("mean_absolute_error", (0.0, length)), ("mean_error", (-length, length))):
        influence = replace(measures[name].influence, limits=limits)
        measures[name] = replace(measures[name], limits=limits, influence=influence)
    return measures
