"""Base classes of the methods that add a PEFT adapter to a frozen base."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import field_validator

from evenhand.methods.layers import resolve_targets
from evenhand.methods.method import Method
from evenhand.models.quiet import quiet
from evenhand.seeds import derive

if TYPE_CHECKING:
    import torch
    from peft import PeftConfig
    from transformers import PreTrainedModel

FOLDER = "adapter"


class PeftAdapter(Method):
    """Base class: trains an adapter over a frozen base, and the classification head; saved in PEFT's format."""

    @abstractmethod
    def config(self, model: PreTrainedModel, seed: int) -> PeftConfig:
        """Return PEFT's configuration of the adapter for this model, without the head."""

    def apply(self, model: PreTrainedModel, seed: int) -> torch.nn.Module:
        """Return a PeftModel over the model: the adapter drawn under the seed's "adapter" stream, the head unchanged.

        Raises:
            InputError: see `check`.
        """
        import torch
        from peft import TaskType

        from evenhand.models.load import head_modules

        self.check(model)
        config: Any = self.config(model, seed)
        heads = head_modules(model)
        text = TaskType.CAUSAL_LM if model.can_generate() else TaskType.SEQ_CLS
        config.task_type = text if model.main_input_name == "input_ids" else None
        config.modules_to_save = [name for name, module in model.named_modules() if module in heads] or None
        with quiet(), torch.random.fork_rng():
            torch.manual_seed(derive(seed, "adapter"))
            return self.wrapped(model, config)

    def wrapped(self, model: PreTrainedModel, config: PeftConfig) -> torch.nn.Module:
        """Return PEFT's model over this one; the adapter is drawn from PyTorch's global generator."""
        from peft import get_peft_model

        return get_peft_model(model, config)

    def save(self, model: torch.nn.Module, folder: Path) -> None:
        """Write `folder/adapter/`, which `PeftModel.from_pretrained` reads."""
        # Embeddings are never trained here; "auto" would ask the hub whether the vocabulary grew.
        model.save_pretrained(folder / FOLDER, save_embedding_layers=False)  # pyright: ignore[reportCallIssue]

    def load(self, model: PreTrainedModel, folder: Path) -> torch.nn.Module:
        """Return the base with the trained adapter and head, in evaluation mode."""
        import torch
        from peft import PeftModel

        # PEFT initialises an adapter at random before it reads one.
        with quiet(), torch.random.fork_rng():
            return PeftModel.from_pretrained(model, folder / FOLDER).eval()

    def kept(self, folder: Path) -> bool:
        """Return whether `adapter/` exists."""
        return (folder / FOLDER / "adapter_config.json").is_file()


class TargetedAdapter(PeftAdapter):
    """Base class of adapters for some of the base's linear layers.

    Attributes:
        targets: names of linear layers, matched at the end of their full name; default: the query and value
            projections.
    """

    targets: tuple[str, ...] | None = None

    @field_validator("targets", mode="before")
    @classmethod
    def _targets(cls, value: Any) -> Any:
        """Turn a single target into a tuple, and refuse an empty list."""
        names = (value,) if isinstance(value, str) else value
        if names is not None and not names:
            raise ValueError("name at least one layer, or leave targets out")
        return names

    def check(self, model: PreTrainedModel) -> None:
        """Raise InputError if no linear layer of the base has a target's name."""
        self.resolved(model)

    def resolved(self, model: PreTrainedModel) -> dict[str, tuple[str, ...]]:
        """Return the full names of the layers that each target matches, by target."""
        return resolve_targets(self.kind, model, self.targets)


def seed_dropout(adapted: torch.nn.Module, attribute: str, share: float, seed: int) -> None:
    """Give every adapter layer a dropout with its own generator, so that its masks depend on the trial alone.

    Args:
        adapted: the model from PEFT.
        attribute: the attribute in which its layers keep their dropouts.
        share: probability that an entry is zeroed.
        seed: seed of the trial.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    from evenhand.training.dropout import SeededDropout

    for name, module in adapted.named_modules():
        if isinstance(module, BaseTunerLayer):
            layer = name.removeprefix("base_model.model.")
            getattr(module, attribute)["default"] = SeededDropout(share, derive(seed, "dropout", layer))
