"""Dropout with a generator of its own, so that neither other layers nor other trials shift its masks."""

from __future__ import annotations

import torch
from torch import nn


class SeededDropout(nn.Module):
    """Dropout whose masks come from one generator, seeded once.

    Args:
        share: probability that an entry is zeroed; the others are scaled by 1 / (1 − share).
        seed: of the generator, which lives on the device of the first input.
    """

    def __init__(self, share: float, seed: int) -> None:
        super().__init__()
        self.share = share
        self.seed = seed
        self._generator: torch.Generator | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x in evaluation mode, else x with a fresh mask."""
        if not self.training or not self.share:
            return x
        if self._generator is None:
            self._generator = torch.Generator(x.device).manual_seed(self.seed)
        mask = torch.empty_like(x).bernoulli_(1 - self.share, generator=self._generator)
        return x * mask.div_(1 - self.share)

    def extra_repr(self) -> str:
        return f"share={self.share}, seed={self.seed}"
