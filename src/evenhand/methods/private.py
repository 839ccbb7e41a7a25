"""Full fine-tuning and LoRA under differential privacy, by DP-SGD."""

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
    """What DP-SGD adds to a method: a budget, from which the noise follows.

    A step uses each training example with probability (batch_size · accumulate) / n, clips its gradient and adds noise;
    see `evenhand.training.private`. `train.clip_norm` has no part in it.

    Attributes:
        epsilon: ε that the whole training may spend.
        delta: δ, below 1/n for n training examples; 1/(2n) unless given (Li et al. 2022, arXiv:2110.05679).
        max_grad_norm: to which the gradient of every example is clipped. Small, as in Li et al.: AdamW makes up for the
            scale, and what is clipped less is drowned in noise more.
    """

    epochs: PositiveInt = 3
    epsilon: PositiveFloat = 8.0
    delta: float | None = Field(default=None, gt=0, lt=1)
    max_grad_norm: PositiveFloat = 0.1

    def check(self, model: PreTrainedModel) -> None:
        """Refuses what the method without privacy does, a machine without opacus, and architectures whose layers do not
        see one example at a time. What else opacus cannot do is found out by `pack`."""
        from torch import nn

        super().check(model)
        architecture = type(model).__name__
        if find_spec("opacus") is None:
            raise InputError(f"{self.kind}: training with privacy needs opacus; try: pip install 'evenhand[private]'")
        if model.config.model_type in _WINDOWS:
            raise InputError(
                f"{self.kind}: {architecture} puts the windows of an image in the place of examples, so that opacus "
                "would clip the gradients of windows"
            )
        if any(isinstance(child, nn.modules.batchnorm._BatchNorm) for child in model.modules()):
            raise InputError(
                f"{self.kind}: {architecture} normalises over the batch, so that no example has a gradient of its own"
            )

    def delta_of(self, examples: int) -> float:
        """δ for that many training examples. Raises InputError: it is 1/n or more."""
        delta = 1 / (2 * examples) if self.delta is None else self.delta
        if delta >= 1 / examples:
            raise InputError(
                f"{self.kind}: delta {delta:g} would let a whole example of {examples} leak; choose one below "
                f"1/{examples}, or leave it out"
            )
        return delta

    def check_budget(self, examples: int) -> None:
        """Refuse a budget that cannot be kept with that many training examples, before anything is trained.

        Raises:
            InputError: δ is 1/n or more, or ε is below what any noise can show.
        """
        from evenhand.training.private import calibrate

        # A single step on all examples: where no noise is enough for one, none is for more.
        calibrate(self.epsilon, self.delta_of(examples), self.max_grad_norm, sample_rate=1.0, steps=1)

    def apply(self, model: PreTrainedModel, seed: int) -> torch.nn.Module:
        """What the method without privacy makes of the model. Raises InputError: see `check`."""
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
        """One trial that is trained by DP-SGD, with the least noise that stays within the budget.

        Raises:
            InputError: see `check_budget`, or opacus cannot train this architecture, with the reason.
        """
        from evenhand.training.pack import single
        from evenhand.training.private import calibrate, private, sample_rate

        delta = self.delta_of(len(labels))
        plain = single(module, inputs, labels, seed=seed, lr=self.lr, epochs=self.epochs, train=train, device=device)
        (replica,) = plain.replicas
        rate = sample_rate(replica)
        return private(plain, calibrate(self.epsilon, delta, self.max_grad_norm, rate, replica.steps))


class DPFull(Private, Full):
    """Trains every weight by DP-SGD, within a budget of ε; kept as full fine-tuning is.

    `Private` documents the budget: epsilon, delta, max_grad_norm.

    Example:
        >>> import evenhand
        >>> evenhand.DPFull(epsilon=4.0).max_grad_norm
        0.1
    """

    kind: ClassVar[str] = "dp_full"
    summary: ClassVar[str] = "every weight, by DP-SGD: examples are clipped and noise is added, for a budget of ε"


class DPLoRA(Private, LoRA):
    """Trains a LoRA by DP-SGD, within a budget of ε; kept as an ordinary adapter.

    `Private` documents the budget, `LoRA` the rest. It is checked that every B moves in the first step.

    Example:
        >>> import evenhand
        >>> evenhand.DPLoRA(epsilon=4.0, rank=4).alpha
        8.0
    """

    kind: ClassVar[str] = "dp_lora"
    summary: ClassVar[str] = "LoRA by DP-SGD: examples are clipped and noise is added, for a budget of ε"
