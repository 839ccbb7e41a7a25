"""Do groups leak differently? The largest minus the smallest of their values, beside what permuted groups show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evenhand.audit.kinds.predictions import INSIDE
from evenhand.audit.measures import RANGE_NOTE
from evenhand.audit.membership.leakage import Leak, Targets
from evenhand.seeds import generator
from evenhand.stats.discrimination import Pooled
from evenhand.stats.null import noise_floor
from evenhand.stats.permuted_curves import PermutedGroups, permuted_areas, permuted_tprs

DRAWS = 200
FEW_GROUPS = "fewer than two groups have a value and enough members and non-members"
CLUSTERS = "no noise floor: examples that are resampled together are not permuted one by one"


def eligible(leaks: Mapping[str, Leak], support: int) -> list[str]:
    """The groups that have a value and enough distinct members and non-members."""
    return [name for name, leak in leaks.items() if not leak.reason and leak.smallest >= support]


def gap(leaks: Sequence[Leak]) -> dict[str, Any]:
    """max − min over groups, with its 95% interval; null below two groups.

    `n` counts the examples of the groups, those of two groups twice.
    """
    if len(leaks) < 2:
        return {"value": None, "low": None, "high": None, "n": 0, "note": FEW_GROUPS}
    ordered = sorted(leaks, key=lambda leak: leak.pooled.estimate)
    least, most = ordered[0], ordered[-1]
    between = most.pooled.minus(least.pooled)
    low, high = between.interval()
    n = sum(leak.examples for leak in leaks)
    known = not math.isnan(between.variance)
    bounds = {"low": max(low, 0.0), "high": min(high, 1.0)} if known else {"low": None, "high": None}
    return {"value": between.estimate, **bounds, "n": n, "note": RANGE_NOTE}


def between(leaks: Mapping[str, Leak], support: int) -> Leak:
    """max − min over the groups that are large enough, in linear form: the contributions of the group that leaks most
    less those of the one that leaks least, which are taken as known; undefined below two groups.

    Args:
        leaks: of one method, by group.
        support: groups with fewer distinct members or non-members are left out.
    """
    names = eligible(leaks, support)
    some = next(iter(leaks.values()))
    if len(names) < 2:
        nothing = Pooled(math.nan, np.zeros(some.pooled.cells.shape), 0, 0)
        return Leak(nothing, 0, 0, some.unit, reason=FEW_GROUPS)
    ordered = sorted((leaks[name] for name in names), key=lambda leak: leak.pooled.estimate)
    least, most = ordered[0].pooled, ordered[-1].pooled
    left = None if least.without is None or most.without is None else most.without - least.without
    units = int(((most.cells != 0) | (least.cells != 0)).any(axis=0).sum())
    whole = Pooled(most.estimate - least.estimate, most.cells - least.cells, units, 0, left)
    examples, smallest = sum(leak.examples for leak in ordered), min(leak.smallest for leak in ordered)
    return Leak(whole, examples, smallest, some.unit, share=False)


def floored(row: Mapping[str, Any], null: PermutedGroups | None) -> dict[str, Any]:
    """The row with its noise floor, and in its note the p-value of the gap; without one, why there is none."""
    if null is None:
        return {**row, "note": f"{row['note']}; {CLUSTERS}"}
    floor = noise_floor(null.gaps)
    inside = f"{INSIDE}; " if row["value"] <= floor.high else ""
    note = f"{inside}{row['note']}; p of {DRAWS} permutations of the groups {null.p:.3f}"
    return {**row, "noise_floor": floor.mean, "noise_high": floor.high, "note": note}


def permuted(
    targets: Targets, masks: np.ndarray, defined: np.ndarray, strata: np.ndarray, alpha: float | None
) -> PermutedGroups | None:
    """The groups' values, and what they are when membership patterns are permuted over the examples of a stratum.

    Args:
        targets: the models.
        masks: bool [n, G], the groups.
        defined: bool [n], who can be in a group.
        strata: int [n].
        alpha: of TPR; None: of AUC.

    Returns:
        None where units hold several examples: these were not permuted apart.
    """
    used = defined & targets.known.any(axis=0)
    if len(np.unique(targets.unit[used])) < used.sum():
        return None
    score, member, known = (part[:, used] for part in (targets.score, targets.member, targets.known))
    rng = generator(0, "floor", "membership")
    if alpha is None:
        return permuted_areas(score, member, masks[used], strata[used], DRAWS, rng, known)
    return permuted_tprs(score, member, masks[used], strata[used], alpha, DRAWS, rng, known)
