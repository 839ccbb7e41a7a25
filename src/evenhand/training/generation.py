"""What a language model says after a prompt: the likeliest token each time, up to the end of the line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from evenhand.training.batches import by_length
from evenhand.training.pack import PREDICT_BATCH

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase

MOST = 128
"""Tokens that a model may say; one that does not end its line is cut there."""


class EndOfLine(StoppingCriteria):
    """A text is over with the first token that breaks the line."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._known: dict[int, bool] = {}

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **kwargs: Any) -> torch.BoolTensor:
        over = [self._breaks(int(token)) for token in input_ids[:, -1]]
        return torch.tensor(over, device=input_ids.device)  # pyright: ignore[reportReturnType]

    def _breaks(self, token: int) -> bool:
        if token not in self._known:
            text = str(self._tokenizer.decode([token], skip_special_tokens=False))
            self._known[token] = "\n" in text or "\r" in text
        return self._known[token]


@torch.inference_mode()
def greedy(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[np.ndarray],
    device: torch.device,
    most: int = MOST,
    size: int = PREDICT_BATCH,
) -> list[str]:
    """What a model in evaluation mode says after each prompt, the first line of it.

    Prompts are padded on the left and the padding is masked, so that a batch's size and a prompt's neighbours change a
    log-probability by rounding only.

    Args:
        model: a language model of transformers, or PEFT's around one.
        tokenizer: of the base model.
        prompts: [n] token ids, int64.
        device: where the model is.
        most: tokens that are said at most; fewer where the model has no more positions.
        size: prompts of a batch.

    Returns:
        [n] texts without the spaces around them, in the order of the prompts; empty where a line ended at once.
    """
    model.eval()
    lengths = np.array([len(prompt) for prompt in prompts], dtype=np.int64)
    padding: Any = tokenizer.pad_token_id
    found = [""] * len(prompts)
    for rows in by_length(len(prompts), lengths, size):
        longest = int(lengths[rows].max())
        ids = np.full((len(rows), longest), padding, dtype=np.int64)
        for place, row in enumerate(rows):
            ids[place, longest - lengths[row] :] = prompts[row]
        mask = np.arange(longest) >= longest - lengths[rows, None]
        said: Any = model.generate(  # pyright: ignore[reportCallIssue]
            input_ids=torch.from_numpy(ids).to(device),
            attention_mask=torch.from_numpy(mask.astype(np.int64)).to(device),
            max_new_tokens=min(most, tokenizer.model_max_length - longest),
            pad_token_id=padding,
            eos_token_id=tokenizer.eos_token_id,
            stopping_criteria=StoppingCriteriaList([EndOfLine(tokenizer)]),
        )
        for row, tokens in zip(rows, said[:, longest:].tolist(), strict=True):
            text = str(tokenizer.decode(tokens, skip_special_tokens=True))
            found[row] = (text.splitlines() or [""])[0].strip()
    return found
