"""Trains language models to translate, and translates the test sentences with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from evenhand.data.dataset import Dataset, TrainingExamples
from evenhand.data.pairs import TrainingPairs
from evenhand.data.translation import PROMPT, Translations
from evenhand.errors import InputError, TrainingError
from evenhand.tasks.language import Ask, ask_kept, kept_model, least_room, longest_text, room_for_text, train_alone
from evenhand.tasks.work import Job, TrainingOutcome, Work
from evenhand.training.shares import ShareOut, answer_all, woven

__all__ = ["check", "check_learned", "encode", "kept_model", "predict", "prompts", "timing_sample", "train_together"]

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedTokenizerBase

    from evenhand.methods.method import Method
    from evenhand.models.find import BaseModel


def train_together(
    jobs: Sequence[Job], progress: Callable[[float], None] | None = None, features: Path | None = None
) -> Iterator[tuple[TrainingOutcome, pl.DataFrame] | TrainingError]:
    """Train one trial and translate; trials of translation are trained alone.

    Args:
        jobs: a single job, whose examples are `TrainingPairs` and whose evaluations are `Translations`.
        progress: called with the share of the training that is done.
        features: not used, because language models are trained without cached features.

    Yields:
        The outcome and the rows of `responses` without the column `trial`, or why it failed.

    Raises:
        InputError: the method does not fit the base model, or a line is too long for it.
    """
    (job,) = jobs
    return train_alone(jobs, encode, partial(_responses, job.work, job.evaluations), progress)


def encode(work: Work, tokenizer: PreTrainedTokenizerBase, examples: TrainingExamples | Dataset) -> Any:
    """Return prompts and their targets as training inputs, `PromptedTexts`."""
    from evenhand.training.prompted_texts import encode_prompted

    assert isinstance(examples, TrainingPairs | Translations)
    return encode_prompted(tokenizer, prompts(examples.inputs), examples.targets, longest_text(work, tokenizer))


def check(base: BaseModel, translations: Translations, methods: Iterable[tuple[Method, int]]) -> None:
    """Check, before anything is trained, that the prompts of all lines that are translated fit the model.

    Args:
        base: the base model.
        translations: whose lines are translated.
        methods: each method of the study with its `train.max_length`, at least one.

    Raises:
        InputError: as `evenhand.training.prompted_texts.encode_prompts`, for the method that leaves least room.
    """
    from evenhand.models.load import shared_tokenizer
    from evenhand.training.prompted_texts import encode_prompts

    tokenizer = shared_tokenizer(base)
    least = least_room(base, tokenizer, methods)
    if least is None:
        return
    room, lead = least
    asked = translations.take(np.flatnonzero(translations.asked))
    try:
        encode_prompts(tokenizer, prompts(list(asked.inputs)), room, asked.example.tolist())
    except InputError as error:
        raise InputError(f"{lead}{error}") from None


def check_learned(
    base: BaseModel, method: Method, max_length: int, learned: Iterable[TrainingPairs | Translations]
) -> None:
    """Check, before anything is trained, that all lines that a method learns from or is validated on fit the model.

    Args:
        base: the base model.
        method: whose virtual tokens take room.
        max_length: `train.max_length` of the method.
        learned: training and validation lines of any number of trials; equal lines are checked once.

    Raises:
        InputError: as `evenhand.training.prompted_texts.encode_prompted`.
    """
    from evenhand.models.load import shared_tokenizer
    from evenhand.training.prompted_texts import encode_prompted

    tokenizer = shared_tokenizer(base)
    least = least_room(base, tokenizer, [(method, max_length)])
    if least is None:
        return
    room, lead = least
    lines = list(dict.fromkeys(line for each in learned for line in zip(each.inputs, each.targets, strict=True)))
    try:
        encode_prompted(tokenizer, prompts([source for source, _ in lines]), [target for _, target in lines], room)
    except InputError as error:
        raise InputError(f"{lead}{error}") from None


def prompts(sources: Sequence[str]) -> list[str]:
    """Return the prompt of each source sentence."""
    return [PROMPT.format(source=source) for source in sources]


def predict(
    work: Work, folder: Path, evaluations: Mapping[str, Dataset], features: Path | None = None
) -> pl.DataFrame | None:
    """Translate with the weights that `train_together` kept in `folder`.

    Args:
        work, folder, evaluations: see `Job`.
        features: not used.

    Returns:
        The rows that `train_together` gives; None when the weights were not kept.
    """
    return ask_kept(work, folder, partial(_responses, work, evaluations))


def timing_sample(work: Work, tokenizer: PreTrainedTokenizerBase, tested: Dataset) -> tuple[int, Ask]:
    """Return how many examples to time, and the function that translates them.

    It writes as many tokens as the targets have, because an untrained model does not know when to stop.
    """
    from evenhand.training.batches import longest_first_batches
    from evenhand.training.pack import PREDICT_BATCH

    lengths = encode(work, tokenizer, tested).lengths
    few = tested.take(sorted(longest_first_batches(len(tested), lengths, PREDICT_BATCH), key=len)[-1])
    inputs = encode(work, tokenizer, few)
    most = int((inputs.lengths - inputs.prompts).max())
    return len(few), partial(_responses, work, {"test": few}, most=most)


def _responses(
    work: Work,
    evaluations: Mapping[str, Dataset],
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    where: torch.device,
    share_out: ShareOut = answer_all,
    most: int | None = None,
) -> pl.DataFrame:
    """Return the rows of the table `responses` for the examples of every split."""
    from evenhand.training.generation import MAX_NEW_TOKENS, generate_first_lines
    from evenhand.training.loop import reproducible
    from evenhand.training.prompted_texts import encode_prompts

    def texts_of(some: Sequence[np.ndarray]) -> list[str]:
        """Return the texts that follow some prompts."""
        new = MAX_NEW_TOKENS if most is None else most
        return generate_first_lines(model, tokenizer, some, where, new, room=room)

    room = room_for_text(work.base, work.method, tokenizer)
    columns: dict[str, Any] = {"split": pl.String, "example": pl.String, "step": pl.Int64, "text": pl.String}
    frames = [pl.DataFrame(schema=columns)]
    for split, dataset in evaluations.items():
        asked = encode_prompts(tokenizer, prompts(list(dataset.inputs)), longest_text(work, tokenizer))
        with reproducible(where):
            texts = share_out(texts_of, asked, weave=woven)
        values = {
            "split": [split] * len(dataset),
            "example": [str(example) for example in dataset.example],
            "step": [None] * len(dataset),
            "text": texts,
        }
        frames.append(pl.DataFrame(values, schema=columns))
    return pl.concat(frames)
