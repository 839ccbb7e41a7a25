"""Defines bottleneck adapters: small networks between the layers of a frozen base. PEFT has none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import NonNegativeFloat, PositiveInt

from evenhand.errors import InputError
from evenhand.methods.layers import output_layers, widths
from evenhand.methods.partial import Partial, train_only
from evenhand.seeds import derive

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


class Bottleneck(Partial):
    """Trains h + U·gelu(D·h + d) + u after sub-layers of every layer, before the residual sum, and the head.

    U, d and u are 0 at the start, so that the model begins as its base.

    Attributes:
        width: width of the bottleneck, the rows of D.
        placement: after the attention and the feed-forward part of every layer (Houlsby et al. 2019, arXiv:1902.00751),
            or only after the feed-forward part (Pfeiffer et al. 2020, arXiv:2005.00247).

    Example:
        >>> import evenhand
        >>> evenhand.Bottleneck(width=8).placement
        'houlsby'
    """

    kind: ClassVar[str] = "bottleneck"
    summary: ClassVar[str] = "small networks after attention and feed-forward parts, and the classification head"
    file: ClassVar[str] = "bottleneck.safetensors"
    mergeable: ClassVar[bool] = False

    lr: NonNegativeFloat = 3e-4
    width: PositiveInt = 16
    placement: Literal["houlsby", "pfeiffer"] = "houlsby"

    def check(self, model: PreTrainedModel) -> None:
        """Raise InputError if sub-layers have no known name, or if the bottleneck is wider than a layer."""
        names = self._places(model)
        if not names:
            raise InputError(
                f"bottleneck: {type(model).__name__} has no attention or feed-forward parts under a known name; use "
                "kind: lora with targets"
            )
        for name, (_, outside) in widths(model, names).items():
            if self.width > outside:
                raise InputError(
                    f"bottleneck: width {self.width} is above {outside}, what {name} of {type(model).__name__} gives; "
                    f"choose a width of at most {outside}"
                )

    def chosen(self, model: PreTrainedModel) -> list[str]:
        """Return the names of the adapters' parameters."""
        return [name for name, _ in model.named_parameters() if ".bottleneck." in name]

    def apply(self, model: PreTrainedModel, seed: int) -> torch.nn.Module:
        """Return the model with its adapters inserted, D drawn under the seed's "adapter" stream.

        Raises:
            InputError: see `check`.
        """
        self.check(model)
        self._insert(model, seed)
        return train_only(model, self.chosen(model))

    def load(self, model: PreTrainedModel, folder: Path) -> torch.nn.Module:
        """Return the base with the trained adapters and head, in evaluation mode."""
        self._insert(model, 0)
        return super().load(model, folder)

    def _places(self, model: PreTrainedModel) -> list[str]:
        """Return the names of the layers that get a bottleneck after them."""
        attention, feed_forward = output_layers(model)
        if not attention or not feed_forward:
            return []
        return feed_forward if self.placement == "pfeiffer" else attention + feed_forward

    def _insert(self, model: PreTrainedModel, seed: int) -> None:
        """Replace each of these layers by the layer followed by a bottleneck."""
        import torch

        sizes = widths(model, self._places(model))
        with torch.random.fork_rng():
            torch.manual_seed(derive(seed, "adapter"))
            for name, (_, outside) in sizes.items():
                parent, _, child = name.rpartition(".")
                setattr(
                    model.get_submodule(parent), child, _with_bottleneck(model.get_submodule(name), outside, self.width)
                )


def _with_bottleneck(layer: torch.nn.Module, outside: int, width: int) -> torch.nn.Module:
    """Return a linear layer followed by a bottleneck; the layer's parameters get the prefix `layer.`."""
    from collections import OrderedDict

    from torch import nn

    class Residual(nn.Module):
        """The bottleneck: x + U·gelu(D·x + d) + u."""

        def __init__(self) -> None:
            """Draw D; set d, U and u to 0."""
            super().__init__()
            self.down = nn.Linear(outside, width)
            self.up = nn.Linear(width, outside)
            for zero in (self.down.bias, self.up.weight, self.up.bias):
                nn.init.zeros_(zero)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """Add the bottleneck's output to its input."""
            return x + self.up(nn.functional.gelu(self.down(x)))

    return nn.Sequential(OrderedDict(layer=layer, bottleneck=Residual()))
