"""Selects the training sets of the models for membership inference: halves of a pool, or shadows of a target.

Halves are drawn pair by pair and never split a unit, so that adding pairs does not change the earlier ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evenhand.data.dataset import Dataset
from evenhand.data.splits import Units, draw_limited, draw_share, strata_of
from evenhand.errors import InputError
from evenhand.seeds import generator


def pool_groups(
    dataset: Dataset, attribute: str | None, groups: int | Sequence[str] | None
) -> tuple[str, tuple[str, ...]]:
    """Return the attribute and the groups whose examples make up a pool.

    Args:
        dataset: all examples.
        attribute: name of the attribute; by default the first.
        groups: names, or the number of largest groups; None: all.

    Raises:
        InputError: an attribute or a group that the data do not have, or fewer groups than asked for.
    """
    if attribute is None:
        if not dataset.attributes:
            raise InputError(f"membership: {dataset.name} has no attribute with groups")
        attribute = next(iter(dataset.attributes))
    if attribute not in dataset.attributes:
        known = ", ".join(dataset.attributes)
        raise InputError(f'membership: {dataset.name} has no attribute "{attribute}"; it has: {known}')
    known = dataset.attributes[attribute]
    if groups is None:
        return attribute, known.groups
    if not isinstance(groups, int):
        for name in groups:
            dataset.group_mask(attribute, name)  # refuses one that there is not
        return attribute, tuple(groups)
    if groups > len(known.groups):
        raise InputError(f"membership.groups is {groups}, and {attribute} has {len(known.groups)} groups")
    largest = np.argsort(-known.masks.sum(axis=0), kind="stable")[:groups]
    return attribute, tuple(known.groups[place] for place in sorted(largest))


def pool_examples(
    dataset: Dataset, attribute: str, groups: Sequence[str], per_group: int | None, seed: int
) -> np.ndarray:
    """Return the examples of some groups, as sorted positions in the data set.

    Args:
        dataset: all examples.
        attribute, groups: see `pool_groups`.
        per_group: largest number of examples of each group, drawn by label in whole units. An example of several groups
            counts for each, so examples drawn for a smaller group may make a larger group exceed the number a little.
        seed: seed of the draw.

    Raises:
        InputError: no example is left.
    """
    units = Units.of(dataset)
    kept = np.zeros(len(dataset), dtype=bool)
    sizes = {name: int(dataset.group_mask(attribute, name).sum()) for name in groups}
    for name in sorted(groups, key=lambda name: sizes[name]):
        members = np.flatnonzero(dataset.group_mask(attribute, name))
        if per_group is not None and len(members) > per_group:
            rest = members[~kept[members]]
            wanted = max(per_group - int(kept[members].sum()), 0)
            members = draw_share(units, rest, wanted / max(len(rest), 1), generator(seed, "pool", name))
        kept[members] = True
    if not kept.any():
        raise InputError(f"membership: none of the groups {', '.join(groups)} has an example")
    return np.flatnonzero(kept)


def first_half(dataset: Dataset, pool: np.ndarray, seed: int, pair: int) -> np.ndarray:
    """Return which of a pool's examples the first twin of a pair is trained on, bool [n]; the second gets the others.

    It is about half of each label within each combination of groups, in whole units.

    Args:
        dataset: all examples.
        pool: positions of the pool's examples.
        seed: seed of the pool.
        pair: the number of the pair.
    """
    units = Units.of(dataset)
    strata = strata_of(dataset, pool)
    both = np.stack([dataset.labels[pool], strata], axis=1)
    cells = np.unique(both, axis=0, return_inverse=True)[1].reshape(-1)
    chosen = draw_share(units, pool, 0.5, generator(seed, "pool", "pair", pair), cells)
    return np.isin(pool, chosen)


@dataclass(frozen=True, eq=False)
class ShadowDesign:
    """The audited examples and the training examples of shadow models, as sorted positions in the data set.

    Attributes:
        members: the audited training examples of the target; no shadow is trained on them.
        others: the audited test examples of the target.
        shadows: the training examples of each shadow, drawn from the rest of the target's training examples.
    """

    members: np.ndarray
    others: np.ndarray
    shadows: tuple[np.ndarray, ...]

    @property
    def audited(self) -> np.ndarray:
        """All audited examples, sorted."""
        return np.union1d(self.members, self.others)


def shadow_design(dataset: Dataset, train: np.ndarray, test: np.ndarray, shadows: int, seed: int) -> ShadowDesign:
    """Draw the audited examples and the shadows' training sets by the design of Ding et al. (2024).

    Of N examples, .8N train the target and .2N test it; .1N of each are audited, and each shadow is trained on .4N of
    the remaining .7N.

    So half of the test examples and the same number of training examples are audited, and a shadow learns from half as
    many examples as the target. All are drawn by label and group, in whole units.

    Args:
        dataset: all examples.
        train, test: positions of the target's examples.
        shadows: number of shadows.
        seed: seed of the target.

    Raises:
        InputError: too few training examples for shadows beside those that are audited.
    """
    units = Units.of(dataset)
    others = draw_limited(dataset, units, test, round(len(test) / 2), generator(seed, "audited", "test"))
    members = draw_limited(dataset, units, train, len(others), generator(seed, "audited", "train"))
    rest = np.setdiff1d(train, members)
    most = round(len(train) / 2)
    if len(rest) < most:
        raise InputError(
            f"membership: {len(train)} training examples, of which {len(members)} are audited, leave {len(rest)} for "
            f"shadows that learn from {most}; use a smaller test part (split.test below 1/2)"
        )
    drawn = (draw_limited(dataset, units, rest, most, generator(seed, "shadow", shadow)) for shadow in range(shadows))
    return ShadowDesign(members, others, tuple(drawn))
