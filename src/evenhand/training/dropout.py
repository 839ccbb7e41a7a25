"""Dropout with a generator of its own, so that neither other layers nor other trials shift its masks."""

from __future__ import annotations

from collections.abc import Sequence

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
        return x * self.mask(x.shape, x)

    def mask(self, shape: Sequence[int], like: torch.Tensor) -> torch.Tensor:
        """The next mask of the stream: 0 or 1 / (1 − share). Shapes with equally many entries draw the same ones."""
        if self._generator is None:
            self._generator = torch.Generator(like.device).manual_seed(self.seed)
        kept = torch.empty(shape, dtype=like.dtype, device=like.device)
        return kept.bernoulli_(1 - self.share, generator=self._generator).div_(1 - self.share)

    def extra_repr(self) -> str:
        return f"share={self.share}, seed={self.seed}"
