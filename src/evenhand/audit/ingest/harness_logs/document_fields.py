"""Reads groups and units from the fields of documents: `gender`, or `meta.kind` where fields are in others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evenhand.audit.ingest.harness_logs.evaluations import CUT, Document
from evenhand.errors import InputError, did_you_mean

MISSING = "(missing)"
"""The group of a document whose field is empty, or is missing where other documents of its task have it."""

_LONGEST = 200
"""Characters of a group's name; a longer one is a text."""

_ABSENT = object()


def check_fields(names: Sequence[str], documents: Sequence[Document], role: str) -> None:
    """Check that each of these fields is in some document.

    Args:
        names: of fields.
        documents: of all tasks.
        role: what the fields are for, in messages: `group`, `unit`.

    Raises:
        InputError: a field that no document has, with the nearest that there is; a name with `=` in it.
    """
    for name in names:
        if "=" in name:
            raise InputError(f'{role} "{name}" should be the name of a field of the documents, without "="')
        if all(_value(document.fields, name) is _ABSENT for document in documents):
            known = sorted({field for document in documents for field in _names(document.fields)})
            hint = did_you_mean(name, known) if known else "they have no fields at all"
            raise InputError(f'no document has the field "{name}" ({role}); {hint}')


def groups_of(documents: Mapping[str, Document], name: str, task: str) -> dict[str, list[str]] | None:
    """The groups of each document by a field: one, several where its value is a list, `(missing)` where it has none.

    Args:
        documents: of one task, by id.
        name: of the field.
        task: for messages.

    Returns:
        None where no document of the task has the field: its groups are not defined then.

    Raises:
        InputError: a value that names no group: an object, a list in a list, a long text.

    Example:
        >>> documents = {"0": Document({"meta": {"sex": "f"}}, ""), "1": Document({"meta": {}}, "")}
        >>> groups_of(documents, "meta.sex", "task")
        {'0': ['f'], '1': ['(missing)']}
    """
    values = {key: _value(document.fields, name) for key, document in documents.items()}
    if all(value is _ABSENT for value in values.values()):
        return None
    return {key: _groups(value, name, task) for key, value in values.items()}


def units_of(documents: Mapping[str, Document], name: str | None, task: str) -> dict[str, str] | None:
    """The unit of each document, as a hash that says nothing of its text.

    Args:
        documents, task: see `groups_of`.
        name: of the field whose values are units; None: each document is one, with its copies.

    Returns:
        None where no document of the task has the field.

    Raises:
        InputError: some documents of the task have the field and others do not.
    """
    if name is None:
        return {key: document.content for key, document in documents.items()}
    values = {key: _value(document.fields, name) for key, document in documents.items()}
    absent = [key for key, value in values.items() if value is _ABSENT or value is None]
    if len(absent) == len(values):
        return None
    if absent:
        raise InputError(
            f'{len(absent):,} of {len(values):,} documents of {task} have no "{name}" (unit), such as document '
            f"{absent[0]}"
        )
    if CUT in values.values():
        raise _cut_off(name, "unit", task)
    return {key: _hashed(value) for key, value in values.items()}


def _hashed(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _cut_off(name: str, role: str, task: str) -> InputError:
    """The error for a field that the log does not hold whole."""
    return InputError(
        f'the field "{name}" ({role}) of {task} is too long for the summaries of an .eval file; convert the log with '
        "`inspect log convert --to json`"
    )


def _value(fields: Mapping[str, Any], name: str) -> Any:
    """The value of a field by its name or its path; `_ABSENT` where there is none."""
    if name in fields:
        return fields[name]
    value: Any = fields
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            return _ABSENT
        value = value[part]
    return value


def _names(fields: Mapping[str, Any]) -> Iterator[str]:
    """The names of fields, with those inside them."""
    for name, value in fields.items():
        yield name
        if isinstance(value, dict):
            yield from (f"{name}.{inner}" for inner in value)


def _groups(value: Any, name: str, task: str) -> list[str]:
    if isinstance(value, list):
        return list(dict.fromkeys(_group(one, name, task) for one in value))
    return [_group(value, name, task)]


def _group(value: Any, name: str, task: str) -> str:
    if value is CUT:
        raise _cut_off(name, "group", task)
    if value is _ABSENT or value is None or value == "":
        return MISSING
    if isinstance(value, dict):
        inner = next(iter(value), None)
        hint = "" if inner is None else f"; name one of them, such as {name}.{inner}"
        raise InputError(f'the field "{name}" (group) of a document of {task} holds further fields{hint}')
    if isinstance(value, list):
        raise InputError(f'the field "{name}" (group) of a document of {task} holds lists in a list')
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    if len(text) > _LONGEST:
        raise InputError(f'the field "{name}" (group) of a document of {task} is a text of {len(text):,} characters')
    return text
