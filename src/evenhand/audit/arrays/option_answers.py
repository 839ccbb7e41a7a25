"""Turns the table `options` into arrays: scores of the answers to each question, in each order of the options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from evenhand.arrangements import Arrangements
from evenhand.errors import InputError
from evenhand.metrics.options.scores import Score, option_scores
from evenhand.records.prompts import PromptName


@dataclass(frozen=True, eq=False)
class Choices:
    """Answers to a question whose options are contents: cloze, or multiple choice.

    Attributes:
        template, form, words: of the prompts.
        contents: names [K], in the order that codes of contents refer to.
        identifiers: names [K]; None where options have none.
        arrangements: which content and which identifier stands at each position; None for cloze. Without identifiers
            they are the positions' own, so that effects of the two cannot be told apart.
        examples: ids [n].
        scores: float [n, A, K] by position; of cloze [n, 1, K] by content.
    """

    template: str
    form: str
    words: str
    contents: tuple[str, ...]
    identifiers: tuple[str, ...] | None
    arrangements: Arrangements | None
    examples: tuple[str, ...]
    scores: np.ndarray


@dataclass(frozen=True, eq=False)
class Listed:
    """Answers to yes/no questions by where yes and no stand.

    Attributes:
        identifiers: as of `Choices`.
        arrangements: which of yes (0) and no (1), and which identifier, stands at each position.
        scores: float [n, Q, A, 2] by position, Q being the questions: each content, and its negation.
    """

    identifiers: tuple[str, ...] | None
    arrangements: Arrangements
    scores: np.ndarray


@dataclass(frozen=True, eq=False)
class Beliefs:
    """Answers to yes/no questions, as `metrics.yes_no_effects` takes them.

    Attributes:
        template, form, words: of the prompts.
        contents: names [G] that are asked about.
        examples: ids [n].
        affirmed: float [n, G], log-odds of a yes to "it is", mean over the orders of answers.
        negated: the same of a yes to "it is not"; None where that is not asked.
        listed: the answers where they are listed in some order; None where they are not.
    """

    template: str
    form: str
    words: str
    contents: tuple[str, ...]
    examples: tuple[str, ...]
    affirmed: np.ndarray
    negated: np.ndarray | None
    listed: Listed | None = None


def choices(options: pl.DataFrame, by: Score = "log_prob") -> list[Choices]:
    """The cloze and multiple-choice questions of one model, in the order of the table.

    Args:
        options: rows of one trial and step.
        by: the score, see `metrics.option_scores`.

    Raises:
        InputError: rows of several trials or steps; an example that was not asked every prompt; a prompt that lacks an
            option; a score that the table does not have.
    """
    questions = []
    for (template, form, words), prompts in _questions(options, yes_no=False):
        rows = [_scores(options, str(name), by) for name in prompts]
        examples = _same_examples([ids for ids, _, _ in rows], f"{template}/{form}/{words}")
        arrangements = contents = identifiers = None
        first = rows[0][2]
        if prompts[0].contents is None:
            contents = tuple(first["option"])
        else:
            arrangements = _arranged(prompts)
            contents = tuple(first["option"][position] for position in np.argsort(arrangements.contents[0]))
            if prompts[0].identifiers is not None:
                identifiers = tuple(
                    first["identifier"][position] for position in np.argsort(arrangements.identifiers[0])
                )
        scores = np.stack([values for _, values, _ in rows], axis=1)
        questions.append(Choices(template, form, words, contents, identifiers, arrangements, examples, scores))
    return questions


def beliefs(options: pl.DataFrame, by: Score = "log_prob") -> list[Beliefs]:
    """The yes/no questions of one model. Arguments and errors as for `choices`."""
    questions = []
    for (template, form, words), prompts in _questions(options, yes_no=True):
        contents = tuple(dict.fromkeys(str(name.claim) for name in prompts))
        odds: dict[tuple[str, bool], list[np.ndarray]] = {}
        example_lists, scores_of, options_of = [], {}, {}
        for name in prompts:
            examples, values, first = _scores(options, str(name), by)
            example_lists.append(examples)
            scores_of[name], options_of[name] = values, first
            yes, no = (first["option"].index(answer) for answer in ("yes", "no"))
            odds.setdefault((str(name.claim), name.denied), []).append(values[:, yes] - values[:, no])
        means = {key: np.mean(values, axis=0) for key, values in odds.items()}
        sides = [
            np.stack([means[content, denied] for content in contents], axis=1)
            if all((content, denied) in means for content in contents)
            else None
            for denied in (False, True)
        ]
        if sides[0] is None:
            raise InputError(f"{template}/{form}/{words}: a content is asked about in the negative only")
        examples = _same_examples(example_lists, f"{template}/{form}/{words}")
        listed = _listed(prompts, scores_of, options_of)
        questions.append(Beliefs(template, form, words, contents, examples, sides[0], sides[1], listed))
    return questions


def _arranged(prompts: Sequence[PromptName]) -> Arrangements:
    """The orders of contents and identifiers in prompts that list their options."""
    order = np.array([name.contents for name in prompts])
    named = [name.identifiers or tuple(range(order.shape[1])) for name in prompts]
    return Arrangements(order, np.array(named))


def _listed(
    prompts: Sequence[PromptName],
    scores: Mapping[PromptName, np.ndarray],
    options: Mapping[PromptName, dict[str, list[str]]],
) -> Listed | None:
    """Yes/no answers by position; None where they are not listed, or not in the same orders for every question."""
    questions: dict[tuple[str, bool], list[PromptName]] = {}
    for name in prompts:
        if name.contents is None:
            return None
        questions.setdefault((str(name.claim), name.denied), []).append(name)
    first, *others = (
        sorted(prompts_of_question, key=lambda name: (name.contents, name.identifiers))
        for prompts_of_question in questions.values()
    )
    orders = [(name.contents, name.identifiers) for name in first]
    if any(
        [(name.contents, name.identifiers) for name in prompts_of_question] != orders for prompts_of_question in others
    ):
        return None
    arrangements, identifiers = _arranged(first), None
    if first[0].identifiers is not None:
        named = options[first[0]]["identifier"]
        identifiers = tuple(named[position] for position in np.argsort(arrangements.identifiers[0]))
    stacked = [
        np.stack([scores[name] for name in prompts_of_question], axis=1) for prompts_of_question in (first, *others)
    ]
    return Listed(identifiers, arrangements, np.stack(stacked, axis=1))


def _questions(options: pl.DataFrame, yes_no: bool) -> Iterator[tuple[tuple[str, str, str], list[PromptName]]]:
    """(template, form, words) of each yes/no question, or of each other one, with its prompts."""
    for column in ("trial", "step"):
        if options[column].n_unique() > 1:
            raise InputError(f"options of {options[column].n_unique()} {column}s; answers are those of one")
    grouped: dict[tuple[str, str, str], list[PromptName]] = {}
    for text in options["prompt"].unique(maintain_order=True):
        name = PromptName.parse(text)
        if (name.claim is not None) == yes_no:
            grouped.setdefault((name.template, name.form, name.words), []).append(name)
    yield from grouped.items()


def _scores(options: pl.DataFrame, prompt: str, by: Score) -> tuple[tuple[str, ...], np.ndarray, dict[str, list[str]]]:
    """Ids [n], scores [n, K] by position (without them: as in the table), and the options of the first id."""
    rows = options.filter(pl.col("prompt") == prompt)
    if rows["position"].null_count() == 0:
        rows = rows.sort("position", maintain_order=True)
    rows = rows.sort("example", maintain_order=True)
    count = rows["option"].n_unique()
    examples = tuple(rows["example"].unique(maintain_order=True))
    first = rows.head(count)
    if len(rows) != count * len(examples) or rows["option"].to_list() != first["option"].to_list() * len(examples):
        raise InputError(f"prompt {prompt}: not every example has the same {count} options in the same order")
    if by == "sequence_loss" and rows["sequence_loss"].null_count():
        raise InputError(
            f"prompt {prompt}: the table has no sequence_loss, which must be asked for when a model is scored"
        )
    columns = {name: rows[name].to_numpy() for name in ("tokens", "bytes", "sequence_loss")}
    values = option_scores(rows["log_prob"].to_numpy(), by, **columns)
    return examples, values.reshape(len(examples), count), {c: first[c].to_list() for c in ("option", "identifier")}


def _same_examples(ids: list[tuple[str, ...]], question: str) -> tuple[str, ...]:
    """The examples of every prompt of a question; raises InputError where they differ."""
    if len(set(ids)) > 1:
        raise InputError(f"{question}: every prompt should be asked about the same examples")
    return ids[0]
