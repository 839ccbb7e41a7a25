"""Reads YAML, and refuses what YAML would silently take for something else.

Keys that are written twice are refused, and so are keys that are neither text nor number (`yes:` is read as true).
`1:30` is a text, not ninety, and `1e-3` is a number.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from evenhand.errors import InputError, shortened


def read_mapping(path: Path, holds: str) -> dict[Any, Any]:
    """Return the mapping in a file.

    Args:
        path: path of the file, which exists.
        holds: description of the expected mapping, for the error.

    Raises:
        InputError: the file is not UTF-8 text, not YAML, not a mapping, or repeats a key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text") from None
    values = read_value(text, f"{path} is not a YAML file")
    if not isinstance(values, dict):
        raise InputError(f"{path} should hold a mapping {holds}")
    return values


def read_value(text: str, refused: str) -> Any:
    """Return the value of a YAML text, by the rules of this module.

    Args:
        text: YAML.
        refused: how the error about a text that is none begins: `study.yaml is not a YAML file`.

    Raises:
        InputError: the text is not YAML, or repeats a key.

    Example:
        >>> from evenhand.yaml_file import read_value
        >>> read_value("[1e-3, 1:30]", "the value is not YAML")
        [0.001, '1:30']
    """
    try:
        return yaml.load(text, Loader=_UniqueKeys)
    except RecursionError:
        raise InputError(f"{refused}: brackets are nested too deeply") from None
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(f"{refused}: {shortened(' '.join(str(error).split()))}") from None


class _UniqueKeys(yaml.SafeLoader):
    """A YAML loader that refuses a key that is written twice, instead of keeping the last value."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping, or raise an error at a repeated key."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, bool) or not isinstance(key, (str, int, float)):
                written = getattr(key_node, "value", None)
                said = f"{written} is read as {key}; quote it" if isinstance(written, str) else "a list or mapping"
                raise yaml.YAMLError(f"a key should be a text, not {said}{key_node.start_mark}")
            if key in seen:
                raise yaml.YAMLError(f'key "{key}" is written twice{key_node.start_mark}')
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _without_sexagesimals() -> None:
    """Replace the loader's patterns of numbers by those of YAML 1.2, which have no base 60."""
    tags = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}
    _UniqueKeys.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in tags]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    whole = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)$")
    decimal = re.compile(
        r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+"
        r"|\.(?:inf|Inf|INF))$|\.(?:nan|NaN|NAN)$"
    )
    _UniqueKeys.add_implicit_resolver("tag:yaml.org,2002:float", decimal, list("-+0123456789."))
    _UniqueKeys.add_implicit_resolver("tag:yaml.org,2002:int", whole, list("-+0123456789"))


_without_sexagesimals()
