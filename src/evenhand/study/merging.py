"""Merges a setting's keys into the study's shared keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return the shared keys, overridden by those of a setting.

    Mappings that describe the same thing are merged; lists and values are replaced.
    """
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if key == "task" and isinstance(under, str):
            under = {"name": under}
        if isinstance(under, Mapping) and isinstance(value, Mapping) and not _describe_different_things(under, value):
            merged[key] = merge(under, value)
        else:
            merged[key] = value
    return merged


def _describe_different_things(below: Mapping[str, Any], above: Mapping[str, Any]) -> bool:
    """Return whether two mappings describe different things: another task, another kind of method."""
    return any(key in above and above[key] != below.get(key) for key in ("name", "kind"))
