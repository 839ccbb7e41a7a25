"""Reads a study file and applies the changes of `--set`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evenhand.errors import InputError, did_you_mean, shortened
from evenhand.yaml_file import read_mapping, read_value


def read_study_file(path: Path, changes: Sequence[str] = ()) -> dict[str, Any]:
    """Return the mapping in a study file with `KEY=VALUE` changes applied; not yet a StudySpec.

    Args:
        path: of the file.
        changes: dotted keys and YAML values, such as `train.batch_size=16` or `settings.faces.seeds=3`. A change
        overrides everything: a key at the top level also changes in the settings that override it.

    Raises:
        InputError: the file is missing, is no YAML mapping, repeats a key, or a change is not KEY=VALUE.
    """
    if not path.is_file():
        raise InputError(f"there is no study file {path}")
    values = read_mapping(path, "with the keys task, model and methods")
    values = {str(key): value for key, value in values.items()}
    for change in changes:
        _set(values, change)
    return values


def _set(values: dict[str, Any], change: str) -> None:
    """Apply one change."""
    key, separator, text = change.partition("=")
    path = key.split(".")
    if not separator or not all(path):
        raise InputError(f"--set takes KEY=VALUE, such as train.batch_size=16, not {change!r}")
    refused = f"--set {key}: {shortened(text)} is not a YAML value (lists are written [1, 2], mappings {{a: 1}})"
    value = read_value(text, refused)
    for mapping in _mappings(values, path, key):
        _put(mapping, path, value, key)


def _mappings(values: dict[str, Any], path: list[str], key: str) -> list[dict[str, Any]]:
    """Return the mappings that a change applies to: the top level and every setting that would hide it.

    A change of one method or test set (`methods.lora.rank`) is made where it is named.
    """
    settings = values.get("settings")
    if not isinstance(settings, dict):
        return [values]
    if path[0] == "settings":
        if len(path) > 2 and path[1] not in settings:
            raise InputError(f'--set {key}: there is no setting "{path[1]}"; {did_you_mean(path[1], settings)}')
        return [values]
    named = path[:2] if path[0] in ("methods", "evaluate") else path[:1]
    holding = [setting for setting in settings.values() if isinstance(setting, dict) and _holds(setting, named)]
    top = len(named) == 1 or not holding or _holds(values, named)
    return [values, *holding] if top else holding


def _holds(mapping: Any, path: Sequence[str]) -> bool:
    """Return whether a mapping has a key at this path."""
    for key in path:
        if not isinstance(mapping, Mapping) or key not in mapping:
            return False
        mapping = mapping[key]
    return True


def _put(mapping: dict[str, Any], path: Sequence[str], value: Any, key: str) -> None:
    """Set a value at a path, making the mappings on the way."""
    *parents, last = path
    for parent in parents:
        inner = mapping.get(parent)
        if inner is None:
            inner = {}
        if parent == "task" and isinstance(inner, str):
            inner = {"name": inner}
        if not isinstance(inner, dict):
            raise InputError(f"--set {key}: {parent} is not a mapping but {inner!r}; set the whole of {parent}")
        mapping[parent] = inner
        mapping = inner
    mapping[last] = value
