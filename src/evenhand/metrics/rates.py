"""Rates of predictions: for everyone, by group, and one class against the rest where there are more than two.

Every rate is a share, so it needs somebody to be a share of. Where nobody is (a group without positives has no true
positive rate) it is nan; `undefined_groups` says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from evenhand.errors import InputError, did_you_mean
from evenhand.metrics.counts import Counts, count
from evenhand.metrics.groups import ByGroup, groups_of
from evenhand.metrics.labels import Average, Labels, hits_of, labels_of, weights_of

Rate = Literal[
    "selection_rate",
    "true_positive_rate",
    "false_positive_rate",
    "true_negative_rate",
    "false_negative_rate",
    "precision",
    "f1",
    "accuracy",
    "error_rate",
]

_ALL = ("true_positives", "false_positives", "true_negatives", "false_negatives")


@dataclass(frozen=True)
class Share:
    """A rate as Σ of / Σ among, in fields of `Counts`.

    Attributes:
        of, among: what is counted, and what it is a share of.
        lacking: what there is none of where the rate is undefined.
        better: +1 where more is better, −1 where less is, 0 where neither.
    """

    of: tuple[str, ...]
    among: tuple[str, ...]
    lacking: str
    better: Literal[-1, 0, 1]

    def values(self, counts: Counts) -> np.ndarray:
        of, among = _sum(counts, self.of), _sum(counts, self.among)
        return np.divide(of, among, out=np.full(among.shape, np.nan), where=among > 0)

    def support(self, counts: Counts) -> np.ndarray:
        return _sum(counts, tuple(set(self.among))).astype(np.int64)


_POSITIVE, _NEGATIVE = ("true_positives", "false_negatives"), ("true_negatives", "false_positives")
_SELECTED = ("true_positives", "false_positives")
_TWICE = ("true_positives", "true_positives")

_SHARES: Mapping[Rate, Share] = {
    "selection_rate": Share(_SELECTED, _ALL, "examples", 0),
    "true_positive_rate": Share(("true_positives",), _POSITIVE, "positive examples", 1),
    "false_positive_rate": Share(("false_positives",), _NEGATIVE, "negative examples", -1),
    "true_negative_rate": Share(("true_negatives",), _NEGATIVE, "negative examples", 1),
    "false_negative_rate": Share(("false_negatives",), _POSITIVE, "positive examples", -1),
    "precision": Share(("true_positives",), _SELECTED, "examples predicted positive", 1),
    "f1": Share(_TWICE, (*_TWICE, "false_positives", "false_negatives"), "positive examples, true or predicted", 1),
    "accuracy": Share(("true_positives", "true_negatives"), _ALL, "examples", 1),
    "error_rate": Share(("false_positives", "false_negatives"), _ALL, "examples", -1),
}


def share_of(rate: Rate) -> Share:
    """The counts in the numerator and denominator of a rate. Raises InputError for an unknown name."""
    if rate not in _SHARES:
        raise InputError(f'there is no rate "{rate}"; {did_you_mean(str(rate), get_args(Rate))}')
    return _SHARES[rate]


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
        pos_label: the positive class, where the labels are not 0/1 or −1/1. Accuracy and error need none.
        average: with more than two classes, each against the rest: the `worst` class of each group, or their mean
            (`macro`). The classes are those of y_true and y_pred.
        sample_weight: float [n].

    Returns:
        Values [..., G], nan where the group has no weight in the rate's denominator, and with an average where one
        class is nan. Support [..., G] counts examples of positive weight, the smallest over classes.

    Raises:
        InputError: labels, groups or weights that cannot be used; an average where the rate has none.

    Source: scikit-learn's and fairlearn's rates; they give 0 where this is nan.
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
    """P(ŷ = 1), the share predicted positive; nan where no example has weight.

    Of labels [n]. Options and Raises: `rate_by_group`. Source: fairlearn, whose y_true also only defines the classes.
    """
    return _everyone("selection_rate", y_true, y_pred, pos_label, average, sample_weight)


def true_positive_rate(
    y_true: Any, y_pred: Any, *, pos_label: Any = None, average: Average | None = None, sample_weight: Any = None
) -> float:
    """P(ŷ = 1 | y = 1), also called recall or sensitivity; nan without positive examples.

    Of labels [n]. Options and Raises: `rate_by_group`. Source: fairlearn, which gives 0 there.
    """
    return _everyone("true_positive_rate", y_true, y_pred, pos_label, average, sample_weight)


def false_positive_rate(
    y_true: Any, y_pred: Any, *, pos_label: Any = None, average: Average | None = None, sample_weight: Any = None
) -> float:
    """P(ŷ = 1 | y = 0); nan without negative examples.

    Of labels [n]. Options and Raises: `rate_by_group`. Source: fairlearn, which gives 0 there.
    """
    return _everyone("false_positive_rate", y_true, y_pred, pos_label, average, sample_weight)


def true_negative_rate(
    y_true: Any, y_pred: Any, *, pos_label: Any = None, average: Average | None = None, sample_weight: Any = None
) -> float:
    """P(ŷ = 0 | y = 0), also called specificity; nan without negative examples.

    Of labels [n]. Options and Raises: `rate_by_group`. Source: fairlearn, which gives 0 there.
    """
    return _everyone("true_negative_rate", y_true, y_pred, pos_label, average, sample_weight)


def false_negative_rate(
    y_true: Any, y_pred: Any, *, pos_label: Any = None, average: Average | None = None, sample_weight: Any = None
) -> float:
    """P(ŷ = 0 | y = 1), the miss rate; nan without positive examples.

    Of labels [n]. Options and Raises: `rate_by_group`. Source: fairlearn, which gives 0 there.
    """
    return _everyone("false_negative_rate", y_true, y_pred, pos_label, average, sample_weight)


def precision(
    y_true: Any, y_pred: Any, *, pos_label: Any = None, average: Average | None = None, sample_weight: Any = None
) -> float:
    """P(y = 1 | ŷ = 1); nan where nothing is predicted positive.

    Of labels [n]. Options and Raises: `rate_by_group`. Source: scikit-learn's precision_score, which gives 0 there.
    """
    return _everyone("precision", y_true, y_pred, pos_label, average, sample_weight)


def f1(
    y_true: Any, y_pred: Any, *, pos_label: Any = None, average: Average | None = None, sample_weight: Any = None
) -> float:
    """2·TP/(2·TP + FP + FN); nan where nothing is positive, true or predicted.

    Of labels [n]. Options and Raises: `rate_by_group`. Source: scikit-learn's f1_score, which gives 0 there.
    """
    return _everyone("f1", y_true, y_pred, pos_label, average, sample_weight)


def accuracy(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
    """P(ŷ = y), over all classes at once; nan where no example has weight.

    Of labels [n], which may be words. Options and Raises: `rate_by_group`. Source: scikit-learn's accuracy_score.
    """
    return _everyone("accuracy", y_true, y_pred, None, None, sample_weight)


def error_rate(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
    """P(ŷ ≠ y), over all classes at once; nan where no example has weight.

    Of labels [n], which may be words. Options and Raises: `rate_by_group`. Source: scikit-learn's zero_one_loss.
    """
    return _everyone("error_rate", y_true, y_pred, None, None, sample_weight)


def _everyone(
    rate: Rate, y_true: Any, y_pred: Any, pos_label: Any, average: Average | None, sample_weight: Any
) -> float:
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


def _sum(counts: Counts, fields: tuple[str, ...]) -> np.ndarray:
    return np.sum([getattr(counts, field) for field in fields], axis=0)
