"""Defines data sets of texts and what a language model should write after each: translations, and responses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from evenhand.data.dataset import Dataset, TrainingExamples, content_hash, pick


@dataclass(frozen=True, eq=False)
class Pairs(Dataset):
    """A data set whose examples are pairs. Its labels only mark kinds of pairs, for the split; no model learns them.

    Attributes:
        inputs: [n] what precedes.
        targets: [n] what a model learns to write.
        learned: False.
    """

    learned: bool = False
    targets: Sequence[str] = field(default=(), repr=False)

    def take(self, index: np.ndarray) -> Pairs:
        """Return the pairs at these positions, in this order."""
        taken = super().take(index)
        assert isinstance(taken, Pairs)
        return replace(taken, targets=pick(list(self.targets), index))


@dataclass(frozen=True, eq=False)
class TrainingPairs(TrainingExamples):
    """The pairs that a trial learns from.

    Attributes:
        inputs, targets: [n], see `Pairs`.
        labels: int64 [n], all 0.
    """

    targets: Sequence[str] = field(default=(), repr=False)

    def take(self, index: np.ndarray) -> TrainingPairs:
        """Return the pairs at these positions, in this order."""
        taken = super().take(index)
        assert isinstance(taken, TrainingPairs)
        return replace(taken, targets=pick(list(self.targets), index))


def pairs_hash(sources: Sequence[str], targets: Sequence[str]) -> str:
    """Return a hash of sources and targets, in order."""
    pairs = [f"{source}\0{target}" for source, target in zip(sources, targets, strict=True)]
    return content_hash(pairs, np.zeros(len(pairs), dtype=np.int64))
