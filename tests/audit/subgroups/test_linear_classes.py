"""Linear threshold subgroups: the search finds what looking at all of them finds, and no conjunction is worse."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from evenhand.audit.subgroups.linear_classes import rich_subgroup
from evenhand.errors import InputError


def violation(members: np.ndarray, positive: np.ndarray, label: np.ndarray | None) -> float:
    """P(S)·|rate(S) − rate|, or that of false positives, from its definition."""
    counted = np.ones(len(positive), dtype=bool) if label is None else ~label
    inside = members & counted
    if not inside.any():
        return 0.0
    return inside.mean() * abs(positive[inside].mean() - positive[counted].mean())


def problem(seed: int, groups: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Groups, predictions that depend on them at random, and labels."""
    rng = np.random.default_rng(seed)
    x = rng.random((600, groups)) < rng.uniform(0.2, 0.8, groups)
    patterns = rng.uniform(0.1, 0.9, 2**groups)[x @ (1 << np.arange(groups))]
    return x, rng.random(600) < patterns, rng.random(600) < 0.5


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("parity", ["statistical", "false positives"])
def test_the_search_finds_the_worst_of_all_thresholds_of_few_groups(seed, parity):
    x, positive, label = problem(seed, 4)
    asked = None if parity == "statistical" else label
    all_of_them = rich_subgroup(x, positive, asked, exhaustive=True)
    found = rich_subgroup(x, positive, asked, exhaustive=False)
    assert found.violation >= 0.95 * all_of_them.violation
    assert all_of_them.violation == pytest.approx(violation(all_of_them.members, positive, asked))
    assert found.violation == pytest.approx(violation(found.members, positive, asked))


def test_all_thresholds_of_four_groups_are_among_those_that_are_looked_at():
    cube = np.array(list(product([0, 1], repeat=4)))
    seen = set()
    for weights in product(range(-3, 4), repeat=4):
        scores = cube @ np.array(weights)
        seen |= {tuple(scores >= threshold) for threshold in range(-13, 14)}
    assert len(seen) == 1882  # the number of threshold functions of four variables


@pytest.mark.parametrize("seed", range(3))
def test_it_is_never_better_treated_than_the_worst_conjunction(seed):
    x, positive, label = problem(seed, 7)
    worst = max(
        violation(x[:, list(items)].all(axis=1), positive, label)
        for size in (1, 2, 3)
        for items in combinations(range(7), size)
    )
    assert rich_subgroup(x, positive, label).violation >= worst - 1e-12


def test_a_majority_of_groups_is_found_where_no_conjunction_says_it():
    rng = np.random.default_rng(0)
    x = rng.random((4000, 5)) < 0.5
    most = x.sum(axis=1) >= 3
    positive = rng.random(4000) < np.where(most, 0.7, 0.4)
    found = rich_subgroup(x, positive)
    assert (found.members == most).mean() > 0.97 or (found.members != most).mean() > 0.97
    assert found.violation == pytest.approx(0.075, abs=0.015)


def test_bad_arrays_are_refused():
    with pytest.raises(InputError, match="no negatives"):
        rich_subgroup(np.ones((3, 2)), np.ones(3), np.ones(3))
    with pytest.raises(InputError, match=r"\[n, d\]"):
        rich_subgroup(np.ones(3), np.ones(3))
