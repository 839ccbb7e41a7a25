"""Refuses methods that need a classifier where a language model is fine-tuned."""

from __future__ import annotations

from evenhand.errors import InputError
from evenhand.methods.method import Method

GENERATIVE_KINDS = (
    *("full", "base", "lora", "dora", "vera", "ia3", "oft", "boft", "bottleneck", "bitfit", "last"),
    *("prefix", "prompt", "p_tuning", "qlora", "magnitude", "wanda", "rounded", "dp_full", "dp_lora"),
)
"""Kinds of methods that can fine-tune a language model."""


def check_is_generative(method: Method) -> None:
    """Raise InputError if a method is for classifiers only.

    Raises:
        InputError: the method is for classifiers only.
    """
    if method.kind == "head":
        raise InputError(
            "head trains a classification head, and a language model has none; use kind: last or kind: lora"
        )
    if method.kind not in GENERATIVE_KINDS:
        known = ", ".join(GENERATIVE_KINDS)
        raise InputError(f"{method.kind} is for classifiers only so far; a language model takes {known}")
