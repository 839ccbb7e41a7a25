"""Times a few real training steps and predictions of classifiers, and divides their cost among its causes."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from evenhand.data.dataset import Dataset
from evenhand.tasks.classification import assemble_pack
from evenhand.tasks.encoding import InputEncoder
from evenhand.tasks.work import Work, peak_of_process

if TYPE_CHECKING:
    from torch import nn

    from evenhand.training.pack import Batch, Pack

TIMED_STEPS = 6
"""Steps that are timed, after a warm-up step with the longest examples, which also shows the peak memory."""

TIMED_BATCHES = 3
"""Batches whose prediction is timed."""


@dataclass(frozen=True)
class MeasuredTimes:
    """The measured times and sizes from which a trial's cost is calculated.

    Attributes:
        start: seconds to load the models and to make the pack of them.
        encode: seconds per example, to tokenise it or to process its image, and to look up its cached features, if any.
        fill: seconds per example to compute missing cached features; 0 if no features are used.
        prefix: key under which trials share cached features; None if no features are used.
        step: seconds per optimiser step of the whole pack.
        predict: seconds per example that is predicted, translated or used in a prompt.
        validate: seconds per validation example; None: as `predict`.
        peak_bytes: on a GPU, the peak memory; on a CPU, the peak memory of the process so far.
        of_process: whether that peak is the process's, and so also that of all later trials.
        example_bytes: bytes of one encoded example.
        kept: by value of `keep`, the seconds to write a trial's weights, and their bytes.
        continuation: seconds per continuation of a prompt, with its scores; 0 if none are written.
        sequences: what a training example becomes in an epoch: 1, or its share of the blocks of `train.blocks`.
    """

    start: float
    encode: float
    fill: float
    prefix: str | None
    step: float
    predict: float
    peak_bytes: int
    of_process: bool
    example_bytes: int
    kept: Mapping[str, tuple[float, int]]
    validate: float | None = None
    sequences: float = 1.0
    continuation: float = 0.0


def measure_times(works: Sequence[Work], tested: Dataset) -> MeasuredTimes | None:
    """Time a few steps and predictions of a pack's trials; the trained weights are thrown away.

    Args:
        works: one, or several that can be trained together.
        tested: examples to predict.

    Returns:
        None where the device's memory does not hold them.
    """
    import torch

    try:
        with TemporaryDirectory() as folder:
            return _rates(works, tested, Path(folder))
    except torch.OutOfMemoryError:
        return None


def _rates(works: Sequence[Work], tested: Dataset, folder: Path) -> MeasuredTimes:
    """Time a pack, with a folder for cached features and kept weights."""
    import peft  # noqa: F401  (its import is no part of any trial)
    import torch

    from evenhand.models.load import device
    from evenhand.training.features import CachedFeatures, start_from_features
    from evenhand.training.loop import reproducible
    from evenhand.training.pack import predict_logits

    where, encoder = device(), InputEncoder()
    if where.type == "cuda":
        torch.cuda.reset_peak_memory_stats(where)
    # Tokenising takes almost no time, and a batch takes as long as its longest text; images all take the same time.
    texts = works[0].base.modality == "text"
    few_works = [sample_batches(work, encoder(work, work.examples.inputs).lengths if texts else None) for work in works]
    few = _sample_tested(works[0], tested, encoder)
    started = time.perf_counter()
    encoded = InputEncoder()(works[0], few.inputs)
    encode = (time.perf_counter() - started) / len(few)
    example_bytes = int(np.mean([len(encoded.content_bytes(row)) for row in range(len(few))]))
    for work in few_works:
        encoder(work, work.examples.inputs)
    started = time.perf_counter()
    pack, model_of = assemble_pack(few_works, encoder, where)
    start = time.perf_counter() - started

    started = time.perf_counter()
    begin = start_from_features(pack, model_of, [work.base.fingerprint for work in works], folder / "features")
    finding = time.perf_counter() - started
    started = time.perf_counter()
    inputs = begin(0, encoded)
    fill = (time.perf_counter() - started) / len(few)
    prefix = None
    if isinstance(inputs, CachedFeatures):
        prefix = f"{works[0].base.fingerprint} {inputs.split_point}"
        # The rest of the time was spent on finding the split point.
        start += max(finding - fill * sum(len(work.examples) for work in few_works if work.method.epochs), 0.0)
        started = time.perf_counter()
        begin(0, InputEncoder()(works[0], few.inputs))
        again = (time.perf_counter() - started) / len(few)
        encode, fill = max(encode, again), max(fill - max(again - encode, 0.0), 0.0)

    step = step_seconds(pack, works[0], len(works[0].examples))
    with reproducible(where):
        model = model_of(0)
        timed = []
        for _ in range(2):
            started = time.perf_counter()
            predict_logits(model, inputs, where)
            timed.append(time.perf_counter() - started)
        peak = torch.cuda.max_memory_allocated(where) if where.type == "cuda" else peak_of_process()
    return MeasuredTimes(
        start=start,
        encode=encode,
        fill=fill if prefix else 0.0,
        prefix=prefix,
        step=step,
        predict=min(timed) / len(few),
        peak_bytes=peak,
        of_process=where.type != "cuda",
        example_bytes=example_bytes,
        kept=saving_costs(works[0], model, folder),
    )


def sample_batches(work: Work, lengths: np.ndarray | None) -> Work:
    """Return the trial restricted to a few whole batches of its first epoch, from the longest to the shortest.

    Args:
        work: the trial.
        lengths: int [n], tokens of its examples; None if all have the same length.
    """
    from evenhand.training.batches import epoch_batches

    count, per_step = len(work.examples), work.train.batch_size * work.train.accumulate
    drawn = [rows for rows in epoch_batches(count, lengths, per_step, work.seed, 0) if len(rows) == per_step]
    drawn = drawn or [np.arange(count)]
    if lengths is not None:
        drawn.sort(key=lambda rows: -int(lengths[rows].max()))
    first, *others = drawn
    positions = (
        (np.arange(TIMED_STEPS) + 0.5) * len(others) / TIMED_STEPS
        if len(others) > TIMED_STEPS
        else np.arange(len(others))
    )
    rows = np.concatenate([first, *(others[int(position)] for position in positions)])
    return replace(work, examples=work.examples.take(rows), validation=None)


def sample_blocks(work: Work, sequences: int) -> Work:
    """Return the trial restricted to its first texts, as many as fill a few whole batches of blocks.

    Args:
        work: the trial.
        sequences: blocks that all its texts fill.
    """
    wanted = (TIMED_STEPS + 1) * work.train.batch_size * work.train.accumulate
    share = min(1.2 * wanted / max(sequences, 1), 1.0)
    rows = np.arange(math.ceil(share * len(work.examples)))
    return replace(work, examples=work.examples.take(rows), validation=None)


def _sample_tested(work: Work, tested: Dataset, encoder: InputEncoder) -> Dataset:
    """Return whole batches to predict, from longer to shorter ones, so that padding is as in a full prediction."""
    from evenhand.training.batches import longest_first_batches
    from evenhand.training.pack import PREDICT_BATCH

    lengths = encoder(work, tested.inputs).lengths if work.base.modality == "text" else None
    drawn = longest_first_batches(len(tested), lengths, PREDICT_BATCH)
    positions = (
        (np.arange(TIMED_BATCHES) + 0.5) * len(drawn) / TIMED_BATCHES
        if len(drawn) > TIMED_BATCHES
        else np.arange(len(drawn))
    )
    return tested.take(np.concatenate([drawn[int(position)] for position in positions]))


def step_seconds(pack: Pack, work: Work, count: int) -> float:
    """Return the seconds of one step, from an epoch of the examples that `sample_batches` took; 0 without training.

    `count` is the number of examples, or of blocks, of an epoch of the whole trial.
    """
    from evenhand.training.loop import reproducible
    from evenhand.training.pack import train_mode

    # The longest step occurs once in an epoch; the sample represents all other steps.
    longest = 1 / max(-(-count // (work.train.batch_size * work.train.accumulate)), 1)
    with reproducible(pack.device):
        train_mode(pack.module)
        times = [
            _step_time(pack, batch)
            for batch in sorted(pack.batches(0), key=lambda batch: -_tokens_of_step(pack, batch))
        ]
    return longest * times[0] + (1 - longest) * float(np.mean(times[1:] or times)) if times else 0.0


def _tokens_of_step(pack: Pack, batch: Batch) -> int:
    """Return the tokens of a step, including padding; the number of examples if all have the same length."""
    count = 0
    for part in batch.micro_batches:
        longest = 1
        for rows, replica in zip(part.rows, pack.replicas, strict=True):
            if replica.inputs.lengths is not None and len(rows):
                longest = max(longest, int(replica.inputs.lengths[rows].max()))
        count += longest * sum(map(len, part.rows))
    return count


def _step_time(pack: Pack, batch: Batch) -> float:
    """Return the seconds that one step takes."""
    from evenhand.training.loop import take_step

    started = time.perf_counter()
    losses, _ = take_step(pack, batch)
    losses.sum().item()  # waits until the GPU has finished
    return time.perf_counter() - started


def saving_costs(work: Work, model: nn.Module, folder: Path) -> dict[str, tuple[float, int]]:
    """Return by the values of `keep` the seconds to write a trial's weights, and their bytes."""
    if work.method.whole:  # a large model is not written to disk only to learn its size
        size = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
        return {"none": (0.0, 0), "adapters": (0.0, 0), "weights": (0.0, size)}
    folder = folder / "kept"
    folder.mkdir()
    started = time.perf_counter()
    work.method.save(model, folder)
    seconds = time.perf_counter() - started
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {"none": (0.0, 0), "adapters": (seconds, size), "weights": (seconds, size)}
