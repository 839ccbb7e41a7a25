"""Errors that Evenhand raises: one sentence that says what is wrong, where, and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST = 300
"""The most characters of a sentence that refuses something."""

_MOST_NAMES = 12


class InputError(ValueError):
    """Raised for input from outside that cannot be used. The commands print its sentence and exit with 2.

    The sentence is one line of at most 300 characters; the middle of a longer one is left out.

    Example:
        >>> import evenhand
        >>> try:
        ...     evenhand.LoRA(rnk=3)
        ... except evenhand.InputError as error:
        ...     print(error)
        LoRA has no key "rnk"; did you mean "rank"?
    """

    def __init__(self, sentence: object = "") -> None:
        super().__init__(abridged(" ".join(str(sentence).splitlines())))


class UnavailableError(InputError):
    """Raised for data or a model that is not on this machine and cannot be downloaded."""


class TrainingError(RuntimeError):
    """Raised if a training cannot continue, for example because its loss is NaN; other trials continue."""


class ShortageError(TrainingError):
    """Raised if a training lacked memory or time, so that it may succeed elsewhere; other trials continue."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown name: the nearest known name, else the first of them."""
    known = sorted(known)
    spaced = [each for each in known if each.strip() == name.strip()]  # a header with a blank before or behind it
    near = spaced[:1] or difflib.get_close_matches(name, known, n=1, cutoff=0.6) or _beginning_with(name, known)
    if near:
        return f'did you mean "{near[0]}"?'
    more = f" and {len(known) - _MOST_NAMES} more" if len(known) > _MOST_NAMES else ""
    return "known: " + ", ".join(known[:_MOST_NAMES]) + more


def _beginning_with(name: str, known: Iterable[str]) -> list[str]:
    """Return the shortest known name that begins with an abbreviation, if any does."""
    return sorted((each for each in known if len(name) > 2 and each.startswith(name)), key=len)[:1]


def first_line(error: BaseException) -> str:
    """Return the first line of another library's error, to quote it in a sentence."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def shortened(text: str, most: int = 120) -> str:
    """Return a text, or its beginning and how long it is."""
    return text if len(text) <= most else f"{text[: most - 20]}… ({len(text):,} characters)"


def abridged(text: str, most: int = LONGEST) -> str:
    """Return a text, or its beginning and its end, which says what would be right, with `…` between them."""
    end = most // 2
    return text if len(text) <= most else f"{text[: most - end - 1]}…{text[-end:]}"
