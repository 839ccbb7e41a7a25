"""Reads JSON that somebody else wrote: whatever is wrong with it is one sentence, and sizes are bounded."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from evenhand.errors import InputError, first_line

LARGEST = 2 << 30
"""The most bytes of a file, or of an unpacked part of an archive, that is read."""


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        InputError: the file is larger than `LARGEST`, is not UTF-8 or JSON, or holds something else than an object.
    """
    return parsed(_bytes(path), str(path))


def parsed(content: bytes, where: str) -> dict[str, Any]:
    """The object that JSON text holds.

    Args:
        content: UTF-8.
        where: what it is, for messages.

    Raises:
        InputError: it is not JSON, or something else than an object.

    Example:
        >>> parsed(b'{"acc": 0.5}', "results.json")
        {'acc': 0.5}
    """
    return mapping(_value(content, where), where)


def parsed_list(content: bytes, where: str) -> list[Any]:
    """The list that JSON text holds. Args and raises: see `parsed`."""
    value = _value(content, where)
    if not isinstance(value, list):
        raise InputError(f"{where} should hold a JSON list, not {_kind(value)}")
    return value


def read_json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file with one in each line, with the numbers of their lines.

    Raises:
        InputError: as `read_json`; a file that was cut off ends in a line that is not JSON.
    """
    for number, line in enumerate(_bytes(path).split(b"\n"), 1):
        if line.strip():
            yield number, parsed(line, f"line {number:,} of {path}")


def mapping(value: Any, where: str) -> dict[str, Any]:
    """A value that should be a JSON object. Raises InputError if it is none."""
    if not isinstance(value, dict):
        raise InputError(f"{where} should hold a JSON object, not {_kind(value)}")
    return value


def entry(values: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
    """The value of a key that has to be there, of a type.

    Raises:
        InputError: there is no such key, or its value is of another type.
    """
    if key not in values:
        raise InputError(f'{where} has no "{key}"')
    value = values[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise InputError(f'"{key}" in {where} should be {_NAMES[kind]}, not {_kind(value)}')
    return value


def number(value: Any) -> float | None:
    """A finite number, true as 1 and false as 0; None for anything else.

    Example:
        >>> number(True), number("0.5"), number(float("nan"))
        (1.0, None, None)
    """
    if not isinstance(value, bool | int | float):
        return None
    try:
        converted = float(value)
    except OverflowError:
        return None
    return converted if math.isfinite(converted) else None


def _bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise InputError(f"{path} has {size / 2**30:.1f} GiB; files of evaluation logs are read up to 2 GiB")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or first_line(error)}") from None


def _value(content: bytes, where: str) -> Any:
    try:
        value = json.loads(content.decode("utf-8"))
        if b"\\ud" in content.lower():
            json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair is no text
        return value
    except UnicodeDecodeError as error:
        raise InputError(f"{where} is not UTF-8 from byte {error.start:,} on") from None
    except UnicodeEncodeError:
        raise InputError(f"{where} holds half of a character (a surrogate without its other half)") from None
    except json.JSONDecodeError as error:
        cut = " (is the file cut off?)" if error.pos >= len(error.doc.rstrip()) - 1 else ""
        raise InputError(
            f"{where} is not JSON: {error.msg.removesuffix(' at')} at character {error.pos + 1:,}{cut}"
        ) from None
    except (ValueError, RecursionError) as error:
        # A whole number of thousands of digits, or lists in lists in lists.
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else first_line(error)
        raise InputError(f"{where} cannot be read as JSON: {reason}") from None


_NAMES = {dict: "a JSON object", list: "a list", str: "a text", int: "a whole number"}


def _kind(value: Any) -> str:
    """What a JSON value is, in words."""
    for kind, name in ((bool, "true or false"), (int, "a number"), (float, "a number"), *_NAMES.items()):
        if isinstance(value, kind):
            return name
    return "null"
