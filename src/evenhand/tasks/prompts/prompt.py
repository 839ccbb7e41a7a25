"""Builds prompts from templates: every template with its words, forms and orders of options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import numpy as np

from evenhand.arrangements import (
    Arrangements,
    balanced_arrangements,
    cyclic_arrangements,
    permuted_arrangements,
)
from evenhand.errors import InputError, did_you_mean
from evenhand.records.prompts import PromptName
from evenhand.spec import Spec
from evenhand.tasks.prompts.slots import filled, slots_of
from evenhand.tasks.prompts.templates import PLAIN, Cloze, MultipleChoice, Template, Templates, YesNo, built_in
from evenhand.tasks.prompts.templates import read_templates as read

Design = Literal["original", "paper", "cyclic", "balanced", "permuted"]
YES_NO: tuple[str, str] = ("yes", "no")
"""The contents of the answers to a yes/no question."""


@dataclass(frozen=True)
class Option:
    """One answer that a model may give to a prompt.

    Attributes:
        content: its meaning: male, female, yes, ...
        text: the text that is appended to the prompt, with the space before it.
        identifier: its identifier in the list; None if its own word names it.
        position: its position in the list, from 0; None without a list.
    """

    content: str
    text: str
    identifier: str | None = None
    position: int | None = None


@dataclass(frozen=True)
class ReviewPrompt:
    """A prompt that can be asked about any review.

    Attributes:
        name: name of the prompt.
        before: the text before the review.
        after: the text between the review and the option.
        options: the options, in the order of the list.
    """

    name: PromptName
    before: str
    after: str
    options: tuple[Option, ...]

    def about(self, review: str) -> str:
        """Return the text that comes before the option."""
        return self.before + review + self.after


class PromptSelection(Spec):
    """The choice of templates, forms, words and orders that prompts are built from.

    Attributes:
        path: a file of templates that adds to the built-in ones.
        templates, forms, words: names or patterns such as `mc*`; None: all.
        design: the orders of listed options. `original`: the template's order; `paper`: this order, the contents
            inverted, and both contents and identifiers inverted; `cyclic`: contents rotated; `balanced`: contents and
            identifiers rotated separately, K² prompts, which separates content, identifier and position; `permuted`:
            all K! orders of contents.
        negated: whether to ask yes/no questions with "not", too, if the template has a slot for it.
    """

    path: str | None = None
    templates: tuple[str, ...] | None = None
    forms: tuple[str, ...] | None = None
    words: tuple[str, ...] | None = None
    design: Design = "balanced"
    negated: bool = True

    def prompts(self, below: Path | None = None) -> tuple[ReviewPrompt, ...]:
        """Return the prompts, in the order of the file; a relative `path` is searched below the given folder first.

        Raises:
            InputError: a file that `read_templates` refuses, or a name or pattern that matches nothing, or nothing that
                is asked: a template without any of the words, or words of no template.
        """
        known = built_in() if self.path is None else read(_resolved_path(self.path, below))
        by_name = known.by_name()
        forms = [PLAIN, *known.identifiers]
        chosen = {name: by_name[name] for name in _fitting("template", self.templates, list(by_name))}
        asked = [
            prompt
            for name, template in chosen.items()
            for words in _kept(template.words, _fitting("words", self.words, list(known.words)))
            for form in _kept(_forms(template), _fitting("form", self.forms, forms))
            for prompt in _asked(known, name, template, words, form, self)
        ]
        if not asked:
            raise InputError("no template has both these forms and these words; leave one of the two out")
        self._refuse_unasked([prompt.name for prompt in asked], chosen)
        return tuple(asked)

    def _refuse_unasked(self, asked: Sequence[PromptName], templates: Mapping[str, Template]) -> None:
        """Refuse a choice with which nothing is asked; a default may fit only a part of the rest."""
        used = {
            "templates": {name.template for name in asked},
            "words": {name.words for name in asked},
            "forms": {name.form for name in asked},
        }
        for choice, names in used.items():
            patterns = getattr(self, choice)
            if patterns == type(self).model_fields[choice].default:
                continue
            for pattern in patterns or ():
                if any(fnmatchcase(name, pattern) for name in names):
                    continue
                if choice == "templates" and pattern in templates:
                    template = templates[pattern]
                    raise InputError(
                        f"prompts: the template {pattern} is not asked: it has the words {', '.join(template.words)} "
                        f"and the forms {', '.join(_forms(template))}; choose some of each, or leave it out"
                    )
                raise InputError(f'prompts: nothing is asked with "{pattern}" of {choice}; leave it out')


def _forms(template: Template) -> tuple[str, ...]:
    """Return the forms of a template."""
    return (PLAIN,) if isinstance(template, Cloze) else template.forms


def _asked(
    known: Templates, name: str, template: Template, words: str, form: str, asked: PromptSelection
) -> Iterator[ReviewPrompt]:
    """Yield the prompts of one template with these words in this form."""
    contents = known.words[words]
    if isinstance(template, Cloze):
        before, after, space = filled(template.text, {})
        options = tuple(Option(content, space + word) for content, word in contents.items())
        yield ReviewPrompt(PromptName(name, form, words), before, after, options)
        return
    if isinstance(template, MultipleChoice):
        named = None if form == PLAIN else known.identifiers[form][: len(contents)]
        for order in _orders(asked.design, len(contents), named is not None, template.inverted):
            yield _listed(PromptName(name, form, words, None, False, *order), template.text, {}, contents, named)
        return
    yield from _yes_no(known, name, template, words, form, asked)


def _yes_no(
    known: Templates, name: str, template: YesNo, words: str, form: str, asked: PromptSelection
) -> Iterator[ReviewPrompt]:
    """Yield the prompts of a yes/no template with these words in this form."""
    text = template.text_of(form)
    answers = dict(zip(YES_NO, template.answers, strict=True))
    named = None if form == PLAIN else known.identifiers[form][:2]
    listed = "choices" in slots_of(text)
    orders = _orders(asked.design, 2, named is not None, None) if listed else [(None, None)]
    for content, word in known.words[words].items():
        for negated in (False, True) if template.negated and asked.negated else (False,):
            denied = negated != (template.yes == "denies")
            values = {"content": word, "not": "not " if negated else ""}
            for order in orders:
                yield _listed(PromptName(name, form, words, content, denied, *order), text, values, answers, named)


def _listed(
    name: PromptName,
    text: str,
    values: Mapping[str, str],
    contents: Mapping[str, str],
    identifiers: Sequence[str] | None,
) -> ReviewPrompt:
    """Return a prompt with its options in the order of its name; without an order they are not listed."""
    words = list(contents.items())
    indices = range(len(words)) if name.contents is None else name.contents
    shown, options = [], []
    for position, index in enumerate(indices):
        content, word = words[index]
        identifier = None
        if identifiers is not None and name.identifiers is not None:
            identifier = identifiers[name.identifiers[position]]
        shown.append(word if identifier is None else f"{identifier}) {word}")
        options.append((content, identifier or word, identifier, None if name.contents is None else position))
    before, after, space = filled(text, {**values, "choices": ", ".join(shown)})
    return ReviewPrompt(name, before, after, tuple(Option(c, space + answer, i, p) for c, answer, i, p in options))


def _orders(
    design: Design, options: int, named: bool, inverted: tuple[int, ...] | None
) -> list[tuple[tuple[int, ...], tuple[int, ...] | None]]:
    """Return the contents and identifiers at each position, for every prompt of a design.

    Without identifiers, each order of contents occurs once.
    """
    arrangements = _arrangements(design, options, inverted)
    contents = [tuple(row) for row in arrangements.contents.tolist()]
    if not named:
        return [(row, None) for row in dict.fromkeys(contents)]
    return [(row, tuple(names)) for row, names in zip(contents, arrangements.identifiers.tolist(), strict=True)]


def _arrangements(design: Design, options: int, inverted: tuple[int, ...] | None) -> Arrangements:
    """Return the arrangements of a design."""
    straight = tuple(range(options))
    turned = inverted or straight[::-1]
    if design == "original":
        return Arrangements(np.array([straight]), np.array([straight]))
    if design == "paper":
        return Arrangements(np.array([straight, turned, turned]), np.array([straight, straight, turned]))
    made = {"cyclic": cyclic_arrangements, "balanced": balanced_arrangements, "permuted": permuted_arrangements}
    return made[design](options)


def _fitting(kind: str, patterns: Sequence[str] | None, known: list[str]) -> list[str]:
    """Return the known names that match the patterns; raise InputError if a pattern matches none."""
    if patterns is None:
        return known
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in known):
            raise InputError(f'prompts: no {kind} fits "{pattern}"; {did_you_mean(pattern, known)}')
    return [name for name in known if any(fnmatchcase(name, pattern) for pattern in patterns)]


def _kept(names: Sequence[str], among: Sequence[str]) -> list[str]:
    """Return the names that are among others, in their order."""
    return [name for name in names if name in among]


def _resolved_path(path: str, below: Path | None) -> Path:
    """Return the path below the given folder if it is a file there, else the path itself."""
    given = Path(path).expanduser()
    if below is not None and not given.is_absolute() and (below / given).is_file():
        return below / given
    return given
