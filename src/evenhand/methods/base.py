"""Evaluates the base model with an untrained head, as the lower bound of a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import NonNegativeFloat, NonNegativeInt, field_validator

from evenhand.methods.method import Method

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


class Base(Method):
    """Trains nothing: evaluates the unchanged base with the new head of its seed.

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
        """Refuse values other than 0."""
        if value:
            raise ValueError(f"a method of kind base trains nothing, so this is 0 or left out, not {value:g}")
        return value

    def hyperparameters(self) -> dict[str, Any]:
        """Return the kind only, since nothing is trained."""
        return {"kind": self.kind}

    def apply(self, model: PreTrainedModel, seed: int) -> torch.nn.Module:
        """Return the model itself, with no trained parameter."""
        return model.requires_grad_(False)

    def save(self, model: torch.nn.Module, folder: Path) -> None:
        """Write nothing: the base and the seed determine the model."""

    def load(self, model: PreTrainedModel, folder: Path) -> torch.nn.Module:
        """Return the model as it was loaded."""
        return model.requires_grad_(False).eval()

    def kept(self, folder: Path) -> bool:
        """Return True: nothing needs to be saved."""
        return True
