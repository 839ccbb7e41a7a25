"""Packs several texts into one row of a batch, each read as if it were alone, to avoid padding.

Position ids restart with each text. From them, if neither an attention mask nor a cache is given, transformers makes a
mask in which a token attends to its own text only, within a sliding window if the model has one. A model that does not
do so is refused before training, see `check_texts_stay_apart`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from evenhand.errors import InputError

if TYPE_CHECKING:
    from evenhand.training.batches import TokenizedTexts

_ALONE = 1e-3
"""How much a logit may differ from that of a text alone, as a share of the largest: rounding in float32 or coarser."""

_SEEN = 1e-6
"""How much a logit may change when another text changes: in theory, not at all."""


@dataclass(frozen=True, eq=False)
class PackedTexts:
    """Texts packed into rows, with the position ids that keep them apart.

    Attributes:
        ids, positions: int64 [rows, length]; each position after a row's last text is a text of one token.
        starts: int64 [n], where each text begins in the flattened rows.
    """

    ids: np.ndarray
    positions: np.ndarray
    starts: np.ndarray

    def forward(self, model: nn.Module, device: torch.device) -> torch.Tensor:
        """Return the model's logits, [rows · length, V]."""
        ids, positions = (torch.from_numpy(each).to(device, non_blocking=True) for each in (self.ids, self.positions))
        # With a cache, which language models create by default, the mask would not keep texts apart.
        return model(input_ids=ids, position_ids=positions, use_cache=False).logits.flatten(0, 1)


def pack_texts(inputs: TokenizedTexts, rows: np.ndarray, room: int | None = None) -> PackedTexts:
    """Pack texts into rows, the longest text first, each into the first row with enough room.

    Args:
        inputs: tokenised texts.
        rows: [n] positions of the texts to pack.
        room: tokens of a row, at least as many as the longest text has. None: exactly as many, so there are never more
            positions than in a padded batch. Longer rows have less padding but more expensive attention, which is
            computed over the whole row; they were slower for all tested mixes of lengths (`benchmarks/documents.py`).
    """
    lengths = inputs.lengths[rows]
    room = room or int(lengths.max())
    used: list[int] = []
    places: list[tuple[int, int]] = [(0, 0)] * len(rows)
    for text in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[text])
        row = next((row for row, full in enumerate(used) if full + length <= room), len(used))
        if row == len(used):
            used.append(0)
        places[text] = row, used[row]
        used[row] += length
    shape = len(used), max(used)
    ids = np.full(shape, inputs.padding, dtype=np.int64)
    positions = np.zeros(shape, dtype=np.int64)
    for text, (row, start) in enumerate(places):
        end = start + int(lengths[text])
        ids[row, start:end] = inputs.tokens[rows[text]]
        positions[row, start:end] = np.arange(lengths[text])
    return PackedTexts(ids, positions, np.array([row * shape[1] + start for row, start in places], dtype=np.int64))


@torch.inference_mode()
def check_texts_stay_apart(model: nn.Module, inputs: TokenizedTexts, device: torch.device) -> None:
    """Check, by running the model on two packed texts, that one does not change the logits of the other.

    Raises:
        InputError: the model takes no position ids, or gives the second text other logits than when it is alone.
    """
    if not len(inputs):
        return
    order = np.argsort(inputs.lengths, kind="stable")
    both = np.array([order[-1], order[len(order) // 2]])
    together = pack_texts(inputs, both, int(inputs.lengths[both].sum()))
    start, length = int(together.starts[1]), int(inputs.lengths[both[1]])
    changed = together.ids.copy()
    changed[0, :start] = np.roll(changed[0, :start], 1)
    training = model.training
    model.eval()
    try:
        first, second = (
            PackedTexts(ids, together.positions, together.starts).forward(model, device)[start : start + length].float()
            for ids in (together.ids, changed)
        )
    except (TypeError, ValueError) as error:
        raise _packing_error(model, str(error).split("\n", 1)[0]) from None
    alone: Any = model(input_ids=torch.from_numpy(inputs.tokens[both[1]][None]).to(device)).logits[0].float()
    model.train(training)
    scale = float(alone.abs().max()) or 1.0
    if float((first - second).abs().max()) > _SEEN * scale or float((first - alone).abs().max()) > _ALONE * scale:
        raise _packing_error(model, "in one row, texts are not read as they are alone")


def _packing_error(model: nn.Module, why: str) -> InputError:
    """Return the error for a model that cannot be trained on packed texts."""
    name = type(model).__name__
    return InputError(f"train.packing does not work with {name}: {why}; leave it out")
