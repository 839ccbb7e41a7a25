"""Evenhand: does this way of fine-tuning a model treat some people worse than that way?

The public names are imported when they are first used, so that `import evenhand` costs nothing and an audit never
loads torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evenhand.audit.results import Results
    from evenhand.audit.table import audit
    from evenhand.errors import InputError
    from evenhand.methods.base import Base
    from evenhand.methods.full import Full
    from evenhand.methods.head import Head
    from evenhand.methods.lora import LoRA
    from evenhand.study.spec import Study

__all__ = ["Base", "Full", "Head", "InputError", "LoRA", "Results", "Study", "audit"]

_HOMES = {
    "Base": "evenhand.methods.base",
    "Full": "evenhand.methods.full",
    "Head": "evenhand.methods.head",
    "InputError": "evenhand.errors",
    "LoRA": "evenhand.methods.lora",
    "Results": "evenhand.audit.results",
    "Study": "evenhand.study.spec",
    "audit": "evenhand.audit.table",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'evenhand' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
