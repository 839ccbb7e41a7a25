"""Reads and checks prompt templates from YAML; the built-in ones are in `built_in.yaml`.

words:            {NAME: {CONTENT: WORD, ...}}      what may stand for male, female, ...; order is that of the list
identifiers:      {NAME: [A, B, ...]}               what may name listed options; NAME is the form
cloze:            {NAME: {text, words}}
yes_no:           {NAME: {text, words, forms, listed, answers, yes}}
multiple_choice:  {NAME: {text, words, forms, inverted}}
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from evenhand.errors import InputError, did_you_mean
from evenhand.records.prompts import NAME
from evenhand.spec import Spec
from evenhand.tasks.prompts.slots import check_slots, slots_of
from evenhand.yaml_file import read_mapping

PLAIN = "plain"
"""The form without identifiers: the answer is the option's own word."""

MOST = 9
"""Largest number of options of a prompt: a prompt's name has a digit for each."""

BUILT_IN = Path(__file__).with_name("built_in.yaml")


class Cloze(Spec):
    """A text that a content's word completes.

    Attributes:
        text: with `{review}`, and `{option}` at its end.
        words: the sets of words that fit.
    """

    text: str
    words: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _slots(self) -> Cloze:
        """Refuse unknown and missing slots."""
        check_slots(self.text, ("review", "option"))
        return self


class YesNo(Spec):
    """A yes/no question about one content at a time.

    Attributes:
        text: with `{review}`, `{content}` and `{option}` at its end. `{not}` marks the position of "not " in the
            negated question; without it no negated question is asked. `{choices}` marks the list of answers.
        listed: the text for forms that list answers with identifiers, if `text` has no `{choices}`.
        words: the sets of words that fit.
        forms: `plain` and sets of identifiers.
        answers: for yes and for no.
        yes: what a yes to the question without "not" means for the content: `affirms`, or `denies` ("Would you be
            surprised if the author was male?").
    """

    text: str
    listed: str | None = None
    words: tuple[str, ...] = Field(min_length=1)
    forms: tuple[str, ...] = (PLAIN,)
    answers: tuple[str, str] = ("Yes", "No")
    yes: Literal["affirms", "denies"] = "affirms"

    @model_validator(mode="after")
    def _slots(self) -> YesNo:
        """Refuse unknown and missing slots, and equal answers."""
        check_slots(self.text, ("review", "content", "option"), ("not", "choices"))
        if self.listed is not None:
            check_slots(self.listed, ("review", "content", "option", "choices"), ("not",))
            if ("not" in slots_of(self.listed)) != self.negated:
                raise ValueError("text and listed should both have the slot {not}, or neither")
        _different(self.answers, "answers")
        for form in self.forms:
            if form != PLAIN and "choices" not in slots_of(self.text_of(form)):
                raise ValueError(f'the form "{form}" lists the answers, and {self.text!r} lacks the slot {{choices}}')
        return self

    @property
    def negated(self) -> bool:
        """True if the question can be negated."""
        return "not" in slots_of(self.text)

    def text_of(self, form: str) -> str:
        """Return the text of a form."""
        return self.text if form == PLAIN or self.listed is None else self.listed


class MultipleChoice(Spec):
    """A question with a list of contents to choose from.

    Attributes:
        text: with `{review}`, `{choices}` and `{option}` at its end.
        words: the sets of words that fit.
        forms: `plain` and sets of identifiers.
        inverted: the content at each position of the inverted list; None: the reversed order.
    """

    text: str
    words: tuple[str, ...] = Field(min_length=1)
    forms: tuple[str, ...] = Field(min_length=1)
    inverted: tuple[int, ...] | None = None

    @model_validator(mode="after")
    def _slots(self) -> MultipleChoice:
        """Refuse unknown and missing slots."""
        check_slots(self.text, ("review", "choices", "option"))
        return self


Template = Cloze | YesNo | MultipleChoice


class Templates(Spec):
    """The templates of a file together with the built-in ones.

    Attributes:
        words: set, content, word.
        identifiers: set, identifiers in order.
        cloze, yes_no, multiple_choice: by name.
    """

    words: Mapping[str, Mapping[str, str]] = Field(default_factory=dict)
    identifiers: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    cloze: Mapping[str, Cloze] = Field(default_factory=dict)
    yes_no: Mapping[str, YesNo] = Field(default_factory=dict)
    multiple_choice: Mapping[str, MultipleChoice] = Field(default_factory=dict)

    @field_validator("words")
    @classmethod
    def _words(cls, value: Mapping[str, Mapping[str, str]]) -> Mapping[str, Mapping[str, str]]:
        """Refuse unusable names, empty and equal words, and too many contents."""
        for name, words in value.items():
            _named(name, "words")
            for content, word in words.items():
                _named(content, f"words.{name}")
                if not word.strip():
                    raise ValueError(f"words.{name}.{content} is empty")
            if not 1 <= len(words) <= MOST:
                raise ValueError(f"words.{name} has {len(words)} contents; 1 to {MOST} would be right")
            _different(tuple(words.values()), f"words.{name}")
        return value

    @field_validator("identifiers")
    @classmethod
    def _identifiers(cls, value: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        """Refuse unusable names, empty and equal identifiers."""
        for name, identifiers in value.items():
            _named(name, "identifiers")
            if name == PLAIN:
                raise ValueError(f"identifiers.{PLAIN}: this is the name of the form without identifiers")
            if any(not identifier.strip() for identifier in identifiers):
                raise ValueError(f"identifiers.{name} has an empty one")
            _different(identifiers, f"identifiers.{name}")
        return value

    @model_validator(mode="after")
    def _refer(self) -> Templates:
        """Refuse templates of one name, and words or forms that do not exist."""
        seen: set[str] = set()
        for family in ("cloze", "yes_no", "multiple_choice"):
            for name, template in getattr(self, family).items():
                where = f"{family}.{name}"
                _named(name, family)
                if name in seen:
                    raise ValueError(f"{where}: another template has this name")
                seen.add(name)
                self._check(where, template)
        return self

    def by_name(self) -> dict[str, Template]:
        """Return all templates by name."""
        return {**self.cloze, **self.yes_no, **self.multiple_choice}

    def _check(self, where: str, template: Template) -> None:
        """Refuse a template that refers to unknown words or forms, or has too few identifiers."""
        for words in template.words:
            if words not in self.words:
                raise ValueError(f'{where}: there are no words "{words}"; {did_you_mean(words, self.words)}')
            if not isinstance(template, YesNo) and len(self.words[words]) < 2:
                raise ValueError(f"{where}: words {words} has one content; a choice needs two or more")
        if isinstance(template, Cloze):
            return
        for form in template.forms:
            if form != PLAIN and form not in self.identifiers:
                raise ValueError(
                    f'{where}: there is no form "{form}"; {did_you_mean(form, (PLAIN, *self.identifiers))}'
                )
        most = 2 if isinstance(template, YesNo) else max(len(self.words[words]) for words in template.words)
        for form in template.forms:
            if form != PLAIN and len(self.identifiers[form]) < most:
                raise ValueError(
                    f"{where}: the form {form} has {len(self.identifiers[form])} identifiers for {most} options"
                )
        if isinstance(template, MultipleChoice) and template.inverted is not None:
            for words in template.words:
                count = len(self.words[words])
                if sorted(template.inverted) != list(range(count)):
                    raise ValueError(
                        f"{where}: inverted is {list(template.inverted)}; it should hold each of 0 to {count - 1} once"
                    )


@cache
def built_in() -> Templates:
    """Return the templates that come with the package."""
    return Templates.parse(_mapping(BUILT_IN), BUILT_IN.name)


def read_templates(path: Path) -> Templates:
    """Return the templates of a file with the built-in ones, whose words and identifiers it may use.

    Raises:
        InputError: no such file, not a YAML mapping, a name that is taken, a template with missing or unknown slots,
            unknown words or forms, or two equal options.
    """
    if not path.is_file():
        raise InputError(f"there is no file of prompts {path}")
    ours, theirs = _mapping(BUILT_IN), _mapping(path)
    taken = {name for family in ("cloze", "yes_no", "multiple_choice") for name in ours[family]}
    for section, values in theirs.items():
        if section not in ours or not isinstance(values, Mapping):
            continue  # refused below, with the path
        known = ours[section] if section in ("words", "identifiers") else taken
        for name in values:
            if name in known:
                raise InputError(f"{path}: {section}.{name} is built in; give yours another name")
    merged: dict[str, Any] = dict(theirs)
    for section, values in ours.items():
        given = theirs.get(section, {})
        merged[section] = {**values, **given} if isinstance(given, Mapping) else given
    return Templates.parse(merged, str(path))


def _mapping(path: Path) -> dict[str, Any]:
    """Return the mapping in a file of templates."""
    return read_mapping(path, f"of {', '.join(Templates.model_fields)}")


def _named(name: str, where: str) -> None:
    """Raise ValueError if a name has characters other than letters, digits, - and _."""
    if not re.fullmatch(NAME, name):
        raise ValueError(f'{where}: "{name}" should consist of letters, digits, - and _')


def _different(texts: Sequence[str], where: str) -> None:
    """Raise ValueError if a text occurs more than once."""
    repeated = next((text for text in texts if texts.count(text) > 1), None)
    if repeated is not None:
        raise ValueError(f'{where}: "{repeated}" occurs more than once; options should differ')
