"""Generates the answers of language models: greedy decoding, up to the end of the line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from evenhand.training.batches import longest_first_batches
from evenhand.training.pack import PREDICT_BATCH

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase

MAX_NEW_TOKENS = 128
"""Largest number of generated tokens; a line that does not end before is cut there."""


class EndOfLine(StoppingCriteria):
    """Stopping criterion: a text ends with the first token that contains a line break."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Remember the tokenizer, which decodes tokens."""
        self._tokenizer = tokenizer
        self._known: dict[int, bool] = {}

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **kwargs: Any) -> torch.BoolTensor:
        """Return which texts end with their last token, bool [n]."""
        over = [self._breaks(int(token)) for token in input_ids[:, -1]]
        return torch.tensor(over, device=input_ids.device)  # pyright: ignore[reportReturnType]

    def _breaks(self, token: int) -> bool:
        """Return whether a token contains a line break."""
        if token not in self._known:
            text = str(self._tokenizer.decode([token], skip_special_tokens=False))
            self._known[token] = "\n" in text or "\r" in text
        return self._known[token]


@torch.inference_mode()
def generate_first_lines(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[np.ndarray],
    device: torch.device,
    most: int = MAX_NEW_TOKENS,
    size: int = PREDICT_BATCH,
    room: int | None = None,
) -> list[str]:
    """Return the first line that a model generates greedily after each prompt.

    Prompts are padded on the left and the padding is masked, so that a batch's size and a prompt's neighbours change a
    log-probability by rounding only.

    Args:
        model: a language model of transformers, or PEFT's around one.
        tokenizer: of the base model.
        prompts: [n] token ids, int64.
        device: where the model is.
        most: largest number of tokens to generate; fewer if the model has no more positions.
        size: prompts per batch.
        room: positions for a prompt with what follows it; None: those of the tokenizer.

    Returns:
        [n] texts without surrounding spaces, in the order of the prompts; empty if the line ended at once.
    """
    model.eval()
    lengths = np.array([len(prompt) for prompt in prompts], dtype=np.int64)
    padding: Any = tokenizer.pad_token_id
    room = tokenizer.model_max_length if room is None else room
    first_lines = [""] * len(prompts)
    for rows in longest_first_batches(len(prompts), lengths, size):
        longest = int(lengths[rows].max())
        ids = np.full((len(rows), longest), padding, dtype=np.int64)
        for index, row in enumerate(rows):
            ids[index, longest - lengths[row] :] = prompts[row]
        mask = np.arange(longest) >= longest - lengths[rows, None]
        generated: Any = model.generate(  # pyright: ignore[reportCallIssue]
            input_ids=torch.from_numpy(ids).to(device),
            attention_mask=torch.from_numpy(mask.astype(np.int64)).to(device),
            max_new_tokens=min(most, room - longest),
            pad_token_id=padding,
            eos_token_id=tokenizer.eos_token_id,
            stopping_criteria=StoppingCriteriaList([EndOfLine(tokenizer)]),
        )
        for row, tokens in zip(rows, generated[:, longest:].tolist(), strict=True):
            text = str(tokenizer.decode(tokens, skip_special_tokens=True))
            first_lines[row] = (text.splitlines() or [""])[0].strip()
    return first_lines
