"""Computes frozen representations of texts, or of spans in them, at every layer of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from evenhand.errors import InputError
from evenhand.models.positions import text_positions
from evenhand.training.batches import split_by_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Pooling = Literal["last", "mean"]


def representations(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    spans: Sequence[tuple[int, int]] | None = None,
    pooling: Pooling = "last",
    max_length: int | None = None,
    batch_tokens: int = 4096,
) -> np.ndarray:
    """Return the states of every layer for each text, in float32.

    Args:
        model: any model that returns hidden states. Its dropout is off meanwhile.
        tokenizer: the model's tokenizer, a fast one if there are spans.
        texts: [n].
        spans: for each text, the first character and the end (exclusive) of the part to represent; None: the whole
            text.
        pooling: the last token of that part, which in a decoder has read all of it, or the mean over its tokens.
            Special tokens are excluded from both.
        max_length: largest number of tokens; the rest is cut off. None: the model's positions.
        batch_tokens: tokens in a batch, including padding.

    Returns:
        float32 [layers + 1, n, d]. Layer 0 is the embeddings, and the last layer is the input of the model's head.

    Raises:
        InputError: no text, or a text without a token in the part to represent.
    """
    if not len(texts):
        raise InputError("there are no texts to represent; one or more are needed")
    known = [int(tokenizer.model_max_length), max_length, text_positions(model.config.to_dict())]
    options: dict[str, Any] = {"truncation": True, "max_length": min(n for n in known if n is not None)}
    encoded: Any = tokenizer(
        list(texts), return_special_tokens_mask=True, return_offsets_mapping=spans is not None, **options
    )
    ids = [np.asarray(row, dtype=np.int64) for row in encoded["input_ids"]]
    meant = [np.asarray(row) == 0 for row in encoded["special_tokens_mask"]]
    if spans is not None:
        columns = zip(meant, encoded["offset_mapping"], spans, strict=True)
        meant = [mask & _inside(np.asarray(offsets), span) for mask, offsets, span in columns]
    for row, mask in enumerate(meant):
        if not mask.any():
            raise InputError(f"text {row} has no token in the part to represent (it may be too long, or empty)")
    lengths = np.array([len(row) for row in ids])
    represented: np.ndarray | None = None
    device, training = next(model.parameters()).device, model.training
    model.eval()
    try:
        for rows in split_by_tokens(np.arange(len(ids)), lengths, batch_tokens):
            states = _states(model, [ids[row] for row in rows], device)
            if represented is None:
                represented = np.empty((len(states), len(ids), states[0].shape[-1]), dtype=np.float32)
            weight = np.zeros(states[0].shape[:2], dtype=np.float32)
            for index, row in enumerate(rows):
                chosen = np.flatnonzero(meant[row])
                weight[index, chosen[-1:] if pooling == "last" else chosen] = 1
            weight /= weight.sum(axis=1, keepdims=True)
            weights = torch.as_tensor(weight, device=device)
            for layer, state in enumerate(states):
                represented[layer, rows] = torch.einsum("bt,btd->bd", weights, state.float()).cpu().numpy()
    finally:
        model.train(training)
    assert represented is not None
    return represented


def untrained(model: PreTrainedModel, seed: int) -> PreTrainedModel:
    """Return a model of the same architecture with weights drawn under the seed, as a baseline of probing.

    Information that a probe finds in it comes from the architecture and the tokens, not from training.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fresh: Any = type(model)(model.config)
    return fresh.to(next(model.parameters()).dtype).eval()


def _states(model: PreTrainedModel, ids: Sequence[np.ndarray], device: torch.device) -> Sequence[torch.Tensor]:
    """Return the hidden states of one batch, layer by layer."""
    longest = max(map(len, ids))
    batch, mask = np.zeros((2, len(ids), longest), dtype=np.int64)
    for row, tokens in enumerate(ids):
        # Padding is on the right, so no position depends on the neighbours' lengths.
        batch[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
    with torch.no_grad():
        out = model(
            input_ids=torch.as_tensor(batch, device=device),
            attention_mask=torch.as_tensor(mask, device=device),
            output_hidden_states=True,
        )
    # A method's virtual tokens come before the text's own.
    return [state[:, -longest:] for state in out.hidden_states]


def _inside(offsets: np.ndarray, span: tuple[int, int]) -> np.ndarray:
    """Return which tokens share a character with the span."""
    return (offsets[:, 0] < span[1]) & (offsets[:, 1] > span[0])
