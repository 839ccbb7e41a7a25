"""The enumeration of conjunctions equals brute force, on small random tables of every shape."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from evenhand.audit.subgroups.attributes import SearchedAttribute, classes
from evenhand.audit.subgroups.conjunctions import Conjunctions


def random_problem(seed: int) -> tuple[list[SearchedAttribute], dict[str, np.ndarray], int, np.ndarray | None]:
    """Attributes with and without overlaps, missing values and undefined rows; the masks of their groups; units."""
    rng = np.random.default_rng(seed)
    rows, attributes, masks = int(rng.integers(20, 120)), [], {}
    for place in range(int(rng.integers(1, 5))):
        groups = int(rng.integers(1, 5))
        if rng.random() < 0.4:
            own = rng.random((rows, groups)) < rng.uniform(0.2, 0.7)
        else:
            own = np.eye(groups + 1, dtype=bool)[rng.integers(0, groups + 1, rows)][:, :groups]
        defined = rng.random(rows) < 0.8 if rng.random() < 0.3 else np.ones(rows, dtype=bool)
        own &= defined[:, None]
        names = [f"g{group}" for group in range(groups)]
        attributes.append(SearchedAttribute.of_masks(f"a{place}", names, own, defined))
        masks |= {f"a{place}={name}": own[:, group] for group, name in enumerate(names)}
    return attributes, masks, rows, rng.integers(0, rows // 2, rows) if rng.random() < 0.4 else None


def brute_force(masks: dict[str, np.ndarray], depth: int, support: int, unit: np.ndarray | None) -> dict[str, set[int]]:
    """The members of every conjunction with the support, by its name."""
    found = {}
    for size in range(1, depth + 1):
        for names in combinations(masks, size):
            inside = np.logical_and.reduce([masks[name] for name in names])
            units = inside.sum() if unit is None else len(set(unit[inside]))
            if units >= max(support, 1):
                found[" & ".join(names)] = set(np.flatnonzero(inside))
    return found


@pytest.mark.parametrize("seed", range(40))
def test_the_enumeration_equals_brute_force(seed):
    attributes, masks, rows, unit = random_problem(seed)
    depth, support = 1 + seed % 4, (1, 3, 8)[seed % 3]
    found = Conjunctions(attributes, rows, depth, support, unit)
    expected = brute_force(masks, depth, support, unit)
    places = {found.name(place): place for place in range(len(found))}
    # Groups of one attribute that no row shares are never a conjunction: brute force drops them by the support.
    assert places.keys() == expected.keys()
    table = found.memberships().toarray()
    for name, members in expected.items():
        assert set(np.flatnonzero(found.members(places[name]))) == members
        assert set(np.flatnonzero(table[places[name]])) == members
        assert found.size[places[name]] == (len(members) if unit is None else len(set(unit[list(members)])))


@pytest.mark.parametrize("seed", range(10))
def test_sums_are_those_of_the_members_in_either_form(seed):
    attributes, _, rows, unit = random_problem(seed)
    found = Conjunctions(attributes, rows, 3, 2, unit)
    rng = np.random.default_rng(seed)
    code, kinds = rng.integers(0, 5, rows), rng.normal(size=(5, 3))
    expected = np.array([kinds[code[found.members(place)]].sum(axis=0) for place in range(len(found))]).reshape(-1, 3)
    np.testing.assert_allclose(found.sums(kinds, code), expected, atol=1e-12)
    np.testing.assert_allclose(found.sums(kinds[code]), expected, atol=1e-12)


def test_every_conjunction_is_found_at_its_groups():
    attributes, _, rows, _ = random_problem(3)
    found = Conjunctions(attributes, rows, 3, 1)
    for groups, place in found.index.items():
        assert place < 0 or groups == tuple(item for item in found.items[place] if item >= 0)


def test_numbers_are_cut_where_it_was_declared_and_the_missing_value_is_a_class_of_its_own():
    numbers, counts = np.array([18.0, 25, 40, 70, np.nan]), np.array([3, 3, 3, 3, 2])
    names, column = classes(numbers, counts, [25, 65])
    assert names == ["≤ 25", "(25, 65]", "> 65", "(missing)"]
    assert column.tolist() == [0, 0, 1, 2, 3]


def test_classes_by_size_are_about_equal_and_ties_stay_together():
    numbers, counts = np.arange(10.0), np.array([1, 1, 1, 1, 20, 1, 1, 1, 1, 1])
    names, column = classes(numbers, counts, 4)
    assert len(names) == len(set(names)) == column.max() + 1
    assert column.tolist() == sorted(column)
