"""Trains a pack of replicas: the only training loop.

Everything that affects a number in training is here or called from here. A trial that is trained alone is a pack of
one. Each step computes the loss of each replica's batch (a mean over its examples) and its gradients, clips them, and
takes an AdamW step per replica at the schedule's learning rate. Each epoch ends with loss and accuracy on the
validation examples, which are logged and never used for selection.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from evenhand.errors import TrainingError
from evenhand.seeds import derive
from evenhand.training.checkpoints import NearestCheckpoint
from evenhand.training.pack import Batch, Pack, Validation, train_mode
from evenhand.training.training_log import Log, LossWindow

CHECK_EVERY = 20
"""Steps between two readings of the losses: reading them makes a GPU wait."""


@dataclass(frozen=True)
class TrainResult:
    """The final losses of one replica's training, or why it failed.

    Attributes:
        train_loss: mean over the last epoch's examples, each when it was trained on; None if nothing was trained.
        validation_loss: after the last epoch; None without validation examples.
        failed: why training had to stop; None if it did not.
        step, reached: with a target, the number of steps of the nearest checkpoint and its value, and the losses are
            those of this checkpoint; None without a target.
    """

    train_loss: float | None
    validation_loss: float | None
    failed: str | None = None
    step: int | None = None
    reached: float | None = None


def fit(
    pack: Pack,
    validation: Sequence[Validation | None],
    log: Log,
    progress: Callable[[float], None] | None = None,
    nearest: NearestCheckpoint | None = None,
) -> list[TrainResult]:
    """Train a pack to its end and return the result of each replica.

    Args:
        pack: K replicas; left trained, in evaluation mode.
        validation: [K] examples to evaluate after each epoch.
        log: called with a row per step and per epoch of each replica.
        progress: called with the share that is done.
        nearest: for a pack of one, finds the checkpoint to restore in the end.

    Returns:
        [K]. A replica whose loss is no longer a number stops there, with the reason; the others continue.
    """
    replicas = pack.replicas
    steps = max(replica.steps for replica in replicas)
    train_loss: list[float | None] = [None] * len(replicas)
    validation_loss: list[float | None] = [None] * len(replicas)
    done = 0
    started = time.perf_counter()
    with reproducible(pack.device, derive(replicas[0].seed, "dropout")):
        for epoch in range(pack.epochs):
            train_mode(pack.module)
            for replica in replicas:
                replica.begin_epoch(epoch)
            window = LossWindow(epoch)
            for batch in pack.batches(epoch):
                rates = [replica.rate for replica in replicas]
                losses, norms = take_step(pack, batch)
                window.add(losses, norms, rates, batch.sizes)
                if nearest is not None:
                    nearest.after_step(pack, losses, batch.sizes, validation[0])
                done += 1
                if done % CHECK_EVERY == 0:
                    window.flush(pack, log)
                    if all(replica.failed for replica in replicas):
                        break
                if progress is not None:
                    progress(min(done / steps, 1.0))
            window.flush(pack, log)
            for index, replica in enumerate(replicas):
                if epoch >= replica.epochs or replica.failed is not None:
                    continue
                train_loss[index] = window.mean(index)
                row = {"epoch": epoch, "step": replica.steps_taken, "train_loss": train_loss[index]}
                examples = validation[index]
                if examples is not None:
                    loss, accuracy = pack.evaluate(index, examples.inputs, examples.labels)
                    validation_loss[index] = loss
                    row |= {"validation_loss": loss, "validation_accuracy": accuracy}
                log(index, row | {"seconds": round(time.perf_counter() - started, 3)})
            if all(replica.failed for replica in replicas):
                break
        for index, replica in enumerate(replicas):
            examples = validation[index]
            if replica.epochs == 0 and examples is not None:
                validation_loss[index] = pack.evaluate(index, examples.inputs, examples.labels)[0]
        if nearest is not None and replicas[0].failed is None:
            return [_at_checkpoint(pack, nearest, validation[0])]
    pack.module.eval()
    return [
        TrainResult(train_loss[index], validation_loss[index], replica.failed) for index, replica in enumerate(replicas)
    ]


def _at_checkpoint(pack: Pack, nearest: NearestCheckpoint, examples: Validation | None) -> TrainResult:
    """Restore the nearest checkpoint and return the result of training up to it."""
    checkpoint = nearest.restore(pack)
    pack.module.eval()
    loss = None if examples is None else pack.evaluate(0, examples.inputs, examples.labels)[0]
    return TrainResult(checkpoint.train_loss, loss, step=checkpoint.step, reached=checkpoint.value)


def take_step(pack: Pack, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Take one step of a pack in training mode; return the losses and the gradient norms before clipping, each [K]."""
    bfloat16 = pack.replicas[0].train.precision == "bfloat16"
    losses = torch.zeros(len(pack.replicas), device=pack.device)
    for micro_batch in batch.micro_batches:
        with pack.accumulation_context(last=micro_batch is batch.micro_batches[-1]):
            with torch.autocast(pack.device.type, torch.bfloat16, enabled=bfloat16):
                shares = pack.losses(micro_batch)
            pack.backward(shares)
        losses += shares.detach()
    return pack.total_losses(losses), pack.step(batch)


def raise_if_diverged(result: TrainResult) -> TrainResult:
    """Return the result; raise TrainingError if training diverged.

    Raises:
        TrainingError: the loss is no longer a number.
    """
    if result.failed is not None:
        raise TrainingError(result.failed)
    return result


@contextmanager
def reproducible(device: torch.device, seed: int = 0) -> Iterator[None]:
    """Context manager in which PyTorch computes reproducible numbers on the same machine.

    It seeds the generators, uses deterministic algorithms where they exist, and computes float32 products exactly. All
    settings are restored at the end.
    """
    # cuBLAS reads this when it starts; otherwise its results may depend on timing.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    memory: Any = torch.utils.deterministic
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        memory.fill_uninitialized_memory,
        torch.backends.cudnn.allow_tf32,
    )
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True, warn_only=True)
        memory.fill_uninitialized_memory = False
        torch.backends.cudnn.allow_tf32 = False
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])
            memory.fill_uninitialized_memory = before[2]
            torch.backends.cudnn.allow_tf32 = before[3]
