"""Differences between groups under their usual names (such as `demographic_parity_difference`); 0 is parity.

All take y_true and y_pred [n] and return one float. Keywords of fairlearn have the same meaning as there; the other
keywords are those of `disparity`. These measures deliberately differ from fairlearn's in some ways:

- A group that lacks a rate makes the measure nan, unless `min_support` excludes it. fairlearn counts its rate as 0.
- Labels that do not identify the positive class are refused; fairlearn's demographic parity of words is 0.
- A missing group value is the group `(missing)`.
- `to_complement` compares each group with everybody else and gives the largest difference (smallest ratio);
  `against_complement` gives one value per group.
- With `control_features` the worst stratum counts; `by_group` returns one value per stratum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from evenhand.metrics.comparison import ODDS, Aggregate, Comparison, Method, compared_once
from evenhand.metrics.groups import ByGroup, Groups, groups_of
from evenhand.metrics.labels import Average


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

    Takes labels [n]; `disparity` documents the options, the errors and when it is nan.

    Source: fairlearn.

    Example:
        >>> from evenhand.metrics import demographic_parity_difference
        >>> groups = ["a", "a", "b", "b"]
        >>> demographic_parity_difference([0, 1, 0, 1], [1, 1, 1, 0], sensitive_features=groups)  # 1 and .5
        0.5
    """
    comparison = Comparison("difference", method, pos_label, average, min_support=min_support)
    return compared_once(
        ("selection_rate",), comparison, y_true, y_pred, sensitive_features, control_features, sample_weight
    )


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

    Takes labels [n]; `disparity` documents the options, the errors and when it is nan.

    Source: Hardt, Price and Srebro (2016); fairlearn.

    Example:
        >>> from evenhand.metrics import equal_opportunity_difference
        >>> groups = ["a", "a", "b", "b"]
        >>> equal_opportunity_difference([1, 1, 1, 1], [1, 1, 1, 0], sensitive_features=groups)  # 1 and .5
        0.5
    """
    comparison = Comparison("difference", method, pos_label, average, min_support=min_support)
    return compared_once(
        ("true_positive_rate",), comparison, y_true, y_pred, sensitive_features, control_features, sample_weight
    )


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

    Takes labels [n]; `agg`, `worst_case` or `mean`, is over the two rates. `disparity` documents the other options, the
    errors and when it is nan.

    Source: Hardt, Price and Srebro (2016); fairlearn.

    Example:
        True positive rates of 1 and .5, false positive rates of .5 and .5:

        >>> from evenhand.metrics import equalized_odds_difference
        >>> y_true, y_pred, groups = [1, 1, 0, 0] * 2, [1, 1, 1, 0, 1, 0, 1, 0], ["a"] * 4 + ["b"] * 4
        >>> equalized_odds_difference(y_true, y_pred, sensitive_features=groups)
        0.5
        >>> equalized_odds_difference(y_true, y_pred, sensitive_features=groups, agg="mean")
        0.25
    """
    comparison = Comparison("difference", method, pos_label, average, min_support=min_support)
    return compared_once(ODDS, comparison, y_true, y_pred, sensitive_features, control_features, sample_weight, agg)


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

    Takes labels [n]; `disparity` documents the options, the errors and when it is nan.

    Source: Chouldechova (2017).

    Example:
        >>> from evenhand.metrics import predictive_parity_difference
        >>> groups = ["a", "a", "b", "b"]
        >>> predictive_parity_difference([1, 1, 1, 0], [1, 1, 1, 1], sensitive_features=groups)  # 1 and .5
        0.5
    """
    comparison = Comparison("difference", method, pos_label, average, min_support=min_support)
    return compared_once(
        ("precision",), comparison, y_true, y_pred, sensitive_features, control_features, sample_weight
    )


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

    Takes labels [n]; `disparity` documents the options, the errors and when it is nan.

    Source: fairlearn's accuracy_score_difference.

    Example:
        >>> from evenhand.metrics import accuracy_difference
        >>> groups = ["a", "a", "b", "b"]
        >>> accuracy_difference([1, 0, 1, 0], [1, 0, 1, 1], sensitive_features=groups)  # 1 and .5
        0.5
    """
    comparison = Comparison("difference", method, min_support=min_support)
    return compared_once(("accuracy",), comparison, y_true, y_pred, sensitive_features, control_features, sample_weight)


def against_complement(
    metric: Callable[..., float], y_true: Any, y_pred: Any, *, sensitive_features: Any, **options: Any
) -> ByGroup:
    """Each group against everybody else, by a measure of this module, as in the paper's figures.

    Args:
        metric: a measure such as `equalized_odds_difference`, which compares two groups, the members and the others.
        y_true, y_pred: labels [n].
        sensitive_features: the groups, as for `disparity`.
        options: of the metric.

    Returns:
        Values [G], nan where undefined for the group or its complement (a group of everybody has no complement);
        support [G] counts the members.

    Raises:
        InputError: as the metric does.

    Source: Ding et al. (2024), "On Fairness of Low-Rank Adaptation of Large Models".

    Example:
        >>> from evenhand.metrics import against_complement, demographic_parity_difference
        >>> y_true, y_pred, groups = [0, 1, 0, 1, 0], [1, 1, 0, 0, 0], ["a", "a", "b", "b", "b"]
        >>> against_complement(demographic_parity_difference, y_true, y_pred, sensitive_features=groups).as_dict()
        {'a': 1.0, 'b': 1.0}
    """
    groups = groups_of(sensitive_features, len(y_true))
    values = [
        metric(y_true, y_pred, sensitive_features=Groups(("members", "others"), np.stack([mask, ~mask], 1)), **options)
        for mask in groups.masks.T
    ]
    return ByGroup(groups.names, np.array(values), groups.masks.sum(axis=0))
