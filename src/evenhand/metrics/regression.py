"""How far predicted numbers are from the true ones: errors in units of the label, and R²."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from evenhand.errors import InputError
from evenhand.metrics.labels import numbers_of, shares_of, weights_of


def mean_absolute_error(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
    """Mean of |prediction − label|, in units of the label.

    Args:
        y_true, y_pred: float [n].
        sample_weight: float [n].

    Returns:
        nan without examples of positive weight.

    Raises:
        InputError: numbers that are not finite, or arrays of different lengths.

    Source: scikit-learn.

    Example:
        >>> from evenhand.metrics import mean_absolute_error
        >>> mean_absolute_error([1, 2, 3], [1, 4, 2])
        1.0
    """
    errors, share = _errors(y_true, y_pred, sample_weight)
    return _mean(np.abs(errors), share)


def mean_error(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
    """Mean of prediction − label, in units of the label: above 0 where labels are overestimated.

    Args:
        y_true, y_pred: float [n].
        sample_weight: float [n].

    Returns:
        nan without examples of positive weight.

    Raises:
        InputError: see `mean_absolute_error`.

    Source: the bias of a forecast, with its usual sign.

    Example:
        >>> from evenhand.metrics import mean_error
        >>> round(mean_error([1, 2, 3], [1, 4, 2]), 3)
        0.333
    """
    errors, share = _errors(y_true, y_pred, sample_weight)
    return _mean(errors, share)


def root_mean_squared_error(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
    """Root of the mean of (prediction − label)², in units of the label.

    Args:
        y_true, y_pred: float [n].
        sample_weight: float [n].

    Returns:
        nan without examples of positive weight.

    Raises:
        InputError: see `mean_absolute_error`.

    Source: scikit-learn.

    Example:
        >>> from evenhand.metrics import root_mean_squared_error
        >>> root_mean_squared_error([1, 2], [4, 6])  # √((9 + 16)/2)
        3.5355339059327378
    """
    errors, share = _errors(y_true, y_pred, sample_weight)
    return math.sqrt(_mean(errors**2, share))


def r2_score(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
    """1 − Σ(prediction − label)²/Σ(label − mean label)²: 1 if all are right, 0 if as good as the mean label.

    Args:
        y_true, y_pred: float [n].
        sample_weight: float [n].

    Returns:
        nan where all labels are equal, for which scikit-learn returns 0 or 1.

    Raises:
        InputError: see `mean_absolute_error`.

    Source: scikit-learn.

    Example:
        >>> from evenhand.metrics import r2_score
        >>> r2_score([1, 2, 3], [1, 2, 3]), r2_score([1, 2, 3], [2, 2, 2]), r2_score([2, 2], [2, 3])
        (1.0, 0.0, nan)
    """
    errors, share = _errors(y_true, y_pred, sample_weight)
    label = numbers_of(y_true, "y_true")
    weighted = label[share > 0]
    if not len(weighted) or (weighted == weighted[0]).all():
        return math.nan
    return 1 - _mean(errors**2, share) / _mean((label - _mean(label, share)) ** 2, share)


def _errors(y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[np.ndarray, np.ndarray]:
    """Prediction − label, and each example's share of the weights, float [n] each."""
    label, predicted = numbers_of(y_true, "y_true"), numbers_of(y_pred, "y_pred")
    if label.ndim != 1 or label.shape != predicted.shape:
        raise InputError(
            f"y_true has shape {label.shape} and y_pred {predicted.shape}; one prediction per label, (n,), is needed"
        )
    for name, numbers in (("y_true", label), ("y_pred", predicted)):
        if not np.isfinite(numbers).all():
            raise InputError(f"{name} holds a value that is not a finite number")
    return predicted - label, shares_of(weights_of(sample_weight, len(label)), len(label))


def _mean(numbers: np.ndarray, share: np.ndarray) -> float:
    return float(numbers @ share) if len(numbers) else math.nan
