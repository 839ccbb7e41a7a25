"""How well a score ranks positives above negatives: for everyone, within groups, and across groups.

None of these numbers depends on a threshold. The area under the ROC curve is the chance that a positive has a higher
score than a negative, ties counting half. Borkan et al. (2019) ask it three times for each group: within the group
(`subgroup_auc`), of the positives of everyone else against the group's negatives (`bpsn_auc`: background positive,
subgroup negative), and of the group's positives against the negatives of everyone else (`bnsp_auc`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from evenhand.errors import InputError
from evenhand.metrics.groups import ByGroup, groups_of
from evenhand.metrics.labels import numbers_of, positives_of, weights_of


def roc_auc(y_true: Any, y_score: Any, *, pos_label: Any = None, sample_weight: Any = None) -> float:
    """The chance that a positive has a higher score than a negative; ties count half.

    Args:
        y_true: labels [n].
        y_score: float [n], higher for the positive class; a probability, a logit, or any other score.
        pos_label: the positive class, unless the labels are 0/1 or −1/1. Of several classes it is set against the rest.
        sample_weight: float [n]; a pair has the product of its weights.

    Returns:
        From 0 to 1; nan without positives or without negatives.

    Raises:
        InputError: labels, scores or weights that cannot be used.

    Source: Mann and Whitney (1947); scikit-learn's roc_auc_score.

    Example:
        >>> from evenhand.metrics import roc_auc
        >>> roc_auc([1, 0, 1, 0], [0.9, 0.8, 0.2, 0.1])  # 3 of the 4 pairs are in order
        0.75
    """
    positive, score, weight = _ranked(y_true, y_score, pos_label, sample_weight)
    return _area(score, weight * positive, weight * ~positive)


def average_precision(y_true: Any, y_score: Any, *, pos_label: Any = None, sample_weight: Any = None) -> float:
    """The mean, over positives, of the precision where everyone with at least their score is called positive.

    A score that says nothing has the share of positives, so that values of data with different shares do not compare.

    Args:
        y_true, y_score, pos_label, sample_weight: [n], see `roc_auc`.

    Returns:
        From 0 to 1; nan without positives.

    Raises:
        InputError: labels, scores or weights that cannot be used.

    Source: scikit-learn's average_precision_score (which is 0 without positives).

    Example:
        >>> from evenhand.metrics import average_precision
        >>> round(average_precision([1, 0, 1, 0], [0.9, 0.8, 0.2, 0.1]), 4)  # (1/1 + 2/3)/2
        0.8333
    """
    positive, score, weight = _ranked(y_true, y_score, pos_label, sample_weight)
    place = np.unique(-score, return_inverse=True)[1].reshape(-1)
    ours, theirs = (np.bincount(place, weight * side) for side in (positive, ~positive))
    true, called = np.cumsum(ours), np.cumsum(ours + theirs)
    if not true[-1] > 0:
        return float("nan")
    return float((ours * np.divide(true, called, out=np.zeros(len(true)), where=called > 0)).sum() / true[-1])


def subgroup_auc(
    y_true: Any, y_score: Any, *, sensitive_features: Any, pos_label: Any = None, sample_weight: Any = None
) -> ByGroup:
    """The ROC AUC within each group: the positives of a group against its negatives.

    Args:
        y_true, y_score, pos_label, sample_weight: see `roc_auc`.
        sensitive_features: labels [n], masks bool [n, G], a mapping of attributes for their intersections, or `Groups`.

    Returns:
        Values [G], nan without positives or negatives of the group. Support [G] counts the rarer ones of the two sides,
        of positive weight.

    Raises:
        InputError: labels, scores, groups or weights that cannot be used.

    Source: Borkan et al. (2019), Nuanced Metrics for Measuring Unintended Bias with Real Data for Text Classification.

    Example:
        >>> from evenhand.metrics import subgroup_auc
        >>> found = subgroup_auc([1, 0, 1, 0], [0.9, 0.1, 0.2, 0.8], sensitive_features=["a", "a", "b", "b"])
        >>> found.as_dict(), found.support.tolist()
        ({'a': 1.0, 'b': 0.0}, [1, 1])
    """
    return _across(y_true, y_score, sensitive_features, pos_label, sample_weight, (True, True))


def bpsn_auc(
    y_true: Any, y_score: Any, *, sensitive_features: Any, pos_label: Any = None, sample_weight: Any = None
) -> ByGroup:
    """The chance that a positive outside of the group has a higher score than a negative of the group.

    It is low where the group's negatives are scored like positives: at one threshold for all, the group has more false
    positives than the background.

    Args:
        y_true, y_score, sensitive_features, pos_label, sample_weight: [n], see `subgroup_auc`. A group's background is
            everyone who is not in it.

    Returns:
        As `subgroup_auc`: nan without positives outside or negatives inside of the group.

    Raises:
        InputError: labels, scores, groups or weights that cannot be used.

    Source: Borkan et al. (2019), background positive, subgroup negative.

    Example:
        >>> from evenhand.metrics import bpsn_auc
        >>> found = bpsn_auc([1, 0, 1, 0], [0.9, 0.1, 0.4, 0.8], sensitive_features=["a", "a", "b", "b"])
        >>> found.as_dict()
        {'a': 1.0, 'b': 1.0}
    """
    return _across(y_true, y_score, sensitive_features, pos_label, sample_weight, (False, True))


def bnsp_auc(
    y_true: Any, y_score: Any, *, sensitive_features: Any, pos_label: Any = None, sample_weight: Any = None
) -> ByGroup:
    """The chance that a positive of the group has a higher score than a negative outside of the group.

    It is low where the group's positives are scored like negatives: at one threshold for all, the group has more false
    negatives than the background.

    Args:
        y_true, y_score, sensitive_features, pos_label, sample_weight: [n], see `subgroup_auc`. A group's background is
            everyone who is not in it.

    Returns:
        As `subgroup_auc`: nan without positives inside or negatives outside of the group.

    Raises:
        InputError: labels, scores, groups or weights that cannot be used.

    Source: Borkan et al. (2019), background negative, subgroup positive.

    Example:
        >>> from evenhand.metrics import bnsp_auc
        >>> found = bnsp_auc([1, 0, 1, 0], [0.9, 0.1, 0.4, 0.8], sensitive_features=["a", "a", "b", "b"])
        >>> found.as_dict()
        {'a': 1.0, 'b': 1.0}
    """
    return _across(y_true, y_score, sensitive_features, pos_label, sample_weight, (True, False))


def _across(
    y_true: Any, y_score: Any, features: Any, pos_label: Any, sample_weight: Any, inside: tuple[bool, bool]
) -> ByGroup:
    """By group the area of some positives against some negatives.

    Args:
        y_true, y_score, features, pos_label, sample_weight: see `subgroup_auc`.
        inside: whether the positives, and whether the negatives, are those of the group.
    """
    positive, score, weight = _ranked(y_true, y_score, pos_label, sample_weight)
    groups = groups_of(features, len(score))
    values, support = [], []
    for member in groups.masks.T:
        ours = positive & (member == inside[0])
        theirs = ~positive & (member == inside[1])
        values.append(_area(score, weight * ours, weight * theirs))
        support.append(min(int((weight[side] > 0).sum()) for side in (ours, theirs)))
    return ByGroup(groups.names, np.array(values), np.array(support, dtype=int))


def _area(score: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> float:
    """The area from the weights of examples as positives and as negatives, float [n] each; nan without either."""
    if not (ours.any() and theirs.any()):
        return float("nan")
    place = np.unique(score, return_inverse=True)[1].reshape(-1)
    ours, theirs = (np.bincount(place, side) for side in (ours, theirs))
    below = np.cumsum(theirs)
    return float((ours * (below - theirs / 2)).sum() / (ours.sum() * below[-1]))


def _ranked(y_true: Any, y_score: Any, pos_label: Any, sample_weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Who is positive, bool [n], the scores and the weights, float [n] each."""
    positive = positives_of(y_true, pos_label=pos_label)
    score = numbers_of(y_score, "y_score")
    if score.shape != positive.shape:
        raise InputError(f"y_score has shape {score.shape}; one score per label, {positive.shape}, is needed")
    if np.isnan(score).any():
        raise InputError(f"y_score is nan in row {int(np.flatnonzero(np.isnan(score))[0])}; every row needs a score")
    weight = weights_of(sample_weight, len(score))
    return positive, score, np.ones(len(score)) if weight is None else weight
