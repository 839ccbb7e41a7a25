"""Refuses the compressions of trained models that a setting of a study rules out."""

from __future__ import annotations

from collections.abc import Mapping

from evenhand.errors import InputError, did_you_mean
from evenhand.methods.compression import Compression
from evenhand.methods.method import Method
from evenhand.study.tuning import TuningSpec
from evenhand.tasks import Kind


def check_compression(name: str, methods: Mapping[str, Method], kind: Kind, tuning: TuningSpec | None) -> None:
    """Raise InputError if a setting rules out the compression that one of its methods is.

    Args:
        name: of the method.
        methods: all methods of the setting by name.
        kind: kind of the task.
        tuning: how hyperparameters are chosen, if they are.
    """
    method = methods[name]
    if not isinstance(method, Compression) or method.epochs:
        return
    if method.of is None:
        if kind == "classification":
            raise InputError(
                f"of: a classifier answers at random before it is trained, and {method.kind} trains nothing here; set "
                "of to the method whose trained model is compressed"
            )
        return
    if method.of not in methods:
        raise InputError(f'of: "{method.of}" is not a method of this setting; {did_you_mean(method.of, methods)}')
    compressed = methods[method.of]
    if isinstance(compressed, Compression) and not compressed.epochs:
        raise InputError(f"of: {method.of} is itself a model that is compressed without training; name what trains it")
    if not compressed.mergeable:
        raise InputError(
            f"of: what {compressed.kind} adds to its base cannot be merged into its weights, so that {method.of} is no "
            "ordinary model to compress; name a method such as full or lora"
        )
    if kind == "classification" and not compressed.epochs:
        raise InputError(f"of: {method.of} trains nothing, and an untrained classifier answers at random")
    if method.data or method.train:
        key = "data" if method.data else "train"
        raise InputError(f"{key}: nothing is trained after compression, so it has no effect; set it for {method.of}")
    if tuning is not None and name in tuning.grid:
        raise InputError(f"of: tuning.grid names {name}, which trains nothing; make each candidate a method of its own")
