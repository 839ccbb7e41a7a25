"""Metric functions of agreement between models: self-consistency over the runs of a method, and flipped predictions.

Cooper, Lee, Choksi, Barocas, De Sa, Grimmelmann, Kleinberg, Sen and Zhang (2024), "Arbitrariness and Social
Prediction: The Confounding Role of Variance in Fair Classification", AAAI. arXiv:2301.11562.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from evenhand.errors import InputError
from evenhand.metrics.labels import array_of, is_missing, two_labels, weights_of


def self_consistency(y_pred: Any, *, tested: Any = None, sample_weight: Any = None) -> float:
    """The probability that two runs of one method predict the same class for an example, between 0 and 1.

    Of an example that B runs predicted, B_k of them as class k, it is Σ_k B_k(B_k − 1)/(B(B − 1)); with two classes
    that is 1 − 2·B_0·B_1/(B(B − 1)). Returned is the mean over the examples that at least two runs predicted. For a
    group, give the columns of its members.

    Args:
        y_pred: predicted labels [J, n], a row per run.
        tested: bool [J, n], which predictions there are; all unless given. Others are not read.
        sample_weight: float [n].

    Returns:
        1 where all runs agree; nan where no example was predicted by two runs.

    Raises:
        InputError: predictions that are not [J, n] or missing, or `tested` or weights that do not fit them.

    Source: Cooper et al. (2024), for two classes; the mean over their bootstrap of training sets is here one over runs.

    Example:
        >>> from evenhand.metrics import self_consistency
        >>> self_consistency([["a", "b"], ["a", "c"], ["a", "b"]])  # the mean of 1 and 1/3
        0.6666666666666666
    """
    predicted = array_of(y_pred, "y_pred")
    if predicted.ndim != 2:
        raise InputError(f"y_pred has the shape {predicted.shape}; self-consistency needs [runs, examples]")
    known = np.ones(predicted.shape, dtype=bool) if tested is None else np.asarray(tested, dtype=bool)
    if known.shape != predicted.shape:
        raise InputError(f"tested has the shape {known.shape}; that of y_pred is {predicted.shape}")
    given_labels = predicted[known]
    if given_labels.dtype.kind in "fO" and any(map(is_missing, given_labels.tolist())):
        raise InputError("y_pred holds missing values; say in tested which predictions there are")
    given = weights_of(sample_weight, predicted.shape[1])
    runs, agreeing = known.sum(axis=0), np.zeros(predicted.shape[1])
    for name in np.unique(predicted[known]):
        of_class = ((predicted == name) & known).sum(axis=0)
        agreeing += of_class * (of_class - 1.0)
    weight = (np.ones(len(runs)) if given is None else given) * (runs >= 2)
    if not weight.sum() > 0:
        return float("nan")
    share = np.divide(agreeing, runs * (runs - 1.0), out=np.zeros(len(runs)), where=runs >= 2)
    return float(weight @ share / weight.sum())


def prediction_flip_rate(y_pred: Any, y_reference: Any, *, sample_weight: Any = None) -> float:
    """The share of examples on which a model and its reference predict different classes, between 0 and 1.

    Args:
        y_pred, y_reference: predicted labels [n] of the same examples in the same order.
        sample_weight: float [n].

    Returns:
        0 where they agree everywhere; nan without examples.

    Raises:
        InputError: predictions that are missing, of two kinds (words and numbers), or do not fit each other, or weights
            that do not fit them.

    Source: Milani Fard et al. (2016), "Launch and Iterate: Reducing Prediction Churn", NIPS, who call it churn.

    Example:
        >>> from evenhand.metrics import prediction_flip_rate
        >>> prediction_flip_rate([1, 0, 1, 1], [1, 1, 1, 1])
        0.25
    """
    ours, theirs = array_of(y_pred, "y_pred"), array_of(y_reference, "y_reference")
    if ours.ndim != 1 or ours.shape != theirs.shape:
        raise InputError(f"y_pred has the shape {ours.shape} and y_reference {theirs.shape}; both should be [examples]")
    if not len(ours):
        return float("nan")
    theirs, ours = two_labels(theirs, ours, ("y_reference", "y_pred"))
    weight = weights_of(sample_weight, len(ours))
    weight = np.ones(len(ours)) if weight is None else weight
    return float(weight @ (ours != theirs) / weight.sum()) if weight.sum() > 0 else float("nan")
