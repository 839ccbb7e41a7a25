"""Defines VeRA, IA3, OFT and BOFT through PEFT."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from evenhand.errors import InputError
from evenhand.methods.layers import KEY_AND_VALUE, linear_layers, output_layers, resolve_targets, transposed, widths
from evenhand.methods.peft_adapter import PeftAdapter, TargetedAdapter, seed_dropout
from evenhand.seeds import derive

if TYPE_CHECKING:
    import torch
    from peft import BOFTConfig, IA3Config, OFTConfig, VeraConfig
    from transformers import PreTrainedModel


class VeRA(TargetedAdapter):
    """Trains two vectors a layer around one pair of random matrices A and B that all layers share, and the head.

    The update is Λb·B·Λd·A, with b 0 at the start (Kopiczko et al. 2023, arXiv:2310.11454).

    Attributes:
        rank: rows of A and columns of B, drawn under the seed; larger than LoRA's, since only Λd grows with it.
        d_initial: initial value of every entry of d.
        dropout: probability of the dropout before A, drawn from one generator per layer.

    Example:
        >>> import evenhand
        >>> evenhand.VeRA(rank=64).d_initial
        0.1
    """

    kind: ClassVar[str] = "vera"
    summary: ClassVar[str] = "two vectors a layer around shared random projections, and the classification head"

    lr: NonNegativeFloat = 3e-3
    rank: PositiveInt = 256
    d_initial: PositiveFloat = 0.1
    dropout: float = Field(default=0.0, ge=0, lt=1)

    def config(self, model: PreTrainedModel, seed: int) -> VeraConfig:
        """Return PEFT's configuration."""
        from peft import VeraConfig

        return VeraConfig(
            r=self.rank,
            d_initial=self.d_initial,
            vera_dropout=self.dropout,
            projection_prng_key=derive(seed, "adapter"),
            target_modules=list(self.resolved(model)),
        )

    def apply(self, model: PreTrainedModel, seed: int) -> torch.nn.Module:
        """Return a PeftModel over the model. Raises InputError: see `check`."""
        adapted = super().apply(model, seed)
        if self.dropout:
            seed_dropout(adapted, "vera_dropout", self.dropout, seed)
        return adapted


class IA3(PeftAdapter):
    """Trains a factor for each key, value and feed-forward activation, and the head.

    The factors are 1 at the start (Liu et al. 2022, arXiv:2205.05638).

    Example:
        >>> import evenhand
        >>> evenhand.IA3(lr=0.01).lr
        0.01
    """

    kind: ClassVar[str] = "ia3"
    summary: ClassVar[str] = "factors of keys, values and feed-forward activations, and the classification head"

    lr: NonNegativeFloat = 3e-3

    def check(self, model: PreTrainedModel) -> None:
        """Raise InputError if the base's keys, values or feed-forward parts have no known name."""
        resolve_targets(self.kind, model, None, KEY_AND_VALUE, "key and value projections")
        if not output_layers(model)[1]:
            raise InputError(f"ia3: {type(model).__name__} has no feed-forward part under a known name; use kind: lora")

    def config(self, model: PreTrainedModel, seed: int) -> IA3Config:
        """Return PEFT's configuration, with full names, because a BERT's attention ends in an `output.dense` too."""
        from peft import IA3Config

        keys_and_values = resolve_targets(self.kind, model, None, KEY_AND_VALUE, "key and value projections")
        feed_forward = output_layers(model)[1]
        names = [name for matched in keys_and_values.values() for name in matched]
        return IA3Config(target_modules=names + feed_forward, feedforward_modules=feed_forward)


class Orthogonal(TargetedAdapter):
    """Base class of OFT and BOFT: rotates the inputs of each target layer in blocks of `block`.

    Attributes:
        block: number of inputs that are rotated together; must divide the inputs of every target layer.
    """

    lr: NonNegativeFloat = 3e-4
    block: int = Field(default=8, ge=2)

    def check(self, model: PreTrainedModel) -> None:
        """Raise InputError for unknown targets, a block that does not divide a layer, or transposed layers."""
        layers = linear_layers(model)
        for matched in self.resolved(model).values():
            for name, (inside, _) in widths(model, matched).items():
                if transposed(layers[name]):
                    raise InputError(
                        f"{self.kind}: PEFT cannot rotate the transposed layers of {type(model).__name__}; use kind: "
                        "lora"
                    )
                if inside % self.block:
                    raise InputError(
                        f"{self.kind}: block {self.block} does not divide the {inside} inputs of {name} of "
                        f"{type(model).__name__}; choose one that does"
                    )


class OFT(Orthogonal):
    """Trains block-diagonal rotations of each target layer's inputs, and the head (Qiu et al. 2023, arXiv:2306.07280).

    The rotations use the exact Cayley formula instead of a truncated series, so they are true rotations.

    Attributes:
        block: the size of the blocks, which must divide the inputs of every target layer.

    Example:
        >>> import evenhand
        >>> evenhand.OFT(block=4).block
        4
    """

    kind: ClassVar[str] = "oft"
    summary: ClassVar[str] = "rotations of the inputs of query and value projections, and the classification head"

    def config(self, model: PreTrainedModel, seed: int) -> OFTConfig:
        """Return PEFT's configuration."""
        from peft import OFTConfig

        return OFTConfig(oft_block_size=self.block, use_cayley_neumann=False, target_modules=list(self.resolved(model)))


class BOFT(Orthogonal):
    """Trains butterfly rotations of each target layer's inputs, factors of its outputs, and the head.

    The rotation is a product of `factors` sparse ones (Liu et al. 2023, arXiv:2311.06243).

    Attributes:
        block: the size of the blocks, which must divide the inputs of every target layer.
        factors: number of factors. PEFT supports more than one only with a CUDA extension that it compiles on first
            use. Without the extension PEFT silently uses one factor; here that is refused.

    Example:
        >>> import evenhand
        >>> evenhand.BOFT(block=4).factors
        1
    """

    kind: ClassVar[str] = "boft"
    summary: ClassVar[str] = "butterfly rotations of inputs, factors of outputs, and the classification head"

    factors: PositiveInt = 1

    def check(self, model: PreTrainedModel) -> None:
        """Raise InputError as `Orthogonal` does, or for several factors without PEFT's CUDA extension."""
        super().check(model)
        if self.factors == 1:
            return
        span = self.block * 2 ** (self.factors - 1)
        for matched in self.resolved(model).values():
            for name, (inside, _) in widths(model, matched).items():
                if inside % span or self.block % 2:
                    raise InputError(
                        f"boft: {self.factors} factors of block {self.block} need an even block and inputs that "
                        f"{span} divides, but {name} of {type(model).__name__} has {inside}"
                    )
        import torch
        from peft.tuners.boft.layer import get_fbd_cuda

        with _quiet_extension_warnings():
            compiled = torch.cuda.is_available() and get_fbd_cuda() is not None
        if not compiled:
            raise InputError(
                f"boft: {self.factors} factors need a GPU and PEFT's CUDA extension, which cannot be compiled here; "
                "use factors: 1"
            )

    def config(self, model: PreTrainedModel, seed: int) -> BOFTConfig:
        """Return PEFT's configuration."""
        from peft import BOFTConfig

        return BOFTConfig(
            boft_block_size=self.block,
            boft_n_butterfly_factor=self.factors,
            target_modules=list(self.resolved(model)),
        )

    def apply(self, model: PreTrainedModel, seed: int) -> torch.nn.Module:
        """Return a PeftModel over the model. Raises InputError: see `check`."""
        with _quiet_extension_warnings():
            return super().apply(model, seed)

    def load(self, model: PreTrainedModel, folder: Path) -> torch.nn.Module:
        """Return the base with the trained adapter and head, in evaluation mode."""
        with _quiet_extension_warnings():
            return super().load(model, folder)


@contextmanager
def _quiet_extension_warnings() -> Iterator[None]:
    """Context manager that hides PEFT's warnings of a missing extension, which only several factors need."""
    with warnings.catch_warnings():
        for message in ("Failed to load the CUDA extension", "Setting boft_n_butterfly_factor to 1"):
            warnings.filterwarnings("ignore", message=message)
        yield
