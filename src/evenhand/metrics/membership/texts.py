"""Membership scores of texts from the log-probabilities of their tokens; more is more member-like.

A text is a sequence of floats, one per token that the model predicted. A text without tokens has no score: nan.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from evenhand.errors import InputError
from evenhand.metrics.labels import numbers_of


def likelihood_score(log_probs: Sequence[Any]) -> np.ndarray:
    """−NLL: the mean log-probability of a text's tokens, float [n].

    Minus the base model's score (`reference_score`) it is the reference attack.

    Args:
        log_probs: n sequences of natural logarithms.

    Raises:
        InputError: a log-probability that is above 0 or nan.

    Source: Yeom et al. (2018).

    Example:
        >>> from evenhand.metrics import likelihood_score
        >>> likelihood_score([[-1.0, -3.0], [-0.5]]).tolist()
        [-2.0, -0.5]
    """
    values, size = _joined(log_probs)
    return _means(values, size)


def text_confidence(score: Any) -> np.ndarray:
    """φ of texts: the log-odds log(p/(1 − p)) of p = e^score, the geometric mean of the probabilities of their tokens.

    The attacks `loss` and `rmia` read it as the log-odds of a label: `loss_score` of it is the score again, and RMIA
    compares values of p.

    Args:
        score: float [..., n], mean log-probabilities, from `likelihood_score`.

    Returns:
        float64 [..., n]. Infinite for a text whose tokens all have a probability of exactly 1.

    Raises:
        InputError: a score above 0, or nan.

    Source: ours, for the attacks of Yeom et al. (2018) and Zarifzadeh et al. (2024).

    Example:
        >>> import numpy as np
        >>> from evenhand.metrics import text_confidence
        >>> text_confidence(np.log([0.5, 0.75])).round(3).tolist()  # log 1 and log 3
        [0.0, 1.099]
    """
    values = numbers_of(score, "score")
    if not (values <= 0).all():
        wrong = values[~(values <= 0)].flat[0]
        raise InputError(f"score holds {wrong:g}; the mean log-probability of a text is at most 0")
    with np.errstate(divide="ignore"):
        return values - np.log(-np.expm1(values))


def zlib_score(log_probs: Sequence[Any], zlib_bytes: Any) -> np.ndarray:
    """−NLL divided by the zlib-compressed bytes of the text, float [n].

    Texts that are easy for any model compress well.

    Args:
        log_probs: n sequences.
        zlib_bytes: int [n], `len(zlib.compress(text))`.

    Raises:
        InputError: as `likelihood_score` does; bytes that are not positive, or not one per text.

    Source: Carlini et al. (2021).

    Example:
        >>> from evenhand.metrics import zlib_score
        >>> zlib_score([[-1.0, -3.0]], [4]).tolist()  # −2/4
        [-0.5]
    """
    size = numbers_of(zlib_bytes, "zlib_bytes")
    if size.shape != (len(log_probs),) or not (size > 0).all():
        raise InputError(
            f"zlib_bytes has shape {size.shape}; a positive number for each of {len(log_probs)} texts is needed"
        )
    return likelihood_score(log_probs) / size


def min_k_score(log_probs: Sequence[Any], k: float = 0.2) -> np.ndarray:
    """Min-K%: the mean log-probability of the least likely max(1, ⌈k·tokens⌉) tokens, float [n].

    Args:
        log_probs: n sequences.
        k: the share of tokens, above 0 and at most 1.

    Raises:
        InputError: as `likelihood_score` does; k out of range.

    Source: Shi et al. (2024), who use ⌊k·tokens⌋, which is 0 tokens for texts shorter than 1/k.

    Example:
        >>> from evenhand.metrics import min_k_score
        >>> min_k_score([[-1.0, -2.0, -6.0, -1.0]], k=0.5).tolist()  # the mean of −6 and −2
        [-4.0]
    """
    values, size = _joined(log_probs)
    return _least(values, size, k)


def min_k_plus_plus_score(
    log_probs: Sequence[Any], means: Sequence[Any], deviations: Sequence[Any], k: float = 0.2
) -> np.ndarray:
    """Min-K%++: Min-K% of each token's log-probability, standardised over the vocabulary at its position, float [n].

    Args:
        log_probs: n sequences, of the true tokens.
        means: n sequences, mean of the log-probability under the model's own distribution at each position.
        deviations: n sequences, its standard deviation; if it is 0, the model is certain, and z is 0.
        k: as for `min_k_score`.

    Raises:
        InputError: as `min_k_score` does; sequences of other lengths, or a negative deviation.

    Source: Zhang et al. (2024), with ⌈k·tokens⌉ as above.

    Example:
        >>> from evenhand.metrics import min_k_plus_plus_score
        >>> min_k_plus_plus_score([[-1.0, -3.0]], [[-2.0, -2.0]], [[1.0, 0.5]], k=0.5).tolist()  # z is 1 and −2
        [-2.0]
    """
    values, size = _joined(log_probs)
    (mean, lengths), (spread, others) = _joined(means, "means"), _joined(deviations, "deviations", most=np.inf)
    if not (np.array_equal(size, lengths) and np.array_equal(size, others)):
        raise InputError("means and deviations must have one value for each token of log_probs")
    if (spread < 0).any():
        raise InputError("deviations holds a negative value; a standard deviation is 0 or more")
    z = np.divide(values - mean, spread, out=np.zeros_like(values), where=spread > 0)
    return _least(z, size, k)


def _joined(sequences: Sequence[Any], name: str = "log_probs", most: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """All tokens of all texts in one array, and the number of tokens of each text."""
    arrays = [numbers_of(one, name) for one in sequences]
    if not arrays or any(one.ndim != 1 for one in arrays):
        raise InputError(f"{name} is not a sequence of sequences of numbers, one for each text")
    joined = np.concatenate(arrays)
    if not (joined <= most + 1e-4).all():  # in float32 the logarithm of 1 can be a little above 0
        raise InputError(f"{name} holds {joined[~(joined <= most + 1e-4)][0]:g}; values up to {most:g} are possible")
    return joined, np.array([len(one) for one in arrays])


def _means(values: np.ndarray, size: np.ndarray) -> np.ndarray:
    text = np.repeat(np.arange(len(size)), size)
    sums = np.bincount(text, values, len(size))
    return np.divide(sums, size, out=np.full(len(size), np.nan), where=size > 0)


def _least(values: np.ndarray, size: np.ndarray, k: float) -> np.ndarray:
    """The mean of the lowest max(1, ⌈k·size⌉) values of each text."""
    if not 0 < k <= 1:
        raise InputError(f"k is {k:g}; it is a share of the tokens, above 0 and at most 1")
    text = np.repeat(np.arange(len(size)), size)
    order = np.lexsort((values, text))
    # The tolerance keeps .1·30, which is 3.0000000000000004, at 3.
    taken = np.minimum(np.maximum(np.ceil(k * size - 1e-9), 1), size).astype(np.int64)
    kept = np.arange(len(values)) - np.repeat(np.cumsum(size) - size, size) < np.repeat(taken, size)
    return _means(values[order][kept], taken)
