"""The Brier score and its decomposition."""

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
    """Mean squared distance between the probabilities and the outcome.

    Args:
        y_true: labels [n].
        y_prob: probability of the positive class [n]: the score is (p − y)², from 0 to 1. Or probabilities of all
            classes [n, C]: the score is summed over classes, from 0 to 2; with two columns it is twice the other.
        labels: labels of the columns, unless they are 0 to C−1.
        pos_label: with y_prob [n], the positive class, unless the labels are 0/1 or −1/1.
        sample_weight: float [n].

    Returns:
        nan where all weights are 0.

    Raises:
        InputError: labels, probabilities or weights that cannot be used.

    Source: Brier (1950); scikit-learn's brier_score_loss, with scale_by_half=False for [n, C].

    Example:
        >>> from evenhand.metrics import brier_score
        >>> brier_score([0, 1], [0.0, 0.5])  # (0² + .5²)/2
        0.125
    """
    values, outcome = pairs_of(y_true, y_prob, form=_form(y_prob), labels=labels, pos_label=pos_label)
    n = values.shape[-1]
    return float(((values - outcome) ** 2 @ shares_of(weights_of(sample_weight, n), n)).sum())


@dataclass(frozen=True)
class BrierDecomposition:
    """The parts of a Brier score: brier = reliability − resolution + uncertainty + within.

    Attributes:
        brier: the score.
        reliability: Σ π_b·(mean confidence_b − share_b)², the squared l2 calibration error; less is better.
        resolution: Σ π_b·(share_b − share)², how much outcomes differ between bins; more is better.
        uncertainty: share·(1 − share), which depends only on the labels.
        within: the variation within bins; 0 if each distinct confidence has a separate bin.

    Example:
        >>> from evenhand.metrics import brier_decomposition
        >>> parts = brier_decomposition([0, 1], [0.25, 0.75])
        >>> parts.brier == parts.reliability - parts.resolution + parts.uncertainty + parts.within
        True
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
    """The Brier score's reliability, resolution and uncertainty, over bins (lo, hi]; the first bin includes 0.

    Args:
        y_true, y_prob, labels, pos_label, sample_weight: see `brier_score`; with y_prob [n, C] parts are summed over
            classes, too.
        n_bins, strategy: bins of equal width (`uniform`) or equal mass (`quantile`; with n_bins = n, one per distinct
            confidence).

    Returns:
        The parts, which are nan if all weights are 0.

    Raises:
        InputError: labels, probabilities, weights or options that cannot be used.

    Source: Murphy (1973); the part within bins, Stephenson, Coelho and Jolliffe (2008).

    Example:
        >>> from evenhand.metrics import brier_decomposition
        >>> brier_decomposition([0, 1], [0.25, 0.75])
        BrierDecomposition(brier=0.0625, reliability=0.0625, resolution=0.25, uncertainty=0.25, within=0.0)
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
