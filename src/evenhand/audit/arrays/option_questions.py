"""The questions that one model was asked, each with its answers in every order of the options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl

from evenhand.audit.arrays.linear_estimate import LinearEstimate
from evenhand.audit.arrays.option_answers import Beliefs, Choices, beliefs, choices
from evenhand.audit.design import AskedDesign
from evenhand.errors import InputError
from evenhand.metrics.options.scores import option_mass
from evenhand.records.prompts import CONTENT_FREE, PromptName

CLOZE, YES_NO, MULTIPLE_CHOICE = "cloze", "yes_no", "multiple_choice"
"""Kinds of question, as prompts are named by them (`evenhand.records.prompts`)."""

Quantity = Callable[["Question"], Mapping[str | None, LinearEstimate]]
"""Computes a quantity of a question, by correction of the answers (None: as answered); empty where it has none."""


@dataclass(frozen=True, eq=False)
class Question:
    """A template in one form with one set of words, and one model's answers to it.

    Attributes:
        name: `TEMPLATE/FORM/WORDS`.
        answers: to a choice between contents, or to yes/no questions about them.
        contents: the two contents that are compared; a preference for the first has the positive sign.
        empty: the answers about a text without content, where there are such prompts.
        authors: which of the contents the author of each review is, where that is known.
        mass: float [n], the probability of all options together of each review, mean over prompts.
    """

    name: str
    answers: Choices | Beliefs
    contents: tuple[str, str]
    empty: Choices | None
    authors: Mapping[str, str]
    mass: np.ndarray

    @property
    def examples(self) -> tuple[str, ...]:
        """Ids of the reviews [n]."""
        return self.answers.examples

    @property
    def kind(self) -> str:
        """The kind of question: cloze, yes/no or multiple choice."""
        if isinstance(self.answers, Beliefs):
            return YES_NO
        return CLOZE if self.answers.arrangements is None else MULTIPLE_CHOICE

    @cached_property
    def author(self) -> np.ndarray:
        """int [n], which of the contents the author of each review is; −1 where that is not known."""
        codes = {name: code for code, name in enumerate(self.contents)}
        return np.array([codes[self.authors[name]] if name in self.authors else -1 for name in self.examples])


@dataclass(frozen=True, eq=False)
class AnsweredQuestions:
    """All questions that one model was asked, with its answers.

    Attributes:
        questions: by name; all are about the same reviews.
    """

    questions: Mapping[str, Question]
    _computed: dict[Quantity, dict[str, Mapping[str | None, LinearEstimate]]] = field(default_factory=dict)

    @property
    def examples(self) -> tuple[str, ...]:
        """Ids of the reviews [n]."""
        return next((question.examples for question in self.questions.values()), ())

    def quantity(self, quantity: Quantity) -> dict[str, Mapping[str | None, LinearEstimate]]:
        """A quantity by question, of those that have it; computed once."""
        if quantity not in self._computed:
            every = {name: quantity(question) for name, question in self.questions.items()}
            self._computed[quantity] = {name: estimates for name, estimates in every.items() if estimates}
        return self._computed[quantity]


def answered_questions(
    options: pl.DataFrame, design: AskedDesign, authors: Mapping[str, str] | None = None
) -> AnsweredQuestions:
    """The questions that one model was asked.

    Args:
        options: rows of one trial and step, including those about texts without content (`CONTENT_FREE`).
        design: how an option is scored, and which two contents are compared.
        authors: which of these contents the author of each review is, where that is known.

    Raises:
        InputError: rows that `option_answers` refuses, or questions about different reviews.
    """
    nothing = pl.col("example").str.starts_with(CONTENT_FREE)
    empty = {_name(answers): answers for answers in choices(options.filter(nothing), design.score)}
    options = options.filter(~nothing)
    every = [*choices(options, design.score), *beliefs(options, design.score)]
    if len({answers.examples for answers in every}) > 1:
        raise InputError("options: every question should be asked about the same reviews")
    masses = _masses(options)
    questions = {}
    for answers in every:
        name = _name(answers)
        prior = empty.get(name) if isinstance(answers, Choices) else None
        questions[name] = Question(name, answers, design.contents, prior, authors or {}, masses[name])
    return AnsweredQuestions(questions)


def _name(answers: Choices | Beliefs) -> str:
    """The name of a question, `TEMPLATE/FORM/WORDS`."""
    return f"{answers.template}/{answers.form}/{answers.words}"


def _masses(options: pl.DataFrame) -> dict[str, np.ndarray]:
    """By question, the probability of all options together of each review [n], mean over prompts."""
    names = {name: PromptName.parse(name) for name in options["prompt"].unique(maintain_order=True)}
    known = pl.DataFrame(
        {
            "prompt": list(names),
            "question": [f"{name.template}/{name.form}/{name.words}" for name in names.values()],
        },
        schema={"prompt": pl.String, "question": pl.String},
    )
    # In the order of the table: sums of floats depend on it in their last bits, and an audit repeats itself.
    named = options.join(known, on="prompt", how="left", maintain_order="left")
    by_prompt = named.group_by("question", "prompt", "example", maintain_order=True)
    mass = by_prompt.agg(mass=pl.col("log_prob").exp().sum())
    option_mass(np.log(mass["mass"].to_numpy())[:, None])  # refuses more than all
    means = mass.group_by("question", "example", maintain_order=True).agg(pl.col("mass").mean()).sort("example")
    return {str(key[0]): part["mass"].to_numpy() for key, part in means.partition_by("question", as_dict=True).items()}
