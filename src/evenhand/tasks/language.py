"""Trains one trial of a language model, keeps its weights as the study requires, and computes its record rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import polars as pl

from evenhand.data.dataset import Dataset, TrainingExamples
from evenhand.errors import TrainingError
from evenhand.methods.method import Method
from evenhand.methods.virtual import Prefix
from evenhand.tasks.work import (
    LOG,
    Job,
    TrainingOutcome,
    Work,
    attention_kernels,
    count_parameters,
    deployed_model,
    peak_of_process,
    write_log_row,
)
from evenhand.training import launch
from evenhand.training.shares import ShareOut, answer_all

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedTokenizerBase

    from evenhand.models.find import BaseModel
    from evenhand.training.language import LanguagePack

Encode = Callable[[Work, "PreTrainedTokenizerBase", TrainingExamples | Dataset], Any]
"""Encodes examples as training inputs, `PromptedTexts`."""


class Ask(Protocol):
    """Callable that asks a model its questions and returns its record rows, without the column `trial`."""

    def __call__(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        where: torch.device,
        share_out: ShareOut = answer_all,
    ) -> pl.DataFrame:
        """Return the rows.

        Args:
            model: on its device.
            tokenizer: of the base model.
            where: the device.
            share_out: gets the answers to the questions.
        """
        ...


def train_alone(
    jobs: Sequence[Job], encode: Encode, ask: Ask, progress: Callable[[float], None] | None = None
) -> Iterator[tuple[TrainingOutcome, pl.DataFrame] | TrainingError]:
    """Train one trial of a language model and compute its rows; such trials are trained alone.

    Args:
        jobs: a single job.
        encode: encodes its training and validation examples.
        ask: computes the rows of the trained model.
        progress: called with the share of the training that is done.

    Yields:
        The outcome and the rows, or why it failed.

    Raises:
        InputError: the method does not fit the base model, or the model cannot learn from an example.
    """
    import torch

    from evenhand.models.load import device, shared_tokenizer
    from evenhand.training import loop
    from evenhand.training.checkpoints import NearestCheckpoint
    from evenhand.training.pack import Validation

    (job,) = jobs
    started = time.perf_counter()
    work, where = job.work, device()
    shared = launch.this_process().shared
    if shared:
        from evenhand.training import distributed, distributed_language

        where = distributed.accelerator().device
    if where.type == "cuda":
        torch.cuda.reset_peak_memory_stats(where)
    tokenizer = shared_tokenizer(work.base)
    # A model that will be sharded need not fit on one device.
    first = torch.device("cpu") if shared else where
    pack = assemble_language_pack(work, encode(work, tokenizer, work.examples), first)
    if shared:
        pack = distributed.distribute(pack, partial(_model, work), distributed_language.DistributedLanguagePack)
    validation = None
    if work.validation is not None:
        validation = Validation(encode(work, tokenizer, work.validation), work.validation.labels)
    nearest = None if work.target is None else NearestCheckpoint(work.target)
    with ExitStack() as files:
        logs = [files.enter_context((job.folder / LOG).open("w", encoding="utf-8"))]
        (fitted,) = loop.fit(pack, [validation], partial(write_log_row, logs), progress, nearest)
    try:
        loop.raise_if_diverged(fitted)
    except TrainingError as error:
        yield error
        return
    with pack.answering() as model:
        rows = ask(model, tokenizer, where, pack.share_out)
    model = pack.full_model(0)
    try:
        job.afterwards(model)
    except TrainingError as error:
        yield error
        return
    if job.keep == "weights" or (job.keep == "adapters" and not work.method.whole):
        work.method.save(model, job.folder)
    yield (
        TrainingOutcome(
            fitted.train_loss,
            fitted.validation_loss,
            *count_parameters(model),
            time.perf_counter() - started,
            torch.cuda.max_memory_allocated(where) if where.type == "cuda" else peak_of_process(),
            epsilon=pack.epsilon(0),
            attention=attention_kernels(model),
            step=fitted.step,
            reached=fitted.reached,
        ),
        rows,
    )


def room_for_text(base: BaseModel, method: Method, tokenizer: PreTrainedTokenizerBase) -> int:
    """Return how many tokens a text may have beside a method's virtual tokens.

    Keys and values of virtual tokens precede the padding on the left of a batch. Within a sliding window, the padding
    would decide whether a token attends to them, so that texts are limited to the window.
    """
    room = tokenizer.model_max_length
    if isinstance(method, Prefix):
        from transformers import AutoConfig

        from evenhand.models.positions import attention_window

        window = attention_window(AutoConfig.from_pretrained(base.folder, trust_remote_code=False))
        room = room if window is None else min(room, window)
    return room - method.virtual_tokens


def least_room(
    base: BaseModel, tokenizer: PreTrainedTokenizerBase, methods: Iterable[tuple[Method, int]]
) -> tuple[int, str] | None:
    """Return the fewest tokens that a text may have under any method, and how an error about it begins.

    Args:
        base, tokenizer: the base model and its tokenizer.
        methods: each method with its `train.max_length`.

    Returns:
        None where the virtual tokens of every method leave no room, which their own check refuses.
    """
    rooms = [(min(longest, room_for_text(base, method, tokenizer)), method) for method, longest in methods]
    room, method = min(((room, each) for room, each in rooms if room > 0), key=itemgetter(0), default=(0, None))
    if method is None:
        return None
    tokens = method.virtual_tokens
    return room, f"beside {tokens} virtual tokens of {method.kind}, " if tokens else ""


def longest_text(work: Work, tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the largest number of tokens of a text in training and tests."""
    return min(work.train.max_length, room_for_text(work.base, work.method, tokenizer))


def assemble_language_pack(work: Work, inputs: Any, where: torch.device) -> LanguagePack:
    """Return the pack of a trial that learns from these inputs."""
    from evenhand.training.language import LanguagePack
    from evenhand.training.memory_options import apply_memory_options

    # A language model learns from its inputs alone; blocks of texts are fewer or more than the examples.
    labels = np.zeros(len(inputs), dtype=np.int64)
    made = work.method.pack(_model(work), inputs, labels, seed=work.seed, train=work.train, device=where)
    apply_memory_options(made)
    return LanguagePack.of(made)


def _model(work: Work) -> nn.Module:
    """Return the base model, or the trained one that the trial compresses, as the trial's method alters it."""
    from evenhand.models.language import load_language_model

    if work.uncompressed is not None:
        return work.method.apply(deployed_model(work.uncompressed, kept_model), work.seed)
    return work.method.apply(load_language_model(work.base, work.train.base_dropout), work.seed)


def ask_kept(work: Work, folder: Path, ask: Ask) -> pl.DataFrame | None:
    """Return the rows of the model that `train_alone` kept in `folder`; None if its weights were not kept."""
    model = kept_model(work, folder)
    if model is None:
        return None
    from evenhand.models.load import device, shared_tokenizer

    where = device()
    return ask(model.to(where), shared_tokenizer(work.base), where)


def kept_model(work: Work, folder: Path) -> nn.Module | None:
    """Return the model that `train_alone` kept in `folder`, on the CPU; None if its weights were not kept."""
    if not work.method.kept(folder):
        return None
    from evenhand.models.language import load_language_model

    return work.method.load(load_language_model(work.base, work.train.base_dropout), folder)
