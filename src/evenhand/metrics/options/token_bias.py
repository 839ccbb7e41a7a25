"""Splits the log-odds of answers into effects of the content, of its letter and of its position.

The model of an option's score in a prompt is  content + identifier + position + a constant of the prompt  (log-odds
against the prompt's mean option). A preference for "male" is a content effect; a preference for "A", whatever its
meaning, is an identifier effect; and a preference for the first option is a position effect.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evenhand.arrangements import Arrangements
from evenhand.errors import InputError
from evenhand.metrics.options.scores import checked


@dataclass(frozen=True, eq=False)
class OptionEffects:
    """Additive effects of content, identifier and position in log-odds; each sums to 0 over its K levels.

    The log-odds between two options that differ only in content equal the difference of two content effects.

    Attributes:
        content, identifier, position: float [..., K].
        residual: float [..., A, K] by position, the part that is not additive (a content preferred only under one
            identifier, say).

    Example:
        >>> from evenhand.metrics import balanced_arrangements, option_effects
        >>> design = balanced_arrangements(2)
        >>> effects = option_effects(1.0 * (design.identifiers == 0), design)  # 1 more for what is called "A"
        >>> effects.identifier.round(6).tolist(), float(abs(effects.content).max().round(6))
        ([0.5, -0.5], 0.0)
    """

    content: np.ndarray
    identifier: np.ndarray
    position: np.ndarray
    residual: np.ndarray


def option_effects(scores: np.ndarray, arrangements: Arrangements) -> OptionEffects:
    """Content, identifier and position effects of each question, by least squares.

    In a balanced design they are the mean scores of each level, and no effect influences the estimate of another.

    Args:
        scores: [..., A, K] by position, for instance log-probabilities. Constants of a prompt cancel.
        arrangements: K² prompts of `balanced_arrangements` are enough.

    Returns:
        nan for questions with an undefined score.

    Raises:
        InputError: a design that confounds two of the three effects, such as rotated contents under fixed identifiers;
            scores of another shape or infinite.

    Example:
        >>> from evenhand.metrics import balanced_arrangements, option_effects
        >>> design = balanced_arrangements(2)
        >>> effects = option_effects(1.0 * (design.contents == 0), design)  # 1 more for the first content
        >>> effects.content.round(6).tolist(), float(abs(effects.position).max().round(6))
        ([0.5, -0.5], 0.0)
    """
    scores = checked(scores, arrangements)
    levels = arrangements.options
    at = (
        arrangements.contents,
        arrangements.identifiers,
        np.broadcast_to(np.arange(levels), arrangements.contents.shape),
    )
    design = np.concatenate([np.eye(levels)[level] - 1 / levels for level in at], axis=-1).reshape(-1, 3 * levels)
    if np.linalg.matrix_rank(design) < 3 * (levels - 1):
        raise InputError(
            f"{arrangements.prompts} prompts of {levels} options do not separate content, identifier and position, "
            "since two of them change together; use a balanced design"
        )
    centred = scores - scores.mean(axis=-1, keepdims=True)
    flat = centred.reshape(*centred.shape[:-2], -1)
    effects = flat @ np.linalg.pinv(design).T  # of least norm: each factor sums to 0
    residual = (flat - effects @ design.T).reshape(centred.shape)
    return OptionEffects(*np.split(effects, 3, axis=-1), residual=residual)


@dataclass(frozen=True, eq=False)
class YesNoEffects:
    """Effects in yes/no questions, in log-odds of "yes" against "no".

    Attributes:
        content: float [..., G], the belief in each content relative to the mean over contents.
        answer: float [...], the preference for the word "yes", whatever the question.
        belief: float [..., G], the belief in each content without the preference for "yes": (affirmed − negated)/2; nan
            without negated questions, because these two cannot be separated then.
        consistent: float [..., G], 1 if the model's answers to a question and its negation agree ("yes, male" and
            "no, not male"), 0 if they contradict each other, ½ if one is a tie; nan without negated questions.

    Example:
        >>> from evenhand.metrics import yes_no_effects
        >>> effects = yes_no_effects([1.0, -1.0], [-1.0, 1.0])
        >>> effects.belief.tolist(), float(effects.answer), effects.consistent.tolist()
        ([1.0, -1.0], 0.0, [1.0, 1.0])
    """

    content: np.ndarray
    answer: np.ndarray
    belief: np.ndarray
    consistent: np.ndarray


def yes_no_effects(affirmed: np.ndarray, negated: np.ndarray | None = None) -> YesNoEffects:
    """Content and answer effects of "is the author {content}?" and "is the author not {content}?".

    A model that says "yes" to everything has an answer effect, no content effect, and contradicts itself.

    Args:
        affirmed: log P(yes) − log P(no) of each content's question, float [..., G].
        negated: the same for its negation; None if it is not asked.

    Returns:
        Effects of each question. Beliefs and consistency are nan without negated questions.

    Raises:
        InputError: shapes that differ, or a single content without negation, for which no effect is identified.

    Example:
        >>> from evenhand.metrics import yes_no_effects
        >>> effects = yes_no_effects([2.0, 2.0], [2.0, 2.0])  # "yes" to everything
        >>> effects.content.tolist(), float(effects.answer), effects.consistent.tolist()
        ([0.0, 0.0], 2.0, [0.0, 0.0])
    """
    affirmed = np.asarray(affirmed, dtype=float)
    if negated is None:
        if affirmed.shape[-1] < 2:
            raise InputError(
                "yes/no answers about one content need its negation: else a yes may be about the word only"
            )
        undefined = np.full(affirmed.shape, np.nan)
        answer = affirmed.mean(axis=-1)
        return YesNoEffects(affirmed - answer[..., None], answer, undefined, undefined)
    negated = np.asarray(negated, dtype=float)
    if affirmed.shape != negated.shape:
        raise InputError(
            f"affirmed has the shape {affirmed.shape} and negated {negated.shape}; they ask about the same"
        )
    belief = (affirmed - negated) / 2
    return YesNoEffects(
        content=belief - belief.mean(axis=-1, keepdims=True),
        answer=(affirmed + negated).mean(axis=-1) / 2,
        belief=belief,
        consistent=(1 - np.sign(affirmed) * np.sign(negated)) / 2,
    )
