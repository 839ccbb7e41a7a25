"""Corrections of identifier and position bias in multiple choice. Uncorrected scores are called raw.

All corrections remove the effect of a *slot* (an identifier at a position) and keep the effect of a content. That a
model prefers "male" to "female" is the result of interest, and a correction that divided by it would hide it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evenhand.arrangements import Arrangements
from evenhand.errors import InputError
from evenhand.metrics.options.scores import checked, log_softmax

PRIDE_SHARE = 0.05
"""The share of the examples from which PriDe estimates its prior."""


def permutation_average(log_prob: np.ndarray, arrangements: Arrangements) -> np.ndarray:
    """The log of each content's probability, averaged over the prompts of a question.

    Cyclic with `cyclic_arrangements`, full with `permuted_arrangements`; a balanced design moves identifiers, too.

    Args:
        log_prob: [..., A, K] by position; it is normalised over the options first.
        arrangements: every content must have every slot equally often.

    Returns:
        float [..., K] by content.

    Raises:
        InputError: a design in which a content has some slots more often than others; scores of another shape or
            infinite.

    Source: Zheng et al. (2024), "Large Language Models Are Not Robust Multiple Choice Selectors", equation 1.

    Example:
        A model that gives .8 to the first option has no preference between the contents:

        >>> import numpy as np
        >>> from evenhand.metrics import cyclic_arrangements, permutation_average
        >>> first = np.log([[0.8, 0.2], [0.8, 0.2]])
        >>> np.exp(permutation_average(first, cyclic_arrangements(2))).round(6).tolist()
        [0.5, 0.5]
    """
    if not arrangements.fair:
        raise InputError("an average over prompts removes no bias unless every content has every slot equally often")
    probability = np.exp(log_softmax(checked(log_prob, arrangements)))
    return np.log(arrangements.by_content(probability).mean(axis=-2))


@dataclass(frozen=True, eq=False)
class SlotCorrected:
    """Scores from which the bias of each slot was removed.

    Attributes:
        log_prob: [..., A, K] by position, normalised; `option_choices` and `option_effects` accept it like raw scores.
        prior: [A, K] by position, the probability of the slot irrespective of its content.
        used: int, the examples from which the prior was estimated; empty for content-free texts.

    Example:
        >>> import numpy as np
        >>> from evenhand.metrics import contextual_calibration, cyclic_arrangements
        >>> first = np.log([[0.8, 0.2], [0.8, 0.2]])
        >>> found = contextual_calibration(first, first[None], cyclic_arrangements(2))
        >>> found.prior.round(6).tolist()
        [[0.8, 0.2], [0.8, 0.2]]
    """

    log_prob: np.ndarray
    prior: np.ndarray
    used: np.ndarray


def pride(
    log_prob: np.ndarray, arrangements: Arrangements, rng: np.random.Generator, share: float = PRIDE_SHARE
) -> SlotCorrected:
    """PriDe: log P − log prior, with the prior of each slot estimated on a few examples and used for all.

    An example's prior is the softmax over slots of log P(slot), averaged over the orders of contents; the priors of the
    sampled examples are averaged. If identifiers occur in several orders, each order has a separate prior.

    Args:
        log_prob: [n, A, K] by position, for one template; it is normalised over the options first.
        arrangements: within each order of identifiers, every content must be at every position equally often.
        rng: draws the examples, among those without undefined scores.
        share: share of these examples from which the prior is estimated, at least one example.

    Returns:
        The corrected scores. If no example is defined, the prior and all scores are nan.

    Raises:
        InputError: another design, a share outside (0, 1], scores of another shape or infinite.

    Source: Zheng et al. (2024), who answer the sampled examples by their own permutations; for a comparison, leave out
        the examples in `used`.

    Example:
        >>> import numpy as np
        >>> from evenhand.metrics import cyclic_arrangements, pride
        >>> first = np.log([[[0.8, 0.2], [0.8, 0.2]]])  # .8 on what is listed first
        >>> found = pride(first, cyclic_arrangements(2), np.random.default_rng(0))
        >>> np.exp(found.log_prob).round(6).tolist()
        [[[0.5, 0.5], [0.5, 0.5]]]
    """
    log_prob = checked(log_prob, arrangements)
    if not 0 < share <= 1:
        raise InputError(
            f"PriDe's prior is estimated from a share above 0 and up to 1 of the examples, not from {share}"
        )
    if log_prob.ndim != 3:
        raise InputError(f"log_prob has the shape {log_prob.shape}; PriDe needs [examples, prompts, options]")
    defined = np.flatnonzero(np.isfinite(log_prob).all(axis=(1, 2)))
    used = np.sort(rng.choice(defined, math.ceil(share * len(defined)), replace=False))
    return _without(log_prob, _slot_priors(log_prob[used], arrangements), used)


def contextual_calibration(log_prob: np.ndarray, content_free: np.ndarray, arrangements: Arrangements) -> SlotCorrected:
    """Contextual calibration: log P − log prior, with each slot's prior estimated on texts without content ("N/A").

    The source divides by the probabilities of the options themselves. Here this would remove the preference between
    genders that we want to measure; so the prior is that of the slots, averaged over contents as in PriDe.

    Args:
        log_prob: [..., A, K] by position.
        content_free: [m, A, K], scores of the same prompts about m texts without content.
        arrangements: as for `pride`.

    Raises:
        InputError: another design, no content-free text, scores of another shape or infinite.

    Source: Zhao et al. (2021), "Calibrate Before Use".

    Example:
        >>> import numpy as np
        >>> from evenhand.metrics import contextual_calibration, cyclic_arrangements
        >>> first = np.log([[0.8, 0.2], [0.8, 0.2]])  # .8 on what is listed first, also of an empty text
        >>> found = contextual_calibration(first, first[None], cyclic_arrangements(2))
        >>> np.exp(found.log_prob).round(6).tolist()
        [[0.5, 0.5], [0.5, 0.5]]
    """
    content_free = checked(content_free, arrangements)
    if content_free.ndim != 3 or not len(content_free):
        raise InputError(
            f"content_free has the shape {content_free.shape}; it should be [1 or more texts, prompts, options]"
        )
    priors = _slot_priors(content_free, arrangements)
    return _without(checked(log_prob, arrangements), priors, np.empty(0, dtype=np.int64))


def _slot_priors(log_prob: np.ndarray, arrangements: Arrangements) -> np.ndarray:
    """The prior of each slot for each example, [m, A, K] by position."""
    normalised = log_softmax(log_prob)
    priors = np.empty_like(normalised)
    for order in np.unique(arrangements.orders):
        prompts = np.flatnonzero(arrangements.orders == order)
        if not Arrangements(arrangements.contents[prompts], arrangements.identifiers[prompts]).fair:
            raise InputError(
                "the prior of an identifier needs every content at every position equally often, in each order of "
                "identifiers; use rotated, permuted or balanced arrangements"
            )
        priors[:, prompts] = np.exp(log_softmax(normalised[:, prompts].mean(axis=1, keepdims=True)))
    return priors


def _without(log_prob: np.ndarray, priors: np.ndarray, used: np.ndarray) -> SlotCorrected:
    prior = priors.mean(axis=0) if len(priors) else np.full(log_prob.shape[-2:], np.nan)
    return SlotCorrected(log_softmax(log_prob - np.log(prior)), prior, used)
