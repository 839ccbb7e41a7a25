"""Defines methods that train a part of the base's own weights, and the classification head."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import NonNegativeFloat, PositiveInt

from evenhand.errors import InputError
from evenhand.methods.layers import blocks
from evenhand.methods.method import Method

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


class Partial(Method):
    """Base class of methods that train some of the base's parameters and the head, saved as a safetensors file."""

    file: ClassVar[str] = "trained.safetensors"

    @abstractmethod
    def chosen(self, model: PreTrainedModel) -> Iterable[str]:
        """Return the names of the trained parameters besides the head's."""

    def apply(self, model: PreTrainedModel, seed: int) -> torch.nn.Module:
        """Return the model itself, with the head and the chosen parameters trained; nothing is drawn.

        Raises:
            InputError: see `check`.
        """
        self.check(model)
        return train_only(model, self.chosen(model))

    def save(self, model: torch.nn.Module, folder: Path) -> None:
        """Write the trained parameters and the buffers, under their names in the model."""
        from safetensors.torch import save_file

        from evenhand.training.checkpoints import trained_state

        learned = {name: tensor.cpu().contiguous() for name, tensor in trained_state(model).items()}
        save_file(learned, folder / self.file, metadata={"format": "pt"})

    def load(self, model: PreTrainedModel, folder: Path) -> torch.nn.Module:
        """Return the base with what was saved, in evaluation mode."""
        from safetensors.torch import load_file

        loaded = model.load_state_dict(load_file(folder / self.file), strict=False)
        assert not loaded.unexpected_keys, loaded.unexpected_keys
        return model.requires_grad_(False).eval()

    def kept(self, folder: Path) -> bool:
        """Return whether the file of trained parameters exists."""
        return (folder / self.file).is_file()


def train_only(model: PreTrainedModel, names: Iterable[str]) -> PreTrainedModel:
    """Freeze the model except for its head and the parameters of these names, and return it."""
    from evenhand.models.load import head_modules

    model.requires_grad_(False)
    for name in names:
        model.get_parameter(name).requires_grad_(True)
    for module in head_modules(model):
        module.requires_grad_(True)
    return model


class BitFit(Partial):
    """Trains every bias of the base and the head (Ben Zaken et al. 2021, arXiv:2106.10199).

    Example:
        >>> import evenhand
        >>> evenhand.BitFit().lr
        0.001
    """

    kind: ClassVar[str] = "bitfit"
    summary: ClassVar[str] = "the biases of the base model and the classification head"

    lr: NonNegativeFloat = 1e-3

    def check(self, model: PreTrainedModel) -> None:
        """Raise InputError if the base has no biases."""
        if not self.chosen(model):
            raise InputError(f"bitfit: the base of {type(model).__name__} has no biases to train; use kind: lora")

    def chosen(self, model: PreTrainedModel) -> list[str]:
        """Return every parameter of the base whose name is `bias`."""
        prefix = model.base_model_prefix
        return [f"{prefix}.{name}" for name, _ in model.base_model.named_parameters() if name.endswith(".bias")]


class Last(Partial):
    """Trains the last layers of the base, the parts after them (a final normalization, a pooler), and the head.

    Attributes:
        layers: number of layers; for a Swin, blocks counted over all stages.

    Example:
        >>> import evenhand
        >>> evenhand.Last(layers=2).layers
        2
    """

    kind: ClassVar[str] = "last"
    summary: ClassVar[str] = "the last layers of the base model and the classification head"

    layers: PositiveInt = 1

    def check(self, model: PreTrainedModel) -> None:
        """Raise InputError if the base has fewer layers."""
        there = len(blocks(model))
        if self.layers > there:
            raise InputError(
                f"last: the base of {type(model).__name__} has {there} repeated layers, so {self.layers} of them "
                "cannot learn; use kind: full"
            )

    def chosen(self, model: PreTrainedModel) -> list[str]:
        """Return the base's parameters from the first of these layers on.

        Architectures register them from inputs to outputs.
        """
        first = list(blocks(model))[-self.layers]
        prefix = model.base_model_prefix
        names = [f"{prefix}.{name}" for name, _ in model.base_model.named_parameters()]
        start = next(position for position, name in enumerate(names) if name.startswith(f"{first}."))
        return names[start:]
