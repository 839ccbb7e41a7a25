"""Membership scores whose areas and rates are known exactly: normal scores that training raises by a known step.

The score of an example that a model was not trained on is standard normal, √e of it shared by all models and methods;
training adds a leak, which differs by model and group with standard deviation `varied`. Then the AUC is
Φ(δ/√(2 + varied²)) and the TPR at a FPR of α Φ((δ − z)/√(1 + varied²)), z the normal quantile of 1 − α.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import norm, t

from evenhand.audit.design import Design, SettingDesign
from evenhand.audit.kinds.membership import OWN, MembershipReading
from evenhand.audit.measures import measure_named
from evenhand.audit.membership.leakage import Targets
from evenhand.audit.reading import setting_contrasts
from evenhand.audit.verdict_rows import SettingContrast
from evenhand.audit.verdicts import families
from random_effects import METHODS

AUC, ACCURACY, RATE = "membership_auc", "membership_balanced_accuracy", "membership_tpr_at_fpr_0.01"


@dataclass(frozen=True)
class KnownLeaks:
    """Two methods whose models leak by known steps, in each group.

    Attributes:
        leaks: by method and group float [G], δ.
        sizes: examples of each group.
        models: of each method, in pairs of complementary membership; one has half of the examples.
        shared: e, the share of an example's score that all models have.
        varied: standard deviation of a leak over models and groups.
        heavy: whether members' scores are spread as t(3), scaled to 1; truths are then for the area by simulation only.
    """

    leaks: Mapping[str, tuple[float, ...]]
    sizes: tuple[int, ...]
    models: int = 8
    shared: float = 0.5
    varied: float = 0.2
    heavy: bool = False
    margins: Mapping[str, float] = field(default_factory=dict)

    @property
    def design(self) -> Design:
        """Of the one setting."""
        one = SettingDesign(references=("reference",), methods=METHODS)
        return Design(settings={"main": one}, margins=dict(self.margins))

    def draw(self, rng: np.random.Generator) -> MembershipReading:
        """One repetition."""
        group = np.repeat(np.arange(len(self.sizes)), self.sizes)
        n, half = len(group), (self.models + 1) // 2
        first = rng.random((half, n)) < 0.5
        member = np.concatenate([first, ~first])[: self.models]
        shared, attacked = rng.normal(size=n), {}
        for method in METHODS:
            leak = np.array(self.leaks[method]) + self.varied * rng.normal(size=(self.models, len(self.sizes)))
            noise = t.rvs(3, size=member.shape, random_state=rng) / np.sqrt(3) if self.heavy else 0.0
            own = np.where(member & self.heavy, noise, rng.normal(size=member.shape))
            score = np.sqrt(self.shared) * shared + np.sqrt(1 - self.shared) * own + leak[:, group] * member
            known = np.ones_like(member)
            attacked[method] = Targets(tuple(range(self.models)), score, member, known, np.arange(n))
        names = ["abcdefghijklm"[index] for index in group]
        examples = pl.DataFrame({"example": [f"{row:06d}" for row in range(n)], "label": [0] * n}).with_columns(
            pl.Series("attribute.who", [[name] for name in names])
        )
        return MembershipReading("main", self.design.settings["main"], examples, attacked, self.design)

    def value(self, measure: str, method: str, group: int) -> float:
        """The true AUC, balanced accuracy or TPR at 1% of a group."""
        leak = self.leaks[method][group]
        if measure == AUC:
            return float(norm.cdf(leak / np.sqrt(2 + self.varied**2)))
        if measure == RATE:
            return float(norm.cdf((leak - norm.ppf(0.99)) / np.sqrt(1 + self.varied**2)))
        raise ValueError(measure)

    def gap_change_of(self, measure: str, group: str) -> float:
        """The true gap change of a group where all others leak alike."""
        rank = "abcdefghijklm".index(group)
        rest = next(index for index in range(len(self.sizes)) if index != rank)
        signs = ((1, "method", rank), (-1, "method", rest), (-1, "reference", rank), (1, "reference", rest))
        return sum(sign * self.value(measure, method, index) for sign, method, index in signs)


def contrasts_of(
    world: KnownLeaks, rng: np.random.Generator, measure: str, kind: str = "gap change"
) -> Iterator[SettingContrast]:
    """The gap changes, or changes, of one repetition; changes are of everyone, too."""
    reading = world.draw(rng)
    for estimand in reading.estimands(measure_named(measure)):
        if estimand.condition not in (None, OWN) or (estimand.subset.group is None and kind == "gap change"):
            continue
        for member in setting_contrasts(reading, estimand, world.design):
            if member.comparison.kind == kind:
                yield member


def rows_of(
    world: KnownLeaks, rng: np.random.Generator, measure: str, kind: str = "gap change"
) -> list[dict[str, Any]]:
    """The verdict rows of gap changes, or changes, of one repetition."""
    found = families(list(contrasts_of(world, rng, measure, kind)), world.design)
    return [row for family in found for row in family.rows()]
