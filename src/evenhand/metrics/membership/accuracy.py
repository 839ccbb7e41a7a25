"""Balanced accuracy of membership attacks, at a threshold chosen on other targets."""

from __future__ import annotations

from typing import Any

import numpy as np

from evenhand.errors import InputError
from evenhand.metrics.labels import numbers_of
from evenhand.metrics.membership.roc import chosen_rows


def attack_accuracy(score: Any, member: Any, *, pairs: Any = None, where: Any = None) -> np.ndarray:
    """Balanced accuracy (TPR + 1 − FPR)/2 of each target, at the threshold that is best on the other targets.

    The best threshold on a target's own rows would give more than .5 for any data.

    Args:
        score, member, where: see `roc.py`; [T, n] for two targets or more.
        pairs: int [T], each target's twin, whose rows are not used for its threshold either.

    Returns:
        float [T]; nan for a target without members or non-members, or if the other targets have none.

    Raises:
        InputError: shapes that do not fit, scores that are nan.

    Source: Yeom et al. (2018), whose advantage TPR − FPR is twice this less 1; thresholds from other targets are ours.

    Example:
        >>> from evenhand.metrics import attack_accuracy
        >>> attack_accuracy([[1, 0], [1, 0]], [[True, False], [True, False]]).tolist()
        [1.0, 1.0]
    """
    values = numbers_of(score, "score")
    if values.ndim != 2:
        raise InputError(
            f"score has shape {values.shape}; a row per target is needed, to choose a threshold on the others"
        )
    found, inside = chosen_rows(values, member, where)
    rows = np.broadcast_to(True if where is None else where, values.shape).astype(bool)
    target = np.broadcast_to(np.arange(len(values))[:, None], values.shape)[rows]
    twin = np.arange(len(values)) if pairs is None else np.asarray(pairs)
    if twin.shape != (len(values),):
        raise InputError(f"pairs has shape {twin.shape} and there are {len(values)} targets; a twin of each is needed")
    order = np.argsort(-found, kind="stable")
    found, inside, target = found[order], inside[order], target[order]
    accuracy = np.full(len(values), np.nan)
    for one, other in enumerate(twin.tolist()):
        own = target == one
        threshold = _best_threshold(*(part[~own & (target != other)] for part in (found, inside)))
        called, truly = found[own] >= threshold, inside[own]
        if truly.any() and not truly.all() and not np.isnan(threshold):
            accuracy[one] = (called[truly].mean() + (~called[~truly]).mean()) / 2
    return accuracy


def _best_threshold(score: np.ndarray, member: np.ndarray) -> float:
    """The score with the largest TPR − FPR of rows in descending order; nan without members or non-members."""
    if member.all() or not member.any():
        return float("nan")
    gain = np.cumsum(member) / member.sum() - np.cumsum(~member) / (~member).sum()
    last = np.append(score[1:] != score[:-1], True)
    return float(score[last][np.argmax(gain[last])])
