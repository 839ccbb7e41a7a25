"""Scores of generated texts as counts that add up over texts, so that groups and runs can be pooled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Texts:
    """The BLEU statistics and ROUGE-L of the texts that a run generated.

    Attributes:
        bleu: int [n, 10], `bleu_statistics`; None where they cannot be computed.
        rouge: float [n], ROUGE-L; None where it cannot be computed.
        unit: int [n], the resampling unit of each text.
        reason: why they cannot be computed.
    """

    bleu: np.ndarray | None
    rouge: np.ndarray | None
    unit: np.ndarray
    reason: str | None = None

    def take(self, index: np.ndarray) -> Texts:
        """The texts at these positions."""
        bleu, rouge = (None if each is None else each[index] for each in (self.bleu, self.rouge))
        return Texts(bleu, rouge, self.unit[index], self.reason)
