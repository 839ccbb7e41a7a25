"""The metric `reliability_curve`: by bin, mean confidence and how often the event happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evenhand.errors import InputError
from evenhand.metrics.bins import Strategy, bin_of, edges_of
from evenhand.metrics.forms import Form, pairs_of
from evenhand.metrics.labels import weights_of


@dataclass(frozen=True, eq=False)
class ReliabilityCurve:
    """The points of a reliability diagram and of the histogram of confidence beside it.

    Attributes:
        edges: edges of the bins, float [B+1].
        count: examples with weight, int [B].
        mass: share of the weight, float [B]: the histogram.
        confidence, outcome: mean confidence and share of the event, float [B]; nan in an empty bin.

    Example:
        >>> from evenhand.metrics import reliability_curve
        >>> curve = reliability_curve([0, 1, 1, 1], [0.25, 0.25, 0.75, 0.75], n_bins=2)
        >>> curve.count.tolist(), curve.mass.tolist()
        ([2, 2], [0.5, 0.5])
    """

    edges: np.ndarray
    count: np.ndarray
    mass: np.ndarray
    confidence: np.ndarray
    outcome: np.ndarray


def reliability_curve(
    y_true: Any,
    y_prob: Any,
    *,
    form: Form = "positive",
    n_bins: int = 15,
    strategy: Strategy = "uniform",
    labels: Sequence[Any] | None = None,
    pos_label: Any = None,
    sample_weight: Any = None,
) -> ReliabilityCurve:
    """Mean confidence against the share of the event by bin, in the form positive or top_label.

    The form classwise is refused, because it has a curve per class; use one column as the positive class instead.

    Takes labels [n] and probabilities [n] or [n, C]. The head of `calibration.py` documents the options, the errors and
    when the value is nan.

    Source: DeGroot and Fienberg (1983); scikit-learn's calibration_curve, which leaves empty bins out.

    Example:
        >>> from evenhand.metrics import reliability_curve
        >>> curve = reliability_curve([0, 1, 1, 1], [0.25, 0.25, 0.75, 0.75], n_bins=2)
        >>> curve.confidence.tolist(), curve.outcome.tolist()
        ([0.25, 0.75], [0.5, 1.0])
    """
    if form == "classwise":
        raise InputError('the form "classwise" has a curve per class; take one column of y_prob, form "positive"')
    (values,), (outcome,) = pairs_of(y_true, y_prob, form=form, labels=labels, pos_label=pos_label)
    weight = weights_of(sample_weight, len(values))
    edges = edges_of(values, n_bins, strategy, weight)
    bins, weight = bin_of(values, edges), np.ones(len(values)) if weight is None else weight
    count = np.bincount(bins, weight > 0, n_bins).astype(np.int64)
    total = np.bincount(bins, weight, n_bins)
    safe = np.where(total > 0, total, np.nan)
    confidence, share = (np.bincount(bins, weight * column, n_bins) / safe for column in (values, outcome))
    mass = total / total.sum() if total.sum() > 0 else np.full(n_bins, np.nan)
    return ReliabilityCurve(edges, count, mass, confidence, share)
