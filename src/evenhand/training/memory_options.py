"""Applies the options of `train:` that save memory or time and change results by rounding only.

They are among `ROUNDING` in `training/recipe.py`.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from importlib.util import find_spec
from os import environ

import torch
from transformers import PreTrainedModel

from evenhand.errors import InputError, first_line
from evenhand.training.batches import TokenizedTexts
from evenhand.training.dropout import SeededDropout
from evenhand.training.pack import Pack, Single
from evenhand.training.recipe import REARRANGES
from evenhand.training.replicas import ReplicaPack
from evenhand.training.sequence_packing import check_texts_stay_apart


def apply_memory_options(pack: Pack) -> None:
    """Apply `checkpointing` and `compile` to a pack, and check that `packing` and `tokens_per_pass` work with it.

    Raises:
        InputError: this method, model or machine does not support an option, with the reason.
    """
    train = pack.replicas[0].train
    asked = [name for name in ("checkpointing", "compile", "tokens_per_pass", "packing") if getattr(train, name)]
    if not asked:
        return
    if type(pack) is not Single and (asked != ["tokens_per_pass"] or type(pack) is not ReplicaPack):
        raise InputError(
            f"train.{asked[0]} does not work with this method, which takes its own steps; leave it out for this method"
        )
    dropouts = [module for module in pack.module.modules() if isinstance(module, SeededDropout) and module.share]
    for name, other in REARRANGES.items():
        if name in asked and (dropouts or train.base_dropout):
            raise InputError(
                f"train.{name} would change what a dropout draws, and with it the results; set the dropout to 0, "
                f"or {other}"
            )
    if train.packing:
        (replica,) = pack.replicas
        if not isinstance(replica.inputs, TokenizedTexts):
            raise InputError("train.packing is for texts; leave it out")
        check_texts_stay_apart(pack.module, replica.inputs, pack.device)
    if train.checkpointing:
        _enable_checkpointing(pack, dropouts)
    if train.compile:
        _compile(pack)


def _enable_checkpointing(pack: Pack, dropouts: Sequence[SeededDropout]) -> None:
    """Let the model recompute its layers in the backward pass, with the same dropout masks."""
    model = next(child for child in pack.module.modules() if isinstance(child, PreTrainedModel))
    how = {"use_reentrant": False, "context_fn": partial(_same_masks_twice, dropouts)}
    try:
        with warnings.catch_warnings():
            # The name that every transformers 5 knows; later ones have another beside it.
            warnings.filterwarnings("ignore", message=".*activation_checkpointing_enable", category=FutureWarning)
            model.gradient_checkpointing_enable(how)
    except ValueError as error:
        raise InputError(f"train.checkpointing: {type(model).__name__}: {first_line(error)}") from None


def _same_masks_twice(
    dropouts: Sequence[SeededDropout],
) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Return the contexts of a layer's forward pass and of its recomputation, which draws the same dropout masks
    again."""
    before: list[torch.Generator | None] = []

    @contextmanager
    def first() -> Iterator[None]:
        """Remember the dropouts' states."""
        before[:] = [dropout.state for dropout in dropouts]
        yield

    @contextmanager
    def again() -> Iterator[None]:
        """Rewind the dropouts, then restore their states."""
        now = [dropout.state for dropout in dropouts]
        _set_states(dropouts, before)
        try:
            yield
        finally:
            _set_states(dropouts, now)

    return first(), again()


def _set_states(dropouts: Sequence[SeededDropout], states: Sequence[torch.Generator | None]) -> None:
    """Set the generator state of each dropout."""
    for dropout, state in zip(dropouts, states, strict=True):
        dropout.state = state


def _compile(pack: Pack) -> None:
    """Compile the pack's module with torch.compile; raise InputError if this machine has no compiler."""
    if pack.device.type == "cuda":
        if find_spec("triton") is None:
            raise InputError("train.compile needs Triton on a GPU, which is not installed; leave it out")
    elif not any(shutil.which(name) for name in (environ.get("CXX", "c++"), "g++", "clang++")):
        raise InputError("train.compile needs a C++ compiler on the CPU, and none is on the path; leave it out")
    # Texts come in many lengths, and a kernel for each would take longer than it saves.
    pack.module.compile(dynamic=pack.replicas[0].inputs.lengths is not None)
