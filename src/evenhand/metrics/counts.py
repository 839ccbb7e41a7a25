"""True and false positives and negatives by class and group, and every rate as a share of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from evenhand.errors import InputError, did_you_mean
from evenhand.metrics.labels import Labels

Rate = Literal[
    "selection_rate",
    "true_positive_rate",
    "false_positive_rate",
    "true_negative_rate",
    "false_negative_rate",
    "precision",
    "positive_predictive_value",
    "negative_predictive_value",
    "false_discovery_rate",
    "false_omission_rate",
    "prevalence",
    "f1",
    "accuracy",
    "error_rate",
]


@dataclass(frozen=True, eq=False)
class Counts:
    """Weighted counts of each counted class against the rest.

    Attributes:
        true_positives, false_positives, true_negatives, false_negatives: float [..., C, G].
    """

    true_positives: np.ndarray
    false_positives: np.ndarray
    true_negatives: np.ndarray
    false_negatives: np.ndarray


_ALL = ("true_positives", "false_positives", "true_negatives", "false_negatives")


@dataclass(frozen=True)
class Share:
    """A rate as a ratio of sums of fields of `Counts`.

    Attributes:
        of, among: fields in the numerator and in the denominator.
        lacking: the kind of examples that are missing if the rate is undefined.
        better: +1 if more is better, −1 if less is better, 0 if neither.
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
_SELECTED, _REJECTED = ("true_positives", "false_positives"), ("true_negatives", "false_negatives")
_TWICE = ("true_positives", "true_positives")

_SHARES: Mapping[Rate, Share] = {
    "selection_rate": Share(_SELECTED, _ALL, "examples", 0),
    "true_positive_rate": Share(("true_positives",), _POSITIVE, "positive examples", 1),
    "false_positive_rate": Share(("false_positives",), _NEGATIVE, "negative examples", -1),
    "true_negative_rate": Share(("true_negatives",), _NEGATIVE, "negative examples", 1),
    "false_negative_rate": Share(("false_negatives",), _POSITIVE, "positive examples", -1),
    "precision": Share(("true_positives",), _SELECTED, "examples predicted positive", 1),
    "positive_predictive_value": Share(("true_positives",), _SELECTED, "examples predicted positive", 1),
    "negative_predictive_value": Share(("true_negatives",), _REJECTED, "examples predicted negative", 1),
    "false_discovery_rate": Share(("false_positives",), _SELECTED, "examples predicted positive", -1),
    "false_omission_rate": Share(("false_negatives",), _REJECTED, "examples predicted negative", -1),
    "prevalence": Share(_POSITIVE, _ALL, "examples", 0),
    "f1": Share(_TWICE, (*_TWICE, "false_positives", "false_negatives"), "positive examples, true or predicted", 1),
    "accuracy": Share(("true_positives", "true_negatives"), _ALL, "examples", 1),
    "error_rate": Share(("false_positives", "false_negatives"), _ALL, "examples", -1),
}


def share_of(rate: Rate) -> Share:
    """The definition of a rate in terms of counts. Raises InputError for an unknown name."""
    if rate not in _SHARES:
        raise InputError(f'there is no rate "{rate}"; {did_you_mean(str(rate), get_args(Rate))}')
    return _SHARES[rate]


def count(labels: Labels, masks: np.ndarray, weight: np.ndarray | None = None) -> Counts:
    """Count outcomes within each mask.

    Args:
        labels: labels with predictions [..., n].
        masks: bool [n, G].
        weight: float [n].
    """
    matrices = _matrices(labels, masks, weight)
    chosen = list(labels.counted)
    rest = 1.0 - np.eye(labels.codes)
    # Sums of counted examples, never differences, which would leave −1e−17 instead of 0 with weights.
    off = matrices * rest
    return Counts(
        *(
            np.moveaxis(found[..., chosen], -1, -2)
            for found in (
                np.diagonal(matrices, axis1=-2, axis2=-1),
                off.sum(axis=-2),
                np.diagonal(rest @ matrices @ rest, axis1=-2, axis2=-1),
                off.sum(axis=-1),
            )
        )
    )


def _matrices(labels: Labels, masks: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Confusion matrices [..., G, true, predicted]."""
    cells = labels.true * labels.codes + labels.predicted
    leading, n = cells.shape[:-1], cells.shape[-1]
    flat = cells.reshape(-1, n)
    trials, size = len(flat), labels.codes**2
    flat = flat + np.arange(trials)[:, None] * size
    found = np.empty((trials, masks.shape[1], size))
    for group, mask in enumerate(masks.T):
        rows = np.flatnonzero(mask)
        weights = None if weight is None else np.broadcast_to(weight[rows], (trials, len(rows))).ravel()
        counted = np.bincount(flat[:, rows].ravel(), weights, trials * size)
        found[:, group] = counted.reshape(trials, size)
    return found.reshape(*leading, masks.shape[1], labels.codes, labels.codes)


def _sum(counts: Counts, fields: tuple[str, ...]) -> np.ndarray:
    return np.sum([getattr(counts, field) for field in fields], axis=0)
