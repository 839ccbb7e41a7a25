"""Balanced accuracy, and the mean log loss of probabilities; scores of each example, of which metrics are means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from evenhand.metrics.forms import columns_of
from evenhand.metrics.labels import labels_of, shares_of, weights_of

LEAST = float(np.finfo(float).eps)
"""Probabilities below this, or closer to 1, are clipped, as scikit-learn does for float64."""


def balanced_accuracy(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
    """The mean over classes of the share of a class's examples that are predicted right (macro-averaged recall).

    Args:
        y_true, y_pred: labels [n], which may be words. The classes are those of y_true.
        sample_weight: float [n].

    Returns:
        nan where the examples of some class all have weight 0, as those of a class that a group of `by_group` lacks.

    Raises:
        InputError: labels or weights that cannot be used.

    Source: Brodersen et al. (2010); scikit-learn's balanced_accuracy_score, which leaves out classes without weight.

    Example:
        >>> from evenhand.metrics import balanced_accuracy
        >>> balanced_accuracy([0, 0, 0, 1], [0, 0, 0, 0])  # (1 + 0)/2
        0.5
    """
    labels = labels_of(y_true, y_pred, average="macro")
    n = len(labels.true)
    weight = weights_of(sample_weight, n)
    weight = np.ones(n) if weight is None else weight
    total = np.bincount(labels.true, weight, labels.codes)
    right = np.bincount(labels.true, weight * (labels.predicted == labels.true), labels.codes)
    present = np.bincount(labels.true, minlength=labels.codes) > 0
    recall = np.divide(right, total, out=np.full(labels.codes, np.nan), where=total > 0)
    return float(recall[present].mean())


def log_loss(
    y_true: Any,
    y_prob: Any,
    *,
    labels: Sequence[Any] | None = None,
    pos_label: Any = None,
    sample_weight: Any = None,
) -> float:
    """The mean of −log of the probability of the true class, in nats; at least 0.

    Args:
        y_true: labels [n].
        y_prob: probability of the positive class [n], or probabilities of all classes [n, C]. They are clipped to
            [2.2e−16, 1 − 2.2e−16], the precision of float64, so that the largest loss of an example is 36.04.
        labels: labels of the columns, unless they are 0 to C−1.
        pos_label: with y_prob [n], the positive class, unless the labels are 0/1 or −1/1.
        sample_weight: float [n].

    Returns:
        nan where all weights are 0.

    Raises:
        InputError: labels, probabilities or weights that cannot be used.

    Source: scikit-learn's log_loss, for probabilities of float64.

    Example:
        >>> from evenhand.metrics import log_loss
        >>> round(log_loss([0, 1], [0.5, 0.5]), 4)  # log 2
        0.6931
    """
    probabilities, codes = columns_of(y_true, y_prob, labels=labels, pos_label=pos_label)
    return float(log_losses(probabilities, codes) @ shares_of(weights_of(sample_weight, len(codes)), len(codes)))


def brier_scores(probabilities: np.ndarray, label: np.ndarray, positive: int | None) -> np.ndarray:
    """The Brier score of each example, float [n]: (p − y)² of the positive class, or without one Σ over classes.

    Args:
        probabilities: float [n, C].
        label: int [n], columns.
        positive: the column of the positive class.
    """
    if positive is not None:
        return (probabilities[:, positive] - (label == positive)) ** 2
    own = probabilities[np.arange(len(label)), label]
    return (probabilities**2).sum(axis=1) - 2 * own + 1


def log_losses(probabilities: np.ndarray, label: np.ndarray) -> np.ndarray:
    """The log loss of each example, float [n], from its class's probability, clipped as by `log_loss`.

    Args:
        probabilities: float [n, C].
        label: int [n], columns.
    """
    return -np.log(np.clip(probabilities[np.arange(len(label)), label], LEAST, 1 - LEAST))
