"""Attacks a method's pool of models: scores of every model as the target, and again without each pair of models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from evenhand.audit.design import MembershipDesign
from evenhand.metrics import attack_pool, attack_without_each_pair
from evenhand.metrics.membership.lira import LEAST_MODELS

TEXT_SCORES = ("reference", "zlib", "min_k", "min_k_plus_plus")
"""The attacks that are scores of texts, for which no other model of the pool is needed."""
ALONE = ("loss", *TEXT_SCORES)
"""The attacks whose scores depend on no other model of the pool."""
BASE = "base"
"""The `subset` of the base model of a pool in the table `trials`."""

LEAST_POOL: Mapping[str, int] = {**dict.fromkeys(ALONE, 2), "difficulty": 4, "rmia": 4, "lira": 2 * (LEAST_MODELS + 1)}
"""The number of models that a pool needs for an attack."""
LEAST_SHADOWS: Mapping[str, int] = {"loss": 0, "difficulty": 1, "rmia": 1, "lira": LEAST_MODELS}
"""The number of separate shadows that an attack needs for each example."""
LEAST_PAIRS = 3
"""The number of pairs that a jackknife over pairs needs."""


@dataclass(frozen=True, eq=False)
class Pool:
    """The models of one method's pool and what they are compared with.

    Attributes:
        phi: float [N, m], confidence in the label, of the pool's m examples; for an attack of `TEXT_SCORES` the score.
        member: bool [N, m], which model was trained on which example.
        pairs: int [N], the index of each model's twin.
        columns: int [m], the examples' places among the setting's.
        size: n, the setting's examples.
        design: the attack.
        shadow_phi: float [N, m], of the models to compare with where these are another method's.
    """

    phi: np.ndarray
    member: np.ndarray
    pairs: np.ndarray
    columns: np.ndarray
    size: int
    design: MembershipDesign
    shadow_phi: np.ndarray | None = None

    def too_few(self, models: int) -> str | None:
        """Why this number of models is too small for the attack; None where it is not."""
        least = LEAST_POOL[self.design.attack]
        if models >= least:
            return None
        return f"the attack {self.design.attack} needs a pool of {least} models, and there are {models}"

    def among(self, models: np.ndarray) -> Pool:
        """The pool of these models only, int [N'], whole pairs."""
        new_index = np.full(len(self.phi), -1)
        new_index[models] = np.arange(len(models))
        shadow_phi = None if self.shadow_phi is None else self.shadow_phi[models]
        parts = {"phi": self.phi[models], "member": self.member[models], "shadow_phi": shadow_phi}
        return replace(self, **parts, pairs=new_index[self.pairs[models]])

    @cached_property
    def scores(self) -> np.ndarray:
        """float [N, n], row t with model t as the target; 0 for examples that are not the pool's.

        Raises:
            InputError: twins that are not complementary, confidences that are not finite, or too few models.
        """
        if self.design.attack in TEXT_SCORES:
            return self._spread(self.phi)
        return self._spread(attack_pool(self.phi, self.member, self.pairs, **self._options))

    @cached_property
    def without(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """The remaining models, int [N − 2], and their scores, float32 [N − 2, n], without each pair in turn.

        In the order of the pairs' first models. Empty where scores depend on no other model (`ALONE`), or where there
        are too few pairs to omit one: then the variance over models is that of the influences alone.
        """
        if not self.jackknifed:
            return ()
        attacks = attack_without_each_pair(self.phi, self.member, self.pairs, **self._options)
        # Half the memory: what areas need of these scores is their order.
        return tuple((kept, self._spread(scores.astype(np.float32))) for kept, scores in attacks)

    @property
    def jackknifed(self) -> bool:
        """Whether pairs of models can be left out, and whether scores depend on them."""
        return self.design.attack not in ALONE and len(self.pairs) // 2 >= LEAST_PAIRS

    @property
    def _options(self) -> dict[str, Any]:
        options = self.design.model_dump(include={"attack", "mode", "variance", "gamma", "a"})
        return {**options, "shadow_phi": self.shadow_phi}

    def _spread(self, values: np.ndarray) -> np.ndarray:
        """Values of the pool's examples [N, m] among all of the setting's [N, n]; 0 elsewhere."""
        spread = np.zeros((len(values), self.size), dtype=values.dtype)
        spread[:, self.columns] = values
        return spread
