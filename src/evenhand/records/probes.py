"""How rows of probes are named: targets of the table `probes`, and conditions of estimates and verdicts."""

from __future__ import annotations

LABEL = "label"
"""The target that is the label of the data."""

UNTRAINED = "untrained"
"""Ends the name of a target that was probed in a model without training; the method that stands for such models."""

LAST = "last"
"""In place of a layer's number, where models of several depths are meant."""


def condition(target: str, layer: int | str) -> str:
    """Of a target in a layer: `author/12`."""
    return f"{target}/{layer}"


def named(condition: str) -> tuple[str, str]:
    """Target and layer of a condition."""
    target, _, layer = condition.rpartition("/")
    return target, layer
