"""Whom the groups of each attribute are compared with: the rest, everybody, or one of the groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evenhand.audit.design import OVERALL, REST
from evenhand.errors import InputError, did_you_mean

_SHOWN = 12
"""The most groups of an attribute that a sentence names."""


def compared_with(asked: Sequence[str], groups: Mapping[str, Sequence[str]]) -> tuple[dict[str, str], list[str]]:
    """By attribute, whom its groups are compared with where that is not the rest; asked by an audit or a study.

    Args:
        asked: `rest`, `overall`, the name of a group, or ATTRIBUTE=GROUP where several attributes have the group. A
            group serves the attributes that have it; the others keep `rest`, or `overall` where that is asked for too.
        groups: the names of the groups by attribute; none where no predictions are compared.

    Returns:
        `overall` or a group by attribute, and a note on each attribute that has none of the groups.

    Raises:
        InputError: a group that no attribute has, two for one attribute, no groups to compare, or `rest` or `overall`
            where a group has that name.

    Example:
        >>> compared_with(["White"], {"race": ["Black", "White"]})
        ({'race': 'White'}, [])
    """
    if not groups and set(asked) - {REST}:
        raise InputError(f"against {', '.join(asked)} needs predictions and groups, which are compared; there are none")
    names = {attribute: sorted(present) for attribute, present in groups.items()}
    default = OVERALL if OVERALL in asked else REST
    if default == OVERALL and REST in asked:
        raise InputError(f"against: name {REST} or {OVERALL}, not both")
    chosen: dict[str, str] = {}
    for text in asked:
        _check_words(text, names)
        if text in (REST, OVERALL):
            continue
        for attribute, group in _places(text, names):
            if chosen.setdefault(attribute, group) != group:
                raise InputError(
                    f"against: the groups of {attribute} are compared with one: {chosen[attribute]} or {group}"
                )
    notes = []
    for attribute in names if chosen else ():
        if attribute not in chosen:
            notes.append(
                f"{attribute} has no group {' or '.join(dict.fromkeys(chosen.values()))}: its groups are compared with "
                f"{'the rest' if default == REST else 'everybody'}; against {attribute}={names[attribute][0]}, say, "
                f"would name one of {_listed(names[attribute])}"
            )
    if default == OVERALL:
        chosen = {attribute: chosen.get(attribute, OVERALL) for attribute in names}
    return {attribute: group for attribute, group in chosen.items() if group != REST}, notes


def _check_words(text: str, names: Mapping[str, Sequence[str]]) -> None:
    """Raise InputError where `rest` or `overall` is asked for and is also the name of a group."""
    attribute, separator, word = text.partition("=")
    word = word if separator and attribute in names else text
    among = [attribute] if word != text else list(names)
    meaning = {REST: "the rest", OVERALL: "everybody"}.get(word)
    for name in among if meaning else ():
        if word in names[name]:
            raise InputError(
                f'against {text}: {word} means {meaning}, and {name} has a group "{word}"; rename that group'
            )


def _places(text: str, names: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """The attributes that have a group, which is named alone or with its attribute."""
    places = [(attribute, text) for attribute, present in names.items() if text in present]
    attribute, separator, group = text.partition("=")
    if not places and separator and attribute in names:
        if group in (OVERALL, REST, *names[attribute]):
            return [(attribute, group)]
        hint = did_you_mean(group, names[attribute])
        raise InputError(f'against {text}: {attribute} has no group "{group}"; {hint}')
    if not places:
        known = "; ".join(f"{attribute}: {_listed(present)}" for attribute, present in names.items())
        every = [group for present in names.values() for group in present]
        near = did_you_mean(text, every) if len(every) > _SHOWN else f"there are {known}"
        raise InputError(
            f'against {text}: no attribute has the group "{text}"; name {REST}, {OVERALL} or a group ({near})'
        )
    return places


def _listed(names: Sequence[str]) -> str:
    more = [f"and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return ", ".join([*names[:_SHOWN], *more])
