"""Errors that Evenhand raises: one sentence that names what is wrong, where, and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Input from outside that cannot be used. The commands print its sentence and exit with 2.

    Example:
        >>> import evenhand
        >>> try:
        ...     evenhand.LoRA(rnk=3)
        ... except evenhand.InputError as error:
        ...     print(error)
        LoRA has no key "rnk"; did you mean "rank"?
    """


class TrainingError(RuntimeError):
    """A trial that cannot go on (a loss that is not a number, say). The other trials of a study do."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the nearest known one, else all of them."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f'did you mean "{near[0]}"?'
    return "known: " + ", ".join(known)


def first_line(error: BaseException) -> str:
    """What somebody else's error says, in one line, for a sentence of ours."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
