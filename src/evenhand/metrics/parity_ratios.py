"""Ratios between groups under their usual names (such as `demographic_parity_ratio`); 1 is parity."""

from __future__ import annotations

from typing import Any

from evenhand.metrics.comparison import ODDS, Aggregate, Comparison, Method, compared_once
from evenhand.metrics.labels import Average


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

    Takes labels [n]; `disparity` documents the options, the errors and when it is nan.

    Source: fairlearn.

    Example:
        >>> from evenhand.metrics import demographic_parity_ratio
        >>> groups = ["a", "a", "b", "b"]
        >>> demographic_parity_ratio([0, 1, 0, 1], [1, 1, 1, 0], sensitive_features=groups)  # 1 and .5
        0.5
    """
    comparison = Comparison("ratio", method, pos_label, average, min_support=min_support)
    return compared_once(
        ("selection_rate",), comparison, y_true, y_pred, sensitive_features, control_features, sample_weight
    )


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

    Takes labels [n]; `disparity` documents the options, the errors and when it is nan.

    Source: Hardt, Price and Srebro (2016); fairlearn.

    Example:
        >>> from evenhand.metrics import equal_opportunity_ratio
        >>> groups = ["a", "a", "b", "b"]
        >>> equal_opportunity_ratio([1, 1, 1, 1], [1, 1, 1, 0], sensitive_features=groups)  # 1 and .5
        0.5
    """
    comparison = Comparison("ratio", method, pos_label, average, min_support=min_support)
    return compared_once(
        ("true_positive_rate",), comparison, y_true, y_pred, sensitive_features, control_features, sample_weight
    )


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

    Takes labels [n]; `agg`, `worst_case` or `mean`, is over the two rates. `disparity` documents the other options, the
    errors and when it is nan.

    Source: Hardt, Price and Srebro (2016); fairlearn.

    Example:
        True positive rates of 1 and .5, false positive rates of .5 and .5:

        >>> from evenhand.metrics import equalized_odds_ratio
        >>> y_true, y_pred, groups = [1, 1, 0, 0] * 2, [1, 1, 1, 0, 1, 0, 1, 0], ["a"] * 4 + ["b"] * 4
        >>> equalized_odds_ratio(y_true, y_pred, sensitive_features=groups)
        0.5
        >>> equalized_odds_ratio(y_true, y_pred, sensitive_features=groups, agg="mean")
        0.75
    """
    comparison = Comparison("ratio", method, pos_label, average, min_support=min_support)
    return compared_once(ODDS, comparison, y_true, y_pred, sensitive_features, control_features, sample_weight, agg)


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

    Takes labels [n]; `disparity` documents the options, the errors and when it is nan.

    Source: Chouldechova (2017).

    Example:
        >>> from evenhand.metrics import predictive_parity_ratio
        >>> groups = ["a", "a", "b", "b"]
        >>> predictive_parity_ratio([1, 1, 1, 0], [1, 1, 1, 1], sensitive_features=groups)  # 1 and .5
        0.5
    """
    comparison = Comparison("ratio", method, pos_label, average, min_support=min_support)
    return compared_once(
        ("precision",), comparison, y_true, y_pred, sensitive_features, control_features, sample_weight
    )


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

    Takes labels [n]; `disparity` documents the options, the errors and when it is nan.

    Source: fairlearn's accuracy_score_ratio.

    Example:
        >>> from evenhand.metrics import accuracy_ratio
        >>> groups = ["a", "a", "b", "b"]
        >>> accuracy_ratio([1, 0, 1, 0], [1, 0, 1, 1], sensitive_features=groups)  # 1 and .5
        0.5
    """
    comparison = Comparison("ratio", method, min_support=min_support)
    return compared_once(("accuracy",), comparison, y_true, y_pred, sensitive_features, control_features, sample_weight)
