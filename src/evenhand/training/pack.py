"""What the loop trains: K replicas over one base, each with its own seed, examples, learning rate and end.

The loop sees `batches(epoch)`, `losses(part)`, `step()` and `predict(...)` only. The defaults of a pack are the shared
sampler and clipping and stepping per replica; `Single` is the pack of one, which any method can be trained in.
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
from evenhand.training.augmentation import flipped
from evenhand.training.batches import Inputs, batches, by_length, by_tokens
from evenhand.training.recipe import TrainSpec

PREDICT_BATCH = 64

_NONE = np.empty(0, dtype=np.int64)


@dataclass(eq=False)
class Replica:
    """One trial within a pack.

    Attributes:
        seed: decides the order of its examples.
        lr: peak learning rate.
        epochs: passes over its examples.
        train: the other hyperparameters.
        inputs, labels: its training examples, labels int64 [n].
        parameters: what it learns; none where the pack holds what all replicas learn.
        adamw: its optimiser; None where nothing learns, or where the pack steps all replicas at once.
        taken: optimiser steps so far.
        failed: why it had to stop; None while all is well.
    """

    seed: int
    lr: float
    epochs: int
    train: TrainSpec
    inputs: Inputs
    labels: np.ndarray
    parameters: Sequence[nn.Parameter] = ()
    adamw: torch.optim.AdamW | None = None
    taken: int = 0
    failed: str | None = None

    @property
    def per_step(self) -> int:
        """Examples of an optimiser step: `batch_size` in each of `accumulate` forward passes."""
        return self.train.batch_size * self.train.accumulate

    @property
    def steps(self) -> int:
        """Optimiser steps of its whole training."""
        return self.epochs * math.ceil(len(self.labels) / self.per_step)

    @property
    def rate(self) -> float:
        """Learning rate of the next step."""
        return self.lr * optimizer.share_of_peak(self.taken, self.steps, self.train)

    def begin(self, epoch: int) -> None:
        """Let its examples look as they do in this epoch."""
        if self.train.augment == "flip":
            self.inputs = flipped(self.inputs, self.seed, epoch)

    def batches(self, epoch: int) -> list[np.ndarray]:
        """Positions of each step's examples; none once the replica is finished or has failed."""
        if epoch >= self.epochs or self.failed is not None:
            return []
        return batches(len(self.labels), self.inputs.lengths, self.per_step, self.seed, epoch)

    def passes(self, rows: np.ndarray) -> list[np.ndarray]:
        """A step's examples, cut to what goes through the model at once."""
        tokens, lengths = self.train.tokens_per_pass, self.inputs.lengths
        if tokens is None or lengths is None:
            return [rows[start : start + self.train.batch_size] for start in range(0, len(rows), self.train.batch_size)]
        return by_tokens(rows, lengths[rows], tokens)


@dataclass(frozen=True, eq=False)
class Validation:
    """Examples that a replica is validated on after each epoch, labels int64 [n]."""

    inputs: Inputs
    labels: np.ndarray


@dataclass(frozen=True, eq=False)
class Part:
    """What goes through the model at once.

    Attributes:
        rows: [K] positions in each replica's examples; empty for a replica that rests.
        sizes: [K] examples of the whole optimiser step, by which a sum of losses becomes a mean.
    """

    rows: tuple[np.ndarray, ...]
    sizes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Batch:
    """One optimiser step of every replica: one part, or several whose gradients add up.

    Attributes:
        parts: in the order in which they are computed.
        sizes: [K] examples per replica; 0 for one that rests.
    """

    parts: tuple[Part, ...]
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
        """Of the replica that has most."""
        return max(replica.epochs for replica in self.replicas)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """The steps of one epoch. Replicas with fewer of them rest until the others are through."""
        for rows in zip_longest(*(replica.batches(epoch) for replica in self.replicas), fillvalue=_NONE):
            sizes = tuple(len(own) for own in rows)
            cuts = [replica.passes(own) for own, replica in zip(rows, self.replicas, strict=True)]
            yield Batch(tuple(Part(part, sizes) for part in zip_longest(*cuts, fillvalue=_NONE)), sizes)

    @abstractmethod
    def losses(self, part: Part) -> torch.Tensor:
        """[K] each replica's share of its mean loss over the step; 0 for one that rests."""

    @abstractmethod
    def predict(self, replica: int, inputs: Inputs) -> np.ndarray:
        """Logits of one replica, float32 [n, C], in the order of the inputs."""

    def validated(self, replica: int, inputs: Inputs, labels: np.ndarray) -> tuple[float, float]:
        """Mean loss and accuracy of one replica on some examples."""
        return score(self.predict(replica, inputs), labels)

    def part_of_step(self, last: bool) -> AbstractContextManager[None]:
        """What the passes forward and backward of a part happen in; `last` of the step."""
        return nullcontext()

    def backward(self, losses: torch.Tensor) -> None:
        """Add the gradients of what `losses` gave."""
        losses.sum().backward()

    def total(self, losses: torch.Tensor) -> torch.Tensor:
        """[K] the mean losses of a step from the shares that were summed up here."""
        return losses

    def step(self, batch: Batch) -> torch.Tensor:
        """Clip, step and forget the gradients of every replica that took part.

        Returns:
            [K] gradient norms before clipping; 0 for a replica that rested.
        """
        norms = torch.zeros(len(self.replicas), device=self.device)
        for place, replica in enumerate(self.replicas):
            if not batch.sizes[place] or replica.adamw is None:
                continue
            norms[place] = self.clip(replica)
            for group in replica.adamw.param_groups:
                group["lr"] = replica.rate
            replica.adamw.step()
            replica.adamw.zero_grad(set_to_none=True)
            replica.taken += 1
        return norms

    def clip(self, replica: Replica) -> torch.Tensor:
        """Clip the gradients of a replica; gives their norm before it."""
        return optimizer.clip(replica.parameters, replica.train.clip_norm)

    def epsilon(self, replica: int) -> float | None:
        """The ε of differential privacy that a replica's steps have spent so far; None where nothing is private."""
        return None


@dataclass(eq=False)
class Single(Pack):
    """A pack of one: any method, full fine-tuning included."""

    def losses(self, part: Part) -> torch.Tensor:
        (rows,), (size,) = part.rows, part.sizes
        return (self.sum_of_losses(rows) / size).reshape(1)

    def sum_of_losses(self, rows: np.ndarray, length: int = 0) -> torch.Tensor:
        """The cross-entropies of some training examples added up, a scalar; texts are padded to `length` at least."""
        (replica,) = self.replicas
        logits = self.module(**replica.inputs.batch(rows, self.device, length)).logits
        labels = torch.from_numpy(replica.labels[rows]).to(self.device, non_blocking=True)
        exact = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return nn.functional.cross_entropy(exact, labels, reduction="sum")

    def predict(self, replica: int, inputs: Inputs) -> np.ndarray:
        return predict(self.module, inputs, self.device)


def single(
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
    """A pack of one trial.

    Args:
        module: the model as its method left it: what learns requires a gradient.
        inputs, labels: the training examples, labels int64 [n].
        seed, lr, epochs, train: see `Replica`.
        device: where to train; the module is moved there.
    """
    device = device or torch.device("cpu")
    module.to(device)
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    adamw = optimizer.build(module, lr, train.weight_decay) if learning else None
    return Single(module, (Replica(seed, lr, epochs, train, inputs, labels, learning, adamw),), device)


def train_mode(module: nn.Module) -> None:
    """Training mode, but for batch normalisation that is frozen: its running statistics are weights too, and would
    follow the batches whether or not a gradient does."""
    module.train()
    for child in module.modules():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            child.train(any(parameter.requires_grad for parameter in child.parameters()))


@torch.inference_mode()
def predict(module: nn.Module, inputs: Inputs, device: torch.device, size: int = PREDICT_BATCH) -> np.ndarray:
    """Logits of a model in evaluation mode and float32, [n, C], in the order of the inputs.

    Batches are sorted by length and their size changes a logit by rounding only.
    """
    training = module.training
    module.eval()
    count = len(inputs)
    found = []
    order = by_length(count, inputs.lengths, size)
    for rows in order:
        found.append(module(**inputs.batch(rows, device)).logits.float().cpu().numpy())
    if training:
        train_mode(module)
    logits = np.concatenate(found)
    placed = np.empty_like(logits)
    placed[np.concatenate(order)] = logits
    return placed


def score(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Mean cross-entropy (natural logarithm) and accuracy of logits [n, C]."""
    wide = torch.from_numpy(logits).double()
    loss = nn.functional.cross_entropy(wide, torch.from_numpy(labels)).item()
    return loss, float((logits.argmax(axis=1) == labels).mean())
