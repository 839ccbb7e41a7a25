"""Defines the hyperparameters that every method shares (`train:` in a study), and the number of the recipe."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt

from evenhand.spec import Spec

RECIPE = 1
"""Part of every trial's identity. Raise it only when the golden records in the tests show that numbers changed."""

ROUNDING = frozenset({"replicas", "features", "checkpointing", "compile", "tokens_per_pass", "packing"})
"""Keys of `train:` that determine how training is computed and change its results only by rounding."""

REARRANGES = {"tokens_per_pass": "use batch_size and accumulate", "packing": "leave it out"}
"""Those that let other rows go through the model together, so that a dropout would draw others; what to do instead."""


class TrainSpec(Spec):
    """Hyperparameters of training that all methods share. A method may override any key.

    `precision: auto` is resolved to a concrete precision before a trial is identified (see `evenhand.models.load`).
    Keys in `ROUNDING` are not part of a trial's identity.

    Attributes:
        replicas: trials that are trained together in one pack.
        features: largest number of gigabytes on disk for the cached output of the frozen layers, and never more than
            half of the free disk. 0: this output is computed again in every epoch.
        checkpointing: keep only the input of each repeated layer and compute the layer again in the backward pass: less
            memory for a third more time.
        compile: let torch.compile make the model's kernels.
        tokens_per_pass: for texts, the largest number of padded tokens in a forward pass, instead of `batch_size`
            examples. A step still has `batch_size` · `accumulate` examples.
        packing: several texts in one row of a batch, each read as if it were alone, so that hardly any padding is
            computed (`evenhand.training.sequence_packing`). For tasks whose models generate text.
        augment: `flip` mirrors about half of the training images left to right, chosen by the seed, the image and the
            epoch. Validation and test images are never mirrored.
        blocks: for texts that are learned as a whole, join them with end-of-text tokens and cut the result into blocks
            of this many tokens, which take the place of the examples: `batch_size` counts blocks, and `max_length` cuts
            no text.
    """

    batch_size: PositiveInt = 32
    max_length: PositiveInt = 256
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    base_dropout: float = Field(default=0.0, ge=0, lt=1)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = Field(default=0.01, ge=0, lt=1, description="share of the steps")
    weight_decay: float = Field(default=0.001, ge=0)
    clip_norm: float | None = Field(default=1.0, gt=0)
    accumulate: PositiveInt = 1
    replicas: Literal["auto"] | PositiveInt = "auto"
    features: float = Field(default=4.0, ge=0)
    checkpointing: bool = False
    compile: bool = False
    tokens_per_pass: PositiveInt | None = None
    packing: bool = False
    # Left out if it is null, so that trials from before the key existed keep their identity.
    augment: Literal["flip"] | None = Field(default=None, exclude_if=lambda value: value is None)
    blocks: int | None = Field(default=None, ge=2, exclude_if=lambda value: value is None)
