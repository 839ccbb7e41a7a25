"""Defines the inputs and the outcome of one training trial."""

from __future__ import annotations

import json
import math
import resource
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol

from evenhand.data.dataset import Dataset, TrainingExamples
from evenhand.errors import TrainingError
from evenhand.methods.method import Method
from evenhand.training.recipe import TrainSpec

if TYPE_CHECKING:
    import polars as pl
    from torch import nn
    from transformers import PreTrainedModel

    from evenhand.models.find import BaseModel
    from evenhand.tasks.generations.generations import Generations
    from evenhand.tasks.probing import Probing
    from evenhand.tasks.prompts.prompt import ReviewPrompt
    from evenhand.tasks.prompts.users_texts import Questioning
    from evenhand.tasks.token_scoring import TokenScoring
    from evenhand.training.checkpoints import MatchTarget

Keep = Literal["adapters", "weights", "none"]

LOG = "log.jsonl"


@dataclass(frozen=True, eq=False)
class KeptTrial:
    """A trial whose weights were kept.

    Attributes:
        work: the trial.
        folder: of the weights.
    """

    work: Work
    folder: Path


def do_nothing(model: nn.Module) -> None:
    """Do nothing with a trained model; the default of `Job.afterwards`."""


@dataclass(frozen=True, eq=False)
class Work:
    """The inputs of one training trial.

    Attributes:
        base: the base model.
        method: the fine-tuning method.
        train: hyperparameters with the method's overrides and a concrete precision.
        seed: determines head, adapter, order and dropout.
        classes: names [C].
        examples: the training examples. Weights of examples are for the audit: training counts every example once.
        validation: examples to evaluate after each epoch; None: none.
        target: the value that its checkpoint should match; None: it is trained to its end.
        prompts: the prompts to ask after training, about reviews or the texts of `questioning`.
        sequence_loss: whether to compute the loss of whole filled prompts, too.
        content_free: texts without content, about which the prompts are asked, too.
        questioning: for a trial of pairs, the texts that the prompts are about; None: none.
        generations: the continuations to write after training, and their scorers; None: none.
        probing: the probing after training; None: none.
        scoring: the texts whose tokens are scored after training, for membership inference; None: none.
        trial: hash of the trial, which identifies it in the tables of what follows its training.
        uncompressed: for a method that compresses a trained model, the trial that trained it; None: it starts from the
            base model.
    """

    base: BaseModel
    method: Method
    train: TrainSpec
    seed: int
    classes: tuple[str, ...]
    examples: TrainingExamples
    validation: Dataset | None
    target: MatchTarget | None = None
    prompts: tuple[ReviewPrompt, ...] = ()
    sequence_loss: bool = False
    content_free: tuple[str, ...] = ()
    questioning: Questioning | None = None
    generations: Generations | None = None
    probing: Probing | None = None
    scoring: TokenScoring | None = None
    trial: str = ""
    uncompressed: KeptTrial | None = None


@dataclass(frozen=True)
class TrainingOutcome:
    """The results of one training trial for the table `trials`.

    Attributes:
        train_loss: mean over the last epoch's examples, each when it was trained on; None if nothing was trained.
        validation_loss: after the last epoch; None without validation examples.
        parameters, parameters_total: number of trained parameters, and of all parameters, including the adapter.
        seconds: time of the whole trial: loading, encoding, training, predicting.
        peak_bytes: on a GPU, PyTorch's peak memory during the trial; on a CPU, the peak memory of the process so far,
            which is an upper bound.
        epsilon: the ε that a private method has spent; None for other methods.
        attention: the kernels that transformers chose (`sdpa`, `eager`, ...); None if a model has no choice.
        step, reached: for a trial with a target, the number of steps of its checkpoint, and its value.
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
    """A trial's inputs, the folder for its weights, and the examples to predict.

    Attributes:
        work: the trial.
        folder: receives `log.jsonl` and, depending on `keep`, the weights: `adapters` keeps small weights (adapters,
            heads), `weights` also whole models, `none` nothing.
        evaluations: the examples to predict, by `split`.
        keep: see `folder`.
        afterwards: called with the model after training and predictions, in a launch by the main process alone. If it
            raises TrainingError, the trial has failed.
    """

    work: Work
    folder: Path
    evaluations: Mapping[str, Dataset]
    keep: Keep = "adapters"
    afterwards: Callable[[nn.Module], None] = do_nothing


class Trainer(Protocol):
    """The functions of a module in `evenhand.tasks` that trains trials of one kind."""

    def train_together(
        self, jobs: Sequence[Job], progress: Callable[[float], None] | None = None, features: Path | None = None
    ) -> Iterator[tuple[TrainingOutcome, pl.DataFrame] | TrainingError]:
        """Yield for each job in turn its outcome and its rows without the column `trial`, or its error."""
        ...

    def predict(
        self, work: Work, folder: Path, evaluations: Mapping[str, Dataset], features: Path | None = None
    ) -> pl.DataFrame | None:
        """Return the same rows from the weights that `train_together` kept; None if none were kept."""
        ...

    def kept_model(self, work: Work, folder: Path) -> nn.Module | None:
        """Return the trained model on the CPU; None if its weights were not kept."""
        ...


def deployed_model(kept: KeptTrial, kept_model: Callable[[Work, Path], nn.Module | None]) -> PreTrainedModel:
    """Return a trained model as an ordinary one, on the CPU: an adapter is merged into its weights.

    Args:
        kept: the trial.
        kept_model: loads it, see `Trainer.kept_model`.
    """
    from evenhand.methods.compression import merged

    model = kept_model(kept.work, kept.folder)
    assert model is not None, "the weights of a model that is compressed are kept"
    return merged(model)


def write_log_row(files: Sequence[IO[str]], replica: int, row: Mapping[str, Any]) -> None:
    """Add a row to a replica's `log.jsonl`; NaN and infinity become null, since JSON has neither."""
    finite = {name: value if math.isfinite(value) else None for name, value in row.items()}
    print(json.dumps(finite), file=files[replica])


def count_parameters(model: nn.Module) -> tuple[int, int]:
    """Return the number of trained parameters, and of all parameters.

    The untrained copy that PEFT keeps of a head does not count, and pruned weights are not trained.
    """
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


def attention_kernels(model: nn.Module) -> str | None:
    """Return the name of the attention kernels that transformers chose; None if it has no choice."""
    from transformers import PreTrainedModel

    return next(module for module in model.modules() if isinstance(module, PreTrainedModel)).config._attn_implementation


def peak_of_process() -> int:
    """Return the peak memory of the process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
