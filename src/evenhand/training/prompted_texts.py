"""Encodes texts for language models: prompts with targets, whole texts, blocks, and prompts to be continued."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from evenhand.errors import InputError
from evenhand.training.batches import TokenizedTexts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, eq=False)
class PromptedTexts(TokenizedTexts):
    """Tokenized prompts, each followed by its target.

    Attributes:
        prompts: int64 [n], the number of tokens before the target, which do not count in the loss.
        by_token: whether the loss of a batch is the mean over the tokens of its targets; else it is the mean over
            examples of their means.
    """

    prompts: np.ndarray
    by_token: bool = False

    @property
    def counts(self) -> np.ndarray:
        """The number of tokens of each target, int64 [n]."""
        return self.lengths - self.prompts


def encode_prompted(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], targets: Sequence[str], max_length: int
) -> PromptedTexts:
    """Tokenize prompts together with their targets.

    A target follows its prompt after a space and ends with the end-of-text token (or with a line break if the tokenizer
    has no such token). Both are encoded together; the target begins where the tokens of the prompt alone end.

    Args:
        tokenizer: of the base model.
        prompts, targets: [n].
        max_length: largest number of tokens.

    Raises:
        InputError: a prompt with its target is longer than `max_length` or the model's positions.
    """
    longest = min(max_length, tokenizer.model_max_length)
    alone = encode_prompts(tokenizer, prompts, longest)
    end = "\n" if tokenizer.eos_token is None else tokenizer.eos_token
    whole = [f"{prompt} {target}{end}" for prompt, target in zip(prompts, targets, strict=True)]
    encoded: Any = tokenizer(whole)["input_ids"] if whole else []
    tokens = [np.asarray(ids, dtype=np.int64) for ids in encoded]
    if tokenizer.eos_token is not None:
        tokens = [single_end(ids, tokenizer.eos_token_id) for ids in tokens]
    lengths = np.array([len(ids) for ids in tokens], dtype=np.int64)
    if len(lengths) and lengths.max() > longest:
        raise InputError(
            f"a prompt with its target has {lengths.max()} tokens, and {longest} is the most that train.max_length or "
            "the model allows; raise max_length, or leave out the longest lines"
        )
    begins = np.array(
        [common_prefix_length(prompt_ids, ids) for prompt_ids, ids in zip(alone, tokens, strict=True)], dtype=np.int64
    )
    padding: Any = tokenizer.pad_token_id
    return PromptedTexts(tokens, lengths, int(padding), begins)


def encode_whole_texts(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int) -> PromptedTexts:
    """Tokenize texts that are learned as a whole, without a prompt.

    A text ends with the end-of-text token (or with a line break if the tokenizer has no such token). Nothing precedes
    it, so its first token does not count in the loss.

    Args:
        tokenizer: of the base model.
        texts: [n].
        max_length: largest number of tokens; the end of a longer text is cut.

    Raises:
        InputError: a text has nothing to learn, because it or `max_length` is one token long.
    """
    longest = min(max_length, tokenizer.model_max_length)
    tokens = [ids[:longest] for ids in with_ends(tokenizer, texts)]
    lengths = np.array([len(ids) for ids in tokens], dtype=np.int64)
    if len(lengths) and lengths.min() < 2:
        raise InputError(
            f"a text has {lengths.min()} tokens, and the first is not predicted, so there is nothing to learn; leave "
            "it out, or raise train.max_length"
        )
    padding: Any = tokenizer.pad_token_id
    return PromptedTexts(tokens, lengths, int(padding), np.ones(len(tokens), dtype=np.int64))


def encode_blocks(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], size: int, room: int | None = None
) -> PromptedTexts:
    """Join tokenized texts, each with its end as in `encode_whole_texts`, and cut the result into blocks.

    A block may begin and end inside a text, and its tokens attend to those of the texts before. Its first token does
    not count in the loss. The tokens behind the last whole block are left out. This is what `group_texts` of Hugging
    Face's example `run_clm.py` does, except that it starts anew, and leaves out a rest, after each thousand texts.

    Args:
        tokenizer: of the base model.
        texts: [n], in the order in which they are joined; none is cut.
        size: tokens of a block.
        room: positions for a block; None: those of the tokenizer.

    Raises:
        InputError: the model has fewer positions than `size`, or all texts together have fewer tokens.
    """
    room = tokenizer.model_max_length if room is None else room
    if size > room:
        raise InputError(f"train.blocks is {size}, and the model has {room} positions for it; set it to at most that")
    joined = np.concatenate([*with_ends(tokenizer, texts), np.empty(0, dtype=np.int64)])
    count = len(joined) // size
    if not count:
        raise InputError(
            f"the texts have {len(joined)} tokens together, which do not fill one block of train.blocks: {size}; set "
            "it lower, or give more texts"
        )
    tokens = list(joined[: count * size].reshape(count, size))
    padding: Any = tokenizer.pad_token_id
    return PromptedTexts(tokens, np.full(count, size), int(padding), np.ones(count, dtype=np.int64))


def with_ends(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[np.ndarray]:
    """Return the token ids of each text and its end: one end-of-text token, or a line break if there is none."""
    end: Any = "\n" if tokenizer.eos_token is None else tokenizer.eos_token
    encoded: Any = tokenizer([text + end for text in texts])["input_ids"] if len(texts) else []
    tokens = [np.asarray(ids, dtype=np.int64) for ids in encoded]
    return tokens if tokenizer.eos_token is None else [single_end(ids, tokenizer.eos_token_id) for ids in tokens]


def text_ends(model: Any, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the tokens that end what a model writes, sorted: the tokenizer's end of text, and those of the checkpoint.

    A chat model's checkpoint names the token that ends a turn, where it is not the tokenizer's end of text, too.
    """
    of_checkpoint: Any = model.generation_config.eos_token_id
    named = of_checkpoint if isinstance(of_checkpoint, list | tuple) else [of_checkpoint]
    ends: list[Any] = [tokenizer.eos_token_id, *named]
    return sorted({int(end) for end in ends if end is not None})


def single_end(ids: np.ndarray, end: Any) -> np.ndarray:
    """Drop the second end-of-text token, for tokenizers that already end every text with one."""
    return ids[:-1] if ids[-2:].tolist() == [end, end] else ids


def encode_prompts(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], max_length: int, ids: Sequence[str] | None = None
) -> list[np.ndarray]:
    """Return the token ids of prompts to be continued, int64 each.

    Args:
        tokenizer: of the base model.
        prompts: [n].
        max_length: largest number of tokens.
        ids: [n] of the examples, for the error; it names none if None.

    Raises:
        InputError: a prompt leaves no room for an answer within `max_length` or the model's positions.
    """
    encoded: Any = tokenizer(list(prompts))["input_ids"] if len(prompts) else []
    end = tokenizer.eos_token_id
    prompt_tokens = [np.asarray(of[:-1] if of[-1] == end else of, dtype=np.int64) for of in encoded]
    lengths = [len(tokens) for tokens in prompt_tokens]
    longest = max(lengths, default=0)
    if longest >= min(max_length, tokenizer.model_max_length):
        prompt = "a prompt" if ids is None else f"the prompt of the example {str(ids[lengths.index(longest)])!r}"
        raise InputError(
            f"{prompt} has {longest} tokens, which leaves no room for an answer within train.max_length or the model's "
            "positions; raise max_length, or leave out the longest lines"
        )
    return prompt_tokens


def common_prefix_length(prompt: np.ndarray, whole: np.ndarray) -> int:
    """Return the length of the longest common prefix; at least 1, since a model needs a token to predict the next."""
    shortest = min(len(prompt), len(whole) - 1)
    differ = np.flatnonzero(prompt[:shortest] != whole[:shortest])
    return max(int(differ[0]) if len(differ) else shortest, 1)


def target_positions(inputs: PromptedTexts, rows: np.ndarray, following: torch.Tensor) -> torch.Tensor:
    """Return which of the tokens from the second on belong to targets, bool of the shape of `following`."""
    position = torch.arange(1, following.shape[1] + 1, device=following.device)
    begins, ends = (
        torch.from_numpy(each[rows]).to(following.device)[:, None] for each in (inputs.prompts, inputs.lengths)
    )
    return (position >= begins) & (position < ends)
