"""Keeps the training checkpoint whose loss or accuracy is closest to a target (`match:` in a study).

Methods that are compared at the end of training differ in how much they have learned. The effects of this difference,
such as how well members can be recognized, would be attributed to the method. `match:` compares methods at about equal
training loss, or validation loss or accuracy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

    from evenhand.training.pack import Pack, Validation

MatchedQuantity = Literal["train_loss", "validation_loss", "validation_accuracy"]


@dataclass(frozen=True)
class MatchTarget:
    """The loss or accuracy that a training run should match.

    Attributes:
        by: the quantity to match.
        value: the target value of the quantity.
        every: steps between two checkpoints; None: one checkpoint per epoch. The last step is always a checkpoint.
    """

    by: MatchedQuantity
    value: float
    every: int | None = None


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The trained weights and the losses at one step of a training run.

    Attributes:
        step: number of steps taken.
        value: value of the matched quantity.
        train_loss: mean over the examples since the previous checkpoint, each when it was trained on.
        tensors: the trained parameters and the buffers, by name.
    """

    step: int
    value: float
    train_loss: float
    tensors: dict[str, torch.Tensor]


class NearestCheckpoint:
    """Evaluates one trial at regular checkpoints and keeps the checkpoint closest to the target; on ties, the
    earliest."""

    def __init__(self, target: MatchTarget) -> None:
        """Start without a checkpoint."""
        self.target = target
        self.best: Checkpoint | None = None
        self._losses: list[tuple[torch.Tensor, int]] = []

    def after_step(
        self, pack: Pack, losses: torch.Tensor, sizes: tuple[int, ...], validation: Validation | None
    ) -> None:
        """Evaluate a checkpoint if one is due. The loop calls this after each step with its loss [1] and size [1]."""
        (replica,) = pack.replicas
        self._losses.append((losses, sizes[0]))
        every = self.target.every or replica.steps // replica.epochs
        if replica.steps_taken % every and replica.steps_taken < replica.steps:
            return
        total = sum(float(loss) * size for loss, size in self._losses)
        train_loss = total / sum(size for _, size in self._losses)
        self._losses = []
        value = self._value(pack, train_loss, validation)
        if self.best is None or self._gap(value) < self._gap(self.best.value):
            tensors = {name: tensor.clone() for name, tensor in trained_state(pack.module).items()}
            self.best = Checkpoint(replica.steps_taken, value, train_loss, tensors)

    def restore(self, pack: Pack) -> Checkpoint:
        """Restore the pack's weights from the nearest checkpoint, and return that checkpoint."""
        import torch

        assert self.best is not None
        with torch.no_grad():
            for name, tensor in pack.module.state_dict(keep_vars=True).items():
                if name in self.best.tensors:
                    tensor.copy_(self.best.tensors[name])
        return self.best

    def _gap(self, value: float) -> float:
        """Return the distance of a value from the target; infinite if the value is not a number."""
        gap = abs(value - self.target.value)
        return gap if math.isfinite(gap) else math.inf

    def _value(self, pack: Pack, train_loss: float, validation: Validation | None) -> float:
        """Return the matched quantity at this checkpoint."""
        if self.target.by == "train_loss":
            return train_loss
        assert validation is not None
        loss, accuracy = pack.evaluate(0, validation.inputs, validation.labels)
        return loss if self.target.by == "validation_loss" else accuracy


def trained_state(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the trained parameters and the buffers, which batch normalization may have changed, by name; no copies."""
    buffers = {name for name, _ in module.named_buffers()}
    state = module.state_dict(keep_vars=True)
    return {name: tensor.detach() for name, tensor in state.items() if tensor.requires_grad or name in buffers}
