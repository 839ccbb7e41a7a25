"""Makes and parses the names of prompts in the column `prompt` of the table `options`.

A name contains everything that an audit must know about a prompt, so that it needs no file of templates:

    cloze1/plain/male-female                 the content at the end of a text
    yn1/plain/male-female?male               a yes says that the author is male
    yn1/digits/male-female?not male@01.10    a yes says the contrary; "no" comes first and has the first digit
    mc1/letters/female-male-neutral@120.012  contents 1, 2, 0 (in the order of their words) are listed as A, B, C
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from evenhand.errors import InputError

NAME = r"[A-Za-z0-9_-]+"
"""The pattern of names of templates, forms, sets of words, and contents."""

CONTENT_FREE = "(content-free) "
"""The prefix of examples that are texts without content, such as N/A, instead of reviews; the text follows.

The answers about them are the prior of a correction."""

_PROMPT = re.compile(
    rf"(?P<template>{NAME})/(?P<form>{NAME})/(?P<words>{NAME})"
    rf"(\?(?P<denied>not )?(?P<claim>{NAME}))?(@(?P<contents>\d+)(\.(?P<identifiers>\d+))?)?"
)


@dataclass(frozen=True)
class PromptName:
    """The parts of the name of a prompt.

    Attributes:
        template: the name of the wording.
        form: the identifiers of the options; `plain` for none.
        words: the set of words that stand for the contents.
        claim: the content that the question asks about, for yes/no questions; None if options are contents.
        denied: whether the question negates the claim.
        contents: int [K], the content at each position; None if no options are listed.
        identifiers: int [K], the identifier at each position; None if options have none.
    """

    template: str
    form: str
    words: str
    claim: str | None = None
    denied: bool = False
    contents: tuple[int, ...] | None = None
    identifiers: tuple[int, ...] | None = None

    def __str__(self) -> str:
        claim = "" if self.claim is None else f"?{'not ' if self.denied else ''}{self.claim}"
        order = "" if self.contents is None else "@" + "".join(map(str, self.contents))
        named = "" if self.identifiers is None else "." + "".join(map(str, self.identifiers))
        return f"{self.template}/{self.form}/{self.words}{claim}{order}{named}"

    @classmethod
    def parse(cls, name: str) -> PromptName:
        """Parse a name. Raises InputError for an invalid name."""
        found = _PROMPT.fullmatch(name)
        if found is None:
            raise InputError(
                f'"{name}" is not the name of a prompt; a name is TEMPLATE/FORM/WORDS, for yes/no questions with '
                "?CONTENT, for listed options with @CONTENTS.IDENTIFIERS"
            )
        part = found.groupdict()
        return cls(
            template=part["template"],
            form=part["form"],
            words=part["words"],
            claim=part["claim"],
            denied=part["denied"] is not None,
            contents=_digits(part["contents"]),
            identifiers=_digits(part["identifiers"]),
        )


def _digits(text: str | None) -> tuple[int, ...] | None:
    return None if text is None else tuple(int(digit) for digit in text)
