"""Defines the key `against:` of a study: whom the groups of a setting are compared with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator

from evenhand.audit.design import OVERALL, REST
from evenhand.audit.ingest.against import compared_with
from evenhand.data.dataset import Dataset
from evenhand.errors import InputError, shortened


def _names(value: Any) -> tuple[str, ...]:
    """Read None as no names, a plain name as a list of one, and a whole number as a name."""
    if value is None:
        return ()
    names = value if isinstance(value, list | tuple) else (value,)
    for name in names:
        if isinstance(name, bool) or not isinstance(name, str | int):
            raise InputError(
                f"against should be {REST}, {OVERALL}, a group or a list of groups, not {shortened(repr(name))}; write "
                "a name that YAML reads as something else in quotes"
            )
    return tuple(map(str, names))


Against = Annotated[tuple[str, ...], BeforeValidator(_names)]
"""`rest`, `overall`, groups, or ATTRIBUTE=GROUP, as `--against` of an audit; one need not be in a list."""


def compared_groups(compared: Sequence[str], datasets: Iterable[Dataset]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return by attribute whom its groups are compared with where that is not the rest, and notes on the others.

    Args:
        compared: the setting's `against`.
        datasets: those whose groups are compared: the task's examples, further test sets and prompts to continue.
            Groups may be named of the first one that has their attribute.

    Raises:
        InputError: as `compared_with`; a group is named where nothing is predicted.
    """
    groups: dict[str, list[str]] = {}
    for each in datasets:
        for name, attribute in each.attributes.items():
            columns = zip(attribute.groups, attribute.masks.T, strict=True)
            groups.setdefault(name, [group for group, members in columns if members.any()])
    against, notes = compared_with(compared, groups)
    return against, tuple(f"{note[0].upper()}{note[1:]}." for note in notes)
