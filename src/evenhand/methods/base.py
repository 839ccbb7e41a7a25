"""No fine-tuning: the base model with a head that has learned nothing, as the floor of a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import NonNegativeFloat, NonNegativeInt, field_validator

from evenhand.methods.method import Method

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


class Base(Method):
    """Trains nothing: the base is evaluated as it is, with the fresh head of its seed.

    Example:
        >>> import evenhand
        >>> evenhand.Base().epochs
        0
    """

    kind: ClassVar[str] = "base"
    summary: ClassVar[str] = "nothing; the base model with a fresh head, evaluated as it is"

    lr: NonNegativeFloat = 0.0
    epochs: NonNegativeInt = 0

    @field_validator("lr", "epochs")
    @classmethod
    def _zero(cls, value: float) -> float:
        if value:
            raise ValueError(f"a method of kind base trains nothing, so this is 0 or left out, not {value:g}")
        return value

    def hyperparameters(self) -> dict[str, Any]:
        return {"kind": self.kind}

    def apply(self, model: PreTrainedModel, seed: int) -> torch.nn.Module:
        """The model itself, none of it learning."""
        return model.requires_grad_(False)

    def save(self, model: torch.nn.Module, folder: Path) -> None:
        """Writes nothing: the base and the seed are all there is."""

    def load(self, model: PreTrainedModel, folder: Path) -> torch.nn.Module:
        """The model as it was loaded."""
        return model.requires_grad_(False).eval()

    def kept(self, folder: Path) -> bool:
        """Always: nothing is needed."""
        return True
