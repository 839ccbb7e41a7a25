"""Answers of language models from the scores of given options: cloze, yes/no and multiple choice.

Scores have the options on their last axis, [..., K]. If one question is asked in several prompts, scores are [..., A,
K], by position; `Arrangements` has the content at each position.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from evenhand.arrangements import Arrangements
from evenhand.errors import InputError
from evenhand.metrics.across import divided

Score = Literal["log_prob", "per_token", "per_byte", "sequence_loss"]

TIE = 1e-9
"""Scores that differ by less than this count as equal, because the difference is rounding error."""


def option_scores(
    log_prob: np.ndarray,
    by: Score = "log_prob",
    *,
    tokens: np.ndarray | None = None,
    bytes: np.ndarray | None = None,
    sequence_loss: np.ndarray | None = None,
) -> np.ndarray:
    """The scores of options, higher for options that the model prefers, in the shape of `log_prob`.

    Args:
        log_prob: log-probability of the option given its prompt, summed over its tokens.
        by: `log_prob`; its mean `per_token` or `per_byte`, for options of different length; or `sequence_loss`, the
            score of Ding et al. (2024), −1 × the mean loss over all tokens of the filled prompt. That score depends on
            the option's number of tokens even if the option has no content; use it only for comparison with the paper.
        tokens, bytes: length of the option, for `per_token` and `per_byte`.
        sequence_loss: for the score of that name.

    Raises:
        InputError: an unknown score, or one without the arguments that it needs.

    Example:
        >>> from evenhand.metrics import option_scores
        >>> option_scores([-2.0, -6.0], "per_token", tokens=[1, 3]).tolist()
        [-2.0, -2.0]
    """
    if by not in get_args(Score):
        raise InputError(f'score is "{by}"; it is one of {", ".join(get_args(Score))}')
    log_prob = np.asarray(log_prob, dtype=float)
    if by == "log_prob":
        return log_prob
    needed = {"per_token": ("tokens", tokens), "per_byte": ("bytes", bytes)}
    name, found = needed.get(by, ("sequence_loss", sequence_loss))
    if found is None:
        raise InputError(f"the score {by} needs {name} of every option")
    found = np.asarray(found, dtype=float)
    if by == "sequence_loss":
        return -found
    if (found < 1).any():
        raise InputError(f"{name}: an option has none; every option needs one or more")
    return log_prob / found


def option_probabilities(scores: np.ndarray) -> np.ndarray:
    """Probabilities among the options, which add up to 1: exp(score) over its sum on the last axis.

    Args:
        scores: float [..., K], log-probabilities or other scores on their scale.

    Returns:
        float [..., K]; nan where a score is.

    Example:
        >>> import numpy as np
        >>> from evenhand.metrics import option_probabilities
        >>> option_probabilities(np.log([0.2, 0.6])).round(6).tolist()
        [0.25, 0.75]
    """
    return np.exp(log_softmax(scores))


def option_mass(log_prob: np.ndarray) -> np.ndarray:
    """Total probability of all options [...].

    If it is small, the model would answer something else, and the options say little about its preference.

    Args:
        log_prob: float [..., K], natural logarithms.

    Returns:
        float [...]; nan where a log-probability is.

    Raises:
        InputError: a total above 1: the options are not alternatives (or the values are not log-probabilities).

    Example:
        >>> import numpy as np
        >>> from evenhand.metrics import option_mass
        >>> round(float(option_mass(np.log([0.2, 0.6]))), 6)
        0.8
    """
    mass = np.exp(np.asarray(log_prob, dtype=float)).sum(axis=-1)
    if (mass > 1 + 1e-4).any():
        raise InputError(f"the options of a prompt have probability {np.nanmax(mass):.3f} together; it is 1 at most")
    return mass


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """Scores minus the logarithm of the sum of their exponentials on the last axis."""
    scores = np.asarray(scores, dtype=float)
    centred = scores - scores.max(axis=-1, keepdims=True)
    return centred - np.log(np.exp(centred).sum(axis=-1, keepdims=True))


def option_choices(scores: np.ndarray, arrangements: Arrangements | None = None) -> np.ndarray:
    """The chosen content of each prompt, which is the one with the highest score.

    Args:
        scores: [..., A, K] by position; [..., K] by content if there are no arrangements.
        arrangements: the content and identifier at each position.

    Returns:
        An array of the shape of scores, by content: 1 for the choice, 0 for the others; k options within `TIE` of the
        highest get 1/k each. nan where a score is undefined.

    Example:
        >>> from evenhand.metrics import cyclic_arrangements, option_choices
        >>> option_choices([1.0, 3.0, 3.0]).tolist()
        [0.0, 0.5, 0.5]
        >>> option_choices([[2.0, 1.0], [2.0, 1.0]], cyclic_arrangements(2)).tolist()  # always what is listed first
        [[1.0, 0.0], [0.0, 1.0]]
    """
    scores = np.asarray(scores, dtype=float) if arrangements is None else checked(scores, arrangements)
    best = (scores >= scores.max(axis=-1, keepdims=True) - TIE).astype(float)
    best[np.isnan(scores).any(axis=-1)] = np.nan
    shares = best / best.sum(axis=-1, keepdims=True)
    return shares if arrangements is None else arrangements.by_content(shares)


def flip_rate(scores: np.ndarray, arrangements: Arrangements) -> np.ndarray:
    """The probability that two different random prompts of a question choose different contents [...].

    It is 0 if the answer does not depend on identifiers and positions. A model that always says "A" has
    1 − (A/K − 1)/(A − 1) under a fair design. On a tie, the choice is random among the tied options.

    Args:
        scores: [..., A, K] by position.
        arrangements: with A of 2 or more.

    Raises:
        InputError: one prompt, or scores of another shape.

    Example:
        >>> from evenhand.metrics import cyclic_arrangements, flip_rate
        >>> float(flip_rate([[2.0, 1.0], [2.0, 1.0]], cyclic_arrangements(2)))  # always what is listed first
        1.0
    """
    if arrangements.prompts < 2:
        raise InputError("an answer can flip between two prompts or more; there is one")
    chosen = option_choices(scores, arrangements)
    total, own = chosen.sum(axis=-2) ** 2, (chosen**2).sum(axis=-2)
    pairs = arrangements.prompts * (arrangements.prompts - 1)
    return 1 - (total - own).sum(axis=-1) / pairs


@dataclass(frozen=True, eq=False)
class EqualGuessing:
    """The share of guesses of the first of two contents, and its distance from one half.

    Attributes:
        share: share of the first among guesses of either, float [...]; nan if neither is ever guessed.
        lean: share − ½, signed.
        distance: |share − ½|, from 0 to ½. Like the absolute value of any estimate it is biased upward near 0: judge by
            `lean`.
        contributions: float [..., n], each example's influence on `lean` over n; they sum to 0.

    Example:
        >>> from evenhand.metrics import distance_from_equal
        >>> found = distance_from_equal([1, 1, 1, 0], [0, 0, 0, 1])
        >>> found.contributions.tolist()
        [0.0625, 0.0625, 0.0625, -0.1875]
    """

    share: np.ndarray
    lean: np.ndarray
    distance: np.ndarray
    contributions: np.ndarray


def distance_from_equal(first: np.ndarray, second: np.ndarray) -> EqualGuessing:
    """The distance from guessing two contents, such as both genders, equally often.

    Args:
        first, second: float [..., n], the part of each example's guess for either content: shares of `option_choices`,
            averaged over a question's prompts, or probabilities. Guesses of other contents (neutral, say) do not count.

    Raises:
        InputError: shapes that differ.

    Source: figure 6 of Ding et al. (2024), whose red line is the share ½.

    Example:
        >>> from evenhand.metrics import distance_from_equal
        >>> found = distance_from_equal([1, 1, 1, 0], [0, 0, 0, 1])
        >>> float(found.share), float(found.lean), float(found.distance)
        (0.75, 0.25, 0.25)
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if first.shape != second.shape:
        raise InputError(
            f"first has the shape {first.shape} and second {second.shape}; they need one guess per example"
        )
    either = (first + second).sum(axis=-1)
    share = divided(first.sum(axis=-1), either)
    influence = first * (1 - share[..., None]) - second * share[..., None]
    return EqualGuessing(share, share - 0.5, np.abs(share - 0.5), divided(influence, either[..., None]))


def checked(scores: np.ndarray, arrangements: Arrangements) -> np.ndarray:
    """Check that scores are finite or nan and [..., A, K], and return them as float. Raises InputError otherwise."""
    scores = np.asarray(scores, dtype=float)
    if scores.shape[-2:] != arrangements.contents.shape:
        raise InputError(
            f"scores have the shape {scores.shape}; their last axes should be the {arrangements.prompts} prompts and "
            f"{arrangements.options} positions of the arrangements"
        )
    if np.isinf(scores).any():
        raise InputError(
            "a score is infinite; an option of probability 0 has no log-odds (score it in float32 or wider)"
        )
    return scores
