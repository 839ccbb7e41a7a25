"""Encodes examples, orders them for each epoch of a trial, and cuts them into batches.

The order is a function of the examples' lengths, the batch size, the seed and the epoch alone: every method that shares
a seed sees the same batches. Texts are sorted by length within shuffled megabatches, so that a batch holds texts of
about one length and hardly any padding (about 1.05 times the tokens, against 3 times in plain dynamic padding).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from evenhand.seeds import generator

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase
    from transformers.image_processing_utils import BaseImageProcessor

MEGABATCH = 50
"""Batches that are sorted by length together."""

IN_MEMORY = 2**30
"""Bytes of pixels above which they are kept in a temporary file instead."""


class Inputs(Protocol):
    """Encoded examples that can be batched for a model's forward pass."""

    @property
    def lengths(self) -> np.ndarray | None:
        """int [n], tokens per example; None if all examples have the same shape."""
        ...

    def __len__(self) -> int: ...

    def content_bytes(self, row: int) -> bytes:
        """Return the bytes that identify an example as the model sees it."""
        ...

    def batch(self, rows: np.ndarray, device: torch.device, length: int = 0) -> dict[str, torch.Tensor]:
        """Return the arguments of the model's forward for these examples, padded to at least `length` tokens."""
        ...


@dataclass(frozen=True, eq=False)
class WrappedInputs:
    """Base class of inputs that modify the batches of other inputs, with the same lengths and contents."""

    inputs: Inputs

    @property
    def lengths(self) -> np.ndarray | None:
        return self.inputs.lengths

    def __len__(self) -> int:
        return len(self.inputs)

    def content_bytes(self, row: int) -> bytes:
        """Return the bytes that identify the wrapped example."""
        return self.inputs.content_bytes(row)


@dataclass(frozen=True, eq=False)
class TokenizedTexts:
    """Tokenized texts, padded on the right when batched.

    Attributes:
        tokens: [n] int64 arrays of token ids, special tokens included.
        lengths: int64 [n].
        padding: id that fills a batch up, on the right.
    """

    tokens: Sequence[np.ndarray]
    lengths: np.ndarray
    padding: int

    def __len__(self) -> int:
        return len(self.tokens)

    def content_bytes(self, row: int) -> bytes:
        """Return the bytes of the text's token ids."""
        return self.tokens[row].tobytes()

    def batch(self, rows: np.ndarray, device: torch.device, length: int = 0) -> dict[str, torch.Tensor]:
        """Return `input_ids` and `attention_mask`, int64 [len(rows), T]; T is the longest length, at least `length`."""
        lengths = self.lengths[rows]
        ids = np.full((len(rows), max(int(lengths.max()), length)), self.padding, dtype=np.int64)
        for place, row in enumerate(rows):
            ids[place, : lengths[place]] = self.tokens[row]
        mask = (np.arange(ids.shape[1]) < lengths[:, None]).astype(np.int64)
        return {
            "input_ids": torch.from_numpy(ids).to(device, non_blocking=True),
            "attention_mask": torch.from_numpy(mask).to(device, non_blocking=True),
        }


@dataclass(frozen=True, eq=False)
class ProcessedImages:
    """Images as the base model's processor returns them, held in memory or in a temporary file.

    Attributes:
        pixels: float32 [n, channels, height, width].
    """

    pixels: np.ndarray

    @property
    def lengths(self) -> None:
        return None

    def __len__(self) -> int:
        return len(self.pixels)

    def content_bytes(self, row: int) -> bytes:
        """Return the bytes of the image's pixels."""
        return self.pixels[row].tobytes()

    def batch(self, rows: np.ndarray, device: torch.device, length: int = 0) -> dict[str, torch.Tensor]:
        """Return `pixel_values`, float32 [len(rows), channels, height, width]."""
        return {"pixel_values": torch.from_numpy(self.pixels[rows]).to(device, non_blocking=True)}


def encode_texts(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int) -> TokenizedTexts:
    """Tokenize texts, truncated to `max_length` tokens or to the model's positions, whichever is fewer."""
    longest = min(max_length, tokenizer.model_max_length)
    encoded: Any = tokenizer(list(texts), truncation=True, max_length=longest)["input_ids"] if len(texts) else []
    padding: Any = tokenizer.pad_token_id
    # A tokenizer without special tokens returns no tokens for an empty text; a model needs at least one position.
    tokens = [np.asarray(ids or [padding], dtype=np.int64) for ids in encoded]
    return TokenizedTexts(tokens, np.array([len(ids) for ids in tokens], dtype=np.int64), int(padding))


def encode_images(processor: BaseImageProcessor, images: Sequence[Any]) -> ProcessedImages:
    """Process every image once with the base model's processor, into memory or a temporary file.

    The images are not changed in any other way. Image files are better cached for all trials, see
    `evenhand.training.pixels`.
    """
    pixels = np.empty((0, 3, 1, 1), dtype=np.float32)
    for row in range(len(images)):
        image = np.asarray(images[row])  # decoded here, if it is a file
        one = np.asarray(processor(images=image, return_tensors="np")["pixel_values"], dtype=np.float32)
        if row == 0:
            pixels = _allocate((len(images), *one.shape[1:]))
        pixels[row] = one[0]
    return ProcessedImages(pixels)


def _allocate(shape: tuple[int, ...]) -> np.ndarray:
    """Return an empty float32 array, in memory or, above `IN_MEMORY` bytes, in a temporary file."""
    if 4 * int(np.prod(shape)) <= IN_MEMORY:
        return np.empty(shape, dtype=np.float32)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype=np.float32, mode="w+", shape=shape)


def epoch_batches(count: int, lengths: np.ndarray | None, size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Return the batches of one epoch, which hold every example once.

    Args:
        count: examples.
        lengths: int [count], or None if all have the same length.
        size: examples per batch.
        seed: of the trial.
        epoch: from 0.

    Returns:
        Positions, `size` at a time. The remaining examples form one smaller batch, in which each has more weight. They
        are drawn before sorting, so that they are not all long or all short.
    """
    rng = generator(seed, "order", epoch)
    order = rng.permutation(count)
    full = count - count % size
    whole, rest = order[:full], order[full:]
    if lengths is not None:
        spans = [whole[start : start + MEGABATCH * size] for start in range(0, full, MEGABATCH * size)]
        whole = np.concatenate([span[np.argsort(lengths[span], kind="stable")] for span in spans] or [whole])
    cut = [whole[start : start + size] for start in range(0, full, size)]
    if len(rest):
        cut.append(rest)
    return [cut[place] for place in rng.permutation(len(cut))]


def split_by_tokens(rows: np.ndarray, lengths: np.ndarray, most: int) -> list[np.ndarray]:
    """Split rows into parts of at most `most` tokens, padding included. A text that is longer forms a part by itself.

    Args:
        rows: positions.
        lengths: int, tokens of these rows.
        most: largest number of tokens of a part.

    Returns:
        The shortest first.
    """
    order = np.argsort(lengths, kind="stable")
    parts, start = [], 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end + 1 - start) * lengths[order[end]] > most:
            parts.append(rows[order[start:end]])
            start = end
    return parts


def longest_first_batches(count: int, lengths: np.ndarray | None, size: int) -> list[np.ndarray]:
    """Return batches of all examples for prediction, longest first: if memory runs out, it does so at once."""
    order = np.arange(count) if lengths is None else np.argsort(-lengths, kind="stable")
    return [order[start : start + size] for start in range(0, count, size)]
