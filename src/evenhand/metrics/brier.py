"""The Brier score and its decomposition into reliability, resolution and uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evenhand.metrics.bins import Strategy, bin_of, edges_of
from evenhand.metrics.forms import Form, pairs_of
from evenhand.metrics.labels import shares_of, weights_of


def brier_score(
    y_true: Any,
    y_prob: Any,
    *,
    labels: Sequence[Any] | None = None,
    pos_label: Any = None,
    sample_weight: Any = None,
) -> float:
    """Mean squared distance between probabilities and outcomes.

    Args:
        y_true: labels [n].
        y_prob: the positive class's [n]: (p − y)², from 0 to 1. Each class's [n, C]: summed over classes, from 0 to 2;
            with two columns twice the other.
        labels: of the columns, where the labels are not 0 to C−1.
        pos_label: with y_prob [n], the positive class, where the labels are not 0/1 or −1/1.
        sample_weight: float [n].

    Returns:
        nan where all weights are 0.

    Raises:
        InputError: labels, probabilities or weights that cannot be used.

    Source: Brier (1950); scikit-learn's brier_score_loss, with scale_by_half=False for [n, C].
    """
    values, outcome = pairs_of(y_true, y_prob, form=_form(y_prob), labels=labels, pos_label=pos_label)
    n = values.shape[-1]
    return float(((values - outcome) ** 2 @ shares_of(weights_of(sample_weight, n), n)).sum())


@dataclass(frozen=True)
class BrierDecomposition:
    """The terms of the decomposition: brier = reliability − resolution + uncertainty + within.

    Attributes:
        brier: the score.
        reliability: Σ π_b·(mean confidence_b − share_b)², the squared l2 calibration error; less is better.
        resolution: Σ π_b·(share_b − share)², how much the bins differ in what happens; more is better.
        uncertainty: share·(1 − share), of the labels alone.
        within: what varies within bins; 0 where each distinct confidence has a bin of its own.
    """

    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    within: float


def brier_decomposition(
    y_true: Any,
    y_prob: Any,
    *,
    n_bins: int = 15,
    strategy: Strategy = "uniform",
    labels: Sequence[Any] | None = None,
    pos_label: Any = None,
    sample_weight: Any = None,
) -> BrierDecomposition:
    """Decompose the Brier score over bins (lo, hi], the first of which includes 0.

    Args:
        y_true, y_prob, labels, pos_label, sample_weight: see `brier_score`; with y_prob [n, C] parts are summed over
            classes, too.
        n_bins, strategy: bins of equal width (`uniform`) or equal mass (`quantile`; with n_bins = n, one per distinct
            confidence).

    Returns:
        Parts that are nan where all weights are 0.

    Raises:
        InputError: labels, probabilities, weights or options that cannot be used.

    Source: Murphy (1973); the part within bins, Stephenson, Coelho and Jolliffe (2008).
    """
    values, outcome = pairs_of(y_true, y_prob, form=_form(y_prob), labels=labels, pos_label=pos_label)
    n = values.shape[-1]
    weight = weights_of(sample_weight, n)
    shares = shares_of(weight, n)
    bins = bin_of(values, edges_of(values, n_bins, strategy, weight))
    found = np.zeros(4)
    for row, confidence, happened in zip(bins, values, outcome, strict=True):
        mass, claimed, seen = (np.bincount(row, shares * column, n_bins) for column in (1.0, confidence, happened))
        safe, share = np.where(mass > 0, mass, 1.0), shares @ happened
        reliability = (mass * ((claimed - seen) / safe) ** 2).sum()
        resolution = (mass * (seen / safe - share) ** 2).sum()
        found += [shares @ (confidence - happened) ** 2, reliability, resolution, share * (1 - share)]
    brier, reliability, resolution, uncertainty = found.tolist()
    return BrierDecomposition(
        brier, reliability, resolution, uncertainty, brier - (reliability - resolution + uncertainty)
    )


def _form(y_prob: Any) -> Form:
    return "positive" if np.ndim(y_prob) == 1 else "classwise"
