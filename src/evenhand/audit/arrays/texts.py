"""Scores of generated texts as counts that add up over texts, so that groups and runs can be pooled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from evenhand.metrics.text_quality import bleu_paper_statistics


@dataclass(frozen=True, eq=False)
class Texts:
    """The BLEU statistics and ROUGE-L of the texts that a run generated.

    Attributes:
        bleu: int [n, 10], `bleu_statistics`; None where they cannot be computed.
        rouge: float [n], ROUGE-L; None where it cannot be computed.
        unit: int [n], the resampling unit of each text.
        reason: why they cannot be computed.
        generated, references: [n] the texts and their references, of which further scores are computed where they are
            asked for; empty where `bleu` is None.
    """

    bleu: np.ndarray | None
    rouge: np.ndarray | None
    unit: np.ndarray
    reason: str | None = None
    generated: Sequence[str] = ()
    references: Sequence[Sequence[str]] = ()

    @cached_property
    def bleu_paper(self) -> np.ndarray:
        """The counts of `bleu_paper_statistics`, int [n, 10]."""
        return bleu_paper_statistics(self.generated, self.references)

    def take(self, index: np.ndarray) -> Texts:
        """The texts at these positions."""
        bleu, rouge = (None if each is None else each[index] for each in (self.bleu, self.rouge))
        generated = [self.generated[int(row)] for row in index] if self.generated else ()
        references = [self.references[int(row)] for row in index] if self.references else ()
        return Texts(bleu, rouge, self.unit[index], self.reason, generated, references)
