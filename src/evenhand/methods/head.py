"""Linear probing: only the classification head learns. What LoRA of rank 0 would be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import NonNegativeFloat

from evenhand.methods.method import Method

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

FILE = "head.safetensors"


class Head(Method):
    """Trains the classification head over a frozen base; kept as the head's own safetensors file."""

    kind: ClassVar[str] = "head"
    summary: ClassVar[str] = "the classification head over a frozen base model"

    lr: NonNegativeFloat = 1e-3

    def apply(self, model: PreTrainedModel, seed: int) -> torch.nn.Module:
        """The model itself with only its head learning; nothing is drawn."""
        from evenhand.models.load import head_modules

        model.requires_grad_(False)
        for module in head_modules(model):
            module.requires_grad_(True)
        return model

    def save(self, model: torch.nn.Module, folder: Path) -> None:
        """`folder/head.safetensors`: the head's parameters under their names in the model."""
        from safetensors.torch import save_file

        learned = {name: p.detach().cpu().contiguous() for name, p in model.named_parameters() if p.requires_grad}
        save_file(learned, folder / FILE, metadata={"format": "pt"})

    def load(self, model: PreTrainedModel, folder: Path) -> torch.nn.Module:
        """The base with the trained head, in evaluation mode."""
        from safetensors.torch import load_file

        learned = load_file(folder / FILE)
        found = model.load_state_dict(learned, strict=False)
        assert not found.unexpected_keys, found.unexpected_keys
        return model.requires_grad_(False).eval()

    def kept(self, folder: Path) -> bool:
        """Whether `head.safetensors` is there."""
        return (folder / FILE).is_file()
