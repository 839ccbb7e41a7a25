"""Defines the hyperparameters that every method shares (`train:` in a study), and the number of the recipe."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt

from evenhand.spec import Spec

RECIPE = 1
"""Part of every trial's identity. Raise it only when the golden records in the tests show that numbers changed."""

ROUNDING = frozenset({"replicas", "features", "checkpointing", "compile", "tokens_per_pass", "packing"})
"""Keys of `train:` that decide how a training is computed, and change its results by rounding only."""

REARRANGES = {"tokens_per_pass": "use batch_size and accumulate", "packing": "leave it out"}
"""Those that let other rows go through the model together, so that a dropout would draw others; what to do instead."""


class TrainSpec(Spec):
    """Hyperparameters of training that all methods share. A method may override any key.

    `precision: auto` is resolved to a concrete one before a trial is identified (see `evenhand.models.load`);
    what is in `ROUNDING` is no part of a trial's identity.

    Attributes:
        replicas: trials that are trained together in one pack.
        features: gigabytes on disk, at most, for what leaves the layers below the first one that learns, and never more
            than half of what is free. 0: it is computed anew in every epoch.
        checkpointing: keep only what enters each repeated layer, and compute the layer again on the way back: less
            memory for a third more time.
        compile: let torch.compile make the model's kernels.
        tokens_per_pass: padded tokens of a forward pass at most, instead of `batch_size` examples: the step's examples
            are those of `batch_size` · `accumulate` as ever. For texts.
        packing: several texts in one row of a batch, each read as if it were alone, so that hardly any padding is
            computed (`evenhand.training.sequence_packing`). For tasks whose models generate text.
        augment: `flip` mirrors about half of the training images left to right, others in each epoch, as the seed, the
            image and the epoch say; what is validated and tested is never mirrored.
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
    # Left out where it is null: trials of before it existed keep their identity.
    augment: Literal["flip"] | None = Field(default=None, exclude_if=lambda value: value is None)
