"""Defines the interface of fine-tuning methods: a frozen description that turns a base model into one to train."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, NonNegativeFloat, NonNegativeInt

from evenhand.methods.group_loss import GroupLoss
from evenhand.methods.group_thresholds import GroupThresholds
from evenhand.spec import Spec

if TYPE_CHECKING:
    import numpy as np
    import torch
    from transformers import PreTrainedModel

    from evenhand.training.batches import Inputs
    from evenhand.training.pack import Pack
    from evenhand.training.recipe import TrainSpec


class Method(Spec):
    """A fine-tuning method. Each subclass is registered in `evenhand.methods.BUILT_IN` under its `kind`.

    Attributes:
        lr: peak learning rate.
        epochs: passes over the training examples.
        train: keys of `train:` that this method overrides.
        data: options of the task's data that alter this method's training examples only.
        resources: keys of `resources:` that this method overrides; no part of a trial's identity.
        loss: a loss of classifiers that mitigates disparities between groups; None: the mean loss of the examples.
        thresholds: thresholds per group by which a trained classifier predicts; None: it predicts the likeliest class.
            They are no part of a trial's identity, since they are chosen after training.
    """

    kind: ClassVar[str]
    summary: ClassVar[str]
    """One line for `evenhand list methods`."""

    whole: ClassVar[bool] = False
    """Whether `save` writes a whole model, which `keep: adapters` leaves out."""

    mergeable: ClassVar[bool] = True
    """Whether the trained model is an ordinary one, with PEFT's adapter merged, so that it can be compressed."""

    lr: NonNegativeFloat = 3e-5
    epochs: NonNegativeInt = 3
    train: Mapping[str, Any] = Field(default_factory=dict)
    data: Mapping[str, Any] = Field(default_factory=dict)
    resources: Mapping[str, Any] = Field(default_factory=dict)
    # Left out if they are null, so that trials from before the keys existed keep their identity.
    loss: GroupLoss | None = Field(default=None, exclude_if=lambda value: value is None)
    thresholds: GroupThresholds | None = Field(default=None, exclude_if=lambda value: value is None)

    def hyperparameters(self) -> dict[str, Any]:
        """Return the hyperparameters that enter the trial's identity: `kind`, `lr`, `epochs` and the method's
        fields."""
        values = self.model_dump(mode="json", exclude={"train", "data", "resources", "thresholds"})
        return {"kind": self.kind, **values}

    @property
    def virtual_tokens(self) -> int:
        """Number of a text model's positions that the method itself uses."""
        return 0

    def check(self, model: PreTrainedModel) -> None:
        """Raise InputError if the method does not fit a base, before anything is trained.

        Args:
            model: a classifier over the base, or its skeleton on the meta device; the check must not read its weights.

        Raises:
            InputError: the method does not fit this architecture, with the reason.
        """

    def check_training(self, train: TrainSpec) -> None:
        """Raise InputError if an option of `train:` does not work with the method, before anything is trained."""

    @abstractmethod
    def apply(self, model: PreTrainedModel, seed: int) -> torch.nn.Module:
        """Turn a freshly loaded base into the model to train: trained parameters require a gradient, the others do not.

        The head is already initialised under the seed's "head" stream, in the same way for every method. A method
        draws its own initial values under the seed's "adapter" stream.

        Raises:
            InputError: see `check`.
        """

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
        """Return the pack of one trial of this method; methods with their own batches or steps override this.

        Args:
            module: the model from `apply`.
            inputs, labels, seed, train, device: see `evenhand.training.pack.single_pack`.

        Raises:
            InputError: these examples or this architecture cannot be trained in this way, with the reason.
        """
        from evenhand.training.pack import single_pack

        return single_pack(
            module, inputs, labels, seed=seed, lr=self.lr, epochs=self.epochs, train=train, device=device
        )

    @abstractmethod
    def save(self, model: torch.nn.Module, folder: Path) -> None:
        """Write the trained weights below `folder`: an adapter as PEFT does, a whole model as transformers does."""

    @abstractmethod
    def load(self, model: PreTrainedModel, folder: Path) -> torch.nn.Module:
        """Return the trained model, from the base and the files that `save` wrote."""

    @abstractmethod
    def kept(self, folder: Path) -> bool:
        """Return whether `folder` holds the files that `load` needs."""
