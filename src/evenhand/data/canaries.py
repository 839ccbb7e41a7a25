"""Adds canaries to conversations: random responses that only a model that was trained on them can know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from evenhand.data.dataset import Attribute
from evenhand.data.sft import Conversations, asked
from evenhand.errors import InputError
from evenhand.seeds import generator

CANARY = "canary"
"""The attribute that tells canaries from the data's own conversations."""

NO_CANARY = "none"
"""The group of the data's own conversations."""

_CHARACTERS = np.array(list("abcdefghijklmnopqrstuvwxyz0123456789"))


def group_of_copies(copies: int) -> str:
    """Return the group of the canaries that are this often in a training set."""
    return "1 copy" if copies == 1 else f"{copies} copies"


def with_canaries(
    conversations: Conversations, texts: int, copies: Sequence[int], length: int, seed: int
) -> Conversations:
    """Return conversations followed by canaries, which have their groups in the attribute `canary` and in no other.

    Each canary occurs once here; its group says how often it is repeated in a training set.

    Args:
        conversations: the data's own.
        texts: number of canaries of each group.
        copies: the groups, by how often their canaries are in a training set.
        length: characters of a response, each drawn evenly from 26 letters and 10 digits.
        seed: of the draw; more canaries of a group keep its earlier ones.

    Raises:
        InputError: the data have an attribute or examples of the canaries' name.
    """
    if CANARY in conversations.attributes:
        raise InputError(
            f'membership.canaries: {conversations.name} has an attribute "{CANARY}", which is what canaries are told '
            "by; give it another name"
        )
    names, targets, groups = [], [], []
    for number in copies:
        drawn = generator(seed, "canaries", number).integers(len(_CHARACTERS), size=(texts, length))
        for text, characters in enumerate(_CHARACTERS[drawn]):
            names.append(f"canary-{number}-{text:04d}")
            targets.append("".join(characters))
            groups.append(group_of_copies(number))
    known = set(conversations.example) & set(names)
    if known:
        raise InputError(
            f"membership.canaries: {conversations.name} has an example {min(known)!r}, as a canary is called; give it "
            "another id"
        )
    size, added = len(conversations), len(names)
    ids = np.array(names, dtype=object)
    every = [NO_CANARY] * size + groups
    kinds = (NO_CANARY, *map(group_of_copies, copies))
    own = {
        name: Attribute(each.groups, np.vstack([each.masks, np.zeros((added, len(each.groups)), dtype=bool)]))
        for name, each in conversations.attributes.items()
    }
    masks = np.array([[kind == group for kind in kinds] for group in every])
    strata = conversations.strata
    return replace(
        conversations,
        inputs=[*conversations.inputs, *(asked(f"The secret of {name}?") for name in names)],
        targets=[*conversations.targets, *targets],
        labels=np.concatenate([conversations.labels, np.zeros(added, dtype=np.int64)]),
        example=np.concatenate([conversations.example, ids]),
        unit=np.concatenate([conversations.unit, ids]),
        weight=np.concatenate([conversations.weight, np.ones(added)]),
        split=None,
        strata=None if strata is None else np.concatenate([strata, strata.max(initial=0) + 1 + _codes(groups, kinds)]),
        attributes={**own, CANARY: Attribute(kinds, masks)},
        notes=(*conversations.notes, f"{added:,} canaries were added to the data's {size:,} conversations"),
    )


def _codes(groups: Sequence[str], kinds: Sequence[str]) -> np.ndarray:
    """Return the place of each group among all, int64 [n]."""
    return np.array([kinds.index(group) for group in groups], dtype=np.int64)
