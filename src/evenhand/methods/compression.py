"""Defines what all compressions of a model share: which model is compressed, and that training is over by then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from evenhand.methods.method import Method

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


class Compression(Method):
    """Base class of methods that compress a model.

    Attributes:
        of: the method of the same study whose trained model of the same seed is compressed, as it would be deployed: an
            adapter is merged into the weights first. Nothing is trained afterwards. None: the base model is compressed.
    """

    of: str | None = Field(default=None, exclude_if=lambda value: value is None)

    @model_validator(mode="before")
    @classmethod
    def _trains_nothing(cls, values: Any) -> Any:
        """Set `epochs` to 0 for the compression of a trained model."""
        if isinstance(values, Mapping) and values.get("of") is not None:
            return {"epochs": 0, **values}
        return values

    @model_validator(mode="after")
    def _is_not_trained_on(self) -> Compression:
        """Refuse training after the compression of a trained model."""
        if self.of is not None and self.epochs:
            raise ValueError(
                f"epochs should be 0 or left out, not {self.epochs}: with of: {self.of} a trained model is compressed, "
                "and nothing is trained afterwards"
            )
        return self

    def hyperparameters(self) -> dict[str, Any]:
        """Return the hyperparameters; a trial's identity has the compressed trial in place of the name `of`."""
        return {key: value for key, value in super().hyperparameters().items() if key != "of"}


def merged(model: torch.nn.Module) -> PreTrainedModel:
    """Return a trained model as an ordinary one of transformers: PEFT's adapter, if it has one, is merged into it."""
    from peft import PeftModel
    from peft.utils import ModulesToSaveWrapper

    if not isinstance(model, PeftModel):
        plain: Any = model
        return plain
    adapted: Any = model.get_base_model()
    for name, module in list(adapted.named_modules()):
        # PEFT's own replacement reads the weight of the head, which may be a module of several layers.
        if isinstance(module, ModulesToSaveWrapper):
            adapted.set_submodule(name, module.modules_to_save[module.active_adapters[0]])
    merge: Any = model.merge_and_unload
    return merge()
