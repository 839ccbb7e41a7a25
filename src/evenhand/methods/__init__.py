"""Defines the fine-tuning methods and their registry. Light to import: torch and PEFT load when a method is applied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evenhand.errors import InputError, did_you_mean
from evenhand.methods.base import Base
from evenhand.methods.bottleneck import Bottleneck
from evenhand.methods.full import Full
from evenhand.methods.head import Head
from evenhand.methods.lora import DoRA, LoRA
from evenhand.methods.method import Method
from evenhand.methods.partial import BitFit, Last
from evenhand.methods.private import DPFull, DPLoRA
from evenhand.methods.quantized import QLoRA
from evenhand.methods.sparse import Magnitude, Wanda
from evenhand.methods.vera_ia3_oft import BOFT, IA3, OFT, VeRA
from evenhand.methods.virtual import Prefix, Prompt

__all__ = [
    "BOFT",
    "IA3",
    "METHODS",
    "OFT",
    "Base",
    "BitFit",
    "Bottleneck",
    "DPFull",
    "DPLoRA",
    "DoRA",
    "Full",
    "Head",
    "Last",
    "LoRA",
    "Magnitude",
    "Method",
    "Prefix",
    "Prompt",
    "QLoRA",
    "VeRA",
    "Wanda",
    "list_methods",
    "parse_method",
]

METHODS: Mapping[str, type[Method]] = {
    method.kind: method
    for method in (
        *(Full, LoRA, Head, Base),
        *(DoRA, VeRA, IA3, OFT, BOFT, Bottleneck, Prefix, Prompt, QLoRA),
        *(BitFit, Last),
        *(Magnitude, Wanda),
        *(DPFull, DPLoRA),
    )
}
"""Every method by its `kind`."""


def parse_method(name: str, values: Mapping[str, Any]) -> Method:
    """Return the method that a study describes.

    Args:
        name: what the study calls it, for the error.
        values: `kind` and the method's own keys.

    Raises:
        InputError: no `kind`, an unknown kind or key (with the nearest known one), a value that cannot be used.
    """
    where = f"methods.{name}"
    rest = dict(values)
    kind = rest.pop("kind", None)
    if kind is None:
        raise InputError(f"{where} lacks the key kind; known kinds: {', '.join(sorted(METHODS))}")
    if kind not in METHODS:
        raise InputError(f'{where}: there is no kind of method "{kind}"; {did_you_mean(str(kind), METHODS)}')
    return METHODS[kind].parse(rest, where)


def list_methods() -> list[tuple[str, str]]:
    """Return the kind and the one-line summary of every method."""
    return [(kind, method.summary) for kind, method in METHODS.items()]
