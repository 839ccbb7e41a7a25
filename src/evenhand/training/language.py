"""Encodes texts, computes losses and defines the pack for language models that learn to continue a prompt.

Prompt and padding do not count in the loss. An example's loss is the mean over its target's tokens, and a batch's loss
the mean over examples, so that a text's weight does not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from evenhand.errors import InputError
from evenhand.training.batches import Inputs, TokenizedTexts, longest_first_batches
from evenhand.training.pack import PREDICT_BATCH, Batch, Pack, Single, train_mode
from evenhand.training.sequence_packing import pack_texts
from evenhand.training.shares import Answers, Question, answer_all

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


def target_log_probs(
    model: nn.Module,
    inputs: PromptedTexts,
    rows: np.ndarray,
    device: torch.device,
    length: int = 0,
    packing: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the log-probability of each target token, given all tokens before it.

    Args:
        model: a language model.
        inputs, rows: texts, and the positions of those to score.
        device: where the model is.
        length: minimum number of tokens to pad to; without effect on packed rows.
        packing: several texts in one row, see `evenhand.training.sequence_packing`.

    Returns:
        [len(rows), positions − 1], 0 at positions without a target; and a mask of the targets, bool of that shape.
    """
    batch = inputs.batch(rows, device, length)
    following = batch["input_ids"][:, 1:]
    is_target = target_positions(inputs, rows, following)
    if packing:
        packed = pack_texts(inputs, rows)
        starts = torch.from_numpy(packed.starts).to(device)[:, None]
        position = torch.arange(1, following.shape[1] + 1, device=device)
        logits = packed.forward(model, device)[(starts + position - 1)[is_target]]
    else:
        logits = model(**batch).logits[:, :-1][is_target]
    exact = logits.to(torch.promote_types(logits.dtype, torch.float32))
    target_values = -nn.functional.cross_entropy(exact, following[is_target], reduction="none")
    log_probs = torch.zeros(is_target.shape, dtype=target_values.dtype, device=device)
    return log_probs.masked_scatter(is_target, target_values), is_target


@dataclass(eq=False)
class LanguagePack(Single):
    """A pack of one language model. Its replica's labels are unused; there is one per example."""

    @classmethod
    def of(cls, pack: Pack) -> LanguagePack:
        """Make a language model's pack from the pack of one trial that a method made."""
        if isinstance(pack, cls):  # a private one
            return pack
        assert type(pack) is Single
        return cls(pack.module, pack.replicas, pack.device)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield the steps of one epoch, whose sizes are tokens of targets if the loss is a mean over these."""
        (replica,) = self.replicas
        assert isinstance(replica.inputs, PromptedTexts)
        for batch in super().batches(epoch):
            if not replica.inputs.by_token:
                yield batch
                continue
            rows = [rows for part in batch.micro_batches for rows in part.rows]
            tokens = (int(replica.inputs.counts[np.concatenate(rows)].sum()),)
            yield Batch(tuple(replace(part, sizes=tokens) for part in batch.micro_batches), tokens)

    def sum_of_losses(self, rows: np.ndarray, length: int = 0) -> torch.Tensor:
        """Return the sum of the examples' mean losses, or of their tokens' losses, a scalar.

        Texts are padded to at least `length` tokens.
        """
        (replica,) = self.replicas
        assert isinstance(replica.inputs, PromptedTexts)
        packing = replica.train.packing
        log_probs, is_target = target_log_probs(self.module, replica.inputs, rows, self.device, length, packing)
        return -log_probs.sum() if replica.inputs.by_token else mean_losses(log_probs, is_target).sum()

    def evaluate(self, replica: int, inputs: Inputs, labels: np.ndarray) -> tuple[float, float]:
        """Return the mean loss per example or token, and NaN, because a language model has no accuracy here."""
        assert isinstance(inputs, PromptedTexts)
        losses = example_losses(self.module, inputs, self.device)
        return float(np.average(losses, weights=inputs.counts if inputs.by_token else None)), float("nan")

    def share_out(
        self,
        answer: Callable[[Sequence[Question]], Answers],
        questions: Sequence[Question],
        weave: Callable[[Sequence[Answers]], Answers],
    ) -> Answers:
        """Return the answers to all questions; see `evenhand.training.shares.ShareOut`."""
        return answer_all(answer, questions, weave)

    @contextmanager
    def answering(self) -> Iterator[nn.Module]:
        """Context manager that yields the trained model, ready to answer questions."""
        yield self.module

    def full_model(self, replica: int) -> nn.Module:
        """Return the model as its method made it, with its trained weights."""
        return self.module


@torch.inference_mode()
def example_losses(
    module: nn.Module, inputs: PromptedTexts, device: torch.device, size: int = PREDICT_BATCH
) -> np.ndarray:
    """Return the mean loss of each example's target in evaluation mode, float32 [n], in the order of the inputs."""
    training = module.training
    module.eval()
    losses = np.empty(len(inputs), dtype=np.float32)
    for rows in longest_first_batches(len(inputs), inputs.lengths, size):
        losses[rows] = mean_losses(*target_log_probs(module, inputs, rows, device)).float().cpu().numpy()
    if training:
        train_mode(module)
    return losses


@torch.inference_mode()
def response_scores(
    module: nn.Module,
    inputs: PromptedTexts,
    rows: np.ndarray,
    device: torch.device,
    ends: Sequence[int],
    size: int = PREDICT_BATCH,
) -> np.ndarray:
    """Return the mean loss of each target, and whether greedy decoding would write it, float64 [len(rows), 2].

    Greedy decoding writes a target if each of its tokens is the most likely one after those before it, so one forward
    pass tells.

    Args:
        module: a language model.
        inputs, rows: texts, and the positions of those to score.
        device: where the model is.
        ends: from `text_ends`; what a chat template writes behind the first one in a target need not be written.
        size: texts in a forward pass.
    """
    module.eval()
    scores, stops = np.empty((len(rows), 2)), torch.tensor(list(ends), dtype=torch.int64, device=device)
    for places in longest_first_batches(len(rows), inputs.lengths[rows], size):
        chosen = rows[places]
        batch = inputs.batch(chosen, device)
        following = batch["input_ids"][:, 1:]
        is_target = target_positions(inputs, chosen, following)
        logits = module(**batch).logits[:, :-1][is_target].float()
        losses = torch.zeros(is_target.shape, device=device)
        losses[is_target] = nn.functional.cross_entropy(logits, following[is_target], reduction="none")
        wrong = torch.zeros(is_target.shape, dtype=torch.bool, device=device)
        wrong[is_target] = logits.argmax(-1) != following[is_target]
        stopped = is_target & torch.isin(following, stops)
        wrong &= stopped.cumsum(1) - stopped.long() == 0  # no end before
        scores[places, 0] = mean_losses(-losses, is_target).double().cpu().numpy()
        scores[places, 1] = (~wrong.any(1)).double().cpu().numpy()
    return scores


def target_positions(inputs: PromptedTexts, rows: np.ndarray, following: torch.Tensor) -> torch.Tensor:
    """Return which of the tokens from the second on belong to targets, bool of the shape of `following`."""
    position = torch.arange(1, following.shape[1] + 1, device=following.device)
    begins, ends = (
        torch.from_numpy(each[rows]).to(following.device)[:, None] for each in (inputs.prompts, inputs.lengths)
    )
    return (position >= begins) & (position < ends)


def mean_losses(log_probs: torch.Tensor, is_target: torch.Tensor) -> torch.Tensor:
    """Return each example's mean loss over its target's tokens."""
    return -log_probs.sum(1) / is_target.sum(1)
