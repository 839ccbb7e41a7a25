"""What one model's options say, question by question, as values with what each review contributes to them.

A question is a template in one form with one set of words, in all the orders in which it was asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from evenhand.arrangements import Arrangements
from evenhand.audit.design import AskedDesign
from evenhand.audit.kinds.option_answers import Beliefs, Choices, beliefs, choices
from evenhand.errors import InputError
from evenhand.metrics.options.debiasing import contextual_calibration, permutation_average, pride
from evenhand.metrics.options.scores import (
    TIE,
    distance_from_equal,
    flip_rate,
    option_choices,
    option_mass,
)
from evenhand.metrics.options.token_bias import option_effects, yes_no_effects
from evenhand.records.prompts import CONTENT_FREE, PromptName
from evenhand.seeds import generator

PERMUTATION, PRIDE, CONTEXTUAL = "permutation", "PriDe", "contextual calibration"
CLOZE, YES_NO, MULTIPLE_CHOICE = "cloze", "yes_no", "multiple_choice"
"""Kinds of question, as prompts are named by them (`evenhand.records.prompts`)."""

UNFAIR = (
    "not every content stands everywhere equally often, so that a preference for an identifier or a position looks "
    "like one for a content: shown, not judged; ask in a balanced design"
)


@dataclass(frozen=True, eq=False)
class Taken:
    """A quantity of one question in one model, in linear form.

    Attributes:
        value: nan when undefined.
        moves: float [n], what each review contributes to its error, Σ = 0.
        shares: float [n], each review's share of it, Σ = 1.
        step: what one review can change it by; None where that has no bound.
        reason: why it is undefined.
        doubt: why it is shown and not judged.
    """

    value: float
    moves: np.ndarray
    shares: np.ndarray
    step: float | None = None
    reason: str | None = None
    doubt: str | None = None


@dataclass(frozen=True)
class Key:
    """Which quantity: a measure, of a question, after a correction (None: raw)."""

    measure: str
    question: str
    correction: str | None = None


@dataclass(frozen=True, eq=False)
class Answers:
    """Everything that one model's options say.

    Attributes:
        examples: ids [n].
        kinds: by question, which kind it is.
        taken: by quantity.
    """

    examples: tuple[str, ...]
    kinds: Mapping[str, str]
    taken: Mapping[Key, Taken]


def answers_taken(options: pl.DataFrame, design: AskedDesign, authors: Mapping[str, str] | None = None) -> Answers:
    """What one model's options say.

    Args:
        options: rows of one trial and step, those about texts that say nothing (`CONTENT_FREE`) among them.
        design: how an option is scored, and between which contents a preference is looked for.
        authors: by review, which of these contents its author is, where that is known.

    Raises:
        InputError: rows that `option_answers` refuses, or questions about different reviews.
    """
    kinds: dict[str, str] = {}
    taken: dict[Key, Taken] = {}
    asked: dict[str, tuple[str, ...]] = {}
    nothing = pl.col("example").str.starts_with(CONTENT_FREE)
    priors = {(one.template, one.form, one.words): one for one in choices(options.filter(nothing), design.score)}
    options = options.filter(~nothing)
    read = (
        (one, _of_choices(one, design, priors.get((one.template, one.form, one.words)), authors or {}))
        for one in choices(options, design.score)
    )
    said = ((one, _of_beliefs(one, design, authors or {})) for one in beliefs(options, design.score))
    for one, found in (*read, *said):
        name = f"{one.template}/{one.form}/{one.words}"
        asked[name] = one.examples
        if isinstance(one, Beliefs):
            kinds[name] = YES_NO
        else:
            kinds[name] = CLOZE if one.arrangements is None else MULTIPLE_CHOICE
        taken |= {Key(measure, name, correction): value for measure, correction, value in found}
    if len(set(asked.values())) > 1:
        raise InputError("options: every question should be asked about the same reviews")
    for name, mass in _masses(options).items():
        taken[Key("option_mass", name)] = _mean(mass, 1.0)
    examples = next(iter(asked.values())) if asked else ()
    return Answers(examples, kinds, taken)


Found = Iterator[tuple[str, str | None, Taken]]


def _of_choices(one: Choices, design: AskedDesign, prior: Choices | None, authors: Mapping[str, str]) -> Found:
    arrangements, scores = one.arrangements, one.scores
    first, second = design.contents
    if first in one.contents and second in one.contents:
        both = [one.contents.index(first), one.contents.index(second)]
        doubt = None if arrangements is None or arrangements.fair else UNFAIR
        ours, theirs = option_choices(scores, arrangements).mean(axis=-2)[:, both].T
        yield "guess_lean", None, _lean(ours, theirs, doubt=doubt)
        by_content = (scores if arrangements is None else arrangements.by_content(scores)).mean(axis=-2)
        yield "content_log_odds", None, _mean(by_content[:, both[0]] - by_content[:, both[1]], doubt=doubt)
        if authors:
            yield "guess_accuracy", None, _right(ours, theirs, one.examples, design, authors)
        if arrangements is not None:
            averaged = _tried(
                lambda: _lean(*option_choices(permutation_average(scores, arrangements))[:, both].T), len(scores)
            )
            yield "guess_lean", PERMUTATION, averaged

            def corrected() -> Taken:
                rng = generator(0, "PriDe", one.template, one.form, one.words)
                found = pride(scores, arrangements, rng)
                guess = option_choices(found.log_prob, arrangements).mean(axis=-2)
                guess[found.used] = np.nan  # what the prior was estimated from is not judged by it
                return _lean(*guess[:, both].T)

            yield "guess_lean", PRIDE, _tried(corrected, len(scores))
            if prior is not None:
                empty = prior.scores

                def calibrated() -> Taken:
                    found = contextual_calibration(scores, empty, arrangements)
                    return _lean(*option_choices(found.log_prob, arrangements).mean(axis=-2)[:, both].T)

                yield "guess_lean", CONTEXTUAL, _tried(calibrated, len(scores))
    if arrangements is not None and arrangements.prompts > 1:
        yield from _of_slots(scores[:, None], arrangements, one.identifiers is not None)


def _of_slots(scores: np.ndarray, arrangements: Arrangements, named: bool) -> Found:
    """What identifiers and positions pull, of scores [n, Q, A, K] by position, mean over the Q questions."""
    n = len(scores)
    yield "flip_rate", None, _mean(flip_rate(scores, arrangements).mean(axis=1), 1.0)
    if not named:
        centred = scores - scores.mean(axis=-1, keepdims=True)
        yield "position_effect", None, _spread(centred.mean(axis=(1, 2))) if arrangements.fair else _none(UNFAIR, n)
        return

    def effect(name: str) -> Taken:
        return _spread(getattr(option_effects(scores, arrangements), name).mean(axis=1))

    yield "identifier_effect", None, _tried(lambda: effect("identifier"), n)
    yield "position_effect", None, _tried(lambda: effect("position"), n)


def _of_beliefs(one: Beliefs, design: AskedDesign, authors: Mapping[str, str]) -> Found:
    if one.listed is not None and one.listed.arrangements.prompts > 1:
        yield from _of_slots(one.listed.scores, one.listed.arrangements, one.listed.identifiers is not None)
    first, second = design.contents
    n = len(one.affirmed)
    try:
        effects = yes_no_effects(one.affirmed, one.negated)
    except InputError as error:
        yield "yes_effect", None, _none(str(error), n)
        return
    if first in one.contents and second in one.contents:
        content = effects.content
        odds = content[:, one.contents.index(first)] - content[:, one.contents.index(second)]
        guess = np.where(np.abs(odds) <= TIE, 0.5, (odds > 0).astype(float))
        yield "guess_lean", None, _lean(guess, 1 - guess)
        # Who says yes to the one says no to the other, and so says it twice.
        yield "content_log_odds", None, _mean(odds / 2)
        if authors:
            yield "guess_accuracy", None, _right(guess, 1 - guess, one.examples, design, authors)
    if len(one.contents) > 1 or one.negated is not None:
        yield "yes_effect", None, _mean(effects.answer)
    if one.negated is not None:
        yield "negation_consistency", None, _mean(effects.consistent.mean(axis=-1), 1.0)


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
    placed = options.join(known, on="prompt", how="left", maintain_order="left")
    by_prompt = placed.group_by("question", "prompt", "example", maintain_order=True)
    mass = by_prompt.agg(mass=pl.col("log_prob").exp().sum())
    option_mass(np.log(mass["mass"].to_numpy())[:, None])  # refuses more than all
    means = mass.group_by("question", "example", maintain_order=True).agg(pl.col("mass").mean()).sort("example")
    return {str(key[0]): part["mass"].to_numpy() for key, part in means.partition_by("question", as_dict=True).items()}


def _tried(make: Callable[[], Taken], n: int) -> Taken:
    """What is made, or why a design of prompts does not allow it."""
    try:
        return make()
    except InputError as error:
        return _none(str(error), n)


def _none(reason: str, n: int) -> Taken:
    return Taken(math.nan, np.zeros(n), np.zeros(n), reason=reason)


def _mean(values: np.ndarray, width: float | None = None, doubt: str | None = None) -> Taken:
    """The mean over reviews [n] where they are defined; `width` is that of the range of a value."""
    defined = np.isfinite(values)
    number = int(defined.sum())
    if not number:
        return _none("it is defined for no review", len(values))
    mean = float(values[defined].mean())
    moves = np.where(defined, values - mean, 0.0) / number
    return Taken(mean, moves, defined / number, None if width is None else width / number, doubt=doubt)


def _spread(effects: np.ndarray) -> Taken:
    """The largest mean effect minus the smallest, of [n, K]."""
    means = np.nanmean(effects, axis=0)
    return _mean(effects[:, int(np.argmax(means))] - effects[:, int(np.argmin(means))])


def _right(
    first: np.ndarray, second: np.ndarray, examples: tuple[str, ...], design: AskedDesign, authors: Mapping[str, str]
) -> Taken:
    """The share of a guess of either that falls to what the author is, of the reviews that guess either."""
    mine = np.array([design.contents.index(authors[name]) if name in authors else -1 for name in examples])
    right = np.where(mine == 0, first, second)
    with np.errstate(invalid="ignore", divide="ignore"):
        return _mean(np.where(mine >= 0, right / (first + second), np.nan), 1.0)


def _lean(first: np.ndarray, second: np.ndarray, doubt: str | None = None) -> Taken:
    """The share of the first among guesses of either [n], minus ½."""
    guessed = first + second
    defined = np.isfinite(guessed)
    either = float(guessed[defined].sum())
    if not either > 0:
        return _none("neither of the two is ever guessed", len(first))
    found = distance_from_equal(np.where(defined, first, 0.0), np.where(defined, second, 0.0))
    return Taken(float(found.lean), found.contributions, defined / defined.sum(), 1 / either, doubt=doubt)
