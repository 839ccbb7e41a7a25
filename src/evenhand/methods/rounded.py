"""Rounds the weights of a model to 4 or 8 bits, as it is deployed, without training."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import NonNegativeFloat, NonNegativeInt, field_validator

from evenhand.errors import InputError
from evenhand.methods.compression import Compression
from evenhand.methods.layers import linear_layers, transposed

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

BLOCK = 64
"""Weights that share a scale in 4 bits, the default of bitsandbytes."""


class Rounded(Compression):
    """Rounds the weights of the base's linear layers to few bits; nothing is trained, and activations are not rounded.

    The model computes with the rounded weights as numbers of 32 bits. So its predictions are those of the rounded
    model, and its memory is not. Embeddings, normalisations, biases, the head, and the output layer of a language model
    are not rounded.

    Attributes:
        format: `nf4` or `fp4`, the formats of 4 bits of bitsandbytes with a scale for each block of 64 weights; or
            `int8`, whole numbers from −127 to 127 with a scale for each output of a layer.

    Example:
        >>> import evenhand
        >>> evenhand.Rounded(format="int8", of="full").epochs
        0
    """

    kind: ClassVar[str] = "rounded"
    summary: ClassVar[str] = "nothing; the weights of linear layers are rounded to 4 or 8 bits"
    mergeable: ClassVar[bool] = False

    lr: NonNegativeFloat = 0.0
    epochs: NonNegativeInt = 0
    format: Literal["nf4", "fp4", "int8"] = "nf4"

    @field_validator("lr", "epochs")
    @classmethod
    def _zero(cls, value: float) -> float:
        """Refuse values other than 0."""
        if value:
            raise ValueError(f"a method of kind rounded trains nothing, so this is 0 or left out, not {value:g}")
        return value

    def hyperparameters(self) -> dict[str, Any]:
        """Return the kind and the format, since nothing is trained."""
        return {"kind": self.kind, "format": self.format}

    def check(self, model: PreTrainedModel) -> None:
        """Raise InputError if the base has no linear layers, or if rounding to 4 bits needs bitsandbytes."""
        if not linear_layers(model):
            raise InputError(f"rounded: {type(model).__name__} has no linear layers to round; leave it out")
        if self.format != "int8" and find_spec("bitsandbytes") is None:
            raise InputError(
                f"rounded: {self.format} needs bitsandbytes; try: pip install 'evenhand[quantized]', or format: int8"
            )

    def apply(self, model: PreTrainedModel, seed: int) -> torch.nn.Module:
        """Return the model itself with rounded weights and no trained parameter; nothing is drawn.

        Raises:
            InputError: see `check`.
        """
        self.check(model)
        for layer in linear_layers(model).values():
            weight: Any = layer.weight
            rows = weight.data.T if transposed(layer) else weight.data
            rounded = rounded_weight(rows, self.format)
            weight.data = rounded.T.contiguous() if transposed(layer) else rounded
        return model.requires_grad_(False)

    def save(self, model: torch.nn.Module, folder: Path) -> None:
        """Write nothing: the compressed model and the format determine the weights."""

    def load(self, model: PreTrainedModel, folder: Path) -> torch.nn.Module:
        """Return the rounded model, from the model that is compressed."""
        return self.apply(model, 0).eval()

    def kept(self, folder: Path) -> bool:
        """Return whether the base alone determines the model: False if a trained model is rounded."""
        return self.of is None


def rounded_weight(weight: torch.Tensor, form: Literal["nf4", "fp4", "int8"]) -> torch.Tensor:
    """Return the values that a weight has after rounding: float32, [out, in] as given.

    Args:
        weight: float32 [out, in]. Blocks of 4 bits are of consecutive weights, row after row.
        form: see `Rounded.format`.

    Example:
        >>> import torch
        >>> rounded_weight(torch.tensor([[127.0, 0.4, -2.6]]), "int8").tolist()
        [[127.0, 0.0, -3.0]]
    """
    import torch

    weight = weight.detach().contiguous()
    if form == "int8":
        largest = weight.abs().amax(dim=1, keepdim=True)
        scale = torch.where(largest > 0, largest / 127, 1.0)
        return (weight / scale).round().clamp(-127, 127) * scale
    functional: Any = import_module("bitsandbytes.functional")
    packed, state = functional.quantize_4bit(weight, blocksize=BLOCK, compress_statistics=False, quant_type=form)
    return functional.dequantize_4bit(packed, state).to(weight.dtype).reshape(weight.shape)
