"""Training examples that look another way in each epoch (`train.augment`). Nothing is ever predicted from them.

What happens to an example depends on the seed, its own contents and the epoch alone, so that it is the same in a pack
and alone, in any order and beside any other examples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from evenhand.seeds import derive
from evenhand.training.batches import Inputs, Wrapped


@dataclass(frozen=True, eq=False)
class Flipped(Wrapped):
    """Images of one epoch, about half of them mirrored left to right.

    Attributes:
        inputs: the images as they are.
        keys: [n] hashes of their contents.
        mirrored: bool [n].
    """

    keys: Sequence[str]
    mirrored: np.ndarray

    def batch(self, rows: np.ndarray, device: torch.device, length: int = 0) -> dict[str, torch.Tensor]:
        """As without, `pixel_values` [len(rows), channels, height, width] mirrored where they are to be."""
        found = self.inputs.batch(rows, device, length)
        pixels = found["pixel_values"]
        mirrored = torch.from_numpy(self.mirrored[rows]).to(device)[:, None, None, None]
        return {**found, "pixel_values": torch.where(mirrored, pixels.flip(-1), pixels)}


def flipped(inputs: Inputs, seed: int, epoch: int) -> Flipped:
    """The images as they look in an epoch, from themselves or from how they looked in another."""
    if isinstance(inputs, Flipped):
        inputs, keys = inputs.inputs, inputs.keys
    else:
        keys = [hashlib.blake2b(inputs.contents(row), digest_size=16).hexdigest() for row in range(len(inputs))]
    mirrored = np.array([derive(seed, "flip", key, epoch) % 2 == 1 for key in keys], dtype=bool)
    return Flipped(inputs, keys, mirrored)
