"""Translation by a language model: a trial from pairs of sentences to what it writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from evenhand.data.dataset import Dataset
from evenhand.data.translation import PROMPT, TrainingPairs, Translations
from evenhand.errors import TrainingError
from evenhand.tasks.work import (
    LOG,
    Job,
    Outcome,
    Work,
    attention,
    count_parameters,
    peak_of_process,
    write_row,
)

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedTokenizerBase


def train_together(
    jobs: Sequence[Job], progress: Callable[[float], None] | None = None, features: Path | None = None
) -> Iterator[tuple[Outcome, pl.DataFrame] | TrainingError]:
    """Train one trial and translate; trials of translation are trained alone.

    Args:
        jobs: one, whose examples are `TrainingPairs` and whose evaluations `Translations`.
        progress: told the share of the training that is done.
        features: not used: what a language model learns from has no features that could be kept.

    Yields:
        The outcome and the rows of `responses` without the column `trial`, or why it failed.

    Raises:
        InputError: the method does not fit the base model, or a line is too long for it.
    """
    import torch

    from evenhand.models.load import device, load_tokenizer
    from evenhand.training import loop
    from evenhand.training.checkpoints import Nearest

    (job,) = jobs
    started = time.perf_counter()
    work, where = job.work, device()
    if where.type == "cuda":
        torch.cuda.reset_peak_memory_stats(where)
    tokenizer = load_tokenizer(work.base)
    pack = assemble(work, tokenizer, where)
    validation = None
    if work.validation is not None:
        assert isinstance(work.validation, Translations)
        encoded = encode(work, tokenizer, work.validation.inputs, work.validation.targets)
        validation = loop.Validation(encoded, work.validation.labels)
    nearest = None if work.target is None else Nearest(work.target)
    with ExitStack() as files:
        logs = [files.enter_context((job.folder / LOG).open("w", encoding="utf-8"))]
        (fitted,) = loop.fit(pack, [validation], partial(write_row, logs), progress, nearest)
    try:
        loop.require(fitted)
    except TrainingError as error:
        yield error
        return
    rows = _responses(work, pack.module, tokenizer, job.evaluations, where)
    if job.keep == "weights" or (job.keep == "adapters" and not work.method.whole):
        work.method.save(pack.module, job.folder)
    yield (
        Outcome(
            fitted.train_loss,
            fitted.validation_loss,
            *count_parameters(pack.module),
            time.perf_counter() - started,
            torch.cuda.max_memory_allocated(where) if where.type == "cuda" else peak_of_process(),
            attention=attention(pack.module),
            step=fitted.step,
            reached=fitted.reached,
        ),
        rows,
    )


def assemble(work: Work, tokenizer: PreTrainedTokenizerBase, where: torch.device) -> Any:
    """The pack of a trial, a `LanguagePack`."""
    from evenhand.models.language import load_language_model
    from evenhand.training.economy import economise
    from evenhand.training.language import LanguagePack

    examples = work.examples
    assert isinstance(examples, TrainingPairs)
    model = work.method.apply(load_language_model(work.base, work.train.base_dropout), work.seed)
    inputs = encode(work, tokenizer, examples.inputs, examples.targets)
    made = work.method.pack(model, inputs, examples.labels, seed=work.seed, train=work.train, device=where)
    economise(made)
    return LanguagePack.of(made)


def encode(work: Work, tokenizer: PreTrainedTokenizerBase, sources: Sequence[str], targets: Sequence[str]) -> Any:
    """Prompts and targets as the trial's model takes them, `Prompted`."""
    from evenhand.training.language import encode_prompted

    return encode_prompted(tokenizer, prompts(sources), targets, work.train.max_length)


def prompts(sources: Sequence[str]) -> list[str]:
    """What a model is given of each source."""
    return [PROMPT.format(source=source) for source in sources]


def predict(
    work: Work, folder: Path, evaluations: Mapping[str, Dataset], features: Path | None = None
) -> pl.DataFrame | None:
    """Translate from what `train_together` kept in `folder`.

    Args:
        work, folder, evaluations: see `Job`.
        features: not used.

    Returns:
        The rows that `train_together` gives; None when the weights were not kept.
    """
    if not work.method.kept(folder):
        return None
    from evenhand.models.language import load_language_model
    from evenhand.models.load import device, load_tokenizer

    where = device()
    model = work.method.load(load_language_model(work.base, work.train.base_dropout), folder).to(where)
    return _responses(work, model, load_tokenizer(work.base), evaluations, where)


def _responses(
    work: Work,
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    evaluations: Mapping[str, Dataset],
    where: torch.device,
) -> pl.DataFrame:
    from evenhand.training.generation import greedy
    from evenhand.training.language import encode_prompts
    from evenhand.training.loop import reproducible

    columns: dict[str, Any] = {"split": pl.String, "example": pl.String, "step": pl.Int64, "text": pl.String}
    frames = [pl.DataFrame(schema=columns)]
    for split, dataset in evaluations.items():
        asked = encode_prompts(tokenizer, prompts(list(dataset.inputs)), work.train.max_length)
        with reproducible(where):
            texts = greedy(model, tokenizer, asked, where)
        values = {
            "split": [split] * len(dataset),
            "example": [str(example) for example in dataset.example],
            "step": [None] * len(dataset),
            "text": texts,
        }
        frames.append(pl.DataFrame(values, schema=columns))
    return pl.concat(frames)
