"""Classification of texts or images: a trial, or a pack of them, from examples to predictions."""

from __future__ import annotations

import json
import math
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from evenhand.data.dataset import Dataset, TrainingExamples
from evenhand.errors import TrainingError
from evenhand.methods.method import Method
from evenhand.tasks.encoding import Encoder
from evenhand.training.recipe import TrainSpec

if TYPE_CHECKING:
    import torch
    from torch import nn

    from evenhand.models.find import BaseModel
    from evenhand.training.batches import Inputs
    from evenhand.training.checkpoints import Target
    from evenhand.training.pack import Pack

Keep = Literal["adapters", "weights", "none"]

LOG = "log.jsonl"

IMAGES = "images"
"""The folder of images as they were resized, below that of the features."""


@dataclass(frozen=True, eq=False)
class Work:
    """One trial, ready to be trained.

    Attributes:
        base: the base model.
        method: how it is fine-tuned.
        train: hyperparameters with the method's overrides applied, the precision concrete.
        seed: decides head, adapter, order and dropout.
        classes: names [C].
        examples: what it learns from. Weights of examples are for the audit: training counts every example once.
        validation: looked at after each epoch; None: not.
        target: what its checkpoint is to come near to; None: it is trained to its end.
    """

    base: BaseModel
    method: Method
    train: TrainSpec
    seed: int
    classes: tuple[str, ...]
    examples: TrainingExamples
    validation: Dataset | None
    target: Target | None = None


@dataclass(frozen=True)
class Outcome:
    """What a trial leaves in the `trials` record.

    Attributes:
        train_loss: mean over the last epoch's examples, each when it was trained on; None where nothing was trained.
        validation_loss: after the last epoch; None without validation examples.
        parameters, parameters_total: how many learn, and how many the model has, adapter included.
        seconds: of the whole trial: loading, encoding, training, predicting.
        peak_bytes: on a GPU, the most memory that PyTorch held during the trial; on a CPU, the most that the process
            has held so far, so an upper bound.
        epsilon: what a private method has spent; None for the others.
        attention: the kernels that transformers chose for it (`sdpa`, `eager`, ...); None where a model has no choice.
        step, reached: of a trial with a target, the steps that its checkpoint had taken, and its value.
    """

    train_loss: float | None
    validation_loss: float | None
    parameters: int
    parameters_total: int
    seconds: float
    peak_bytes: int
    epsilon: float | None = None
    attention: str | None = None
    step: int | None = None
    reached: float | None = None


@dataclass(frozen=True, eq=False)
class Job:
    """A trial, and what is to be left of it.

    Attributes:
        work: the trial.
        folder: gets `log.jsonl` and, as `keep` says, the weights: `adapters` keeps what is small (adapters, heads),
            `weights` whole models too, `none` nothing.
        evaluations: the examples to predict, by `split`.
        keep: see `folder`.
    """

    work: Work
    folder: Path
    evaluations: Mapping[str, Dataset]
    keep: Keep = "adapters"


def train(
    work: Work,
    folder: Path,
    evaluations: Mapping[str, Dataset],
    keep: Keep = "adapters",
    progress: Callable[[float], None] | None = None,
    features: Path | None = None,
) -> tuple[Outcome, pl.DataFrame]:
    """Train one trial and predict.

    Args:
        work, folder, evaluations, keep: see `Job`.
        progress: told the share of the training that is done.
        features: where what leaves a frozen prefix, and images as they were resized, are kept for other trials; None:
            they are computed anew.

    Returns:
        The outcome, and the rows of `predictions` without the column `trial`.

    Raises:
        InputError: the method does not fit the base model.
        TrainingError: the loss or a prediction stopped being a number.
    """
    (found,) = train_together([Job(work, folder, evaluations, keep)], progress, features)
    if isinstance(found, TrainingError):
        raise found
    return found


def train_together(
    jobs: Sequence[Job], progress: Callable[[float], None] | None = None, features: Path | None = None
) -> Iterator[tuple[Outcome, pl.DataFrame] | TrainingError]:
    """Train trials in one pack and predict.

    Args:
        jobs: one, or several whose works can share a pack (see `evenhand.tasks.packing`).
        progress: told the share of the training that is done.
        features: see `train`.

    Yields:
        For each job in turn what `train` returns, or why it failed; the others are none the worse for it. A job's
        seconds are its own predictions' and a share of the pack's by its steps, so that they add up.

    Raises:
        InputError: a method does not fit the base model.
    """
    import torch

    from evenhand.models.load import device
    from evenhand.training import launch, loop
    from evenhand.training.checkpoints import Nearest
    from evenhand.training.features import start_from_features
    from evenhand.training.pack import predict as logits_of

    started = time.perf_counter()
    shared = launch.place().shared
    if shared:
        from evenhand.training import distributed

        distributed.announce(jobs)
    where = distributed.accelerator().device if shared else device()
    if where.type == "cuda":
        torch.cuda.reset_peak_memory_stats(where)
    encoder = Encoder(None if features is None else features / IMAGES)
    # What is to be sharded need not fit on one device.
    pack, model_of = assemble([job.work for job in jobs], encoder, torch.device("cpu") if shared else where)
    if shared:
        pack = distributed.share(pack, partial(_model, jobs[0].work))
        model_of = pack.whole
    start = start_from_features(pack, model_of, [job.work.base.fingerprint for job in jobs], features)

    def encode(place: int, inputs: Sequence[Any]) -> Inputs:
        return start(place, encoder(jobs[place].work, inputs))

    validation = [
        None if data is None else loop.Validation(encode(place, data.inputs), data.labels)
        for place, data in enumerate(job.work.validation for job in jobs)
    ]
    with ExitStack() as files:
        logs = [files.enter_context((job.folder / LOG).open("w", encoding="utf-8")) for job in jobs]
        target = jobs[0].work.target
        nearest = None if target is None else Nearest(target)
        fitted = loop.fit(pack, validation, partial(_log, logs), progress, nearest)
    together = time.perf_counter() - started
    steps = sum(replica.taken for replica in pack.replicas)
    for place, (job, one) in enumerate(zip(jobs, fitted, strict=True)):
        started = time.perf_counter()
        work, model = job.work, model_of(place)
        try:
            loop.require(one)
            predict = partial(pack.predict, place) if shared else partial(logits_of, model, device=where)
            rows = _predictions(predict, partial(encode, place), job.evaluations, len(work.classes), where)
        except TrainingError as error:
            yield error
            continue
        if job.keep == "weights" or (job.keep == "adapters" and not work.method.whole):
            work.method.save(model, job.folder)
        share = pack.replicas[place].taken / steps if steps else 1 / len(jobs)
        yield (
            Outcome(
                one.train_loss,
                one.validation_loss,
                *count_parameters(model),
                together * share + time.perf_counter() - started,
                torch.cuda.max_memory_allocated(where) if where.type == "cuda" else peak_of_process(),
                pack.epsilon(place),
                _attention(model),
                step=one.step,
                reached=one.reached,
            ),
            rows,
        )


def assemble(works: Sequence[Work], encoder: Encoder, where: torch.device) -> tuple[Pack, Callable[[int], nn.Module]]:
    """The pack of some trials, and what gives the model of each as its method made it, with what it has learned."""
    from evenhand.training.economy import economise
    from evenhand.training.pack import Replica
    from evenhand.training.replicas import replicas

    models = (_model(work) for work in works)
    if len(works) == 1:
        (work,), (model,) = works, models
        inputs, labels = encoder(work, work.examples.inputs), work.examples.labels
        pack = work.method.pack(model, inputs, labels, seed=work.seed, train=work.train, device=where)
        economise(pack)
        return pack, lambda place: model
    chosen = [
        Replica(
            work.seed,
            work.method.lr,
            work.method.epochs,
            work.train,
            encoder(work, work.examples.inputs),
            work.examples.labels,
        )
        for work in works
    ]
    pack = replicas(models, chosen, where)
    economise(pack)
    return pack, pack.model


def _attention(model: nn.Module) -> str | None:
    from transformers import PreTrainedModel

    return next(one for one in model.modules() if isinstance(one, PreTrainedModel)).config._attn_implementation


def _model(work: Work) -> nn.Module:
    from evenhand.models.load import load_classifier

    return work.method.apply(load_classifier(work.base, work.classes, work.seed, work.train.base_dropout), work.seed)


def predict(work: Work, folder: Path, evaluations: Mapping[str, Dataset]) -> pl.DataFrame | None:
    """Predict from what `train` kept in `folder`.

    Returns:
        The rows that `train` returns; None when the weights were not kept.
    """
    if not work.method.kept(folder):
        return None
    from evenhand.models.load import device, load_classifier
    from evenhand.training.pack import predict as logits_of

    where = device()
    base = load_classifier(work.base, work.classes, work.seed, work.train.base_dropout)
    model = work.method.load(base, folder).to(where)
    predict = partial(logits_of, model, device=where)
    return _predictions(predict, partial(Encoder(), work), evaluations, len(work.classes), where)


def count_parameters(model: torch.nn.Module) -> tuple[int, int]:
    """How many parameters learn, and how many there are, without the untrained copy that PEFT keeps of a head. Weights
    that are pruned do not learn."""
    from evenhand.methods.sparse import MASK

    learning = total = 0
    for name, parameter in model.named_parameters():
        if ".original_module." in name:
            continue
        # bitsandbytes puts two weights of 4 bits into a byte.
        count = parameter.numel() * (2 if type(parameter).__name__ == "Params4bit" else 1)
        total += count
        learning += count * parameter.requires_grad
    learning -= sum(int(mask.sum()) for name, mask in model.named_buffers() if name.endswith(f".{MASK}"))
    return learning, total


def _predictions(
    predict: Callable[[Inputs], np.ndarray],
    encode: Callable[[Sequence[Any]], Inputs],
    evaluations: Mapping[str, Dataset],
    classes: int,
    where: torch.device,
) -> pl.DataFrame:
    from evenhand.training.loop import reproducible

    frames = []
    for split, dataset in evaluations.items():
        with reproducible(where):
            logits = predict(encode(dataset.inputs))
        if not np.isfinite(logits).all():
            raise TrainingError(f"the trained weights give logits that are no numbers ({split} examples)")
        columns = {
            "split": [split] * len(dataset),
            "example": [str(example) for example in dataset.example],
            "step": pl.Series([None] * len(dataset), dtype=pl.Int64),
            "predicted": pl.Series([None] * len(dataset), dtype=pl.Int64),
            "logits": pl.Series(logits, dtype=pl.Array(pl.Float32, classes)),
        }
        frames.append(pl.DataFrame(columns))
    return pl.concat(frames)


def _log(files: Sequence[IO[str]], place: int, row: dict[str, Any]) -> None:
    # JSON has no NaN and no infinity.
    finite = {name: value if math.isfinite(value) else None for name, value in row.items()}
    print(json.dumps(finite), file=files[place])


def peak_of_process() -> int:
    """The most memory in bytes that the process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
