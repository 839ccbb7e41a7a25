"""Differences in leakage between groups: the largest minus the smallest value, and its permutation distribution."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from evenhand.audit.membership.leakage import Leak, Targets
from evenhand.seeds import generator
from evenhand.stats.contrast import TwoWay
from evenhand.stats.discrimination import PooledRoc
from evenhand.stats.permuted_curves import PermutedGroups, permuted_areas

DRAWS = 200
FEW_GROUPS = "fewer than two groups have a value and enough members and non-members"
CLUSTERS = "no noise floor: examples that are resampled together are not permuted one by one"
LEAST_PERMUTED = 30
"""With fewer distinct members or non-members in a group, its area's standard error is known too badly for a test."""
TOO_SMALL = f"no noise floor: below {LEAST_PERMUTED} members or non-members in a group the test is not valid"
RATES = "no noise floor: permuted groups would be as difficult as each other, and rates cannot be corrected for that"


def eligible(leaks: Mapping[str, Leak], support: int) -> list[str]:
    """The groups that have a value and enough distinct members and non-members."""
    return [name for name, leak in leaks.items() if not leak.reason and leak.smallest >= support]


def largest_gap(leaks: Sequence[Leak]) -> TwoWay:
    """max − min over two or more groups that have a value, with its variance."""
    ordered = sorted(leaks, key=lambda leak: leak.pooled.estimate)
    return ordered[-1].pooled.minus(ordered[0].pooled)


def between(leaks: Mapping[str, Leak], support: int) -> Leak:
    """max − min over the groups that are large enough, in linear form; undefined below two groups.

    Its influence is that of the group that leaks most minus that of the one that leaks least, which are taken as known.

    Args:
        leaks: of one method, by group.
        support: groups with fewer distinct members or non-members are left out.
    """
    names = eligible(leaks, support)
    any_leak = next(iter(leaks.values()))
    if len(names) < 2:
        nothing = PooledRoc(math.nan, np.zeros(any_leak.pooled.cells.shape), 0, 0)
        return Leak(nothing, 0, 0, any_leak.unit, reason=FEW_GROUPS)
    ordered = sorted((leaks[name] for name in names), key=lambda leak: leak.pooled.estimate)
    least, most = ordered[0].pooled, ordered[-1].pooled
    without = None if least.without is None or most.without is None else most.without - least.without
    units = int(((most.cells != 0) | (least.cells != 0)).any(axis=0).sum())
    whole = PooledRoc(most.estimate - least.estimate, most.cells - least.cells, units, 0, without)
    examples, smallest = sum(leak.examples for leak in ordered), min(leak.smallest for leak in ordered)
    return Leak(whole, examples, smallest, any_leak.unit, share=False)


def permuted(
    targets: Targets, masks: np.ndarray, defined: np.ndarray, strata: np.ndarray, leaks: Sequence[Leak]
) -> PermutedGroups | str:
    """The groups' areas, and those when membership patterns are permuted over the examples of a stratum.

    Args:
        targets: the models, which are taken as given.
        masks: bool [n, G], the groups.
        defined: bool [n], the examples for which the attribute is defined.
        strata: int [n].
        leaks: the groups' areas.

    Returns:
        The reason, where units hold several examples, which were not permuted apart, or where groups are too small.
    """
    used = defined & targets.known.any(axis=0)
    if len(np.unique(targets.unit[used])) < used.sum():
        return CLUSTERS
    if min(leak.smallest for leak in leaks) < LEAST_PERMUTED:
        return TOO_SMALL
    score, member, known = (part[:, used] for part in (targets.score, targets.member, targets.known))
    return permuted_areas(score, member, masks[used], strata[used], DRAWS, generator(0, "floor", "membership"), known)
