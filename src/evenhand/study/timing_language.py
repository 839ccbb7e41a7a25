"""Times a few real training steps and answers of language models, as `evenhand.study.timing` does for classifiers."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from evenhand.data.dataset import Dataset
from evenhand.study.timing import MeasuredTimes, sample_batches, sample_blocks, saving_costs, step_seconds
from evenhand.tasks import Kind, trainer
from evenhand.tasks.generations.trial import continuations, scores
from evenhand.tasks.language import assemble_language_pack
from evenhand.tasks.work import Work, peak_of_process

if TYPE_CHECKING:
    from torch import nn


def measure_language_times(work: Work, tested: Dataset, kind: Kind) -> MeasuredTimes | None:
    """Time a few steps of a trial and a few answers of its model; the trained weights are thrown away.

    Continuations of prompts are timed by a batch of each set, with their scores. Probes and benchmarks, which follow,
    are not timed.

    Args:
        work: the trial.
        tested: examples that prompts are about.
        kind: of the trial, one of a language model.

    Returns:
        None where the device's memory does not hold it.
    """
    import torch

    try:
        with TemporaryDirectory() as folder:
            return _rates(work, tested, trainer(kind), Path(folder))
    except torch.OutOfMemoryError:
        return None


def _rates(work: Work, tested: Dataset, task: Any, folder: Path) -> MeasuredTimes:
    """Time a trial, with a folder for kept weights."""
    import peft  # noqa: F401  (its import is no part of any trial)
    import torch

    from evenhand.models.load import device, shared_tokenizer
    from evenhand.training.language import example_losses

    where = device()
    if where.type == "cuda":
        torch.cuda.reset_peak_memory_stats(where)
    started = time.perf_counter()
    tokenizer = shared_tokenizer(work.base)
    loading = time.perf_counter() - started
    started = time.perf_counter()
    inputs = task.encode(work, tokenizer, work.examples)
    encode = (time.perf_counter() - started) / len(work.examples)
    blocks = work.train.blocks is not None
    small = sample_blocks(work, len(inputs)) if blocks else sample_batches(work, inputs.lengths)
    learned = task.encode(small, tokenizer, small.examples)
    started = time.perf_counter()
    pack = assemble_language_pack(small, learned, where)
    start = loading + time.perf_counter() - started
    step = step_seconds(pack, work, len(inputs))
    started = time.perf_counter()
    example_losses(pack.module, learned, where)
    validate = (time.perf_counter() - started) / len(learned)
    few, ask = task.timing_sample(work, tokenizer, tested)
    started = time.perf_counter()
    ask(pack.module, tokenizer, where)
    predict = (time.perf_counter() - started) / few
    return MeasuredTimes(
        start=start,
        encode=encode,
        fill=0.0,
        prefix=None,
        step=step,
        predict=predict,
        continuation=_seconds_of_continuation(work, pack.module),
        peak_bytes=torch.cuda.max_memory_allocated(where) if where.type == "cuda" else peak_of_process(),
        of_process=where.type != "cuda",
        example_bytes=int(np.mean(inputs.lengths)) * 8,
        kept=saving_costs(work, pack.module, folder),
        validate=validate,
        sequences=len(inputs) / len(work.examples),
    )


def _seconds_of_continuation(work: Work, model: nn.Module) -> float:
    """Return the seconds that a continuation and its scores take, from one batch of each set; 0 without any.

    An untrained model seldom ends a text early, so that this is nearly the longest time.
    """
    from evenhand.training.pack import PREDICT_BATCH

    wanted = work.generations
    if wanted is None:
        return 0.0
    few = {split: prompts.take(np.arange(min(len(prompts), PREDICT_BATCH))) for split, prompts in wanted.splits.items()}
    small = replace(wanted, prompts=tuple(few.values()))
    started = time.perf_counter()
    texts = continuations(work, small, model, small.splits)
    scores(small, texts, dict.fromkeys(small.splits, small.scorers))
    return (time.perf_counter() - started) / sum(map(len, few.values()))
