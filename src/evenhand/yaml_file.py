"""Reads a YAML file that holds a mapping, and refuses keys that are written twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from evenhand.errors import InputError


def read_mapping(path: Path, holds: str) -> dict[Any, Any]:
    """Return the mapping in a file.

    Args:
        path: path of the file, which exists.
        holds: description of the expected mapping, for the error.

    Raises:
        InputError: the file is not UTF-8 text, not YAML, not a mapping, or repeats a key.
    """
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not a YAML file: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path} should hold a mapping {holds}")
    return values


class _UniqueKeys(yaml.SafeLoader):
    """A YAML loader that refuses a key that is written twice, instead of keeping the last value."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping, or raise an error at a repeated key."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.YAMLError(f'key "{key}" is written twice{key_node.start_mark}')
            seen.add(key)
        return super().construct_mapping(node, deep=deep)
