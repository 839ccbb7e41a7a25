"""Generates texts with language models: first lines and continuations, greedily or sampled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from evenhand.training.batches import longest_first_batches
from evenhand.training.pack import PREDICT_BATCH
from evenhand.training.prompted_texts import text_ends

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


class GumbelNoise(LogitsProcessor):
    """Logits processor with which greedy decoding samples from the model's distribution.

    The largest of logits / temperature plus independent Gumbel noise is a draw from their softmax (Gumbel-max). Each
    text has a generator of its own, so that what is drawn does not depend on the other texts of a batch or the device.
    """

    def __init__(self, generators: Sequence[np.random.Generator], temperature: float) -> None:
        """Remember the generators of a batch's texts, and the temperature."""
        self._generators, self._temperature = generators, temperature

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Return the scores [n, V] with noise."""
        noise = np.stack([each.gumbel(size=scores.shape[1]) for each in self._generators])
        noisy: Any = scores.double() / self._temperature + torch.from_numpy(noise).to(scores.device)
        return noisy


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

    Args:
        model, tokenizer, prompts, device, most, size, room: see `_generated`.

    Returns:
        [n] texts without surrounding spaces, in the order of the prompts; empty if the line ended at once.
    """
    first_lines = [""] * len(prompts)
    options = {"stopping_criteria": StoppingCriteriaList([EndOfLine(tokenizer)])}
    for row, tokens in _generated(model, tokenizer, prompts, device, most, size, room, lambda rows: options):
        text = str(tokenizer.decode(tokens, skip_special_tokens=True))
        first_lines[row] = (text.splitlines() or [""])[0].strip()
    return first_lines


def generate_continuations(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[np.ndarray],
    device: torch.device,
    most: int,
    generators: Sequence[np.random.Generator] | None = None,
    temperature: float = 1.0,
    size: int = PREDICT_BATCH,
    room: int | None = None,
) -> list[str]:
    """Return what a model writes after each prompt, up to the end of the text or of its turn.

    Args:
        model, tokenizer, prompts, device, most, size, room: see `_generated`.
        generators: [n] what each text is sampled with; None: decoding is greedy.
        temperature: divides the logits of sampled texts.

    Returns:
        [n] texts in the order of the prompts, with the spaces that join them to the prompts.
    """

    def options(rows: np.ndarray) -> dict[str, Any]:
        """Return the noise of a batch."""
        if generators is None:
            return {}
        return {"logits_processor": LogitsProcessorList([GumbelNoise([generators[row] for row in rows], temperature)])}

    texts = [""] * len(prompts)
    for row, tokens in _generated(model, tokenizer, prompts, device, most, size, room, options):
        # A token is decoded with or without a space depending on what is before it.
        before = str(tokenizer.decode(prompts[row].tolist(), skip_special_tokens=True))
        whole = str(tokenizer.decode([*prompts[row].tolist(), *tokens], skip_special_tokens=True))
        alone = str(tokenizer.decode(tokens, skip_special_tokens=True))
        texts[row] = whole[len(before) :] if whole.startswith(before) else alone
    return texts


@torch.inference_mode()
def _generated(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[np.ndarray],
    device: torch.device,
    most: int,
    size: int,
    room: int | None,
    options: Callable[[np.ndarray], dict[str, Any]],
) -> Iterator[tuple[int, list[int]]]:
    """Yield the position of each prompt and the tokens that a model generates after it.

    Prompts are padded on the left and the padding is masked, so that a batch's size and a prompt's neighbours change a
    log-probability by rounding only. Only prompts after which equally many tokens may be generated share a batch, since
    the model reads no position beyond its last one for any of them.

    Args:
        model: a language model of transformers, or PEFT's around one.
        tokenizer: of the base model.
        prompts: [n] token ids, int64.
        device: where the model is.
        most: largest number of tokens to generate; fewer after a prompt that leaves less room.
        size: prompts per batch.
        room: positions for a prompt with what follows it; None: those of the tokenizer.
        options: further arguments of transformers' `generate` for a batch, from the positions of its prompts.
    """
    model.eval()
    lengths = np.array([len(prompt) for prompt in prompts], dtype=np.int64)
    padding: Any = tokenizer.pad_token_id
    room = tokenizer.model_max_length if room is None else room
    ends = text_ends(model, tokenizer)
    allowed = np.minimum(most, room - lengths)
    for rows in _batches_of_equal_allowance(allowed, lengths, size):
        longest = int(lengths[rows].max())
        ids = np.full((len(rows), longest), padding, dtype=np.int64)
        for index, row in enumerate(rows):
            ids[index, longest - lengths[row] :] = prompts[row]
        mask = np.arange(longest) >= longest - lengths[rows, None]
        generated: Any = model.generate(  # pyright: ignore[reportCallIssue]
            input_ids=torch.from_numpy(ids).to(device),
            attention_mask=torch.from_numpy(mask.astype(np.int64)).to(device),
            max_new_tokens=int(allowed[rows[0]]),
            pad_token_id=padding,
            eos_token_id=ends or None,
            **options(rows),
        )
        yield from zip(rows.tolist(), generated[:, longest:].tolist(), strict=True)


def _batches_of_equal_allowance(allowed: np.ndarray, lengths: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Yield batches of prompts after which equally many tokens may be generated, by their positions."""
    for count in np.unique(allowed)[::-1]:
        rows = np.flatnonzero(allowed == count)
        for places in longest_first_batches(len(rows), lengths[rows], size):
            yield rows[places]
