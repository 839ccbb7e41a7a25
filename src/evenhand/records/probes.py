"""Makes and parses names of probes in tables, such as `author/12` for a target in layer 12."""

from __future__ import annotations

LABEL = "label"
"""The target name for the label of the data."""

UNTRAINED = "untrained"
"""The suffix of targets probed in an untrained model, and the method name for such models."""

LAST = "last"
"""Replaces the number of the last layer in rows about models of different depths."""


def condition(target: str, layer: int | str) -> str:
    """The condition for a target in a layer: `author/12`."""
    return f"{target}/{layer}"


def named(condition: str) -> tuple[str, str]:
    """The target and the layer of a condition."""
    target, _, layer = condition.rpartition("/")
    return target, layer
