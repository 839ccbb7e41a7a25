"""Fine-tunes language models on prompts with responses, and measures them on held-out pairs.

The loss of a batch is the mean over the tokens of its responses, as in supervised fine-tuning with TRL. Each held-out
pair gets two values: `response_loss`, the mean loss over the tokens of its response, and `exact_match`, 1 if greedy
decoding would write the response, token by token, up to its end (the first token that ends a text or a turn).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from evenhand.data.dataset import Dataset, TrainingExamples
from evenhand.data.sft import Conversations, TrainingConversations
from evenhand.errors import InputError, TrainingError
from evenhand.tasks.language import Ask, ask_kept, kept_model, least_room, longest_text, train_alone
from evenhand.tasks.work import Job, TrainingOutcome, Work
from evenhand.training.shares import ShareOut, answer_all

__all__ = [
    "check",
    "encode",
    "kept_model",
    "predict",
    "template_notes",
    "template_of",
    "timing_sample",
    "train_together",
]

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedTokenizerBase

    from evenhand.methods.method import Method
    from evenhand.models.find import BaseModel

LOSS, MATCH = "response_loss", "exact_match"
"""Names of the values of each held-out pair."""


def train_together(
    jobs: Sequence[Job], progress: Callable[[float], None] | None = None, features: Path | None = None
) -> Iterator[tuple[TrainingOutcome, pl.DataFrame] | TrainingError]:
    """Train one trial and measure its model; trials of conversations are trained alone.

    Args:
        jobs: a single job, whose examples are `TrainingConversations` and whose evaluations are `Conversations`.
        progress: called with the share of the training that is done.
        features: not used, because language models are trained without cached features.

    Yields:
        The outcome and the rows of `values` without the column `trial`, or why it failed.

    Raises:
        InputError: the method does not fit the base model, or a conversation does not fit its tokenizer.
    """
    (job,) = jobs
    return train_alone(jobs, encode, partial(_values, job.work, job.evaluations), progress)


def encode(work: Work, tokenizer: PreTrainedTokenizerBase, examples: TrainingExamples | Dataset) -> Any:
    """Return conversations as training inputs, in which only the tokens of responses count."""
    from evenhand.training.conversations import encode_conversations

    assert isinstance(examples, TrainingConversations | Conversations)
    longest = longest_text(work, tokenizer)
    return encode_conversations(tokenizer, examples.inputs, examples.targets, examples.template, longest)


def check(
    base: BaseModel, conversations: Conversations, methods: Iterable[tuple[Method, int]], least_tokens: int = 1
) -> None:
    """Check, before anything is trained, that all conversations fit the tokenizer and the context.

    Args:
        base: the base model.
        conversations: for training and tests.
        methods: each method of the study with its `train.max_length`, at least one.
        least_tokens: fewest tokens of a response, with what the template writes behind it.

    Raises:
        InputError: as `encode_conversations`, for the method that leaves least room; a shorter response.
    """
    from evenhand.models.load import shared_tokenizer
    from evenhand.training.conversations import encode_conversations

    tokenizer = shared_tokenizer(base)
    least = least_room(base, tokenizer, methods)
    if least is None:
        return
    room, lead = least
    try:
        encoded = encode_conversations(
            tokenizer,
            conversations.inputs,
            conversations.targets,
            conversations.template,
            room,
            conversations.example.tolist(),
        )
    except InputError as error:
        raise InputError(f"{lead}{error}") from None
    if len(encoded.counts) and encoded.counts.min() < least_tokens:
        short = encoded.counts < least_tokens
        raise InputError(
            f"membership: the response of the example {str(conversations.example[short.argmax()])!r} has "
            f"{encoded.counts.min()} token ({int(short.sum()):,} such responses), and {least_tokens} are needed to "
            "score a text; leave out such pairs"
        )


def template_of(base: BaseModel, conversations: Conversations) -> str:
    """Return the template that conversations are written with, which is part of a trial's identity.

    A date that it writes belongs to it.
    """
    from evenhand.models.load import shared_tokenizer
    from evenhand.training.conversations import TODAY, writes_date

    if conversations.template != "chat":
        return conversations.template
    chat: Any = shared_tokenizer(base)
    template = str(chat.chat_template)
    return f"{template}\n{TODAY:%Y-%m-%d}" if writes_date(template) else template


def template_notes(base: BaseModel, template: str) -> Iterator[str]:
    """Yield a note on the date that a template from `template_of` writes, if it writes one."""
    from evenhand.training.conversations import TODAY, writes_date

    if writes_date(template):
        yield (
            f"The chat template of {base.name} writes today's date into every conversation; here it is always "
            f"{TODAY:%d %b %Y}, so that trials do not depend on the day"
        )


def predict(
    work: Work, folder: Path, evaluations: Mapping[str, Dataset], features: Path | None = None
) -> pl.DataFrame | None:
    """Measure the model that `train_together` kept in `folder`.

    Args:
        work, folder, evaluations: see `Job`.
        features: not used.

    Returns:
        The rows that `train_together` yields; None if the weights were not kept.
    """
    return ask_kept(work, folder, partial(_values, work, evaluations))


def timing_sample(work: Work, tokenizer: PreTrainedTokenizerBase, tested: Dataset) -> tuple[int, Ask]:
    """Return how many pairs to time, and the function that measures them: one batch, of medium length."""
    from evenhand.training.batches import longest_first_batches
    from evenhand.training.pack import PREDICT_BATCH

    batches = longest_first_batches(len(tested), encode(work, tokenizer, tested).lengths, PREDICT_BATCH)
    few = tested.take(batches[len(batches) // 2])
    return len(few), partial(_values, work, {"test": few})


def _values(
    work: Work,
    evaluations: Mapping[str, Dataset],
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    where: torch.device,
    share_out: ShareOut = answer_all,
) -> pl.DataFrame:
    """Return the rows of the table `values` for the held-out pairs of every split."""
    from evenhand.training.language import response_scores
    from evenhand.training.loop import reproducible
    from evenhand.training.prompted_texts import text_ends

    ends = text_ends(model, tokenizer)
    frames = []
    for split, dataset in evaluations.items():
        inputs = encode(work, tokenizer, dataset)

        def scores_of(rows: Sequence[int], inputs: Any = inputs) -> np.ndarray:
            """Return the loss and the match of some pairs, [n, 2]."""
            return response_scores(model, inputs, np.asarray(rows, dtype=np.int64), where, ends)

        with reproducible(where):
            scores = share_out(scores_of, list(range(len(dataset))), weave=_woven)
        for column, name in enumerate((LOSS, MATCH)):
            values: dict[str, Any] = {
                "split": [split] * len(dataset),
                "example": [str(example) for example in dataset.example],
                "step": [None] * len(dataset),
                "name": [name] * len(dataset),
                "value": scores[:, column].astype(np.float64),
            }
            frames.append(pl.DataFrame(values, schema_overrides={"step": pl.Int64}))
    return pl.concat(frames)


def _woven(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Return the scores of all pairs, of which each part has every n-th."""
    scores = np.empty((sum(map(len, parts)), 2))
    for place, part in enumerate(parts):
        scores[place :: len(parts)] = part
    return scores
