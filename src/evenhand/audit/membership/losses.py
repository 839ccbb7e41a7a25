"""What models do better on the examples that they were trained on, beside what that leaks.

Mean loss and accuracy on members and on non-members, all models of a method together, and their gaps. Contributions are
those of a mean over rows (model, example); intervals are clustered both ways, as of areas and rates. Gaps are not
bounded, nor are losses: they have t intervals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np

from evenhand.audit.membership.leakage import Leak, Targets, by_unit
from evenhand.metrics import roc_auc
from evenhand.stats.discrimination import PooledRoc

LEAST_GROUPS = 4


def difference_in(targets: Targets, of: Literal["loss", "correct"], weights: tuple[int, int], rows: np.ndarray) -> Leak:
    """A mean over members and one over non-members, added up; undefined without those that it needs.

    Args:
        targets: the models.
        of: of what the means are.
        weights: how often the mean over members and that over non-members are counted.
        rows: bool [T, n].
    """
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
    pooled = by_unit(PooledRoc(math.nan if reason else estimate, cells, 0, int(used.sum())), targets, used)
    sizes = [int(side.any(axis=0).sum()) for side in sides]
    share = of == "correct" and 0 in weights
    return Leak(pooled, int(used.any(axis=0).sum()), min(sizes), targets.unit, reason=reason, share=share)


def correlation(targets: Targets, places: Mapping[str, np.ndarray], of: Literal["size", "gap"]) -> tuple[float, str]:
    """Over an attribute's groups, how their AUC goes with their size or with their gap in loss.

    A group's size is that of its examples with a score. Spearman's coefficient, without an interval: groups are few,
    they are not a sample of groups, and each one's values are noisy.

    Args:
        targets: the models of one method, all together.
        places: by group that is large enough, bool [n].
        of: what the area is correlated with.

    Returns:
        The coefficient and a note; nan below `LEAST_GROUPS` groups, and where all of them are alike.
    """
    areas, others = [], []
    for mask in places.values():
        rows = targets.known & mask
        areas.append(roc_auc(targets.score, targets.member, where=rows))
        gap = difference_in(targets, "loss", (-1, 1), rows).pooled.estimate if of == "gap" else 0.0
        others.append(gap if of == "gap" else rows.any(axis=0).sum())
    return _spearman(np.array(areas), np.array(others))


def _spearman(first: np.ndarray, second: np.ndarray) -> tuple[float, str]:
    if len(first) < LEAST_GROUPS:
        return math.nan, f"{len(first)} groups are large enough; a correlation over groups needs {LEAST_GROUPS}"
    if len(np.unique(first)) < 2 or len(np.unique(second)) < 2:
        return math.nan, "all groups are alike, so that nothing can go with them"
    from scipy.stats import spearmanr

    value = float(spearmanr(first, second)[0])  # pyright: ignore[reportArgumentType]
    return value, f"over {len(first)} groups, without an interval"
