"""Mean loss and accuracy on members and on non-members, and their gaps: how much better models are on training data.

All models of a method are taken together. Influences are those of a mean over rows (model, example); intervals are
clustered both ways, as for AUC and TPR. Gaps and losses are not bounded: they have t intervals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np

from evenhand.audit.membership.leakage import Leak, Targets, by_unit
from evenhand.metrics import membership_auc
from evenhand.stats.discrimination import PooledRoc

LEAST_GROUPS = 4


def difference_in(targets: Targets, of: Literal["loss", "correct"], weights: tuple[int, int], rows: np.ndarray) -> Leak:
    """A weighted sum of the mean over members and the mean over non-members; undefined without the rows it needs.

    Args:
        targets: the models.
        of: the quantity that is averaged.
        weights: of the mean over members, and of that over non-members.
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
    """The correlation, over an attribute's groups, of their AUC with their size or with their gap in loss.

    A group's size is that of its examples with a score. Spearman's coefficient, without an interval: groups are few,
    they are not a sample of groups, and each one's values are noisy.

    Args:
        targets: the models of one method, all together.
        places: bool [n] by group, for the groups that are large enough.
        of: what the area is correlated with.

    Returns:
        The coefficient and a note; nan below `LEAST_GROUPS` groups, and where all of them are alike.
    """
    areas, others = [], []
    for mask in places.values():
        rows = targets.known & mask
        areas.append(membership_auc(targets.score, targets.member, where=rows))
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
