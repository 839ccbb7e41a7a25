"""Defines full fine-tuning and LoRA under differential privacy, by DP-SGD."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, PositiveFloat, PositiveInt

from evenhand.errors import InputError
from evenhand.methods.full import Full
from evenhand.methods.lora import LoRA
from evenhand.methods.method import Method

if TYPE_CHECKING:
    import numpy as np
    import torch
    from transformers import PreTrainedModel

    from evenhand.training.batches import Inputs
    from evenhand.training.pack import Pack
    from evenhand.training.recipe import TrainSpec


_WINDOWS = ("swin", "swinv2", "donut-swin", "maskformer-swin")
"""Architectures that attend within windows."""


class Private(Method):
    """Adds DP-SGD to a method, with a privacy budget that determines the noise.

    A step uses each training example with probability (batch_size · accumulate) / n, clips its gradient and adds noise;
    see `evenhand.training.private`. `train.clip_norm` does not affect it.

    Attributes:
        epsilon: ε that the whole training may spend.
        delta: δ, below 1/n for n training examples; 1/(2n) unless given (Li et al. 2022, arXiv:2110.05679).
        max_grad_norm: norm to which the gradient of every example is clipped. It is small, as in Li et al.: AdamW
            compensates for the scale, and a larger norm would need more noise.
    """

    epochs: PositiveInt = 3
    epsilon: PositiveFloat = 8.0
    delta: float | None = Field(default=None, gt=0, lt=1)
    max_grad_norm: PositiveFloat = 0.1

    def check(self, model: PreTrainedModel) -> None:
        """Raise InputError if the method does not fit, opacus is missing, or layers mix examples.

        Layers that mix examples are those that attend within windows of an image, and batch normalization. `pack` finds
        other limits of opacus.
        """
        from torch import nn

        super().check(model)
        architecture = type(model).__name__
        if find_spec("opacus") is None:
            raise InputError(f"{self.kind}: training with privacy needs opacus; try: pip install 'evenhand[private]'")
        if model.config.model_type in _WINDOWS:
            raise InputError(
                f"{self.kind}: {architecture} treats the windows of an image as examples, so opacus "
                "would clip the gradients of windows"
            )
        if any(isinstance(child, nn.modules.batchnorm._BatchNorm) for child in model.modules()):
            raise InputError(
                f"{self.kind}: {architecture} normalises over the batch, so no example has its own gradient"
            )

    def delta_of(self, examples: int) -> float:
        """Return δ for that many training examples. Raises InputError: it is 1/n or more."""
        delta = 1 / (2 * examples) if self.delta is None else self.delta
        if delta >= 1 / examples:
            raise InputError(
                f"{self.kind}: delta {delta:g} would let a whole example of {examples} leak; choose one below "
                f"1/{examples}, or leave it out"
            )
        return delta

    def check_budget(self, examples: int) -> None:
        """Raise InputError, before anything is trained, if the budget cannot be kept with that many training examples.

        Raises:
            InputError: δ is 1/n or more, or no noise can guarantee this ε.
        """
        from evenhand.training.private import calibrate_noise

        # A single step on all examples: if no noise is enough for one step, none is enough for more.
        calibrate_noise(self.epsilon, self.delta_of(examples), self.max_grad_norm, sample_rate=1.0, steps=1)

    def apply(self, model: PreTrainedModel, seed: int) -> torch.nn.Module:
        """Return the model that the method without privacy makes. Raises InputError: see `check`."""
        self.check(model)
        return super().apply(model, seed)  # pyright: ignore[reportAbstractUsage]

    def pack(
        self,
        module: torch.nn.Module,
        inputs: Inputs,
        labels: np.ndarray,
        *,
        seed: int,
        train: TrainSpec,
        device: torch.device,
    ) -> Pack:
        """Return one trial to be trained by DP-SGD, with the least noise that stays within the budget.

        Raises:
            InputError: see `check_budget`, or opacus cannot train this architecture, with the reason.
        """
        from evenhand.training.pack import single_pack
        from evenhand.training.private import calibrate_noise, private_pack, sample_rate

        delta = self.delta_of(len(labels))
        plain = single_pack(
            module, inputs, labels, seed=seed, lr=self.lr, epochs=self.epochs, train=train, device=device
        )
        (replica,) = plain.replicas
        rate = sample_rate(replica)
        return private_pack(plain, calibrate_noise(self.epsilon, delta, self.max_grad_norm, rate, replica.steps))


class DPFull(Private, Full):
    """Trains every weight by DP-SGD, within a budget of ε; saved like full fine-tuning.

    `Private` documents the budget: epsilon, delta, max_grad_norm.

    Example:
        >>> import evenhand
        >>> evenhand.DPFull(epsilon=4.0).max_grad_norm
        0.1
    """

    kind: ClassVar[str] = "dp_full"
    summary: ClassVar[str] = "every weight, by DP-SGD: examples are clipped and noise is added, for a budget of ε"


class DPLoRA(Private, LoRA):
    """Trains a LoRA by DP-SGD, within a budget of ε; saved as an ordinary adapter.

    `Private` documents the budget, `LoRA` the rest. Training checks that every B changes in the first step.

    Example:
        >>> import evenhand
        >>> evenhand.DPLoRA(epsilon=4.0, rank=4).alpha
        8.0
    """

    kind: ClassVar[str] = "dp_lora"
    summary: ClassVar[str] = "LoRA by DP-SGD: examples are clipped and noise is added, for a budget of ε"
