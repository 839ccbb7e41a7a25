"""Predictive values: how often a prediction is right, among those predicted alike; and how common the positives are.

Their denominators depend on the predictions. Where nobody is predicted so, the value is nan.
"""

from __future__ import annotations

from typing import Any

from evenhand.metrics.labels import Average
from evenhand.metrics.rates import everyone


def positive_predictive_value(
    y_true: Any, y_pred: Any, *, pos_label: Any = None, average: Average | None = None, sample_weight: Any = None
) -> float:
    """P(y = 1 | ŷ = 1), also called precision; nan where nothing is predicted positive.

    Takes labels [n]; options and errors are those of `rate_by_group`.

    Source: scikit-learn's precision_score, which gives 0 there.

    Example:
        >>> from evenhand.metrics import positive_predictive_value
        >>> positive_predictive_value([1, 1, 0, 0], [1, 1, 1, 1])
        0.5
    """
    return everyone("positive_predictive_value", y_true, y_pred, pos_label, average, sample_weight)


def negative_predictive_value(
    y_true: Any, y_pred: Any, *, pos_label: Any = None, average: Average | None = None, sample_weight: Any = None
) -> float:
    """P(y = 0 | ŷ = 0); nan where nothing is predicted negative.

    Takes labels [n]; options and errors are those of `rate_by_group`.

    Source: scikit-learn's precision_score of the negative class, which gives 0 there.

    Example:
        >>> from evenhand.metrics import negative_predictive_value
        >>> negative_predictive_value([1, 0, 0, 0], [0, 0, 0, 0])
        0.75
    """
    return everyone("negative_predictive_value", y_true, y_pred, pos_label, average, sample_weight)


def false_discovery_rate(
    y_true: Any, y_pred: Any, *, pos_label: Any = None, average: Average | None = None, sample_weight: Any = None
) -> float:
    """P(y = 0 | ŷ = 1) = 1 − positive predictive value; nan where nothing is predicted positive.

    Takes labels [n]; options and errors are those of `rate_by_group`.

    Source: Benjamini and Hochberg (1995) for its name; here it is a share of one run's predictions.

    Example:
        >>> from evenhand.metrics import false_discovery_rate
        >>> false_discovery_rate([1, 1, 1, 0], [1, 1, 1, 1])
        0.25
    """
    return everyone("false_discovery_rate", y_true, y_pred, pos_label, average, sample_weight)


def false_omission_rate(
    y_true: Any, y_pred: Any, *, pos_label: Any = None, average: Average | None = None, sample_weight: Any = None
) -> float:
    """P(y = 1 | ŷ = 0) = 1 − negative predictive value; nan where nothing is predicted negative.

    Takes labels [n]; options and errors are those of `rate_by_group`.

    Source: 1 − scikit-learn's precision_score of the negative class.

    Example:
        >>> from evenhand.metrics import false_omission_rate
        >>> false_omission_rate([1, 0, 0, 0], [0, 0, 0, 0])
        0.25
    """
    return everyone("false_omission_rate", y_true, y_pred, pos_label, average, sample_weight)


def prevalence(
    y_true: Any, y_pred: Any, *, pos_label: Any = None, average: Average | None = None, sample_weight: Any = None
) -> float:
    """P(y = 1), the base rate: the share of positive examples, whatever was predicted; nan if no example has weight.

    Takes labels [n]; options and errors are those of `rate_by_group`.

    Source: fairlearn's `mean_prediction` of the labels.

    Example:
        >>> from evenhand.metrics import prevalence
        >>> prevalence([1, 0, 0, 0], [0, 0, 0, 0])
        0.25
    """
    return everyone("prevalence", y_true, y_pred, pos_label, average, sample_weight)
