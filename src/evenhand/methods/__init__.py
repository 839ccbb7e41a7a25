"""Defines the fine-tuning methods and their registry. Light to import: torch and PEFT load when a method is applied."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import isabstract
from typing import Any

from evenhand.errors import InputError, did_you_mean, shortened
from evenhand.methods.base import Base
from evenhand.methods.bottleneck import Bottleneck
from evenhand.methods.full import Full
from evenhand.methods.head import Head
from evenhand.methods.lora import DoRA, LoRA
from evenhand.methods.method import Method
from evenhand.methods.partial import BitFit, Last
from evenhand.methods.private import DPFull, DPLoRA
from evenhand.methods.quantized import QLoRA
from evenhand.methods.rounded import Rounded
from evenhand.methods.sparse import Magnitude, Wanda
from evenhand.methods.vera_ia3_oft import BOFT, IA3, OFT, VeRA
from evenhand.methods.virtual import Prefix, Prompt, PTuning
from evenhand.plugins import Registry

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
    "PTuning",
    "Prefix",
    "Prompt",
    "QLoRA",
    "Rounded",
    "VeRA",
    "Wanda",
    "list_methods",
    "parse_method",
]

BUILT_IN: Mapping[str, type[Method]] = {
    method.kind: method
    for method in (
        *(Full, LoRA, Head, Base),
        *(DoRA, VeRA, IA3, OFT, BOFT, Bottleneck, Prefix, Prompt, PTuning, QLoRA),
        *(BitFit, Last),
        *(Magnitude, Wanda, Rounded),
        *(DPFull, DPLoRA),
    )
}
"""The package's own methods by their `kind`."""


def _fault(kind: str, method: Any) -> str | None:
    """Return what is wrong with a method of another package, as the end of a sentence; None if nothing is."""
    if not isinstance(method, type) or not issubclass(method, Method):
        return "is not a subclass of Method of evenhand.methods.method"
    if isabstract(method):
        return f"lacks {', '.join(sorted(method.__abstractmethods__))}"
    if not getattr(method, "summary", ""):
        return "has no summary"
    named = getattr(method, "kind", None)
    return None if named == kind else f'has the kind "{named}"; its entry point has to be named so'


METHODS: Mapping[str, type[Method]] = Registry("methods", BUILT_IN, _fault)
"""Every method by its `kind`: the package's own and those of installed packages."""


def parse_method(name: str, values: Mapping[str, Any]) -> Method:
    """Return the method that a study describes.

    Args:
        name: its name in the study, for the error.
        values: `kind` and the method's own keys.

    Raises:
        InputError: no `kind`, an unknown kind or key (with the nearest known one), a value that cannot be used.
    """
    where = f"methods.{name}"
    rest = dict(values)
    kind = rest.pop("kind", None)
    if kind is None:
        raise InputError(f"{where} lacks the key kind; known kinds: {', '.join(sorted(METHODS))}")
    if not isinstance(kind, str):
        raise InputError(f"{where}.kind should be a text, such as lora, not {shortened(repr(kind))}")
    if kind not in METHODS:
        raise InputError(f'{where}: there is no kind of method "{kind}"; {did_you_mean(str(kind), METHODS)}')
    return METHODS[kind].parse(rest, where)


def list_methods() -> list[tuple[str, str]]:
    """Return the kind and the one-line summary of every method."""
    return [(kind, method.summary) for kind, method in METHODS.items()]
