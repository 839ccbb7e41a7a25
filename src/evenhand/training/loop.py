"""The loop. There is one, whatever the method: what decides a number in training is here or called from here.

A pack of K replicas goes through it: K = 1 for a trial of its own. Per step: the loss of each replica's batch (a mean
over its examples), the gradients, clipping and AdamW per replica, the learning rate of the schedule. Per epoch: loss
and accuracy on the validation examples, which are looked at and never chosen by.
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
from evenhand.training.checkpoints import Nearest
from evenhand.training.pack import Batch, Pack, Validation, train_mode
from evenhand.training.training_log import Log, Window

CHECK_EVERY = 20
"""Steps between two looks at the losses: reading them makes a GPU wait."""


@dataclass(frozen=True)
class Fitted:
    """How one replica's training went.

    Attributes:
        train_loss: mean over the last epoch's examples, each when it was trained on; None where nothing was trained.
        validation_loss: after the last epoch; None without validation examples.
        failed: why training had to stop; None when it did not.
        step, reached: of the checkpoint that was nearest to what was asked for, how many steps it had taken and its
            value; None where none was asked for. The losses are then its.
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
    nearest: Nearest | None = None,
) -> list[Fitted]:
    """Train a pack to its end.

    Args:
        pack: K replicas; left trained, in evaluation mode.
        validation: [K] examples to look at after each epoch.
        log: gets a row per step and per epoch of each replica.
        progress: told the share that is done.
        nearest: the checkpoint to go back to in the end, of a pack of one.

    Returns:
        [K]. A replica whose loss stops being a number stops there, with the reason; the others go on.
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
                replica.begin(epoch)
            window = Window(epoch)
            for batch in pack.batches(epoch):
                rates = [replica.rate for replica in replicas]
                losses, norms = take_step(pack, batch)
                window.add(losses, norms, rates, batch.sizes)
                if nearest is not None:
                    nearest.after_step(pack, losses, batch.sizes, validation[0])
                done += 1
                if done % CHECK_EVERY == 0:
                    window.look(pack, log)
                    if all(replica.failed for replica in replicas):
                        break
                if progress is not None:
                    progress(min(done / steps, 1.0))
            window.look(pack, log)
            for place, replica in enumerate(replicas):
                if epoch >= replica.epochs or replica.failed is not None:
                    continue
                train_loss[place] = window.mean(place)
                row = {"epoch": epoch, "step": replica.taken, "train_loss": train_loss[place]}
                examples = validation[place]
                if examples is not None:
                    loss, accuracy = pack.validated(place, examples.inputs, examples.labels)
                    validation_loss[place] = loss
                    row |= {"validation_loss": loss, "validation_accuracy": accuracy}
                log(place, row | {"seconds": round(time.perf_counter() - started, 3)})
            if all(replica.failed for replica in replicas):
                break
        for place, replica in enumerate(replicas):
            examples = validation[place]
            if replica.epochs == 0 and examples is not None:
                validation_loss[place] = pack.validated(place, examples.inputs, examples.labels)[0]
        if nearest is not None and replicas[0].failed is None:
            return [_at_checkpoint(pack, nearest, validation[0])]
    pack.module.eval()
    return [Fitted(train_loss[place], validation_loss[place], replica.failed) for place, replica in enumerate(replicas)]


def _at_checkpoint(pack: Pack, nearest: Nearest, examples: Validation | None) -> Fitted:
    """The outcome of a training that is put back to a checkpoint."""
    found = nearest.restore(pack)
    pack.module.eval()
    loss = None if examples is None else pack.validated(0, examples.inputs, examples.labels)[0]
    return Fitted(found.train_loss, loss, step=found.step, reached=found.value)


def take_step(pack: Pack, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """One step of a pack in training mode: the losses and the gradients' norms before clipping, each [K]."""
    bfloat16 = pack.replicas[0].train.precision == "bfloat16"
    losses = torch.zeros(len(pack.replicas), device=pack.device)
    for part in batch.parts:
        with pack.part_of_step(last=part is batch.parts[-1]):
            with torch.autocast(pack.device.type, torch.bfloat16, enabled=bfloat16):
                shares = pack.losses(part)
            pack.backward(shares)
        losses += shares.detach()
    return pack.total(losses), pack.step(batch)


def require(fitted: Fitted) -> Fitted:
    """The same, or what stopped the training.

    Raises:
        TrainingError: the loss stopped being a number.
    """
    if fitted.failed is not None:
        raise TrainingError(fitted.failed)
    return fitted


@contextmanager
def reproducible(device: torch.device, seed: int = 0) -> Iterator[None]:
    """The same numbers again on the same machine: PyTorch's generators seeded, its deterministic algorithms on where
    there are some, float32 products exact. All is put back at the end."""
    # cuBLAS reads this when it starts; without it its results may depend on timing.
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
