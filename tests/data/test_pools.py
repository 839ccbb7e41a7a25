"""Who trains the models of membership inference: complementary, balanced, whole units, the same again."""

from __future__ import annotations

import numpy as np
import pytest

from evenhand.data.dataset import Attribute, Dataset
from evenhand.data.pools import first_half, pool_examples, pool_groups, shadow_design
from evenhand.errors import InputError


def posts(n: int = 400, unit: int = 1) -> Dataset:
    """Posts of two labels in three groups that overlap, in units of some size."""
    rng = np.random.default_rng(3)
    masks = rng.random((n, 3)) < [0.6, 0.4, 0.15]
    return Dataset(
        name="posts",
        modality="text",
        inputs=[f"post {i}" for i in range(n)],
        labels=(rng.random(n) < 0.4).astype(np.int64),
        classes=("normal", "hateful"),
        example=np.array([f"e{i}" for i in range(n)], dtype=object),
        attributes={"target": Attribute(("large", "middle", "small"), masks)},
        unit=np.array([f"u{i // unit}" for i in range(n)], dtype=object),
    )


def test_a_half_is_half_of_every_label_in_every_combination_of_groups():
    data = posts()
    pool = np.arange(0, 400)
    mine = first_half(data, pool, seed=0, pair=2)
    assert mine.sum() == 200
    cells = np.stack([data.labels, *data.attributes["target"].masks.T], axis=1)
    for cell in np.unique(cells, axis=0):
        here = (cells == cell).all(axis=1)
        assert abs(mine[here].sum() - here.sum() / 2) <= 1
    assert (first_half(data, pool, seed=0, pair=2) == mine).all()
    agree = (first_half(data, pool, seed=0, pair=3) == mine).mean()
    assert 0.4 < agree < 0.6 and (first_half(data, pool, seed=1, pair=2) != mine).any()


def test_any_example_is_in_the_first_half_of_half_of_the_pairs():
    data = posts(60)
    share = np.mean([first_half(data, np.arange(60), seed=5, pair=pair) for pair in range(400)], axis=0)
    assert np.abs(share - 0.5).max() < 0.12  # 4.8 standard errors


def test_units_are_never_split_between_twins():
    data = posts(unit=3)
    mine = first_half(data, np.arange(400), seed=0, pair=0)
    for unit in np.unique(data.unit):
        assert len(set(mine[data.unit == unit])) == 1
    assert abs(mine.sum() - 200) <= 3


def test_a_pool_can_be_of_some_groups_and_of_few_of_each():
    data = posts()
    assert pool_groups(data, None, None) == ("target", ("large", "middle", "small"))
    assert pool_groups(data, "target", 2) == ("target", ("large", "middle"))
    found = pool_examples(data, "target", ["middle", "small"], None, 0)
    masks = data.attributes["target"].masks
    assert (found == np.flatnonzero(masks[:, 1] | masks[:, 2])).all()
    few = pool_examples(data, "target", ["large", "middle", "small"], 50, 0)
    sizes = masks[few].sum(axis=0)
    assert sizes[2] >= 50 and (sizes <= 90).all() and (np.diff(few) > 0).all()


@pytest.mark.parametrize(
    ("attribute", "groups", "sentence"),
    [
        ("race", None, 'has no attribute "race"; it has: target'),
        ("target", ["larg"], 'no group "larg"; it has: large, middle, small'),
        ("target", 4, "membership.groups is 4, and target has 3 groups"),
    ],
)
def test_groups_that_are_not_there_are_refused(attribute, groups, sentence):
    with pytest.raises(InputError, match=sentence):
        pool_groups(posts(), attribute, groups)


def test_no_shadow_learns_from_an_example_that_is_audited():
    data = posts(1000)
    train, test = np.arange(0, 800), np.arange(800, 1000)
    found = shadow_design(data, train, test, shadows=16, seed=0)
    assert len(found.members) == len(found.others) == 100 and len(found.shadows) == 16
    assert np.isin(found.members, train).all() and np.isin(found.others, test).all()
    for shadow in found.shadows:
        assert len(shadow) == 400 and np.isin(shadow, train).all()
        assert not np.isin(shadow, found.audited).any()
    assert len({shadow.tobytes() for shadow in found.shadows}) == 16


def test_a_target_that_leaves_too_little_for_shadows_is_refused():
    with pytest.raises(InputError, match="leave 10 for shadows that learn from 30"):
        shadow_design(posts(160), np.arange(60), np.arange(60, 160), shadows=4, seed=0)
