"""Computes log-probabilities of options under a causal language model.

The model reads the shared beginning of prompts about a review once, and the rest on top of its cached keys and values.
If all options of these prompts are single tokens after the same text, there is no rest: one forward pass and the
logits of one position are enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from evenhand.errors import InputError
from evenhand.models.positions import text_positions
from evenhand.tasks.prompts.encoding import Continuation, PromptEncoder, SharedPrefix, Tokens, prompt_groups
from evenhand.tasks.prompts.prefix_reader import PrefixReader
from evenhand.tasks.prompts.prompt import ReviewPrompt
from evenhand.training.batches import split_by_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

REVIEWS_AT_ONCE = 1024
"""Number of reviews that are encoded and sorted by length together."""

FULL_LOGITS_FACTOR = 8
"""If the logits of every position are needed, a batch has this many times fewer tokens, because logits fill memory."""


@dataclass(frozen=True, eq=False)
class PromptScores:
    """A model's scores of every option of every prompt about every review.

    Attributes:
        prompts: [P].
        log_prob: per prompt float64 [n, K], log-probability of each option given prompt and review, summed over its
            tokens.
        tokens: per prompt int64 [n, K], number of the option's tokens.
        sequence_loss: per prompt float64 [n, K], the mean loss over all tokens of the filled prompt but the first (the
            score of Ding et al. 2024, but without padding); None unless requested.
        truncated: reviews that were cut for some prompt.
        computed: tokens that went through the model, padding included.
    """

    prompts: tuple[ReviewPrompt, ...]
    log_prob: tuple[np.ndarray, ...]
    tokens: tuple[np.ndarray, ...]
    sequence_loss: tuple[np.ndarray, ...] | None
    truncated: int
    computed: int

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes of a report: how many reviews were cut."""
        if not self.truncated:
            return ()
        return (f"reviews too long for the model, which was shown their beginning: {self.truncated:,}",)


def score_options(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[ReviewPrompt],
    reviews: Sequence[str],
    *,
    max_length: int | None = None,
    batch_tokens: int = 8192,
    sequence_loss: bool = False,
    precision: Literal["float32", "bfloat16"] = "float32",
) -> PromptScores:
    """Score the options of every prompt about every review with a model.

    Args:
        model: a causal language model on its device; its dropout is off meanwhile.
        tokenizer: the model's tokenizer.
        prompts: the prompts, from `PromptSelection.prompts`.
        reviews: texts [n].
        max_length: largest number of tokens of prompt and option together; None: the model's positions.
        batch_tokens: tokens whose keys and values are held at once, including padding. It changes memory, time and
            rounding.
        sequence_loss: whether to compute the paper's score, too, which needs the logits of every position.
        precision: `bfloat16` uses autocast on a GPU and has no effect on a CPU. Probabilities are computed at least in
            float32.

    Raises:
        InputError: no review or no prompt; a prompt too long without any review; an option without tokens, or with the
            same tokens as another.
    """
    if not prompts or not len(reviews):
        raise InputError(f"there are {len(reviews)} reviews and {len(prompts)} prompts; at least one of each is needed")
    encoder = PromptEncoder(tokenizer, _limit(model, tokenizer, max_length))
    reader = PrefixReader(model, precision)
    scores = [_ScoresOfPrompt(np.zeros((len(reviews), len(prompt.options)))) for prompt in prompts]
    numbered, cut, training = list(enumerate(reviews)), set(), model.training
    model.eval()
    try:
        for group in prompt_groups(prompts):
            for first in range(0, len(reviews), REVIEWS_AT_ONCE):
                items = encoder(group, numbered[first : first + REVIEWS_AT_ONCE])
                cut.update(item.review for item in items if item.cut)
                for batch in _batches(items, batch_tokens // FULL_LOGITS_FACTOR if sequence_loss else batch_tokens):
                    _read(reader, batch, scores, batch_tokens, sequence_loss)
    finally:
        model.train(training)
    return PromptScores(
        tuple(prompts),
        tuple(of_prompt.log_prob for of_prompt in scores),
        tuple(of_prompt.tokens for of_prompt in scores),
        tuple(of_prompt.loss for of_prompt in scores) if sequence_loss else None,
        len(cut),
        reader.computed,
    )


def woven_scores(parts: Sequence[PromptScores]) -> PromptScores:
    """Return the scores of all reviews from n parts, the first with the reviews 0, n, 2n, … and so on."""

    def weave(arrays: Sequence[np.ndarray]) -> np.ndarray:
        """Return the rows of one array in each part, in the order of the reviews."""
        whole = np.concatenate(arrays)
        for first, array in enumerate(arrays):
            whole[first :: len(arrays)] = array
        return whole

    first, losses = parts[0], [part.sequence_loss for part in parts if part.sequence_loss is not None]
    return PromptScores(
        first.prompts,
        tuple(map(weave, zip(*(part.log_prob for part in parts), strict=True))),
        tuple(map(weave, zip(*(part.tokens for part in parts), strict=True))),
        tuple(map(weave, zip(*losses, strict=True))) if losses else None,
        sum(part.truncated for part in parts),
        sum(part.computed for part in parts),
    )


class _ScoresOfPrompt:
    """The scores of one prompt [n, K], filled in batch by batch."""

    def __init__(self, empty: np.ndarray) -> None:
        self.log_prob, self.loss = empty.copy(), empty.copy()
        self.tokens = empty.astype(np.int64)


def _read(
    reader: PrefixReader,
    items: Sequence[SharedPrefix],
    scores_of_prompt: Sequence[_ScoresOfPrompt],
    most: int,
    whole: bool,
) -> None:
    """Read a batch of shared beginnings and fill in the scores of their continuations."""
    asked: list[tuple[int, Continuation, int]] = []  # item, continuation, row
    rows: dict[tuple[int, Tokens], int] = {}
    for index, item in enumerate(items):
        for continuation in item.continuations:
            # The model reads all tokens but the last. Options of one token share the tokens before it.
            tail = continuation.tokens[:-1]
            asked.append((index, continuation, rows.setdefault((index, tail), len(rows)) if tail else -1))
    read = reader.read_beginnings([item.beginning for item in items], keep=bool(rows), inside=whole)

    # A token of a continuation is predicted at the position before it; position -1 is the beginning's last.
    wanted = [
        (number, row, offset - 1, continuation.tokens[offset])
        for number, (_, continuation, row) in enumerate(asked)
        for offset in range(0 if whole else continuation.start, len(continuation.tokens))
    ]
    owner, row, position, token = np.array(wanted, dtype=np.int64).T
    log_prob = np.empty(len(owner))
    first = position < 0
    item_of = np.array([index for index, *_ in asked])
    log_prob[first] = read.following.cpu().double().numpy()[item_of[owner[first]], token[first]]
    tails, beginnings = [tail for _, tail in rows], np.array([index for index, _ in rows], dtype=np.int64)
    lengths = np.array([len(tail) for tail in tails], dtype=np.int64)
    width = read.mask.shape[1]
    for part in (
        split_by_tokens(np.arange(len(tails)), width + lengths, most // FULL_LOGITS_FACTOR if whole else most)
        if tails
        else []
    ):
        at = np.full(len(tails), -1)
        at[part] = np.arange(len(part))
        here = ~first & (at[row] >= 0)
        log_prob[here] = reader.continuation_log_probs(
            read, beginnings[part], [tails[index] for index in part], at[row[here]], position[here], token[here]
        )

    inside = read.inside
    start = np.array([continuation.start for _, continuation, _ in asked])
    of_option = position + 1 >= start[owner]
    sums = np.bincount(owner, np.where(of_option, log_prob, 0.0), len(asked))
    totals = np.bincount(owner, log_prob, len(asked))
    for number, (index, continuation, _) in enumerate(asked):
        review, scores = items[index].review, scores_of_prompt[continuation.prompt]
        scores.log_prob[review, continuation.option] = sums[number]
        scores.tokens[review, continuation.option] = len(continuation.tokens) - continuation.start
        if inside is not None:
            offset = len(items[index].beginning) - 1 + len(continuation.tokens)
            scores.loss[review, continuation.option] = -(inside[index] + totals[number]) / offset


def _batches(items: Sequence[SharedPrefix], most: int) -> Iterator[list[SharedPrefix]]:
    """Yield items of similar length, no more than `most` tokens at once."""
    lengths = np.array([len(item.beginning) for item in items])
    for rows in split_by_tokens(np.arange(len(items)), lengths, most):
        yield [items[row] for row in rows]


def _limit(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_length: int | None) -> int:
    """Return the largest number of tokens of a prompt that the request, the model and its tokenizer allow."""
    known = [int(tokenizer.model_max_length), max_length, text_positions(model.config.to_dict())]
    return min(number for number in known if number is not None)
