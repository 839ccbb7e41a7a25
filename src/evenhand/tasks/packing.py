"""Decides which trials can share a pack, and how many of them train fastest together on this machine.

A pack computes the base once for the rows of all its replicas. This is faster if the machine waits for small
operations (a tiny model, an underused GPU), and slower if it is busy with large ones, because the texts of replicas
are padded to each other's lengths. So a pack is timed under the conditions of its training: heads and late layers
start from cached features, where a step consists only of small operations.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from evenhand.tasks.classification import assemble_pack
from evenhand.tasks.encoding import InputEncoder
from evenhand.tasks.work import Work
from evenhand.training import launch

if TYPE_CHECKING:
    from evenhand.training.pack import Batch, Pack

KINDS = ("lora", "head")
"""The methods that `evenhand.training.replicas` can train in a pack."""

MAX_REPLICAS = 16
"""Numbers of replicas that are tried."""

FIRST_TRIED = 4
"""Number of replicas of the first pack that is tried."""

TIMED_STEPS = 3
"""Steps whose times are compared, after a warm-up step."""

MAX_TIMING_SHARE = 0.03
"""The share of a training's steps that timing may take; if it would take more, nothing is timed and trials are trained
alone. In time it takes up to a twentieth, because it loads models, and an unprofitable pack has slower steps."""

MIN_GAIN = 1.1
"""How much faster more replicas must be: smaller gains are within the timing noise of a shared machine."""


def pack_key(work: Work) -> str | None:
    """Return the key that trials must share to train in one pack; None if the trial trains alone.

    A pack cannot draw the base model's own dropout for each replica; several processes train one trial at a time; and
    compilation and checkpointing work on a single model.
    """
    if launch.this_process().shared or work.train.compile or work.train.checkpointing:
        return None
    if work.method.kind not in KINDS or work.train.base_dropout or not work.method.epochs:
        return None
    parts = (work.method.kind, work.base.fingerprint, len(work.classes), work.train.precision, work.train.batch_size)
    return " ".join(map(str, parts))


def replicas_that_pay(works: Sequence[Work]) -> int:
    """Return how many of these trials to train together: 1, or as many as shorten a step of each.

    Args:
        works: trials that share a `pack_key`.
    """
    most = min(len(works), MAX_REPLICAS)
    best, gained = 1, 1.0
    count = min(FIRST_TRIED, most)
    # Each replica takes its steps twice: alone and in the pack.
    if 2 * count * (TIMED_STEPS + 1) > MAX_TIMING_SHARE * sum(map(_steps, works)):
        return best
    while count > best:
        gain = speedup(works[:count])
        if gain < MIN_GAIN * gained:
            break
        best, gained = count, gain
        count = min(2 * count, most)
    return best


def speedup(works: Sequence[Work], timed: int = TIMED_STEPS) -> float:
    """Return how many times faster these trials take their first steps together than one after the other.

    Returns 0 if they do not fit in memory together. The trained weights are discarded.
    """
    import torch

    from evenhand.models.load import device
    from evenhand.training.features import start_from_features
    from evenhand.training.loop import reproducible
    from evenhand.training.pack import train_mode

    where, encoder = device(), InputEncoder()
    works = [_beginning(work, encoder, timed + 1) for work in works]
    bases = [work.base.fingerprint for work in works]
    try:
        with TemporaryDirectory() as features:
            together, model_of = assemble_pack(works, encoder, where)
            start_from_features(together, model_of, bases, Path(features))
            # Alone, they can share a model: the time does not depend on its weights.
            first, model_of = assemble_pack(works[:1], encoder, where)
            start = start_from_features(first, model_of, bases[:1], Path(features))
            alone = [
                work.method.pack(
                    first.module,
                    start(0, encoder(work, work.examples.inputs), work.train.precision),
                    work.examples.labels,
                    seed=work.seed,
                    train=work.train,
                    device=where,
                )
                for work in works
            ]
            ratios = []
            with reproducible(where):
                train_mode(together.module)
                train_mode(first.module)
                steps = zip(together.batches(0), *(pack.batches(0) for pack in alone), strict=False)
                for batch, *batches_alone in islice(steps, timed + 1):
                    singly = sum(_seconds(pack, step) for pack, step in zip(alone, batches_alone, strict=True))
                    ratios.append(singly / _seconds(together, batch))
    except torch.OutOfMemoryError:
        return 0.0
    return statistics.median(ratios[1:] or ratios)


def _beginning(work: Work, encoder: InputEncoder, steps: int) -> Work:
    """Return the trial on the examples of its first whole steps, whose batches differ little once sorted by length."""
    from evenhand.training.batches import epoch_batches

    inputs, examples_per_step = work.examples.inputs, work.train.batch_size * work.train.accumulate
    # Tokenising takes almost no time; images all take the same time.
    lengths = encoder(work, inputs).lengths if work.base.modality == "text" else None
    drawn = epoch_batches(len(inputs), lengths, examples_per_step, work.seed, 0)
    rows = np.concatenate(
        [rows_of_step for rows_of_step in drawn if len(rows_of_step) == examples_per_step][:steps] or drawn
    )
    return replace(work, examples=work.examples.take(rows))


def _steps(work: Work) -> int:
    """Return the number of steps of a trial's training."""
    return work.method.epochs * -(-len(work.examples) // (work.train.batch_size * work.train.accumulate))


def _seconds(pack: Pack, batch: Batch) -> float:
    """Return the seconds that one step takes."""
    from evenhand.training.loop import take_step

    started = time.perf_counter()
    losses, _ = take_step(pack, batch)
    losses.sum().item()  # waits until the GPU has finished
    return time.perf_counter() - started
