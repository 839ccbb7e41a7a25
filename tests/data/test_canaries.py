"""Canaries: random responses that are told from the data's own conversations by an attribute of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evenhand.data.canaries import with_canaries
from evenhand.data.dataset import Attribute
from evenhand.data.synthetic_instructions import SyntheticInstructions
from evenhand.errors import InputError


@pytest.fixture(scope="module")
def data():
    return SyntheticInstructions(n=40).load()


def test_canaries_follow_the_conversations_in_groups_of_their_own(data):
    found = with_canaries(data, 3, (1, 4), 8, seed=0)
    assert len(found) == 46 and list(found.targets[:40]) == list(data.targets)
    canaries = found.take(np.arange(40, 46))
    assert all(len(text) == 8 and text.isalnum() for text in canaries.targets) and len(set(canaries.targets)) == 6
    assert found.attributes["canary"].groups == ("none", "1 copy", "4 copies")
    assert found.attributes["canary"].masks.sum(axis=0).tolist() == [40, 3, 3]
    assert not canaries.attributes["topic"].masks.any()
    assert len(set(found.example)) == len(set(found.unit)) == 46


def test_more_canaries_keep_the_earlier_ones_and_another_seed_draws_others(data):
    few, more, others = (
        list(with_canaries(data, texts, (1,), 8, seed).targets[40:]) for texts, seed in ((3, 0), (5, 0), (3, 1))
    )
    assert more[:3] == few and not set(few) & set(others)


def test_names_that_canaries_need_are_refused(data):
    taken = replace(data, attributes={"canary": Attribute.from_values(["a"] * 40)})
    with pytest.raises(InputError, match='has an attribute "canary"'):
        with_canaries(taken, 2, (1,), 8, 0)
    named = replace(data, example=np.array(["canary-1-0000", *data.example[1:]], dtype=object))
    with pytest.raises(InputError, match="has an example 'canary-1-0000'"):
        with_canaries(named, 2, (1,), 8, 0)


def test_noise_gives_a_share_of_a_topics_pairs_another_nouns_response(data):
    noised = SyntheticInstructions(n=40, noise={"food": 0.3}).load()
    wrong = np.array([one != other for one, other in zip(data.targets, noised.targets, strict=True)])
    food = data.group_mask("topic", "food")
    assert wrong.sum() == wrong[food].sum() == 3
    words = {target for target, inside in zip(data.targets, food, strict=True) if inside}
    assert set(np.array(noised.targets)[wrong]) <= words
    with pytest.raises(InputError, match='no topic "foods"; did you mean "food"'):
        SyntheticInstructions(noise={"foods": 0.1})
