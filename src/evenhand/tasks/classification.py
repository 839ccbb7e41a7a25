"""Classification of texts or images: one trial from examples to predictions."""

from __future__ import annotations

import json
import math
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from evenhand.data.dataset import Dataset, TrainingExamples
from evenhand.errors import TrainingError
from evenhand.methods.method import Method
from evenhand.training.recipe import TrainSpec

if TYPE_CHECKING:
    import torch

    from evenhand.models.find import BaseModel
    from evenhand.training.batches import Inputs

Keep = Literal["adapters", "weights", "none"]

LOG = "log.jsonl"


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
    """

    base: BaseModel
    method: Method
    train: TrainSpec
    seed: int
    classes: tuple[str, ...]
    examples: TrainingExamples
    validation: Dataset | None


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
    """

    train_loss: float | None
    validation_loss: float | None
    parameters: int
    parameters_total: int
    seconds: float
    peak_bytes: int
    epsilon: float | None = None


def train(
    work: Work,
    folder: Path,
    evaluations: Mapping[str, Dataset],
    keep: Keep = "adapters",
    progress: Callable[[float], None] | None = None,
) -> tuple[Outcome, pl.DataFrame]:
    """Train one trial and predict.

    Args:
        work: the trial.
        folder: gets `log.jsonl` and, as `keep` says, the weights: `adapters` keeps what is small (adapters, heads),
            `weights` whole models too, `none` nothing.
        evaluations: the examples to predict, by `split`.
        keep: see `folder`.
        progress: told the share of the training that is done.

    Returns:
        The outcome, and the rows of `predictions` without the column `trial`.

    Raises:
        InputError: the method does not fit the base model.
        TrainingError: the loss or a prediction stopped being a number.
    """
    import torch

    from evenhand.models.load import device, load_classifier
    from evenhand.training import loop

    started = time.perf_counter()
    where = device()
    if where.type == "cuda":
        torch.cuda.reset_peak_memory_stats(where)
    base = load_classifier(work.base, work.classes, work.seed, work.train.base_dropout)
    model = work.method.apply(base, work.seed)
    encode = _encoder(work)
    inputs = encode(work.examples.inputs)
    pack = work.method.pack(model, inputs, work.examples.labels, seed=work.seed, train=work.train, device=where)
    examples = None
    if work.validation is not None:
        examples = loop.Validation(encode(work.validation.inputs), work.validation.labels)
    with (folder / LOG).open("w", encoding="utf-8") as file:
        (fitted,) = loop.fit(pack, [examples], partial(_log, file), progress)
    loop.require(fitted)
    rows = _predictions(model, encode, evaluations, len(work.classes), where)
    if keep == "weights" or (keep == "adapters" and not work.method.whole):
        work.method.save(model, folder)
    parameters, total = count_parameters(model)
    peak = torch.cuda.max_memory_allocated(where) if where.type == "cuda" else _peak_of_process()
    seconds = time.perf_counter() - started
    spent = pack.epsilon(0)
    return Outcome(fitted.train_loss, fitted.validation_loss, parameters, total, seconds, peak, spent), rows


def predict(work: Work, folder: Path, evaluations: Mapping[str, Dataset]) -> pl.DataFrame | None:
    """Predict from what `train` kept in `folder`.

    Returns:
        The rows that `train` returns; None when the weights were not kept.
    """
    if not work.method.kept(folder):
        return None
    from evenhand.models.load import device, load_classifier

    where = device()
    base = load_classifier(work.base, work.classes, work.seed, work.train.base_dropout)
    model = work.method.load(base, folder).to(where)
    return _predictions(model, _encoder(work), evaluations, len(work.classes), where)


def count_parameters(model: torch.nn.Module) -> tuple[int, int]:
    """How many parameters learn, and how many there are, without the untrained copy that PEFT keeps of a head. Weights
    that are pruned do not learn."""
    from evenhand.methods.sparse import MASK

    learning = total = 0
    for name, parameter in model.named_parameters():
        if ".original_module." in name:
            continue
        total += parameter.numel()
        learning += parameter.numel() * parameter.requires_grad
    learning -= sum(int(mask.sum()) for name, mask in model.named_buffers() if name.endswith(f".{MASK}"))
    return learning, total


def _encoder(work: Work) -> Callable[[Sequence[Any]], Inputs]:
    """What turns texts or images into the base model's inputs."""
    from evenhand.models.load import load_image_processor, load_tokenizer
    from evenhand.training.batches import encode_images, encode_texts

    if work.base.modality == "image":
        return partial(encode_images, load_image_processor(work.base))
    tokenizer = load_tokenizer(work.base)
    tokenizer.model_max_length -= work.method.virtual_tokens
    return partial(encode_texts, tokenizer, max_length=work.train.max_length)


def _predictions(
    model: torch.nn.Module,
    encode: Callable[[Sequence[Any]], Inputs],
    evaluations: Mapping[str, Dataset],
    classes: int,
    where: torch.device,
) -> pl.DataFrame:
    from evenhand.training.loop import reproducible
    from evenhand.training.pack import predict as logits_of

    frames = []
    for split, dataset in evaluations.items():
        with reproducible(where):
            logits = logits_of(model, encode(dataset.inputs), where)
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


def _log(file: Any, place: int, row: dict[str, Any]) -> None:
    # JSON has no NaN and no infinity.
    finite = {name: value if math.isfinite(value) else None for name, value in row.items()}
    print(json.dumps(finite), file=file)


def _peak_of_process() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
