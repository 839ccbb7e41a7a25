"""What models do better on the examples that they were trained on, beside what that leaks.

Mean loss and accuracy on members and on non-members, all models of a method together, and their gaps. Contributions are
those of a mean over rows (model, example); intervals are clustered both ways, as of areas and rates. Gaps are not
bounded, nor are losses: they have t intervals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evenhand.audit.membership.leakage import Leak, Targets, by_unit
from evenhand.metrics import roc_auc
from evenhand.stats.discrimination import Pooled

LOSSES: Mapping[str, tuple[str, Sequence[int]]] = {
    "membership_train_loss": ("loss", (1, 0)),
    "membership_test_loss": ("loss", (0, 1)),
    "membership_generalization_gap": ("loss", (-1, 1)),
    "membership_train_accuracy": ("correct", (1, 0)),
    "membership_test_accuracy": ("correct", (0, 1)),
    "membership_accuracy_gap": ("correct", (1, -1)),
}
"""Of what, and how often the mean over members and that over non-members are counted."""

CORRELATIONS = ("membership_size_correlation", "membership_gap_correlation")
LEAST_GROUPS = 4


def difference_in(targets: Targets, measure: str, rows: np.ndarray) -> Leak:
    """One of `LOSSES` on some rows, bool [T, n]; undefined without the members or the non-members that it needs."""
    of, weights = LOSSES[measure]
    values = np.asarray(getattr(targets, of), dtype=float)
    sides = (rows & targets.member, rows & ~targets.member)
    estimate, cells, used = 0.0, np.zeros(values.shape), np.zeros(rows.shape, dtype=bool)
    reason = None
    for side, weight, name in zip(sides, weights, ("members", "non-members"), strict=True):
        if not weight:
            continue
        size = int(side.sum())
        if not size:
            reason = reason or f"no {name}"
            continue
        mean = float(values[side].mean())
        estimate += weight * mean
        cells += np.where(side, weight * (values - mean), 0.0) / size
        used |= side
    pooled = by_unit(Pooled(math.nan if reason else estimate, cells, 0, int(used.sum())), targets, used)
    sizes = [int(side.any(axis=0).sum()) for side in sides]
    share = of == "correct" and 0 in weights
    return Leak(pooled, int(used.any(axis=0).sum()), min(sizes), targets.unit, reason=reason, share=share)


def correlations(targets: Targets, places: Mapping[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Over an attribute's groups, how their AUC goes with their size and with their gap in loss.

    A group's size is that of its examples with a score. Spearman's coefficient, without an interval: groups are few,
    they are not a sample of groups, and each one's values are noisy.

    Args:
        targets: the models of one method, all together.
        places: by group that is large enough, bool [n].

    Returns:
        By measure (`CORRELATIONS`) the columns of a row of `estimates`, `n` being the number of groups; null below
        `LEAST_GROUPS` groups, and where all of them are alike.
    """
    areas, sizes, gaps = [], [], []
    for mask in places.values():
        rows = targets.known & mask
        areas.append(roc_auc(targets.score, targets.member, where=rows))
        sizes.append(rows.any(axis=0).sum())
        gaps.append(difference_in(targets, "membership_generalization_gap", rows).pooled.estimate)
    others = {CORRELATIONS[0]: np.array(sizes), CORRELATIONS[1]: np.array(gaps)}
    return {name: _spearman(np.array(areas), other) for name, other in others.items()}


def _spearman(first: np.ndarray, second: np.ndarray) -> dict[str, Any]:
    row = {"value": None, "low": None, "high": None, "n": len(first)}
    if len(first) < LEAST_GROUPS:
        return {**row, "note": f"{len(first)} groups are large enough; a correlation over groups needs {LEAST_GROUPS}"}
    if len(np.unique(first)) < 2 or len(np.unique(second)) < 2:
        return {**row, "note": "all groups are alike, so that nothing can go with them"}
    from scipy.stats import spearmanr

    value = float(spearmanr(first, second)[0])  # pyright: ignore[reportArgumentType]
    return {**row, "value": value, "note": f"over {len(first)} groups, without an interval"}
