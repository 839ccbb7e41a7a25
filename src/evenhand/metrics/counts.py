"""Counts of true and false positives and negatives by class and group, from which rates are computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evenhand.metrics.labels import Labels


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


def count(labels: Labels, masks: np.ndarray, weight: np.ndarray | None = None) -> Counts:
    """Count outcomes within each mask.

    Args:
        labels: with predictions [..., n].
        masks: bool [n, G].
        weight: float [n].
    """
    matrices = _matrices(labels, masks, weight)
    chosen = list(labels.counted)
    rest = 1.0 - np.eye(labels.codes)
    # Sums of what is counted, never differences: with weights those would leave −1e−17 where there is nothing.
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
