"""Parses the slots of a prompt template, such as `{review}`; literal braces are doubled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import Formatter

from evenhand.errors import did_you_mean


def slots_of(text: str) -> list[str]:
    """Return the names of a template's slots, in order. Raises ValueError if a brace is not closed."""
    try:
        parts = list(Formatter().parse(text))
    except ValueError:
        raise ValueError(f"a brace of {text!r} is not closed; write a literal brace twice") from None
    names = []
    for _, name, spec, conversion in parts:
        if name is not None:
            names.append(name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else ""))
    return names


def check_slots(text: str, once: Sequence[str], optional: Sequence[str] = ()) -> None:
    """Raise ValueError unless a template has the required slots once, and ends in `{option}`.

    Each slot of `once` must occur once, each of `optional` at most once, and no other slot may occur.
    """
    names = slots_of(text)
    for name in names:
        if name not in (*once, *optional):
            raise ValueError(
                f"{text!r} has the slot {{{name}}}, which is unknown here; {did_you_mean(name, (*once, *optional))}"
            )
    for name in once:
        if name not in names:
            raise ValueError(f"{text!r} lacks the slot {{{name}}}")
    for name in (*once, *optional):
        if names.count(name) > 1:
            raise ValueError(f"{text!r} has the slot {{{name}}} {names.count(name)} times; once would be right")
    if not text.endswith("{option}"):
        raise ValueError(
            f"{text!r} continues after {{option}}; the option should end the text, since it is what the model says next"
        )


def filled(text: str, values: Mapping[str, str]) -> tuple[str, str, str]:
    """Return a filled template as the text before the review, the text after it, and the spaces before the option.

    Spaces belong to the option, because tokens begin with them.
    """
    parts = {"before": "", "after": ""}
    side = "before"
    for literal, name, _, _ in Formatter().parse(text):
        parts[side] += literal
        if name == "review":
            side = "after"
        elif name is not None and name != "option":
            parts[side] += values[name]
    after = parts["after"].rstrip(" ")
    return parts["before"], after, parts["after"][len(after) :]
