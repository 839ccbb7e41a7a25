"""Tells who is in which group of an attribute: one group for each example, and a hash of all groups."""

from __future__ import annotations

import hashlib

import numpy as np

from evenhand.data.dataset import Dataset, TrainingExamples
from evenhand.errors import InputError

NO_GROUP = "(no group)"
"""The group of examples that are in no group of an attribute."""


def example_groups(dataset: Dataset, attribute: str) -> np.ndarray:
    """Return the group of each example, names [n]; `(no group)` for examples that are in none.

    Raises:
        InputError: the examples lack the attribute, or its groups overlap.
    """
    if attribute not in dataset.attributes:
        raise InputError(
            f'{dataset.name} has no attribute "{attribute}"; it has: {", ".join(dataset.attributes) or "none"}'
        )
    groups = dataset.attributes[attribute]
    if (groups.masks.sum(axis=1) > 1).any():
        raise InputError(
            f"the groups of {attribute} overlap in {dataset.name}, so that an example would have several thresholds; "
            "name an attribute whose groups do not overlap"
        )
    names = np.array([*groups.groups, NO_GROUP], dtype=object)
    return names[np.where(groups.masks.any(axis=1), groups.masks.argmax(axis=1), len(groups.groups))]


def hash_of_groups(examples: TrainingExamples | Dataset, attribute: str) -> str:
    """Return a hash of who is in which group, whatever the groups' names; of no groups where examples have none."""
    held = examples.attributes.get(attribute)
    masks = np.empty((0, 0), dtype=bool) if held is None else held.masks
    digest = hashlib.blake2b(str(masks.shape).encode(), digest_size=16)
    digest.update(np.packbits(masks).tobytes())
    return digest.hexdigest()
