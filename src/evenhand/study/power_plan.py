"""Computes the smallest harm that a study could detect, before it is run, from the sizes of its groups."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from evenhand import records
from evenhand.audit.design import DEFAULT_SUPPORT
from evenhand.audit.measures.membership import false_positive_rates
from evenhand.metrics.membership.roc import LEAST
from evenhand.stats.group_sequential import look_levels
from evenhand.stats.power import detectable_effect
from evenhand.study.loaded_setting import LoadedSetting
from evenhand.study.membership_models import pool_of_setting
from evenhand.study.plan import Plan

ACCURACY = 0.8
"""The accuracy that methods are assumed to reach unless the caller gives another."""

AGREEMENT = 0.75
"""Correlation between two methods of being right on one example, typical of fine-tuned models."""

SEED_CORRELATION = 0.3
"""Correlation of an example's difference between methods in two seeds."""

ALPHA = 0.05

_STANDARD_ERRORS = 1.645 + 0.842
"""Standard errors: the normal quantiles of the level and of the power."""


@dataclass(frozen=True)
class DetectableEffect:
    """The smallest loss of accuracy that a study could detect in one group of a setting.

    Attributes:
        setting: its name.
        attribute, group: None for everyone.
        tested: examples tested in a seed, on average.
        detectable: the smallest loss of accuracy against a reference that would be found in 80% of such studies, at the
            family's level; None with one seed or with fewer examples than a verdict needs.
        runs: seeds, at the last planned look.
    """

    setting: str
    attribute: str | None
    group: str | None
    tested: float
    detectable: float | None
    runs: int


def detectable_effects(plan: Plan, accuracy: float = ACCURACY) -> list[DetectableEffect]:
    """Return the smallest detectable harm for everyone and each group of each setting that compares methods.

    Two methods that are right with probability p and agree with correlation r differ on d = 2p(1 − p)(1 − r) of the
    examples, so the contrast of a run has the variance d/n. The variance between seeds is unknown before a run, so
    these are lower bounds.

    Args:
        plan: of the study.
        accuracy: p.
    """
    return [effect for name in plan.settings for effect in _effects_of_setting(plan, name, accuracy)]


@dataclass(frozen=True)
class DetectableLeak:
    """The smallest leak that membership inference could detect in one group of a setting's pool.

    Attributes:
        setting: its name.
        attribute, group: None for everyone.
        models: number of models in the pool; each is a target.
        examples: number of examples in the group; each is a member for half of the models and a non-member for the
            others.
        area: the smallest AUC above .5 that would be found in 80% of such pools at the level ALPHA, at best.
        refused: the false positive rates at which the TPR is refused, for fewer than 3/α distinct non-members.
    """

    setting: str
    attribute: str | None
    group: str | None
    models: int
    examples: int
    area: float
    refused: tuple[float, ...]


def detectable_leaks(plan: Plan) -> list[DetectableLeak]:
    """Return the smallest detectable leak for everyone and each group of each setting with a pool.

    If nothing leaks, the AUC of one target with n/2 members and n/2 non-members has the variance (n + 1)/(3 n²)
    (Mann and Whitney 1947). The AUCs of different targets are independent, because membership is drawn anew. The
    correlation between models is unknown before a run, so these are lower bounds.

    Args:
        plan: of the study.
    """
    leaks = []
    for name, prepared in plan.settings.items():
        pool = pool_of_setting(prepared)
        if pool is None:
            continue
        rows = pool.examples()
        sizes: list[tuple[str | None, str | None, int]] = [(None, None, len(rows))]
        for attribute in records.attributes(rows):
            groups = rows[records.ATTRIBUTE + attribute].explode().drop_nulls().value_counts().sort("count")
            sizes += [(attribute, group, size) for group, size in reversed(list(groups.iter_rows()))]
        for attribute, group, size in sizes:
            area = 0.5 + _STANDARD_ERRORS * math.sqrt((size + 1) / (3 * size**2) / pool.spec.models)
            refused = tuple(alpha for alpha in false_positive_rates() if size < LEAST / alpha)
            leaks.append(DetectableLeak(name, attribute, group, pool.spec.models, size, min(area, 1.0), refused))
    return leaks


def _effects_of_setting(plan: Plan, name: str, accuracy: float) -> Iterator[DetectableEffect]:
    """Yield the smallest detectable harm for everyone and each group of one setting."""
    prepared = plan.settings[name]
    spec = prepared.spec
    if not spec.reference or len(spec.methods) < 2 or not spec.seeds or prepared.kind != "classification":
        return
    subsets = tested_subsets(prepared)
    runs, family = len(prepared.samples), max(sum(each.judged for each in subsets[1:]), 1)
    until = plan.study.until_decided
    # Of planned looks, the last one has the largest share of the level, and finds what the others may find before.
    alpha = ALPHA if until is None else max(look_levels(until.looks, ALPHA))
    for each in subsets:
        detectable = None
        if each.judged and runs > 1:
            level = alpha / (1 if each.group is None else family)
            union, common = each.units(runs), SEED_CORRELATION * each.overlap
            detectable = detectable_effect(differing(accuracy) / each.size, common, runs, union, level)
        yield DetectableEffect(name, each.attribute, each.group, each.size, detectable, runs)


@dataclass(frozen=True, eq=False)
class TestedSubset:
    """Everyone or a group among the test examples of each seed.

    Attributes:
        attribute, group: None for everyone.
        mask: bool [n], who belongs to it.
        tests: the positions of the test examples, by seed.
    """

    attribute: str | None
    group: str | None
    mask: np.ndarray
    tests: Sequence[np.ndarray]

    @cached_property
    def sizes(self) -> list[int]:
        """How many are tested in each seed."""
        return [int(self.mask[test].sum()) for test in self.tests]

    @property
    def size(self) -> float:
        """How many are tested in a seed, on average."""
        return float(np.mean(self.sizes))

    @property
    def judged(self) -> bool:
        """Whether there are enough for a verdict in each seed."""
        return min(self.sizes) >= DEFAULT_SUPPORT

    @property
    def overlap(self) -> float:
        """The share of the tested that two seeds have in common."""
        fixed = len({test.tobytes() for test in self.tests}) == 1
        return 1.0 if fixed else self.size / float(self.mask.sum())

    def units(self, runs: int) -> int:
        """How many different ones the first runs test."""
        return int(np.unique(np.concatenate([test[self.mask[test]] for test in self.tests[:runs]])).size)


def tested_subsets(prepared: LoadedSetting) -> list[TestedSubset]:
    """Return everyone, then each group, of a setting's test examples."""
    data, tests = prepared.dataset, [sample.parts.test for sample in prepared.samples.values()]
    subsets = [TestedSubset(None, None, np.ones(len(data), dtype=bool), tests)]
    for attribute, groups in data.attributes.items():
        named = enumerate(groups.groups)
        subsets += [TestedSubset(attribute, group, groups.masks[:, column], tests) for column, group in named]
    return subsets


def differing(accuracy: float) -> float:
    """Return the share of examples on which two methods differ that are right with this probability."""
    return 2 * accuracy * (1 - accuracy) * (1 - AGREEMENT)


def effect_lines(effects: Sequence[DetectableEffect], accuracy: float) -> list[str]:
    """Return detectable effects as lines for a terminal, one for each group below a heading."""
    if not effects:
        return []
    lines = [
        "",
        f"The smallest loss of accuracy that is detected with 80% power, if methods reach {accuracy:.2f} and agree",
        "as fine-tuned models do (a lower bound: the variance between seeds is unknown before a run):",
    ]
    for effect in effects:
        smallest = _smallest(effect, accuracy)
        lines.append(f"  {effect.setting}  {_group_name(effect):<32} {effect.tested:>8.0f} tested  {smallest}")
    return lines


def _smallest(effect: DetectableEffect, accuracy: float) -> str:
    """Return the smallest detectable loss as text; nobody loses more accuracy than there is."""
    if effect.runs < 2:
        return "not known before: one run of each method"
    if effect.detectable is None:
        return "too few to judge"
    return f"{effect.detectable:.3f}" if effect.detectable <= accuracy else "no possible loss would be found"


def leak_lines(leaks: Sequence[DetectableLeak]) -> list[str]:
    """Return detectable leaks as lines for a terminal, one for each group below a heading."""
    if not leaks:
        return []
    lines = [
        "",
        "The smallest AUC of membership inference that is detected with 80% power (a lower bound), and the false",
        "positive rates at which the true positive rate is refused, for too few non-members:",
    ]
    for leak in leaks:
        refused = ", ".join(f"{alpha:g}" for alpha in leak.refused) or "none"
        lines.append(
            f"  {leak.setting}  {_group_name(leak):<32} {leak.examples:>8} examples  {leak.area:.3f}  "
            f"refused: {refused}"
        )
    return lines


def _group_name(detectable: DetectableEffect | DetectableLeak) -> str:
    """Return the group's name for a terminal."""
    return "everyone" if detectable.group is None else f"{detectable.attribute} = {detectable.group}"
