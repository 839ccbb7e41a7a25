"""Trains language models on reviews, then asks them about the reviews' authors.

Every review is followed by the end-of-text token. It has its own row, in a batch with reviews of about the same
length, or shares a row with others, each read as if it were alone (`train.packing`). Either way, the loss of an
example is the mean over its tokens but the first, and the loss of a batch is the mean over its examples. With
`train.blocks` the reviews are joined instead, and blocks of equal length are the examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import polars as pl

from evenhand.data.dataset import Dataset, TrainingExamples
from evenhand.errors import TrainingError
from evenhand.records.prompts import CONTENT_FREE
from evenhand.tasks.language import Ask, ask_kept, kept_model, longest_text, room_for_text, train_alone
from evenhand.tasks.work import Job, TrainingOutcome, Work
from evenhand.training.shares import ShareOut, answer_all

__all__ = ["cut_notes", "encode", "kept_model", "predict", "timing_sample", "train_together"]

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from evenhand.methods.method import Method
    from evenhand.models.find import BaseModel
    from evenhand.tasks.prompts.prompt import ReviewPrompt

LITTLE = 12
"""Number of reviews that `evenhand plan` times."""


def train_together(
    jobs: Sequence[Job], progress: Callable[[float], None] | None = None, features: Path | None = None
) -> Iterator[tuple[TrainingOutcome, pl.DataFrame] | TrainingError]:
    """Train one trial and ask its model the prompts; trials of reviews are trained alone.

    Args:
        jobs: a single job, whose work has `prompts` and whose evaluations are the reviews that the prompts are about.
        progress: called with the share of the training that is done.
        features: not used, because language models are trained without cached features.

    Yields:
        The outcome and the rows of `options` without the column `trial`, or why it failed.

    Raises:
        InputError: the method does not fit the base model; an option or a question does not fit its tokenizer, as in
            `evenhand.tasks.prompts.scoring.score_options`.
    """
    (job,) = jobs
    return train_alone(jobs, encode, partial(answers, job.work, job.evaluations), progress)


def encode(work: Work, tokenizer: PreTrainedTokenizerBase, examples: TrainingExamples | Dataset) -> Any:
    """Return reviews as training inputs without a prompt: in blocks, or each alone and cut at `train.max_length`."""
    from evenhand.training.prompted_texts import encode_blocks, encode_whole_texts

    texts = list(examples.inputs)
    if work.train.blocks is not None:
        room = room_for_text(work.base, work.method, tokenizer)
        return encode_blocks(tokenizer, texts, work.train.blocks, room)
    return encode_whole_texts(tokenizer, texts, longest_text(work, tokenizer))


def predict(
    work: Work, folder: Path, evaluations: Mapping[str, Dataset], features: Path | None = None
) -> pl.DataFrame | None:
    """Ask the prompts of the model that `train_together` kept in `folder`.

    Args:
        work, folder, evaluations: see `Job`.
        features: not used.

    Returns:
        The rows that `train_together` yields; None if the weights were not kept.
    """
    return ask_kept(work, folder, partial(answers, work, evaluations))


def timing_sample(work: Work, tokenizer: PreTrainedTokenizerBase, tested: Dataset) -> tuple[int, Ask]:
    """Return how many reviews to time, and the function that asks about them, from longer to shorter ones."""
    from evenhand.training.prompted_texts import encode_whole_texts

    lengths = encode_whole_texts(tokenizer, list(tested.inputs), longest_text(work, tokenizer)).lengths
    count = min(LITTLE, len(tested))
    positions = (np.arange(count) + 0.5) * len(tested) / count
    alone = replace(work, content_free=())  # so that the time is that of typical reviews
    return count, partial(answers, alone, {"test": tested.take(np.argsort(-lengths)[positions.astype(np.int64)])})


def cut_notes(
    base: BaseModel, methods: Sequence[Method], prompts: Sequence[ReviewPrompt], texts: Sequence[str]
) -> Iterator[str]:
    """Yield a note on how many texts are too long for the prompts, if any are; nothing is read but the tokenizer.

    Args:
        base: the base model.
        methods: of the study; virtual tokens leave less room for a text.
        prompts, texts: that are asked, and that they are about.
    """
    from evenhand.models.load import shared_tokenizer
    from evenhand.tasks.prompts.encoding import PromptEncoder, prompt_groups

    tokenizer = shared_tokenizer(base)
    rooms = {room_for_text(base, method, tokenizer) for method in methods}
    if not rooms or not prompts:
        return
    encoder, groups = PromptEncoder(tokenizer, min(rooms)), prompt_groups(prompts)
    if cut := sum(any(encoder.too_long(group, text) for group in groups) for text in texts):
        where = "" if len(rooms) == 1 else " beside the most virtual tokens of a method"
        yield (
            f"{cut:,} of {len(texts):,} texts that the prompts are about are too long for the model{where}, which was "
            "shown their beginning"
        )


def answers(
    work: Work,
    evaluations: Mapping[str, Dataset],
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    where: torch.device,
    share_out: ShareOut = answer_all,
) -> pl.DataFrame:
    """Return the rows of the table `options` for the reviews of every split."""
    from evenhand.tasks.prompts.scoring import PromptScores, score_options, woven_scores
    from evenhand.tasks.prompts.table import options_table
    from evenhand.training.loop import reproducible

    room = room_for_text(work.base, work.method, tokenizer)

    def scores_of(texts: Sequence[str]) -> PromptScores:
        """Return the scores of the prompts about these texts."""
        reader = cast("PreTrainedModel", model)
        return score_options(reader, tokenizer, work.prompts, texts, max_length=room, sequence_loss=work.sequence_loss)

    frames = []
    for dataset in evaluations.values():
        with reproducible(where):
            scores = share_out(scores_of, [*dataset.inputs, *work.content_free], weave=woven_scores)
        asked = [*map(str, dataset.example), *(CONTENT_FREE + text for text in work.content_free)]
        frames.append(options_table(scores, "", asked).drop("trial"))
    return pl.concat(frames)
