"""Defines LoRA (Hu et al. 2021, arXiv:2106.09685) and DoRA, through PEFT."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, ValidationInfo, field_validator, model_validator

from evenhand.errors import InputError
from evenhand.methods.layers import blocks, linear_layers, transposed, widths, within
from evenhand.methods.peft_adapter import TargetedAdapter, seed_dropout
from evenhand.seeds import generator
from evenhand.spec import LARGEST

if TYPE_CHECKING:
    import torch
    from peft import LoraConfig
    from transformers import PreTrainedModel

_MULTIPLE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*x\s*")


class LowRank(TargetedAdapter):
    """Base class of LoRA methods: a product B·A of rank r beside each target layer, scaled by alpha / r, and the head.

    Attributes:
        rank: r, at least 1 and at most max(in, out) of every target layer; rank 0 is the method `head`.
        alpha: the scale's numerator, a number or a multiple of the rank; by default `2x`, so that changing only the
            rank keeps the scale.
        dropout: probability of the dropout before A, drawn from one generator per layer.
    """

    shares: ClassVar[bool] = False
    """Whether the method allows a rank below 1, a share of the layers."""

    lr: NonNegativeFloat = 3e-4
    rank: int | float = 8
    alpha: PositiveFloat = Field(default_factory=lambda data: 2.0 * max(data["rank"], 1))
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @field_validator("rank")
    @classmethod
    def _rank(cls, value: float) -> float:
        """Refuse ranks that are neither whole numbers nor, if the method allows it, shares of the layers."""
        if value <= 0:
            raise ValueError(f"a LoRA of rank {value:g} has no update to learn; use kind: head")
        if value > LARGEST:
            raise ValueError("rank is too large: it should be at most 2**53")
        if float(value).is_integer():
            return int(value)
        if value < 1 and cls.shares:
            return value
        raise ValueError(f"rank is a whole number{', or a share of the layers below 1' * cls.shares}, not {value:g}")

    @field_validator("alpha", mode="before")
    @classmethod
    def _alpha(cls, value: Any, info: ValidationInfo) -> Any:
        """Resolve an alpha like `2x`, a multiple of the rank."""
        multiple = _MULTIPLE.fullmatch(value) if isinstance(value, str) else None
        if multiple is None or "rank" not in info.data:
            return value
        return float(multiple[1]) * max(info.data["rank"], 1)

    def check(self, model: PreTrainedModel) -> None:
        """Raise InputError if no linear layer has a target's name, or if the rank exceeds a target layer's size."""
        for matched in self.resolved(model).values():
            sizes = widths(model, matched)
            narrowest = min(matched, key=lambda name: max(sizes[name]))
            if self.rank > max(sizes[narrowest]):
                raise InputError(
                    f"{self.kind}: rank {self.rank} is above {max(sizes[narrowest])}, the larger side of the layer "
                    f"{narrowest} of {type(model).__name__}; choose a rank of at most {max(sizes[narrowest])}"
                )

    def config(self, model: PreTrainedModel, seed: int, **options: Any) -> LoraConfig:
        """Return PEFT's configuration."""
        from peft import LoraConfig

        values = {"r": self.rank, "target_modules": list(self.resolved(model)), **options}
        # PEFT only divides alpha by the rank, so alpha need not be a whole number.
        return LoraConfig(lora_alpha=self.alpha, lora_dropout=self.dropout, **values)  # pyright: ignore[reportArgumentType]

    def apply(self, model: PreTrainedModel, seed: int) -> torch.nn.Module:
        """Return a PeftModel over the model: A drawn under the seed's "adapter" stream, B zero, the head unchanged.

        Raises:
            InputError: see `check`.
        """
        adapted = super().apply(model, seed)
        if self.dropout:
            seed_dropout(adapted, "lora_dropout", self.dropout, seed)
        return adapted


class LoRA(LowRank):
    """Trains a product B·A of rank r beside each target layer, scaled by alpha / r, and the classification head.

    Attributes:
        rank: a number below 1 is a share of the base's layers, which get rank 1, and the others none: the ranks below
            1 of Ding et al. 2024. The share is rounded to a whole number of layers, at least one.
        layers: layers selected by a rank below 1: the first ones (default), the last ones, or some drawn under the
            seed.
        rslora: scale by alpha / √r (Kalajdzievski 2023, arXiv:2312.03732).
        init: how A and B start. `kaiming` (PEFT's and the LoRA authors' code) and `gaussian` draw A and leave B at 0;
            `orthogonal` draws both so that B·A is 0; `pissa` (arXiv:2404.02948) takes them from the singular vectors
            of each layer, and `olora` (arXiv:2406.01775) from its QR decomposition, and both subtract B·A from the
            layer.

    Example:
        >>> import evenhand
        >>> evenhand.LoRA(rank=4).alpha, evenhand.LoRA(rank=4, alpha="3x").alpha
        (8.0, 12.0)
    """

    kind: ClassVar[str] = "lora"
    summary: ClassVar[str] = "low-rank updates of the query and value projections, and the classification head"
    shares: ClassVar[bool] = True

    layers: Literal["front", "back", "random"] | None = None
    rslora: bool = False
    init: Literal["kaiming", "gaussian", "orthogonal", "pissa", "olora"] = "kaiming"

    @model_validator(mode="after")
    def _fits_together(self) -> LoRA:
        """Refuse impossible combinations of rank, layers and init."""
        if self.layers is not None and self.rank >= 1:
            raise ValueError(f"layers selects layers for a rank below 1, so leave it out with rank {self.rank}")
        if self.init == "orthogonal" and self.rank % 2:
            raise ValueError(f"init: orthogonal needs an even rank, half of it for A and half for B, not {self.rank}")
        return self

    def hyperparameters(self) -> dict[str, Any]:
        """Return the trial's hyperparameters, without the fields that a plain LoRA leaves at their defaults."""
        values = super().hyperparameters()
        for name in ("layers", "rslora", "init"):
            if values[name] == type(self).model_fields[name].default:
                del values[name]
        if self.rank < 1 and self.layers is None:
            values["layers"] = "front"
        return values

    def check(self, model: PreTrainedModel) -> None:
        """Raise InputError as `LowRank` does, or if the initialization does not fit a layer."""
        super().check(model)
        chosen = [name for matched in self.resolved(model).values() for name in matched]
        if self.rank < 1:
            everywhere = blocks(model)
            if not within(chosen, everywhere):
                raise InputError(
                    f"{self.kind}: rank {self.rank:g} is a share of the layers, but no target lies in a repeated layer "
                    f"of {type(model).__name__}; choose a rank of 1 or more"
                )
            missing = [part for part in everywhere if not within(chosen, [part])]
            if missing:
                raise InputError(
                    f"{self.kind}: rank {self.rank:g} is a share of the layers, but targets matches no layer in "
                    f"{missing[0]} of {type(model).__name__}; name targets that every layer has"
                )
        if self.init in ("pissa", "olora"):
            for name, (inside, outside) in widths(model, chosen).items():
                if self.rank > min(inside, outside):
                    raise InputError(
                        f"{self.kind}: init: {self.init} takes its rank from the layer, and {name} of "
                        f"{type(model).__name__} has {min(inside, outside)} at most, not {self.rank}"
                    )
                if self.init == "olora" and transposed(linear_layers(model)[name]):
                    raise InputError(
                        f"{self.kind}: PEFT's init: olora does not know the transposed layers of "
                        f"{type(model).__name__}; use init: pissa"
                    )

    def config(self, model: PreTrainedModel, seed: int, **options: Any) -> LoraConfig:
        """Return PEFT's configuration."""
        if self.rank < 1:
            options |= {"r": 1, "target_modules": self._share_of_layers(model, seed)}
        init = True if self.init == "kaiming" else self.init
        return super().config(model, seed, use_rslora=self.rslora, init_lora_weights=init, **options)

    def _share_of_layers(self, model: PreTrainedModel, seed: int) -> list[str]:
        """Return the full names of the targets in the layers that a rank below 1 selects."""
        everywhere = list(blocks(model))
        count = max(1, math.floor(self.rank * len(everywhere) + 0.5))
        if self.layers == "random":
            drawn = generator(seed, "adapter", "layers").choice(len(everywhere), count, replace=False)
            parts = [everywhere[index] for index in sorted(drawn)]
        else:
            parts = everywhere[-count:] if self.layers == "back" else everywhere[:count]
        return within([name for matched in self.resolved(model).values() for name in matched], parts)


class DoRA(LowRank):
    """Trains a LoRA of each target layer's direction, a magnitude for each of its outputs, and the head.

    Source: Liu et al. (2024, arXiv:2402.09353). Rank, alpha and dropout are those of `LoRA`.

    Example:
        >>> import evenhand
        >>> evenhand.DoRA(rank=4).alpha
        8.0
    """

    kind: ClassVar[str] = "dora"
    summary: ClassVar[str] = "low-rank updates of directions, magnitudes of their own, and the classification head"

    def config(self, model: PreTrainedModel, seed: int, **options: Any) -> LoraConfig:
        """Return PEFT's configuration."""
        return super().config(model, seed, use_dora=True, **options)
