"""How a setting's keys are laid over those that all settings share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings are merged where they describe the same thing; lists and values are replaced."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if key == "task" and isinstance(under, str):
            under = {"name": under}
        if isinstance(under, Mapping) and isinstance(value, Mapping) and not _another(under, value):
            merged[key] = merge(under, value)
        else:
            merged[key] = value
    return merged


def _another(below: Mapping[str, Any], above: Mapping[str, Any]) -> bool:
    """Whether two mappings describe different things: another task, another kind of method."""
    return any(key in above and above[key] != below.get(key) for key in ("name", "kind"))
