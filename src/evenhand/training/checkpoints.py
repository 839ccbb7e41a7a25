"""The checkpoint of a training whose loss or accuracy comes nearest to what another training reached.

Methods that are compared at the end of their trainings differ in how far they have learned, and what follows from that
alone (how well members are told apart, say) is then laid at the method's door. `match:` in a study compares them at
about equal training loss, or validation loss or accuracy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

    from evenhand.training.pack import Pack, Validation

By = Literal["train_loss", "validation_loss", "validation_accuracy"]


@dataclass(frozen=True)
class Target:
    """What a training is to come near to.

    Attributes:
        by: of what.
        value: to be matched.
        every: steps between two checkpoints; None: an epoch. The last step is always one.
    """

    by: By
    value: float
    every: int | None = None


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A state of training.

    Attributes:
        step: how many steps were taken.
        value: of what is matched.
        train_loss: mean over the examples since the checkpoint before, each when it was trained on.
        tensors: what had been learned, by name.
    """

    step: int
    value: float
    train_loss: float
    tensors: dict[str, torch.Tensor]


class Nearest:
    """Looks at a training of one trial at its checkpoints and keeps the nearest; of equals, the earliest."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.found: Checkpoint | None = None
        self._losses: list[tuple[torch.Tensor, int]] = []

    def after_step(
        self, pack: Pack, losses: torch.Tensor, sizes: tuple[int, ...], validation: Validation | None
    ) -> None:
        """Called after each step, with its mean loss [1] and its number of examples [1]."""
        (replica,) = pack.replicas
        self._losses.append((losses, sizes[0]))
        every = self.target.every or replica.steps // replica.epochs
        if replica.taken % every and replica.taken < replica.steps:
            return
        total = sum(float(loss) * size for loss, size in self._losses)
        train_loss = total / sum(size for _, size in self._losses)
        self._losses = []
        value = self._value(pack, train_loss, validation)
        if self.found is None or self._gap(value) < self._gap(self.found.value):
            self.found = Checkpoint(replica.taken, value, train_loss, _learned(pack.module))

    def restore(self, pack: Pack) -> Checkpoint:
        """Put a pack back to the nearest checkpoint."""
        import torch

        assert self.found is not None
        with torch.no_grad():
            for name, tensor in pack.module.state_dict(keep_vars=True).items():
                if name in self.found.tensors:
                    tensor.copy_(self.found.tensors[name])
        return self.found

    def _gap(self, value: float) -> float:
        gap = abs(value - self.target.value)
        return gap if math.isfinite(gap) else math.inf

    def _value(self, pack: Pack, train_loss: float, validation: Validation | None) -> float:
        if self.target.by == "train_loss":
            return train_loss
        assert validation is not None
        loss, accuracy = pack.validated(0, validation.inputs, validation.labels)
        return loss if self.target.by == "validation_loss" else accuracy


def _learned(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Copies of what learns, and of buffers, which batch normalisation may have moved."""
    buffers = {name for name, _ in module.named_buffers()}
    state = module.state_dict(keep_vars=True)
    return {name: one.detach().clone() for name, one in state.items() if one.requires_grad or name in buffers}
