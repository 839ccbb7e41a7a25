"""Defines packs: K replicas over one base model trained together, each with its own seed and data.

The loop draws `batches`, sums the `losses` of each micro-batch, calls `backward` and `step`, and `evaluate`s between
epochs. By default a pack samples batches, clips and steps each replica separately; `Single` is the pack of one, for any
method.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np
import torch
from torch import nn

from evenhand.training import optimizer
from evenhand.training.augmentation import flip_images
from evenhand.training.batches import Inputs, epoch_batches, longest_first_batches, split_by_tokens
from evenhand.training.group_objectives import GroupObjective
from evenhand.training.memory import SHORT, free_memory, out_of_memory
from evenhand.training.recipe import TrainSpec

PREDICT_BATCH = 64

_NO_ROWS = np.empty(0, dtype=np.int64)


@dataclass(eq=False)
class Replica:
    """One trial within a pack: its hyperparameters, its training examples and its progress.

    Attributes:
        seed: determines the order of its examples.
        lr: peak learning rate.
        epochs: passes over its examples.
        train: the other hyperparameters.
        inputs, labels: its training examples, labels int64 [n].
        parameters: its trained parameters; none if the pack holds the trained parameters of all replicas.
        adamw: its optimiser; None if nothing is trained, or if the pack steps all replicas at once.
        objective: what takes the place of the sum of a step's losses; None: that sum.
        steps_taken: optimiser steps so far.
        failed: why it had to stop; None if it did not.
    """

    seed: int
    lr: float
    epochs: int
    train: TrainSpec
    inputs: Inputs
    labels: np.ndarray
    parameters: Sequence[nn.Parameter] = ()
    adamw: torch.optim.AdamW | None = None
    objective: GroupObjective | None = None
    steps_taken: int = 0
    failed: str | None = None

    @property
    def examples_per_step(self) -> int:
        """Number of examples of an optimizer step: `batch_size` in each of `accumulate` forward passes."""
        return self.train.batch_size * self.train.accumulate

    @property
    def steps(self) -> int:
        """Number of optimizer steps of the whole training."""
        return self.epochs * math.ceil(len(self.labels) / self.examples_per_step)

    @property
    def rate(self) -> float:
        """Learning rate of the next step."""
        return self.lr * optimizer.share_of_peak(self.steps_taken, self.steps, self.train)

    def begin_epoch(self, epoch: int) -> None:
        """Augment the training examples for this epoch."""
        if self.train.augment == "flip":
            self.inputs = flip_images(self.inputs, self.seed, epoch)

    def batches(self, epoch: int) -> list[np.ndarray]:
        """Return the positions of each step's examples; none once the replica is finished or has failed."""
        if epoch >= self.epochs or self.failed is not None:
            return []
        return epoch_batches(len(self.labels), self.inputs.lengths, self.examples_per_step, self.seed, epoch)

    def micro_batches(self, rows: np.ndarray) -> list[np.ndarray]:
        """Split a step's examples into the groups that go through the model at once."""
        tokens, lengths = self.train.tokens_per_pass, self.inputs.lengths
        if tokens is None or lengths is None:
            return [rows[start : start + self.train.batch_size] for start in range(0, len(rows), self.train.batch_size)]
        return split_by_tokens(rows, lengths[rows], tokens)


@dataclass(frozen=True, eq=False)
class Validation:
    """The examples on which a replica is validated after each epoch, labels int64 [n]."""

    inputs: Inputs
    labels: np.ndarray


@dataclass(frozen=True, eq=False)
class MicroBatch:
    """The examples of all replicas that go through the model at once.

    Attributes:
        rows: [K] positions in each replica's examples; empty for a replica that rests.
        sizes: [K] examples of the whole optimiser step; dividing a sum of losses by them gives a mean.
    """

    rows: tuple[np.ndarray, ...]
    sizes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Batch:
    """One optimizer step of every replica: one micro-batch, or several whose gradients add up.

    Attributes:
        micro_batches: in the order in which they are computed.
        sizes: [K] examples per replica; 0 for one that rests.
    """

    micro_batches: tuple[MicroBatch, ...]
    sizes: tuple[int, ...]


@dataclass(eq=False)
class Pack(ABC):
    """K replicas that are trained together.

    Attributes:
        module: the model, on its device.
        replicas: [K].
        device: where it is.
    """

    module: nn.Module
    replicas: Sequence[Replica]
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def epochs(self) -> int:
        """Largest number of epochs of a replica."""
        return max(replica.epochs for replica in self.replicas)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield the steps of one epoch. Replicas with fewer steps rest until the others have finished."""
        for rows in zip_longest(*(replica.batches(epoch) for replica in self.replicas), fillvalue=_NO_ROWS):
            sizes = tuple(len(replica_rows) for replica_rows in rows)
            split_rows = [
                replica.micro_batches(replica_rows) for replica_rows, replica in zip(rows, self.replicas, strict=True)
            ]
            yield Batch(
                tuple(MicroBatch(part_rows, sizes) for part_rows in zip_longest(*split_rows, fillvalue=_NO_ROWS)), sizes
            )

    @abstractmethod
    def losses(self, micro_batch: MicroBatch) -> torch.Tensor:
        """Return each replica's share of its mean loss over the step, [K]; 0 for a replica that rests."""

    @abstractmethod
    def predict(self, replica: int, inputs: Inputs) -> np.ndarray:
        """Return the logits of one replica, float32 [n, C], in the order of the inputs."""

    def evaluate(self, replica: int, inputs: Inputs, labels: np.ndarray) -> tuple[float, float]:
        """Return the mean loss and the accuracy of one replica on some examples."""
        return loss_and_accuracy(self.predict(replica, inputs), labels)

    def accumulation_context(self, last: bool) -> AbstractContextManager[None]:
        """Return the context manager for one micro-batch of an accumulated step; `last` for the step's last one."""
        return nullcontext()

    def backward(self, losses: torch.Tensor) -> None:
        """Add the gradients of the result of `losses`."""
        losses.sum().backward()

    def total_losses(self, losses: torch.Tensor) -> torch.Tensor:
        """Return the mean losses of a step, [K], from the shares that this process has summed."""
        return losses

    def step(self, batch: Batch) -> torch.Tensor:
        """Clip the gradients of every replica that took part, take its optimizer step, and clear its gradients.

        Returns:
            [K] gradient norms before clipping; 0 for a replica that rested.
        """
        norms = torch.zeros(len(self.replicas), device=self.device)
        for index, replica in enumerate(self.replicas):
            if not batch.sizes[index] or replica.adamw is None:
                continue
            norms[index] = self.clip(replica)
            for group in replica.adamw.param_groups:
                group["lr"] = replica.rate
            replica.adamw.step()
            replica.adamw.zero_grad(set_to_none=True)
            replica.steps_taken += 1
        return norms

    def clip(self, replica: Replica) -> torch.Tensor:
        """Clip the gradients of a replica and return their norm before clipping."""
        return optimizer.clip_gradients(replica.parameters, replica.train.clip_norm)

    def epsilon(self, replica: int) -> float | None:
        """Return the ε of differential privacy spent by a replica's steps so far; None without privacy."""
        return None


@dataclass(eq=False)
class Single(Pack):
    """A pack of one replica, for any method, full fine-tuning included."""

    def losses(self, micro_batch: MicroBatch) -> torch.Tensor:
        """Return the replica's share of its mean loss over the step, [1]."""
        (rows,), (size,) = micro_batch.rows, micro_batch.sizes
        return (self.sum_of_losses(rows) / size).reshape(1)

    def sum_of_losses(self, rows: np.ndarray, length: int = 0) -> torch.Tensor:
        """Return the sum of some examples' cross-entropies, or the objective; texts have at least `length` tokens."""
        (replica,) = self.replicas
        logits = self.module(**replica.inputs.batch(rows, self.device, length)).logits
        labels = torch.from_numpy(replica.labels[rows]).to(self.device, non_blocking=True)
        exact = logits.to(torch.promote_types(logits.dtype, torch.float32))
        if replica.objective is not None:
            return replica.objective.total(nn.functional.cross_entropy(exact, labels, reduction="none"), rows)
        return nn.functional.cross_entropy(exact, labels, reduction="sum")

    def predict(self, replica: int, inputs: Inputs) -> np.ndarray:
        """Return the replica's logits, float32 [n, C], in the order of the inputs."""
        return predict_logits(self.module, inputs, self.device)


def single_pack(
    module: nn.Module,
    inputs: Inputs,
    labels: np.ndarray,
    *,
    seed: int,
    lr: float,
    epochs: int,
    train: TrainSpec,
    device: torch.device | None = None,
) -> Single:
    """Make a pack of one trial, with its optimizer.

    Args:
        module: the model as its method left it: trained parameters require a gradient.
        inputs, labels: the training examples, labels int64 [n].
        seed, lr, epochs, train: see `Replica`.
        device: where to train; the module is moved there.
    """
    device = device or torch.device("cpu")
    module.to(device)
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    adamw = optimizer.build_adamw(module, lr, train.weight_decay) if learning else None
    return Single(module, (Replica(seed, lr, epochs, train, inputs, labels, learning, adamw),), device)


def train_mode(module: nn.Module) -> None:
    """Put a module into training mode, except for batch normalization layers that are frozen.

    Their running statistics are weights, too, and would change with the batches even without gradients.
    """
    module.train()
    for child in module.modules():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            child.train(any(parameter.requires_grad for parameter in child.parameters()))


@torch.inference_mode()
def predict_logits(module: nn.Module, inputs: Inputs, device: torch.device, size: int = PREDICT_BATCH) -> np.ndarray:
    """Return a model's logits in evaluation mode and float32, [n, C], in the order of the inputs.

    Batches are sorted by length and their size changes a logit by rounding only. Where the memory runs out for one, all
    are halved.
    """
    training = module.training
    module.eval()
    count = len(inputs)
    while True:
        order = longest_first_batches(count, inputs.lengths, size)
        try:
            batch_logits = [module(**inputs.batch(rows, device)).logits.float().cpu().numpy() for rows in order]
            break
        except SHORT as error:
            if size == 1 or not out_of_memory(error):
                raise
        size //= 2
        free_memory()
    if training:
        train_mode(module)
    logits = np.concatenate(batch_logits)
    ordered = np.empty_like(logits)
    ordered[np.concatenate(order)] = logits
    return ordered


def loss_and_accuracy(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return the mean cross-entropy (natural logarithm) and the accuracy of logits [n, C]."""
    wide = torch.from_numpy(logits).double()
    loss = nn.functional.cross_entropy(wide, torch.from_numpy(labels)).item()
    return loss, float((logits.argmax(axis=1) == labels).mean())
