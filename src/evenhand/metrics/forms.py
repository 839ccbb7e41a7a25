"""Turns labels and probabilities into confidence and outcome: positive class, top label, each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np

from evenhand.decimals import as_meant
from evenhand.errors import InputError
from evenhand.metrics.labels import class_codes, numbers_of, positives_of

Form = Literal["positive", "top_label", "classwise"]

_ROUNDING = 1e-6
"""Tolerance for probabilities outside [0, 1] due to float32 arithmetic; they are clipped."""

_SUM = 1e-3
"""Tolerance for the sum of the probabilities of all classes."""


def pairs_of(
    y_true: Any, y_prob: Any, *, form: Form, labels: Sequence[Any] | None = None, pos_label: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """The confidence and the outcome of each example.

    Args:
        y_true: labels [n].
        y_prob: probability of the positive class [n], or of each class [n, C].
        form: `positive`: P(ŷ = 1) and whether y = 1, for y_prob [n]. `top_label`: the largest probability (the first on
            ties) and whether its class is y. `classwise`: each class's probability and whether the class is y.
        labels: with y_prob [n, C], the label of each column, unless they are 0 to C−1.
        pos_label: with y_prob [n], the positive class, unless the labels are 0/1 or −1/1.

    Returns:
        Two float arrays [K, n]; K is C for the form classwise and 1 for the others.

    Raises:
        InputError: invalid probabilities, or ones that do not sum to 1; labels that do not fit them; an unknown form.
    """
    if form not in get_args(Form):
        raise InputError(f'form is "{form}"; it is one of {", ".join(get_args(Form))}')
    probabilities, codes = columns_of(y_true, y_prob, labels=labels, pos_label=pos_label)
    if form == "positive":
        if np.ndim(y_prob) != 1:
            raise InputError(
                f'y_prob has {probabilities.shape[1]} columns; the form "positive" takes the positive class\'s alone, '
                'such as y_prob[:, 1]; the forms "top_label" and "classwise" take all'
            )
        return probabilities[None, :, 1], (codes == 1).astype(float)[None]
    if form == "top_label":
        return probabilities.max(axis=1)[None], (probabilities.argmax(axis=1) == codes).astype(float)[None]
    return probabilities.T, (codes == np.arange(probabilities.shape[1])[:, None]).astype(float)


def _is_floats(y_prob: Any) -> bool:
    """Whether probabilities are an array of floats of any precision, from NumPy or another framework."""
    return getattr(getattr(y_prob, "dtype", None), "kind", "") == "f"


def columns_of(
    y_true: Any, y_prob: Any, *, labels: Sequence[Any] | None = None, pos_label: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities float [n, C] and the column of each label int [n]; y_prob [n] becomes the columns [1 − p, p].

    Raises:
        InputError: as `pairs_of` does.
    """
    given = as_meant(np.asarray(y_prob)) if _is_floats(y_prob) else numbers_of(y_prob, "y_prob")
    if given.ndim not in (1, 2) or given.size == 0:
        raise InputError(f"y_prob has shape {given.shape}; (n,) or (n, classes) is needed")
    wrong = ~((given >= -_ROUNDING) & (given <= 1 + _ROUNDING))
    if wrong.any():
        row = int(np.argwhere(wrong)[0][0])
        raise InputError(f"y_prob is {given[wrong][0]:g} in row {row}; probabilities lie between 0 and 1")
    given = np.clip(given, 0.0, 1.0)
    if given.ndim == 1:
        if labels is not None:
            raise InputError("labels name the columns of y_prob (n, classes); with one column give pos_label")
        codes = positives_of(y_true, pos_label=pos_label).astype(np.int64)
        given = np.stack([1 - given, given], axis=1)
    else:
        if pos_label is not None:
            raise InputError("y_prob has one column per class; pos_label is for the positive class's alone")
        sums = given.sum(axis=1)
        off = np.flatnonzero(np.abs(sums - 1) > _SUM)
        if len(off):
            raise InputError(f"the probabilities in row {off[0]} of y_prob sum to {sums[off[0]]:.4g}, not to 1")
        codes = class_codes(y_true, given.shape[1], labels)
    if len(codes) != len(given):
        raise InputError(f"y_true has {len(codes)} labels and y_prob {len(given)} rows; they must be of the same n")
    return given, codes
