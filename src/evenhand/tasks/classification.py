"""Trains classifiers of texts or images, one trial or a pack of them, and predicts with them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from evenhand.data.dataset import Dataset
from evenhand.errors import TrainingError
from evenhand.tasks.encoding import InputEncoder
from evenhand.tasks.work import (
    LOG,
    Job,
    Keep,
    TrainingOutcome,
    Work,
    attention_kernels,
    count_parameters,
    deployed_model,
    peak_of_process,
    write_log_row,
)

if TYPE_CHECKING:
    import torch
    from torch import nn

    from evenhand.training.batches import Inputs
    from evenhand.training.pack import Pack

IMAGES = "images"
"""The folder of resized images, below the folder of the features."""

FROZEN_BELOW = ("base", "head", "last")
"""The methods that freeze all layers below some layer and add nothing to the model."""


def train(
    work: Work,
    folder: Path,
    evaluations: Mapping[str, Dataset],
    keep: Keep = "adapters",
    progress: Callable[[float], None] | None = None,
    features: Path | None = None,
) -> tuple[TrainingOutcome, pl.DataFrame]:
    """Train one trial and predict.

    Args:
        work, folder, evaluations, keep: see `Job`.
        progress: called with the share of the training that is done.
        features: the folder in which cached features and resized images are kept for other trials; None: they are
            computed again.

    Returns:
        The outcome, and the rows of `predictions` without the column `trial`.

    Raises:
        InputError: the method does not fit the base model.
        TrainingError: the loss or a prediction is not a number.
    """
    (result,) = train_together([Job(work, folder, evaluations, keep)], progress, features)
    if isinstance(result, TrainingError):
        raise result
    return result


def train_together(
    jobs: Sequence[Job], progress: Callable[[float], None] | None = None, features: Path | None = None
) -> Iterator[tuple[TrainingOutcome, pl.DataFrame] | TrainingError]:
    """Train trials in one pack and predict.

    Args:
        jobs: one, or several whose works can share a pack (see `evenhand.tasks.packing`).
        progress: called with the share of the training that is done.
        features: see `train`.

    Yields:
        For each job in turn what `train` returns, or why it failed; a failure does not affect the other jobs. A job's
        seconds are those of its own predictions and a share of the pack's time in proportion to its steps, so that the
        seconds of all jobs add up.

    Raises:
        InputError: a method does not fit the base model.
    """
    import torch

    from evenhand.models.load import device
    from evenhand.training import launch, loop
    from evenhand.training.checkpoints import NearestCheckpoint
    from evenhand.training.features import start_from_features
    from evenhand.training.pack import Validation, predict_logits

    started = time.perf_counter()
    shared = launch.this_process().shared
    if shared:
        from evenhand.training import distributed
    where = distributed.accelerator().device if shared else device()
    if where.type == "cuda":
        torch.cuda.reset_peak_memory_stats(where)
    encoder = _encoder(features)
    # A model that will be sharded need not fit on one device.
    pack, model_of = assemble_pack([job.work for job in jobs], encoder, torch.device("cpu") if shared else where)
    if shared:
        pack = distributed.distribute(pack, partial(_model, jobs[0].work))
        model_of = pack.full_model
    start = start_from_features(pack, model_of, [job.work.base.fingerprint for job in jobs], features)

    def encode(row: int, inputs: Sequence[Any]) -> Inputs:
        """Return the inputs of a replica, from cached features if there are any."""
        return start(row, encoder(jobs[row].work, inputs))

    validation = [
        None if data is None else Validation(encode(row, data.inputs), data.labels)
        for row, data in enumerate(job.work.validation for job in jobs)
    ]
    with ExitStack() as files:
        logs = [files.enter_context((job.folder / LOG).open("w", encoding="utf-8")) for job in jobs]
        target = jobs[0].work.target
        nearest = None if target is None else NearestCheckpoint(target)
        fitted = loop.fit(pack, validation, partial(write_log_row, logs), progress, nearest)
    together = time.perf_counter() - started
    steps = sum(replica.steps_taken for replica in pack.replicas)
    for row, (job, result) in enumerate(zip(jobs, fitted, strict=True)):
        started = time.perf_counter()
        work, model = job.work, model_of(row)
        try:
            loop.raise_if_diverged(result)
            predict = partial(pack.predict, row) if shared else partial(predict_logits, model, device=where)
            rows = _predictions(predict, partial(encode, row), job.evaluations, len(work.classes), where)
            job.afterwards(model)
        except TrainingError as error:
            yield error
            continue
        if job.keep == "weights" or (job.keep == "adapters" and not work.method.whole):
            work.method.save(model, job.folder)
        share = pack.replicas[row].steps_taken / steps if steps else 1 / len(jobs)
        yield (
            TrainingOutcome(
                result.train_loss,
                result.validation_loss,
                *count_parameters(model),
                together * share + time.perf_counter() - started,
                torch.cuda.max_memory_allocated(where) if where.type == "cuda" else peak_of_process(),
                pack.epsilon(row),
                attention_kernels(model),
                step=result.step,
                reached=result.reached,
            ),
            rows,
        )


def assemble_pack(
    works: Sequence[Work], encoder: InputEncoder, where: torch.device
) -> tuple[Pack, Callable[[int], nn.Module]]:
    """Return the pack of some trials, and a function that gives each trial's model as its method made it."""
    from evenhand.training.group_objectives import group_objective
    from evenhand.training.memory_options import apply_memory_options
    from evenhand.training.pack import Replica
    from evenhand.training.replicas import replica_pack

    models = (_model(work) for work in works)
    if len(works) == 1:
        (work,), (model,) = works, models
        inputs, labels = encoder(work, work.examples.inputs), work.examples.labels
        pack = work.method.pack(model, inputs, labels, seed=work.seed, train=work.train, device=where)
        pack.replicas[0].objective = group_objective(work.method.loss, work.examples)
        apply_memory_options(pack)
        return pack, lambda place: model
    chosen = [
        Replica(
            work.seed,
            work.method.lr,
            work.method.epochs,
            work.train,
            encoder(work, work.examples.inputs),
            work.examples.labels,
            objective=group_objective(work.method.loss, work.examples),
        )
        for work in works
    ]
    pack = replica_pack(models, chosen, where)
    apply_memory_options(pack)
    return pack, pack.model


def _model(work: Work) -> nn.Module:
    """Return the base model, or the trained one that the trial compresses, as the trial's method alters it."""
    from evenhand.models.load import load_classifier

    if work.uncompressed is not None:
        return work.method.apply(deployed_model(work.uncompressed, kept_model), work.seed)
    return work.method.apply(load_classifier(work.base, work.classes, work.seed, work.train.base_dropout), work.seed)


def predict(
    work: Work, folder: Path, evaluations: Mapping[str, Dataset], features: Path | None = None
) -> pl.DataFrame | None:
    """Predict with the weights that `train` kept in `folder`.

    Args:
        work, folder, evaluations: see `Job`.
        features: see `train`.

    Returns:
        The rows that `train` returns; None if the weights were not kept.
    """
    model = kept_model(work, folder)
    if model is None:
        return None
    from evenhand.models.load import device
    from evenhand.training.features import start_from_features
    from evenhand.training.pack import Replica, Single, predict_logits

    where, encoder = device(), _encoder(features)
    model = model.to(where)
    if work.method.kind not in FROZEN_BELOW:
        features = None
    first = encoder(work, next(iter(evaluations.values())).inputs)
    pack = Single(model, (Replica(work.seed, 0.0, 0, work.train, first, np.empty(0, dtype=np.int64)),), where)
    start = start_from_features(pack, lambda _: model, [work.base.fingerprint], features)

    def encode(inputs: Sequence[Any]) -> Inputs:
        """Return the inputs, from cached features if there are any."""
        return start(0, encoder(work, inputs))

    return _predictions(partial(predict_logits, model, device=where), encode, evaluations, len(work.classes), where)


def kept_model(work: Work, folder: Path) -> nn.Module | None:
    """Return a trained model on the CPU; None if its weights were not kept.

    If features below the trained layers are cached, the trained parameters are marked as they were in training.
    """
    if not work.method.kept(folder):
        return None
    from evenhand.models.load import load_classifier

    base = load_classifier(work.base, work.classes, work.seed, work.train.base_dropout)
    if work.method.kind not in FROZEN_BELOW:
        return work.method.load(base, folder)
    learned = [parameter for parameter in work.method.apply(base, work.seed).parameters() if parameter.requires_grad]
    model = work.method.load(base, folder)
    for parameter in learned:
        parameter.requires_grad_(True)
    return model


def _encoder(features: Path | None) -> InputEncoder:
    """Return an encoder that keeps resized images beside the features."""
    return InputEncoder(None if features is None else features / IMAGES)


def _predictions(
    predict: Callable[[Inputs], np.ndarray],
    encode: Callable[[Sequence[Any]], Inputs],
    evaluations: Mapping[str, Dataset],
    classes: int,
    where: torch.device,
) -> pl.DataFrame:
    """Return the rows of the table `predictions` for the examples of every split."""
    from evenhand.training.loop import reproducible

    frames = []
    for split, dataset in evaluations.items():
        with reproducible(where):
            logits = predict(encode(dataset.inputs))
        if not np.isfinite(logits).all():
            raise TrainingError(f"the trained weights give logits that are not finite ({split} examples)")
        columns = {
            "split": [split] * len(dataset),
            "example": [str(example) for example in dataset.example],
            "step": pl.Series([None] * len(dataset), dtype=pl.Int64),
            "predicted": pl.Series([None] * len(dataset), dtype=pl.Int64),
            "logits": pl.Series(logits, dtype=pl.Array(pl.Float32, classes)),
        }
        frames.append(pl.DataFrame(columns))
    return pl.concat(frames)
