"""Draws training sets for membership inference: pairs on opposite halves, or each seed's shadows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

from evenhand.data.canaries import CANARY, NO_CANARY
from evenhand.data.dataset import Attribute
from evenhand.data.pools import first_half, pool_examples, pool_groups
from evenhand.data.splits import Split, Units, draw_limited
from evenhand.errors import InputError
from evenhand.seeds import generator
from evenhand.study.loaded_dataset import LoadedDataset
from evenhand.study.loaded_setting import LoadedSetting, Sample
from evenhand.study.membership_spec import MembershipSpec

NO_EXAMPLES = np.empty(0, dtype=np.int64)

POOL = "pool"
"""The `subset` of a pool's models in the table `trials`."""


@dataclass(frozen=True, eq=False)
class MembershipPool:
    """The pool of a setting, the same for all its methods.

    Attributes:
        setting: the setting of the pool.
        spec: the setting's `membership:`.
    """

    setting: LoadedSetting
    spec: MembershipSpec

    @cached_property
    def groups(self) -> tuple[str, tuple[str, ...]] | None:
        """The attribute and the groups whose examples form the pool; None for all. Raises InputError if unknown."""
        spec = self.spec
        if spec.attribute is None and spec.groups is None and spec.per_group is None:
            return None
        return pool_groups(self.setting.dataset, spec.attribute, spec.groups)

    @cached_property
    def index(self) -> np.ndarray:
        """Positions of the pool's examples in the data set, canaries last.

        Raises InputError if classes are learned and the examples have fewer than two labels.
        """
        data, spec = self.setting.dataset, self.spec
        canaries = np.zeros(len(data), dtype=bool)
        if spec.canaries is not None:
            canaries = ~data.group_mask(CANARY, NO_CANARY)
        index = np.flatnonzero(~canaries)
        if self.groups is not None:
            index = pool_examples(data, *self.groups, spec.per_group, spec.seed)
            index = index[~canaries[index]]
        if spec.examples is not None and spec.examples < len(index):
            index = draw_limited(data, Units.of(data), index, spec.examples, generator(spec.seed, "pool", "limit"))
        index = np.concatenate([index, np.flatnonzero(canaries)])
        if self.setting.kind == "classification" and len(np.unique(data.labels[index])) < 2:
            raise InputError(f"membership: the pool's {len(index)} examples have one label; two or more are needed")
        return index

    def examples(self) -> pl.DataFrame:
        """Return the pool as rows of the table `examples`, without groups that the pool leaves out."""
        data = self.setting.dataset.take(self.index)
        if self.groups is not None:
            name, groups = self.groups
            known = data.attributes[name]
            kept = [known.groups.index(group) for group in groups]
            attributes = {**data.attributes, name: Attribute(groups, known.masks[:, kept])}
            data = replace(data, attributes=attributes)
        return LoadedDataset(data).rows(self.setting.name)

    def sample(self, number: int) -> Sample:
        """Return the sample of one model: it trains on its half (`train`) and predicts the other half as `test`."""
        first = first_half(self.setting.dataset, self.index, self.spec.seed, number // 2)
        in_half = first if number % 2 == 0 else ~first
        members, others = self.index[in_half], self.index[~in_half]
        parts = Split(members, NO_EXAMPLES, others)
        if self.setting.kind == "classification":
            return Sample(self.setting, parts, members, extra=False)
        return Sample(self.setting, parts, extra=False, scored={"train": members, "test": others})

    def base_sample(self) -> Sample:
        """Return the sample of the base model, which learns nothing and scores every text as `test`."""
        parts = Split(self.index, NO_EXAMPLES, self.index)
        return Sample(self.setting, parts, extra=False, scored={"test": self.index})

    @property
    def fingerprint(self) -> str:
        """The hash of the pool's examples, labels, groups and draw; pools that differ cannot be joined."""
        data = self.setting.dataset
        groups = {name: attribute.take(self.index).lists() for name, attribute in data.attributes.items()}
        units = [str(unit) for unit in data.unit[self.index]]
        rest = json.dumps([self.spec.seed, groups, units], sort_keys=True)
        loaded = self.setting.loaded
        return "-".join(
            (
                loaded.fingerprint(self.index),
                loaded.contents(self.index),
                hashlib.blake2b(rest.encode(), digest_size=16).hexdigest(),
            )
        )


def pool_of_setting(prepared: LoadedSetting) -> MembershipPool | None:
    """Return the pool that a setting asks for; None if it asks for none."""
    spec = prepared.spec.membership
    return MembershipPool(prepared, spec) if spec is not None and spec.design == "pool" else None


def shadow_samples(prepared: LoadedSetting, seed: int) -> Iterator[tuple[int, Sample]]:
    """Yield the number and the sample of each shadow beside a seed's targets; none without shadows."""
    shadows = prepared.shadowed(seed)
    for number, train in enumerate(() if shadows is None else shadows.shadows):
        assert shadows is not None
        yield number, Sample(prepared, Split(train, NO_EXAMPLES, shadows.audited), extra=False)
