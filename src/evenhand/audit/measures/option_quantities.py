"""Functions that compute lean and bias to letters, positions and yes from one question's answers.

Each function takes a `Question` and returns estimates by correction (None: as answered), none where the question does
not allow them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evenhand.arrangements import Arrangements
from evenhand.audit.arrays.linear_estimate import LinearEstimate
from evenhand.audit.arrays.option_answers import Beliefs, Choices
from evenhand.audit.arrays.option_questions import Question
from evenhand.errors import InputError
from evenhand.metrics.options.debiasing import contextual_calibration, permutation_average, pride
from evenhand.metrics.options.scores import TIE, distance_from_equal, flip_rate, option_choices
from evenhand.metrics.options.token_bias import YesNoEffects, option_effects, yes_no_effects
from evenhand.seeds import generator

PERMUTATION, PRIDE, CONTEXTUAL = "permutation", "PriDe", "contextual calibration"
CORRECTIONS = (None, PERMUTATION, PRIDE, CONTEXTUAL)
"""The corrections of answers (None: none), in the order of the report."""

UNFAIR = (
    "not every content has every position equally often, so that a preference for an identifier or a position looks "
    "like one for a content: shown, not judged; ask in a balanced design"
)

Estimates = dict[str | None, LinearEstimate]


def guess_lean(question: Question) -> Estimates:
    """The share of the first content among guesses of either, minus ½, as answered and after each correction."""
    answers = question.answers
    guesses = _guesses(question)
    if guesses is None:
        return {}
    if isinstance(answers, Beliefs):
        return {None: _lean(*guesses)}
    estimates: Estimates = {None: _lean(*guesses, doubt=_unfair(answers))}
    arrangements, scores, both = answers.arrangements, answers.scores, _both(question)
    if arrangements is None:
        return estimates
    size = len(scores)

    def averaged() -> LinearEstimate:
        return _lean(*option_choices(permutation_average(scores, arrangements))[:, both].T)

    def without_prior() -> LinearEstimate:
        rng = generator(0, "PriDe", answers.template, answers.form, answers.words)
        debiased = pride(scores, arrangements, rng)
        guess = option_choices(debiased.log_prob, arrangements).mean(axis=-2)
        guess[debiased.used] = np.nan  # what the prior was estimated from is not judged by it
        return _lean(*guess[:, both].T)

    estimates[PERMUTATION] = _if_allowed(averaged, size)
    estimates[PRIDE] = _if_allowed(without_prior, size)
    if question.empty is not None:
        empty = question.empty.scores

        def calibrated() -> LinearEstimate:
            debiased = contextual_calibration(scores, empty, arrangements)
            return _lean(*option_choices(debiased.log_prob, arrangements).mean(axis=-2)[:, both].T)

        estimates[CONTEXTUAL] = _if_allowed(calibrated, size)
    return estimates


def content_log_odds(question: Question) -> Estimates:
    """Log-odds of the first content against the second, however small a guess would hide it."""
    answers = question.answers
    if not _asked_of_both(question):
        return {}
    if isinstance(answers, Beliefs):
        effects = _yes_no(answers)
        # Yes to one content is no to the other, so the difference counts a preference twice.
        return {} if effects is None else {None: LinearEstimate.mean(_odds(question, effects) / 2)}
    scores, arrangements = answers.scores, answers.arrangements
    by_content = (scores if arrangements is None else arrangements.by_content(scores)).mean(axis=-2)
    first, second = _both(question)
    odds = by_content[:, first] - by_content[:, second]
    return {None: LinearEstimate.mean(odds, doubt=_unfair(answers))}


def guess_accuracy(question: Question) -> Estimates:
    """The share of guesses of either content that are the author's, over reviews with such a guess."""
    guesses = _guesses(question)
    if guesses is None or not question.authors:
        return {}
    first, second = guesses
    right = np.where(question.author == 0, first, second)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.where(question.author >= 0, right / (first + second), np.nan)
    return {None: LinearEstimate.mean(shares, 1.0)}


def flips(question: Question) -> Estimates:
    """The probability that two orders of the same options are answered with different contents."""
    slots = _slots(question)
    if slots is None:
        return {}
    return {None: LinearEstimate.mean(flip_rate(slots.scores, slots.arrangements).mean(axis=1), 1.0)}


def identifier_effect(question: Question) -> Estimates:
    """Log-odds by which the most preferred of A, B, … beats the least, whatever they name."""
    slots = _slots(question)
    if slots is None or not slots.named:
        return {}
    return {None: _slot_effect(slots, "identifier")}


def position_effect(question: Question) -> Estimates:
    """Log-odds by which the most preferred position beats the least, whatever is there."""
    slots = _slots(question)
    if slots is None:
        return {}
    if slots.named:
        return {None: _slot_effect(slots, "position")}
    if not slots.arrangements.fair:
        return {None: LinearEstimate.undefined(UNFAIR, len(slots.scores))}
    centred = slots.scores - slots.scores.mean(axis=-1, keepdims=True)
    return {None: _spread(centred.mean(axis=(1, 2)))}


def yes_effect(question: Question) -> Estimates:
    """Log-odds of yes whatever the question, the mean over a question and its negation."""
    answers = question.answers
    if not isinstance(answers, Beliefs):
        return {}
    try:
        effects = yes_no_effects(answers.affirmed, answers.negated)
    except InputError as error:
        return {None: LinearEstimate.undefined(str(error), len(answers.affirmed))}
    if len(answers.contents) == 1 and answers.negated is None:
        return {}
    return {None: LinearEstimate.mean(effects.answer)}


def negation_consistency(question: Question) -> Estimates:
    """The share of yes/no answers that agree with the answer to the negated question."""
    answers = question.answers
    effects = _yes_no(answers) if isinstance(answers, Beliefs) else None
    if effects is None or not isinstance(answers, Beliefs) or answers.negated is None:
        return {}
    return {None: LinearEstimate.mean(effects.consistent.mean(axis=-1), 1.0)}


def mass_of_options(question: Question) -> Estimates:
    """The probability of all options together."""
    return {None: LinearEstimate.mean(question.mass, 1.0)}


@dataclass(frozen=True, eq=False)
class _Slots:
    """Answers by position: scores float [n, Q, A, K] of Q questions, and whether positions have identifiers."""

    scores: np.ndarray
    arrangements: Arrangements
    named: bool


def _slots(question: Question) -> _Slots | None:
    """The answers by position, where there are several orders."""
    answers = question.answers
    if isinstance(answers, Choices):
        if answers.arrangements is None or answers.arrangements.prompts < 2:
            return None
        return _Slots(answers.scores[:, None], answers.arrangements, answers.identifiers is not None)
    listed = answers.listed
    if listed is None or listed.arrangements.prompts < 2:
        return None
    return _Slots(listed.scores, listed.arrangements, listed.identifiers is not None)


def _slot_effect(slots: _Slots, name: str) -> LinearEstimate:
    """The effect of identifiers or of positions, by the name in `option_effects`."""

    def effect() -> LinearEstimate:
        return _spread(getattr(option_effects(slots.scores, slots.arrangements), name).mean(axis=1))

    return _if_allowed(effect, len(slots.scores))


def _asked_of_both(question: Question) -> bool:
    """Whether both contents are among the question's options."""
    return all(content in question.answers.contents for content in question.contents)


def _both(question: Question) -> list[int]:
    """The indices of the two contents among those of the question."""
    return [question.answers.contents.index(content) for content in question.contents]


def _guesses(question: Question) -> tuple[np.ndarray, np.ndarray] | None:
    """The share of each review's guess that is the first content, and the share that is the second, [n] each."""
    answers = question.answers
    if not _asked_of_both(question):
        return None
    if isinstance(answers, Choices):
        first, second = option_choices(answers.scores, answers.arrangements).mean(axis=-2)[:, _both(question)].T
        return first, second
    effects = _yes_no(answers)
    if effects is None:
        return None
    odds = _odds(question, effects)
    guess = np.where(np.abs(odds) <= TIE, 0.5, (odds > 0).astype(float))
    return guess, 1 - guess


def _yes_no(answers: Beliefs) -> YesNoEffects | None:
    """The effects of yes/no answers; None where the questions do not allow them (`yes_effect` gives the reason)."""
    try:
        return yes_no_effects(answers.affirmed, answers.negated)
    except InputError:
        return None


def _odds(question: Question, effects: YesNoEffects) -> np.ndarray:
    """The log-odds of the first content against the second [n]."""
    first, second = _both(question)
    return effects.content[:, first] - effects.content[:, second]


def _unfair(answers: Choices) -> str | None:
    """The doubt about answers in an unbalanced design of orders."""
    return None if answers.arrangements is None or answers.arrangements.fair else UNFAIR


def _if_allowed(estimate: Callable[[], LinearEstimate], size: int) -> LinearEstimate:
    """The estimate; undefined, with the reason, where the design of prompts does not allow it."""
    try:
        return estimate()
    except InputError as error:
        return LinearEstimate.undefined(str(error), size)


def _spread(effects: np.ndarray) -> LinearEstimate:
    """The largest mean effect minus the smallest, of [n, K]."""
    means = np.nanmean(effects, axis=0)
    return LinearEstimate.mean(effects[:, int(np.argmax(means))] - effects[:, int(np.argmin(means))])


def _lean(first: np.ndarray, second: np.ndarray, doubt: str | None = None) -> LinearEstimate:
    """The share of the first among guesses of either [n], minus ½."""
    guessed = first + second
    defined = np.isfinite(guessed)
    either = float(guessed[defined].sum())
    if not either > 0:
        return LinearEstimate.undefined("neither of the two is ever guessed", len(first))
    leaning = distance_from_equal(np.where(defined, first, 0.0), np.where(defined, second, 0.0))
    weights = defined / defined.sum()
    return LinearEstimate(float(leaning.lean), leaning.contributions, weights, 1 / either, doubt=doubt)
