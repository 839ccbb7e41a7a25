"""Dropout with its own random generator, so that masks depend on neither other layers nor other trials."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class SeededDropout(nn.Module):
    """Dropout layer that draws its masks from its own seeded generator.

    Args:
        share: probability that an entry is zeroed; the others are scaled by 1 / (1 − share).
        seed: seed of the generator, which lives on the device of the first input.

    Attributes:
        among: if the next inputs are a share of a larger batch, the number of its examples and the rows of the share;
            None: they are the whole batch. The mask is drawn for the whole batch, so that the random stream continues
            as it would without shares.
    """

    def __init__(self, share: float, seed: int) -> None:
        """Create the layer; the generator is made at the first mask."""
        super().__init__()
        self.share = share
        self.seed = seed
        self.among: tuple[int, slice] | None = None
        self._generator: torch.Generator | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x in evaluation mode, otherwise x times a new mask."""
        if not self.training or not self.share:
            return x
        if self.among is None:
            return x * self.mask(x.shape, x)
        count, mine = self.among
        # An example may take up several rows: an image's windows do.
        rows = len(x) // len(range(count)[mine])
        return x * self.mask((count, rows, *x.shape[1:]), x)[mine].reshape(x.shape)

    def mask(self, shape: Sequence[int], like: torch.Tensor) -> torch.Tensor:
        """Draw the next mask: entries are 0 or 1 / (1 − share). Only the number of entries affects what is drawn."""
        if self._generator is None:
            self._generator = torch.Generator(like.device).manual_seed(self.seed)
        kept = torch.empty(shape, dtype=like.dtype, device=like.device)
        return kept.bernoulli_(1 - self.share, generator=self._generator).div_(1 - self.share)

    @property
    def state(self) -> torch.Generator | None:
        """The generator's state, None before the first mask; setting it rewinds the generator."""
        return None if self._generator is None else self._generator.clone_state()

    @state.setter
    def state(self, state: torch.Generator | None) -> None:
        self._generator = None if state is None else state.clone_state()

    def extra_repr(self) -> str:
        return f"share={self.share}, seed={self.seed}"
