"""Generated texts as numbers that add up over texts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Texts:
    """What a run generated, in numbers that add up over texts.

    Attributes:
        bleu: int [n, 10], `bleu_statistics`; None where it is not known.
        rouge: float [n], ROUGE-L; None where it is not known.
        unit: int [n], the resampling unit of each text.
        reason: why they are not known.
    """

    bleu: np.ndarray | None
    rouge: np.ndarray | None
    unit: np.ndarray
    reason: str | None = None

    def take(self, index: np.ndarray) -> Texts:
        """Those at these positions."""
        bleu, rouge = (None if each is None else each[index] for each in (self.bleu, self.rouge))
        return Texts(bleu, rouge, self.unit[index], self.reason)
