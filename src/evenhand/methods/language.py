"""Lists the methods that can fine-tune language models, and refuses those that need a classifier."""

from __future__ import annotations

from evenhand.errors import InputError
from evenhand.methods.method import Method

GENERATIVE_KINDS = (
    *("full", "base", "lora", "dora", "vera", "ia3", "oft", "boft", "bottleneck", "bitfit", "last"),
    *("magnitude", "wanda", "dp_full", "dp_lora"),
)
"""Kinds of methods that can fine-tune a language model."""

_REASONS = {
    "prompt": "its virtual tokens would precede every prompt whose answers are scored from a cache",
    "prefix": "its virtual tokens would take the place of the cache from which the answers to prompts are scored",
}
"""Why methods are for classifiers only so far."""


def check_is_generative(method: Method) -> None:
    """Raise InputError if a method is for classifiers only.

    Raises:
        InputError: the method is for classifiers only, with the reason.
    """
    if method.kind == "head":
        raise InputError(
            "head trains a classification head, and a language model has none; use kind: last or kind: lora"
        )
    if method.kind not in GENERATIVE_KINDS:
        reason = f" ({_REASONS[method.kind]})" if method.kind in _REASONS else ""
        known = ", ".join(GENERATIVE_KINDS)
        raise InputError(f"{method.kind} is for classifiers only so far{reason}; a language model takes {known}")
