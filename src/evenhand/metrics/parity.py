"""Measures of group fairness by their usual names, of one run: a difference (0 is parity) or a ratio (1 is parity).

All take y_true and y_pred [n] and give one float. fairlearn's keywords mean what they mean there; the rest of
`disparity`'s do as well. Where these measures differ from fairlearn's on purpose:

- A group that lacks a rate makes the measure nan, unless `min_support` excludes it. fairlearn counts its rate as 0.
- Labels that do not say which class is positive are refused; fairlearn's demographic parity of words is 0.
- A missing group value is the group `(missing)`.
- `to_complement` compares each group with everybody else and gives the largest difference (smallest ratio);
  `against_complement` gives one value per group.
- With `control_features` the worst stratum counts; `by_group` gives one value per stratum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from evenhand.errors import InputError
from evenhand.metrics.comparison import Aggregate, Comparison, Method, compared
from evenhand.metrics.groups import ByGroup, Groups, groups_of
from evenhand.metrics.labels import Average
from evenhand.metrics.rates import Rate

_SELECTED: tuple[Rate, ...] = ("selection_rate",)
_FOUND: tuple[Rate, ...] = ("true_positive_rate",)
_RIGHT: tuple[Rate, ...] = ("precision",)
_HIT: tuple[Rate, ...] = ("accuracy",)
_ODDS: tuple[Rate, ...] = ("true_positive_rate", "false_positive_rate")


def demographic_parity_difference(
    y_true: Any,
    y_pred: Any,
    *,
    sensitive_features: Any,
    control_features: Any = None,
    method: Method = "between_groups",
    pos_label: Any = None,
    average: Average | None = None,
    sample_weight: Any = None,
    min_support: int = 0,
) -> float:
    """Difference between groups in the selection rate P(ŷ = 1).

    Of labels [n]. Options, Raises and when it is nan: `disparity`. Source: fairlearn.
    """
    comparison = Comparison("difference", method, pos_label, average, min_support=min_support)
    return _one(_SELECTED, comparison, y_true, y_pred, sensitive_features, control_features, sample_weight)


def demographic_parity_ratio(
    y_true: Any,
    y_pred: Any,
    *,
    sensitive_features: Any,
    control_features: Any = None,
    method: Method = "between_groups",
    pos_label: Any = None,
    average: Average | None = None,
    sample_weight: Any = None,
    min_support: int = 0,
) -> float:
    """Ratio between groups of the selection rate P(ŷ = 1): disparate impact, to be compared with `FOUR_FIFTHS`.

    Of labels [n]. Options, Raises and when it is nan: `disparity`. Source: fairlearn.
    """
    comparison = Comparison("ratio", method, pos_label, average, min_support=min_support)
    return _one(_SELECTED, comparison, y_true, y_pred, sensitive_features, control_features, sample_weight)


def equal_opportunity_difference(
    y_true: Any,
    y_pred: Any,
    *,
    sensitive_features: Any,
    control_features: Any = None,
    method: Method = "between_groups",
    pos_label: Any = None,
    average: Average | None = None,
    sample_weight: Any = None,
    min_support: int = 0,
) -> float:
    """Difference between groups in the true positive rate P(ŷ = 1 | y = 1).

    Of labels [n]. Options, Raises and when it is nan: `disparity`. Source: Hardt, Price and Srebro (2016); fairlearn.
    """
    comparison = Comparison("difference", method, pos_label, average, min_support=min_support)
    return _one(_FOUND, comparison, y_true, y_pred, sensitive_features, control_features, sample_weight)


def equal_opportunity_ratio(
    y_true: Any,
    y_pred: Any,
    *,
    sensitive_features: Any,
    control_features: Any = None,
    method: Method = "between_groups",
    pos_label: Any = None,
    average: Average | None = None,
    sample_weight: Any = None,
    min_support: int = 0,
) -> float:
    """Ratio between groups of the true positive rate P(ŷ = 1 | y = 1).

    Of labels [n]. Options, Raises and when it is nan: `disparity`. Source: Hardt, Price and Srebro (2016); fairlearn.
    """
    comparison = Comparison("ratio", method, pos_label, average, min_support=min_support)
    return _one(_FOUND, comparison, y_true, y_pred, sensitive_features, control_features, sample_weight)


def equalized_odds_difference(
    y_true: Any,
    y_pred: Any,
    *,
    sensitive_features: Any,
    control_features: Any = None,
    method: Method = "between_groups",
    pos_label: Any = None,
    average: Average | None = None,
    sample_weight: Any = None,
    agg: Aggregate = "worst_case",
    min_support: int = 0,
) -> float:
    """The differences between groups in true and false positive rates: the larger of the two, or their mean.

    Of labels [n]. Options, Raises and when it is nan: `disparity`;
    `agg` is over the two rates, `worst_case` or `mean`. Source: Hardt, Price and Srebro (2016); fairlearn.
    """
    comparison = Comparison("difference", method, pos_label, average, min_support=min_support)
    return _one(_ODDS, comparison, y_true, y_pred, sensitive_features, control_features, sample_weight, agg)


def equalized_odds_ratio(
    y_true: Any,
    y_pred: Any,
    *,
    sensitive_features: Any,
    control_features: Any = None,
    method: Method = "between_groups",
    pos_label: Any = None,
    average: Average | None = None,
    sample_weight: Any = None,
    agg: Aggregate = "worst_case",
    min_support: int = 0,
) -> float:
    """The ratios between groups of true and false positive rates: the smaller of the two, or their mean.

    Of labels [n]. Options, Raises and when it is nan: `disparity`;
    `agg` is over the two rates, `worst_case` or `mean`. Source: Hardt, Price and Srebro (2016); fairlearn.
    """
    comparison = Comparison("ratio", method, pos_label, average, min_support=min_support)
    return _one(_ODDS, comparison, y_true, y_pred, sensitive_features, control_features, sample_weight, agg)


def predictive_parity_difference(
    y_true: Any,
    y_pred: Any,
    *,
    sensitive_features: Any,
    control_features: Any = None,
    method: Method = "between_groups",
    pos_label: Any = None,
    average: Average | None = None,
    sample_weight: Any = None,
    min_support: int = 0,
) -> float:
    """Difference between groups in precision P(y = 1 | ŷ = 1).

    Of labels [n]. Options, Raises and when it is nan: `disparity`. Source: Chouldechova (2017).
    """
    comparison = Comparison("difference", method, pos_label, average, min_support=min_support)
    return _one(_RIGHT, comparison, y_true, y_pred, sensitive_features, control_features, sample_weight)


def predictive_parity_ratio(
    y_true: Any,
    y_pred: Any,
    *,
    sensitive_features: Any,
    control_features: Any = None,
    method: Method = "between_groups",
    pos_label: Any = None,
    average: Average | None = None,
    sample_weight: Any = None,
    min_support: int = 0,
) -> float:
    """Ratio between groups of precision P(y = 1 | ŷ = 1).

    Of labels [n]. Options, Raises and when it is nan: `disparity`. Source: Chouldechova (2017).
    """
    comparison = Comparison("ratio", method, pos_label, average, min_support=min_support)
    return _one(_RIGHT, comparison, y_true, y_pred, sensitive_features, control_features, sample_weight)


def accuracy_difference(
    y_true: Any,
    y_pred: Any,
    *,
    sensitive_features: Any,
    control_features: Any = None,
    method: Method = "between_groups",
    sample_weight: Any = None,
    min_support: int = 0,
) -> float:
    """Accuracy parity: difference between groups in P(ŷ = y), over all classes at once.

    Of labels [n]. Options, Raises and when it is nan: `disparity`. Source: fairlearn's accuracy_score_difference.
    """
    comparison = Comparison("difference", method, min_support=min_support)
    return _one(_HIT, comparison, y_true, y_pred, sensitive_features, control_features, sample_weight)


def accuracy_ratio(
    y_true: Any,
    y_pred: Any,
    *,
    sensitive_features: Any,
    control_features: Any = None,
    method: Method = "between_groups",
    sample_weight: Any = None,
    min_support: int = 0,
) -> float:
    """Accuracy parity: ratio between groups of P(ŷ = y), over all classes at once.

    Of labels [n]. Options, Raises and when it is nan: `disparity`. Source: fairlearn's accuracy_score_ratio.
    """
    comparison = Comparison("ratio", method, min_support=min_support)
    return _one(_HIT, comparison, y_true, y_pred, sensitive_features, control_features, sample_weight)


def against_complement(
    metric: Callable[..., float], y_true: Any, y_pred: Any, *, sensitive_features: Any, **options: Any
) -> ByGroup:
    """A measure of this module for each group against its complement, as in the paper's figures of subgroups.

    Args:
        metric: such as `equalized_odds_difference`; it compares two groups, the members and the others.
        y_true, y_pred: labels [n].
        sensitive_features: the groups, as for `disparity`.
        options: of the metric.

    Returns:
        Values [G], nan where undefined for the group or its complement (a group that everybody is in has none);
        support [G] counts the members.

    Raises:
        InputError: as the metric does.

    Source: Ding et al. (2024), "On Fairness of Low-Rank Adaptation of Large Models".
    """
    groups = groups_of(sensitive_features, len(y_true))
    values = [
        metric(y_true, y_pred, sensitive_features=Groups(("members", "others"), np.stack([mask, ~mask], 1)), **options)
        for mask in groups.masks.T
    ]
    return ByGroup(groups.names, np.array(values), groups.masks.sum(axis=0))


def _one(
    rates: tuple[Rate, ...],
    comparison: Comparison,
    y_true: Any,
    y_pred: Any,
    sensitive_features: Any,
    control_features: Any,
    sample_weight: Any,
    agg: Aggregate = "worst_case",
) -> float:
    found = compared(rates, comparison, y_true, y_pred, sensitive_features, control_features, sample_weight, agg)
    if found.ndim:
        raise InputError("y_pred holds several trials; disparity takes them, this function takes one")
    return float(found)
