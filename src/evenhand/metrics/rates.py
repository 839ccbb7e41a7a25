"""Rates of predictions: for everyone, by group, and for one class against the rest if there are more than two.

Every rate is a share of some examples. If there are no such examples, it is nan (a group without positives has no true
positive rate); `undefined_groups` says why.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from evenhand.errors import InputError
from evenhand.metrics.counts import Rate, count, share_of
from evenhand.metrics.groups import ByGroup, groups_of
from evenhand.metrics.labels import Average, Labels, hits_of, labels_of, weights_of


def labels_for(rates: tuple[Rate, ...], y_true: Any, y_pred: Any, pos_label: Any, average: Average | None) -> Labels:
    """Labels coded for rates: accuracy and error count all classes at once, other rates each class."""
    for rate in rates:
        share_of(rate)
    if not set(rates) <= {"accuracy", "error_rate"}:
        return labels_of(y_true, y_pred, pos_label=pos_label, average=average)
    if average is not None:
        raise InputError(f"{rates[0]} counts all classes at once; leave average out")
    return hits_of(y_true, y_pred)


def rate_by_group(
    rate: Rate,
    y_true: Any,
    y_pred: Any,
    *,
    sensitive_features: Any,
    pos_label: Any = None,
    average: Average | None = None,
    sample_weight: Any = None,
) -> ByGroup:
    """A rate of each group, for any number of trials at once.

    Args:
        rate: its name.
        y_true: labels [n].
        y_pred: predicted labels [..., n], one row per trial.
        sensitive_features: labels [n], masks bool [n, G], a mapping of attributes for their intersections, or `Groups`.
        pos_label: the positive class, unless the labels are 0/1 or −1/1. Accuracy and error need none.
        average: with more than two classes, each class is compared with the rest, and the value is that of the `worst`
            class of each group, or the mean over classes (`macro`). The classes are those in y_true and y_pred.
        sample_weight: float [n].

    Returns:
        Values [..., G], nan if the group has no weight in the rate's denominator or, with an average, if the rate of
        some class is nan. Support [..., G] counts examples of positive weight, the smallest number over classes.

    Raises:
        InputError: labels, groups or weights that cannot be used; an average for a rate that has none.

    Source: scikit-learn's and fairlearn's rates, which are 0 where this is nan.

    Example:
        >>> from evenhand.metrics import rate_by_group
        >>> rates = rate_by_group("accuracy", [1, 1, 1, 0], [1, 0, 1, 0], sensitive_features=["a", "a", "b", "b"])
        >>> rates.as_dict(), rates.support.tolist()
        ({'a': 0.5, 'b': 1.0}, [2, 2])
    """
    labels = labels_for((rate,), y_true, y_pred, pos_label, average)
    groups = groups_of(sensitive_features, len(labels.true))
    weight = weights_of(sample_weight, len(labels.true))
    share = share_of(rate)
    values = share.values(count(labels, groups.masks, weight))
    support = share.support(count(labels, groups.masks, None if weight is None else (weight > 0).astype(float)))
    return ByGroup(groups.names, _over_classes(rate, values, average), support.min(axis=-2))


def undefined_groups(
    rate: Rate, y_true: Any, y_pred: Any, *, sensitive_features: Any, pos_label: Any = None, sample_weight: Any = None
) -> dict[str, str]:
    """The groups for which a rate is undefined in one run, each with the reason.

    Args, Raises and Source are those of `rate_by_group`, with y_pred [n]. Empty where no group's rate is nan.

    Example:
        >>> from evenhand.metrics import undefined_groups
        >>> undefined_groups("true_positive_rate", [1, 0, 0, 0], [1, 0, 1, 0], sensitive_features=["a", "a", "b", "b"])
        {'b': 'no positive examples'}
    """
    found = rate_by_group(
        rate,
        y_true,
        y_pred,
        sensitive_features=sensitive_features,
        pos_label=pos_label,
        sample_weight=sample_weight,
    )
    lacking = f"no {share_of(rate).lacking}"
    return {name: lacking for name, value in found.as_dict().items() if np.isnan(value)}


def selection_rate(
    y_true: Any, y_pred: Any, *, pos_label: Any = None, average: Average | None = None, sample_weight: Any = None
) -> float:
    """P(ŷ = 1), the share predicted positive; nan if no example has weight.

    Takes labels [n]; y_true only determines the classes. Options and errors are those of `rate_by_group`.

    Source: fairlearn.

    Example:
        >>> from evenhand.metrics import selection_rate
        >>> selection_rate([1, 1, 0, 0], [1, 0, 0, 0])
        0.25
    """
    return everyone("selection_rate", y_true, y_pred, pos_label, average, sample_weight)


def true_positive_rate(
    y_true: Any, y_pred: Any, *, pos_label: Any = None, average: Average | None = None, sample_weight: Any = None
) -> float:
    """P(ŷ = 1 | y = 1), also called recall or sensitivity; nan without positive examples.

    Takes labels [n]; options and errors are those of `rate_by_group`.

    Source: fairlearn, which gives 0 there.

    Example:
        >>> from evenhand.metrics import true_positive_rate
        >>> true_positive_rate([1, 1, 0, 0], [1, 0, 0, 0])
        0.5
        >>> true_positive_rate([0, 0], [1, 0])  # nobody is positive
        nan
    """
    return everyone("true_positive_rate", y_true, y_pred, pos_label, average, sample_weight)


def false_positive_rate(
    y_true: Any, y_pred: Any, *, pos_label: Any = None, average: Average | None = None, sample_weight: Any = None
) -> float:
    """P(ŷ = 1 | y = 0); nan without negative examples.

    Takes labels [n]; options and errors are those of `rate_by_group`.

    Source: fairlearn, which gives 0 there.

    Example:
        >>> from evenhand.metrics import false_positive_rate
        >>> false_positive_rate([1, 1, 0, 0], [1, 1, 1, 0])
        0.5
    """
    return everyone("false_positive_rate", y_true, y_pred, pos_label, average, sample_weight)


def true_negative_rate(
    y_true: Any, y_pred: Any, *, pos_label: Any = None, average: Average | None = None, sample_weight: Any = None
) -> float:
    """P(ŷ = 0 | y = 0), also called specificity; nan without negative examples.

    Takes labels [n]; options and errors are those of `rate_by_group`.

    Source: fairlearn, which gives 0 there.

    Example:
        >>> from evenhand.metrics import true_negative_rate
        >>> true_negative_rate([1, 1, 0, 0], [1, 1, 1, 0])
        0.5
    """
    return everyone("true_negative_rate", y_true, y_pred, pos_label, average, sample_weight)


def false_negative_rate(
    y_true: Any, y_pred: Any, *, pos_label: Any = None, average: Average | None = None, sample_weight: Any = None
) -> float:
    """P(ŷ = 0 | y = 1), the miss rate; nan without positive examples.

    Takes labels [n]; options and errors are those of `rate_by_group`.

    Source: fairlearn, which gives 0 there.

    Example:
        >>> from evenhand.metrics import false_negative_rate
        >>> false_negative_rate([1, 1, 0, 0], [1, 0, 0, 0])
        0.5
    """
    return everyone("false_negative_rate", y_true, y_pred, pos_label, average, sample_weight)


def precision(
    y_true: Any, y_pred: Any, *, pos_label: Any = None, average: Average | None = None, sample_weight: Any = None
) -> float:
    """P(y = 1 | ŷ = 1); nan where nothing is predicted positive.

    Takes labels [n]; options and errors are those of `rate_by_group`.

    Source: scikit-learn's precision_score, which gives 0 there.

    Example:
        >>> from evenhand.metrics import precision
        >>> precision([1, 1, 0, 0], [1, 1, 1, 1])
        0.5
    """
    return everyone("precision", y_true, y_pred, pos_label, average, sample_weight)


def f1(
    y_true: Any, y_pred: Any, *, pos_label: Any = None, average: Average | None = None, sample_weight: Any = None
) -> float:
    """2·TP/(2·TP + FP + FN); nan where nothing is positive, true or predicted.

    Takes labels [n]; options and errors are those of `rate_by_group`.

    Source: scikit-learn's f1_score, which gives 0 there.

    Example:
        >>> from evenhand.metrics import f1
        >>> f1([1, 1, 0, 0], [1, 0, 1, 0])  # 2·1/(2·1 + 1 + 1)
        0.5
    """
    return everyone("f1", y_true, y_pred, pos_label, average, sample_weight)


def accuracy(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
    """P(ŷ = y), over all classes at once; nan where no example has weight.

    Takes labels [n], which may be words; options and errors are those of `rate_by_group`.

    Source: scikit-learn's accuracy_score.

    Example:
        >>> from evenhand.metrics import accuracy
        >>> accuracy(["cat", "dog", "cow", "cow"], ["cat", "dog", "cow", "dog"])
        0.75
    """
    return everyone("accuracy", y_true, y_pred, None, None, sample_weight)


def error_rate(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
    """P(ŷ ≠ y), over all classes at once; nan where no example has weight.

    Takes labels [n], which may be words; options and errors are those of `rate_by_group`.

    Source: scikit-learn's zero_one_loss.

    Example:
        >>> from evenhand.metrics import error_rate
        >>> error_rate(["cat", "dog", "cow", "cow"], ["cat", "dog", "cow", "dog"])
        0.25
    """
    return everyone("error_rate", y_true, y_pred, None, None, sample_weight)


def everyone(
    rate: Rate, y_true: Any, y_pred: Any, pos_label: Any, average: Average | None, sample_weight: Any
) -> float:
    """A rate of all examples of one run, from one row of predictions; arguments as of `rate_by_group`."""
    labels = labels_for((rate,), y_true, y_pred, pos_label, average)
    if labels.predicted.ndim != 1:
        raise InputError("y_pred holds several trials; rate_by_group takes them, this function takes one")
    n = len(labels.true)
    counts = count(labels, np.ones((n, 1), dtype=bool), weights_of(sample_weight, n))
    return float(_over_classes(rate, share_of(rate).values(counts), average)[0])


def _over_classes(rate: Rate, values: np.ndarray, average: Average | None) -> np.ndarray:
    """One value per group of values [..., C, G]."""
    if average is None:
        return values[..., 0, :]
    if average == "macro":
        return values.mean(axis=-2)
    better = share_of(rate).better
    if better == 0:
        raise InputError(f'more of {rate} is neither better nor worse, so no class is worst; take average="macro"')
    return values.min(axis=-2) if better > 0 else values.max(axis=-2)
