"""The largest contrast of areas where nothing is there: contrasts that vary together as they do by chance.

Each contrast is the sum of what units add to it, times a standard normal number of each unit, the same number in all
conjunctions and questions, over the root of its squares (a multiplier bootstrap). Every drawn contrast is normal, and
two of them are correlated as their members make them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np

from evenhand.audit.subgroups.area_contrasts import Units
from evenhand.audit.subgroups.areas import AreaQuestion
from evenhand.audit.subgroups.asked_areas import AskedArea, added

SAMPLED = 20_000
"""Of more units a sample of so many gives the correlations of conjunctions."""
TOGETHER = 256
"""The conjunctions whose contrasts are drawn together."""


def largest_areas(asked: Sequence[AskedArea], rng: np.random.Generator, draws: int) -> np.ndarray:
    """The largest contrast over all conjunctions and questions in each draw, float [D].

    Args:
        asked: the questions, of the same rows.
        rng: the source of randomness.
        draws: D.
    """
    maxima = np.full(draws, -np.inf)
    count = Units.of(asked[0].conjunctions).count
    every = max(-(-count // SAMPLED), 1)
    multipliers = rng.standard_normal((-(-count // every), draws), dtype=np.float32)
    blocks: dict[AskedArea, list[np.ndarray]] = {one: [] for one in asked}

    def largest(one: AskedArea) -> np.ndarray:
        return np.maximum(maxima, one.largest_of(_drawn(np.stack(blocks[one]), multipliers, rng)))

    by_question: dict[AreaQuestion, list[AskedArea]] = {}
    for one in asked:
        by_question.setdefault(one.outcome, []).append(one)
    for one, row in chain.from_iterable(added(together) for together in by_question.values()):
        blocks[one].append(row[::every])
        if len(blocks[one]) == TOGETHER:
            maxima = largest(one)
            blocks[one] = []
    for one in asked:
        if blocks[one]:
            maxima = largest(one)
    return maxima


def _drawn(added: np.ndarray, multipliers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Jointly normal contrasts, float [S, D]; one of nobody in the sample is independent of all others."""
    spread = np.sqrt((added**2).sum(axis=1, keepdims=True))
    lost = spread[:, 0] == 0
    made = (added / np.where(spread > 0, spread, 1.0)).astype(np.float32) @ multipliers
    if lost.any():
        made[lost] = rng.standard_normal((int(lost.sum()), made.shape[1]), dtype=np.float32)
    return made.astype(np.float64)
