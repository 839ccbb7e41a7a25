"""What a study could see, before it is run: the smallest harm in a group's accuracy, from the groups' sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from evenhand.audit.design import DEFAULT_SUPPORT
from evenhand.stats.power import foreseen_effect
from evenhand.study.plan import Plan

ACCURACY = 0.8
"""What the methods are taken to reach where nobody says otherwise."""

AGREEMENT = 0.75
"""Correlation of being right between two methods on one example, as fine-tuned models have it."""

LASTING = 0.3
"""Correlation of an example's difference between methods in two seeds."""

ALPHA = 0.05


@dataclass(frozen=True)
class Foreseen:
    """One group of a setting.

    Attributes:
        setting: its name.
        attribute, group: None for everyone.
        tested: examples tested in a seed, on average.
        detectable: the smallest loss of accuracy against a reference that would be found in 80% of such studies, at the
            family's level; None with one seed or with fewer examples than a verdict needs.
    """

    setting: str
    attribute: str | None
    group: str | None
    tested: float
    detectable: float | None


def foresee(plan: Plan, accuracy: float = ACCURACY) -> list[Foreseen]:
    """The smallest detectable harm for everyone and each group of each setting that compares methods.

    Two methods that are right with probability p and agree with correlation r differ on d = 2p(1 − p)(1 − r) of the
    examples, so that a run's contrast has the variance d/n. What seeds add is not known before a run: these are lower
    bounds.

    Args:
        plan: of the study.
        accuracy: p.
    """
    return [one for name in plan.settings for one in _setting(plan, name, accuracy)]


def _setting(plan: Plan, name: str, accuracy: float) -> Iterator[Foreseen]:
    prepared = plan.settings[name]
    if not prepared.spec.reference or len(prepared.spec.methods) < 2:
        return
    tests = {seed: sample.parts.test for seed, sample in prepared.samples.items()}
    data, runs = prepared.dataset, len(tests)
    found: list[tuple[str | None, str | None, np.ndarray]] = [(None, None, np.ones(len(data), dtype=bool))]
    for attribute, groups in data.attributes.items():
        found += [(attribute, group, groups.masks[:, place]) for place, group in enumerate(groups.groups)]
    counts = [[int(mask[test].sum()) for test in tests.values()] for _, _, mask in found]
    judged = [min(each) >= DEFAULT_SUPPORT for each in counts]
    family = max(sum(judged[1:]), 1)
    fixed = len({test.tobytes() for test in tests.values()}) == 1
    for (attribute, group, mask), each, enough in zip(found, counts, judged, strict=True):
        size = float(np.mean(each))
        detectable = None
        if enough and runs > 1:
            overlap = 1.0 if fixed else size / mask.sum()
            differ = 2 * accuracy * (1 - accuracy) * (1 - AGREEMENT)
            union = int(np.unique(np.concatenate([test[mask[test]] for test in tests.values()])).size)
            level = ALPHA / (1 if group is None else family)
            detectable = foreseen_effect(differ / size, LASTING * overlap, runs, union, level)
        yield Foreseen(name, attribute, group, size, detectable)
