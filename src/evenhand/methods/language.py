"""Which methods fine-tune language models: those that need no head, no batches and no positions of their own."""

from __future__ import annotations

from evenhand.errors import InputError
from evenhand.methods.method import Method

METHODS = ("full", "base", "lora", "dora", "vera", "ia3", "oft", "boft", "bitfit", "last")
"""Kinds of method."""


def check_generates(method: Method) -> None:
    """Refuse a method that is for classifiers.

    Raises:
        InputError: it is, with the reason.
    """
    if method.kind == "head":
        raise InputError(
            "head trains a classification head, and a language model has none; use kind: last or kind: lora"
        )
    if method.kind not in METHODS:
        raise InputError(f"{method.kind} is for classifiers only so far; a language model takes {', '.join(METHODS)}")
