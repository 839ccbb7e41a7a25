"""Defines QLoRA (Dettmers et al. 2023, arXiv:2305.14314): LoRA over a base of 4 bits a weight, by bitsandbytes."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from evenhand.errors import InputError, first_line
from evenhand.methods.layers import linear_layers, transposed
from evenhand.methods.lora import LowRank

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


class QLoRA(LowRank):
    """Trains a LoRA over a base whose linear layers are rounded to NF4 with doubly quantized scales.

    It needs bitsandbytes, and on a CPU a version that rounds there. The head, embeddings, normalisations and the output
    layer of a language model keep float32.

    Example:
        >>> import evenhand
        >>> evenhand.QLoRA(rank=4).alpha
        8.0
    """

    kind: ClassVar[str] = "qlora"
    summary: ClassVar[str] = "LoRA over a base model rounded to 4 bits, and the classification head"
    mergeable: ClassVar[bool] = False

    def check(self, model: PreTrainedModel) -> None:
        """Raise InputError as `LowRank` does, for transposed layers, and where bitsandbytes cannot round."""
        super().check(model)
        layers = linear_layers(model)
        if any(transposed(layers[name]) for matched in self.resolved(model).values() for name in matched):
            raise InputError(f"qlora: the transposed layers of {type(model).__name__} are not rounded; use kind: lora")
        if find_spec("bitsandbytes") is None:
            raise InputError("qlora: rounding to 4 bits needs bitsandbytes; try: pip install 'evenhand[quantized]'")
        if (fault := _fault_of_rounding()) is not None:
            raise InputError(f"qlora: bitsandbytes cannot round to 4 bits here ({fault}); update it, or use kind: lora")

    def apply(self, model: PreTrainedModel, seed: int) -> torch.nn.Module:
        """Return a PeftModel over the quantized model, on its device. Raises InputError: see `check`."""
        self.check(model)
        return super().apply(quantize_base(model), seed)

    def load(self, model: PreTrainedModel, folder: Path) -> torch.nn.Module:
        """Return the quantized base with the trained adapter and head, in evaluation mode."""
        self.check(model)
        return super().load(quantize_base(model), folder)


def quantize_base(model: PreTrainedModel) -> PreTrainedModel:
    """Quantize the linear layers of the model's base to 4 bits on its device; depends on the weights only."""
    from evenhand.models.load import device

    for name, layer in linear_layers(model).items():
        if not transposed(layer):
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, _four_bits(layer))
    vars(model)["is_loaded_in_4bit"] = True  # PEFT reads this attribute
    # Weights are rounded on their way to the device, be it the CPU.
    return model.to(device())  # pyright: ignore[reportArgumentType, reportCallIssue]


def _four_bits(linear: Any) -> torch.nn.Module:
    """Return a linear layer of 4 bits in place of one whose weights are rounded when it is moved to a device."""
    import torch

    bnb: Any = import_module("bitsandbytes.nn")
    native = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    four = bnb.Linear4bit(
        linear.in_features,
        linear.out_features,
        bias=linear.bias is not None,
        compute_dtype=torch.bfloat16 if native else torch.float32,
        compress_statistics=True,
        quant_type="nf4",
        device="meta",  # its own values are never read, and would be drawn
    )
    four.weight = bnb.Params4bit(
        linear.weight.data, requires_grad=False, compress_statistics=True, quant_type="nf4", module=four
    )
    four.bias = linear.bias
    # On some CPUs it would compute in bfloat16 outside of training, in a format through which no gradient flows later.
    four.support_avx512bf16_for_cpu = False
    return four


@cache
def _fault_of_rounding() -> str | None:
    """Return why bitsandbytes cannot train over weights of 4 bits on this machine; None if it can."""
    import torch

    from evenhand.models.load import device

    linear = torch.nn.Linear(64, 64, bias=False, device="meta")
    linear.weight = torch.nn.Parameter(torch.eye(64))
    inputs = torch.ones(1, 64, device=device(), requires_grad=True)
    try:
        _four_bits(linear).to(device())(inputs).sum().backward()
    # Any exception: versions without a backend for this device fail in different ways.
    except Exception as error:
        return first_line(error)
    return None if inputs.grad is not None and bool(inputs.grad.any()) else "no gradient flows through the weights"
