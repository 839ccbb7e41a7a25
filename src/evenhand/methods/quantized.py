"""Defines QLoRA (Dettmers et al. 2023, arXiv:2305.14314): LoRA over a base of 4 bits a weight, by bitsandbytes."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from evenhand.errors import InputError
from evenhand.methods.layers import linear_layers, transposed
from evenhand.methods.lora import LowRank

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


class QLoRA(LowRank):
    """Trains a LoRA over a base whose linear layers are rounded to NF4 with doubly quantized scales.

    It needs a GPU and bitsandbytes. The head, embeddings and normalisations keep float32.

    Example:
        >>> import evenhand
        >>> evenhand.QLoRA(rank=4).alpha
        8.0
    """

    kind: ClassVar[str] = "qlora"
    summary: ClassVar[str] = "LoRA over a base model rounded to 4 bits, and the classification head"

    def check(self, model: PreTrainedModel) -> None:
        """Raise InputError as `LowRank` does, for transposed layers, and without bitsandbytes or a GPU."""
        import torch

        super().check(model)
        layers = linear_layers(model)
        if any(transposed(layers[name]) for matched in self.resolved(model).values() for name in matched):
            raise InputError(f"qlora: the transposed layers of {type(model).__name__} are not rounded; use kind: lora")
        if find_spec("bitsandbytes") is None:
            raise InputError("qlora: rounding to 4 bits needs bitsandbytes; try: pip install 'evenhand[quantized]'")
        if not torch.cuda.is_available():
            raise InputError("qlora: rounding to 4 bits needs a GPU, and PyTorch sees none here; use kind: lora")

    def apply(self, model: PreTrainedModel, seed: int) -> torch.nn.Module:
        """Return a PeftModel over the quantized model, on the GPU. Raises InputError: see `check`."""
        self.check(model)
        return super().apply(quantize_base(model), seed)

    def load(self, model: PreTrainedModel, folder: Path) -> torch.nn.Module:
        """Return the quantized base with the trained adapter and head, in evaluation mode."""
        self.check(model)
        return super().load(quantize_base(model), folder)


def quantize_base(model: PreTrainedModel) -> PreTrainedModel:
    """Quantize the linear layers of the model's base to 4 bits and move it to the GPU; depends on the weights only."""
    import bitsandbytes as bnb  # pyright: ignore[reportMissingImports]
    import torch

    from evenhand.models.load import device

    native = torch.cuda.is_bf16_supported(including_emulation=False)
    for name, layer in linear_layers(model).items():
        if transposed(layer):
            continue
        linear: Any = layer
        four = bnb.nn.Linear4bit(
            linear.in_features,
            linear.out_features,
            bias=linear.bias is not None,
            compute_dtype=torch.bfloat16 if native else torch.float32,
            compress_statistics=True,
            quant_type="nf4",
        )
        four.weight = bnb.nn.Params4bit(
            linear.weight.data, requires_grad=False, compress_statistics=True, quant_type="nf4", module=four
        )
        four.bias = linear.bias
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, four)
    vars(model)["is_loaded_in_4bit"] = True  # PEFT reads this attribute
    # Weights are rounded on their way to the GPU.
    return model.to(device())  # pyright: ignore[reportArgumentType, reportCallIssue]
