"""Refuses hyperparameters of training that a method or the task of a setting rules out."""

from __future__ import annotations

from evenhand.errors import InputError
from evenhand.methods.method import Method
from evenhand.tasks import kind_of
from evenhand.training.recipe import REARRANGES, TrainSpec


def check_training(method: Method, train: TrainSpec, task: str) -> None:
    """Raise InputError if a method or the task of this name rules out hyperparameters.

    Args:
        method: the method.
        train: hyperparameters with the method's overrides.
        task: the task's name.
    """
    for key, other in REARRANGES.items():
        if getattr(train, key) and (train.base_dropout or getattr(method, "dropout", 0)):
            raise InputError(
                f"train.{key} would change what its dropout draws, and with it the results; set the dropout to 0, or "
                f"{other}"
            )
    method.check_training(train)
    if train.blocks is not None:
        _check_blocks(method, train, task)
    if train.packing and kind_of(task) == "classification":
        raise InputError(f"train.packing is for language models, and {task} trains classifiers; leave it out")


def _check_blocks(method: Method, train: TrainSpec, task: str) -> None:
    """Refuse blocks where texts are not learned as a whole, or must stay apart."""
    if kind_of(task) != "reviews":
        raise InputError(
            f"train.blocks joins texts that are learned as a whole, and those of {task} are not; leave it out"
        )
    if "epsilon" in type(method).model_fields:
        raise InputError(
            "a text may be in two blocks, so that its ε would not be that of a block; leave train.blocks out of "
            "private methods"
        )
    if train.packing:
        raise InputError("train.packing keeps texts apart and train.blocks joins them; leave one of them out")
