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

    Attributes:
        among: of how many examples the next inputs are a share, and which; None: they are all there are. The mask is
            that of all of them, so that the stream goes on as it would without shares.
    """

    def __init__(self, share: float, seed: int) -> None:
        super().__init__()
        self.share = share
        self.seed = seed
        self.among: tuple[int, slice] | None = None
        self._generator: torch.Generator | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x in evaluation mode, else x with a fresh mask."""
        if not self.training or not self.share:
            return x
        if self.among is None:
            return x * self.mask(x.shape, x)
        count, mine = self.among
        # An example may take up several rows: an image's windows do.
        rows = len(x) // len(range(count)[mine])
        return x * self.mask((count, rows, *x.shape[1:]), x)[mine].reshape(x.shape)

    def mask(self, shape: Sequence[int], like: torch.Tensor) -> torch.Tensor:
        """The next mask of the stream: 0 or 1 / (1 − share). Shapes with equally many entries draw the same ones."""
        if self._generator is None:
            self._generator = torch.Generator(like.device).manual_seed(self.seed)
        kept = torch.empty(shape, dtype=like.dtype, device=like.device)
        return kept.bernoulli_(1 - self.share, generator=self._generator).div_(1 - self.share)

    @property
    def state(self) -> torch.Generator | None:
        """Where the stream is; None before its first mask. Set, it goes on from there."""
        return None if self._generator is None else self._generator.clone_state()

    @state.setter
    def state(self, state: torch.Generator | None) -> None:
        self._generator = None if state is None else state.clone_state()

    def extra_repr(self) -> str:
        return f"share={self.share}, seed={self.seed}"
