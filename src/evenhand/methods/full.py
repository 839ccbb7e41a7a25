"""Defines full fine-tuning: every weight is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from evenhand.methods.method import Method
from evenhand.models.quiet import quiet

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

FOLDER = "weights"


class Full(Method):
    """Trains every weight of the base and the classification head; saved as an ordinary transformers folder.

    Example:
        >>> import evenhand
        >>> evenhand.Full(epochs=2)
        Full(lr=3e-05, epochs=2, train={}, data={}, resources={}, loss=None, thresholds=None)
    """

    kind: ClassVar[str] = "full"
    summary: ClassVar[str] = "every weight of the base model and the classification head"
    whole: ClassVar[bool] = True

    def apply(self, model: PreTrainedModel, seed: int) -> torch.nn.Module:
        """Return the model itself, with all parameters trained; nothing is drawn."""
        return model.requires_grad_(True)

    def save(self, model: torch.nn.Module, folder: Path) -> None:
        """Write `folder/weights/`, which `from_pretrained` of the model's class reads."""
        with quiet():
            model.save_pretrained(folder / FOLDER)  # pyright: ignore[reportCallIssue]

    def load(self, model: PreTrainedModel, folder: Path) -> torch.nn.Module:
        """Return the model with the trained weights, in evaluation mode."""
        with quiet():
            trained = type(model).from_pretrained(folder / FOLDER, config=model.config, dtype=model.dtype)
        # The given model also has what no file holds: how a decoder reads the last token, which parts are new.
        model.load_state_dict(trained.state_dict())
        return model.eval()

    def kept(self, folder: Path) -> bool:
        """Return whether `weights/` exists."""
        return (folder / FOLDER / "config.json").is_file()
