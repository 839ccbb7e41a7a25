"""Augments training examples, differently in each epoch (`train.augment`). Predictions never use augmented examples.

The augmentation of an example depends only on the seed, its contents and the epoch. So it is the same in a pack and
alone, in any order and beside any other examples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from evenhand.seeds import derive
from evenhand.training.batches import Inputs, WrappedInputs


@dataclass(frozen=True, eq=False)
class FlippedImages(WrappedInputs):
    """Image inputs of which about half are mirrored left to right in this epoch.

    Attributes:
        inputs: the images as they are.
        keys: [n] hashes of their contents.
        mirrored: bool [n].
    """

    keys: Sequence[str]
    mirrored: np.ndarray

    def batch(self, rows: np.ndarray, device: torch.device, length: int = 0) -> dict[str, torch.Tensor]:
        """Return the batch of the wrapped inputs with the chosen `pixel_values` mirrored."""
        batch = self.inputs.batch(rows, device, length)
        pixels = batch["pixel_values"]
        mirrored = torch.from_numpy(self.mirrored[rows]).to(device)[:, None, None, None]
        return {**batch, "pixel_values": torch.where(mirrored, pixels.flip(-1), pixels)}


def flip_images(inputs: Inputs, seed: int, epoch: int) -> FlippedImages:
    """Return the images as mirrored in this epoch. `inputs` may already be flipped for another epoch."""
    if isinstance(inputs, FlippedImages):
        inputs, keys = inputs.inputs, inputs.keys
    else:
        keys = [hashlib.blake2b(inputs.content_bytes(row), digest_size=16).hexdigest() for row in range(len(inputs))]
    mirrored = np.array([derive(seed, "flip", key, epoch) % 2 == 1 for key in keys], dtype=bool)
    return FlippedImages(inputs, keys, mirrored)
