"""Evenhand: does this way of fine-tuning a model treat some people worse than that way?

The public names are imported when they are first used, so that `import evenhand` costs nothing and an audit never
loads torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evenhand.audit.ingest.harness_logs.audit import audit_logs
    from evenhand.audit.ingest.table import audit
    from evenhand.audit.results import Results
    from evenhand.errors import InputError
    from evenhand.methods import (
        BOFT,
        IA3,
        OFT,
        Base,
        BitFit,
        Bottleneck,
        DoRA,
        DPFull,
        DPLoRA,
        Full,
        Head,
        Last,
        LoRA,
        Magnitude,
        Prefix,
        Prompt,
        PTuning,
        QLoRA,
        Rounded,
        VeRA,
        Wanda,
    )
    from evenhand.study.study import Study

    __version__: str

_METHODS = (
    "BOFT",
    "Base",
    "BitFit",
    "Bottleneck",
    "DPFull",
    "DPLoRA",
    "DoRA",
    "Full",
    "Head",
    "IA3",
    "Last",
    "LoRA",
    "Magnitude",
    "OFT",
    "PTuning",
    "Prefix",
    "Prompt",
    "QLoRA",
    "Rounded",
    "VeRA",
    "Wanda",
)

__all__ = [
    "BOFT",
    "IA3",
    "OFT",
    "Base",
    "BitFit",
    "Bottleneck",
    "DPFull",
    "DPLoRA",
    "DoRA",
    "Full",
    "Head",
    "InputError",
    "Last",
    "LoRA",
    "Magnitude",
    "PTuning",
    "Prefix",
    "Prompt",
    "QLoRA",
    "Results",
    "Rounded",
    "Study",
    "VeRA",
    "Wanda",
    "audit",
    "audit_logs",
]

_HOMES = {
    "InputError": "evenhand.errors",
    "Results": "evenhand.audit.results",
    "Study": "evenhand.study.study",
    "audit": "evenhand.audit.ingest.table",
    "audit_logs": "evenhand.audit.ingest.harness_logs.audit",
    **dict.fromkeys(_METHODS, "evenhand.methods"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, or read the version of the installed package."""
    if name == "__version__":
        from importlib.metadata import version

        return version("evenhand")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'evenhand' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
