"""Turns labels into integer codes, and checks weights; refuses labels without a clear positive class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from evenhand.errors import InputError

Average = Literal["worst", "macro"]

_NATURAL = ({0, 1}, {-1, 1})
"""Pairs of labels whose positive class is 1 by default, as in scikit-learn and fairlearn."""

_MISSING_TYPES = ("NAType", "NaTType")
"""The names of pandas' types of missing values; comparing NA does not give a bool."""


@dataclass(frozen=True, eq=False)
class Labels:
    """True and predicted labels as codes.

    Attributes:
        true: int [n].
        predicted: int [..., n], one row per trial.
        codes: number of codes.
        counted: the codes that are compared with the rest: the positive one, or every class [C].
    """

    true: np.ndarray
    predicted: np.ndarray
    codes: int
    counted: tuple[int, ...]


def labels_of(y_true: Any, y_pred: Any, *, pos_label: Any = None, average: Average | None = None) -> Labels:
    """Code labels: 1 for the positive class and 0 for the rest, or one code per class if classes are averaged.

    Args:
        y_true: labels [n]: numbers, bools or words.
        y_pred: labels [..., n].
        pos_label: the positive class; not needed for 0/1, false/true and −1/1, for which it is 1.
        average: compares every class with the rest in turn.

    Raises:
        InputError: labels that are missing, fractions, or of two kinds; shapes that do not fit; a positive class that
            is missing, is not among the labels, or is combined with an average.
    """
    true, predicted = two_labels(y_true, y_pred)
    classes = np.union1d(true, predicted)
    if average is not None:
        if average not in ("worst", "macro"):
            raise InputError(f'average is "{average}"; it is "worst", "macro" or None')
        if pos_label is not None:
            raise InputError("give pos_label or average, not both: an average takes each class against the rest")
        codes = tuple(range(len(classes)))
        return Labels(np.searchsorted(classes, true), np.searchsorted(classes, predicted), len(classes), codes)
    positive = _positive(classes.tolist(), pos_label)
    return Labels((true == positive).astype(np.int64), (predicted == positive).astype(np.int64), 2, (1,))


def hits_of(y_true: Any, y_pred: Any) -> Labels:
    """Code predictions as right (1) or wrong (0), whatever the classes; every example is truly 1.

    Raises:
        InputError: labels that are missing, fractions, or of two kinds; shapes that do not fit.
    """
    true, predicted = two_labels(y_true, y_pred)
    return Labels(np.ones(len(true), dtype=np.int64), (predicted == true).astype(np.int64), 2, (1,))


def positives_of(y_true: Any, *, pos_label: Any = None) -> np.ndarray:
    """A mask of the positive labels, bool [n]. Raises InputError as `labels_of` does."""
    true = _labels(y_true, "y_true")
    return true == _positive(np.unique(true).tolist(), pos_label)


def class_codes(y_true: Any, classes: int, labels: Sequence[Any] | None) -> np.ndarray:
    """The column of each label in an array of probabilities, int [n].

    Args:
        y_true: labels [n]; whole numbers from 0 to `classes` − 1 if `labels` is None.
        classes: the number of columns.
        labels: the label of each column.

    Raises:
        InputError: a label without a column; `labels` of another length, or missing although needed.
    """
    true = _labels(y_true, "y_true")
    if labels is None:
        if true.dtype.kind not in "iub" or true.min() < 0 or true.max() >= classes:
            raise InputError(
                f"y_true has values other than 0 to {classes - 1}, the {classes} columns of y_prob; give labels, the "
                "label of each column"
            )
        return true.astype(np.int64)
    if len(labels) != classes or len(set(labels)) != classes:
        raise InputError(f"y_prob has {classes} columns and labels names {len(set(labels))} classes; name one a column")
    code = {label: number for number, label in enumerate(labels)}
    found = [code.get(label, -1) for label in true.tolist()]
    if -1 in found:
        raise InputError(f"y_true is {true[found.index(-1)]!s} in row {found.index(-1)}, which is not among labels")
    return np.array(found, dtype=np.int64)


def weights_of(sample_weight: Any, n: int) -> np.ndarray | None:
    """Weights float [n], or None if all are equal. Raises InputError unless they are finite and not negative."""
    if sample_weight is None:
        return None
    weight = numbers_of(sample_weight, "sample_weight")
    if weight.shape != (n,):
        raise InputError(f"sample_weight has shape {weight.shape}; one weight per label, ({n},), is needed")
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise InputError("sample_weight holds a weight that is negative or not a number; weights are 0 or more")
    return weight


def shares_of(weight: np.ndarray | None, n: int) -> np.ndarray:
    """Weights scaled to sum to 1, float [n]; nan if all are 0."""
    weight = np.ones(n) if weight is None else weight
    total = weight.sum()
    return weight / total if total > 0 else np.full(n, np.nan)


def unit_codes(units: Any, n: int) -> np.ndarray:
    """The codes of units' labels, int [n] from 0.

    Raises:
        InputError: there are not n labels, or some are missing.
    """
    found = array_of(units, "units")
    if found.shape != (n,):
        raise InputError(f"units has shape {found.shape}; one label per example, ({n},), is needed")
    if any(map(is_missing, found.tolist())):
        raise InputError("units holds missing values; every example's unit is needed")
    return np.unique(found.astype(str) if found.dtype == object else found, return_inverse=True)[1]


def numbers_of(values: Any, name: str) -> np.ndarray:
    """Convert to a float array. Raises InputError for anything else."""
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise InputError(f"{name} is not an array of numbers") from None


def array_of(values: Any, name: str) -> np.ndarray:
    """Convert to an array; words with missing values become objects, because NumPy would convert these to the word
    `nan`.

    Raises:
        InputError: rows of different lengths.
    """
    try:
        found = np.asarray(values)
    except ValueError:
        raise InputError(f"{name} has rows of different lengths") from None
    return np.array(values, dtype=object) if found.dtype.kind == "U" and isinstance(values, list | tuple) else found


def is_missing(value: Any) -> bool:
    """Whether a value is None, NaN, NaT, or missing for pandas."""
    return value is None or type(value).__name__ in _MISSING_TYPES or bool(value != value)


def two_labels(
    y_true: Any, y_pred: Any, names: tuple[str, str] = ("y_true", "y_pred")
) -> tuple[np.ndarray, np.ndarray]:
    """Labels [n] and labels [..., n] of the same kind; `names` are theirs in errors.

    Raises:
        InputError: labels that are missing, fractions, or of two kinds; shapes that do not fit.
    """
    first, second = names
    true, predicted = _labels(y_true, first), _labels(y_pred, second, trials=True)
    if predicted.shape[-1] != len(true):
        raise InputError(
            f"{first} has {len(true)} labels and {second} {predicted.shape[-1]}; they must be of the same n"
        )
    if (true.dtype.kind == "U") != (predicted.dtype.kind == "U"):
        words, numbers = names if true.dtype.kind == "U" else (second, first)
        raise InputError(f"{words} holds words and {numbers} does not; both must be the same labels")
    return true, predicted


def _labels(values: Any, name: str, trials: bool = False) -> np.ndarray:
    """An array of bools, numbers or words without missing values."""
    found = array_of(values, name)
    if found.dtype == object:
        if any(map(is_missing, found.ravel().tolist())):
            raise InputError(f"{name} holds missing values; every label is needed")
        found = np.array(found.tolist())
    if found.ndim == 0 or (found.ndim > 1 and not trials):
        raise InputError(f"{name} has shape {found.shape}; one label per example, (n,), is needed")
    if found.size == 0:
        raise InputError(f"{name} is empty")
    if found.dtype.kind not in "biufU":
        raise InputError(f"{name} has type {found.dtype}; labels are bools, whole numbers or words")
    if found.dtype.kind == "f":
        if not np.isfinite(found).all():
            raise InputError(f"{name} holds missing values; every label is needed")
        fractions = found[found != np.floor(found)]
        if len(fractions):
            raise InputError(f"{name} holds {fractions[0]:g}, no class; make labels of scores with a threshold first")
    return found


def _positive(classes: list[Any], pos_label: Any) -> Any:
    natural = any(set(classes) <= pair for pair in _NATURAL)
    if pos_label is None:
        if natural:
            return 1
        shown = ", ".join(map(str, classes[:5])) + (", …" if len(classes) > 5 else "")
        more = ', or average="worst" or "macro" to take each class against the rest' if len(classes) > 2 else ""
        raise InputError(f"the labels are {shown}: say which is the positive class with pos_label{more}")
    if pos_label not in classes and not (natural and any(pos_label in pair for pair in _NATURAL)):
        shown = ", ".join(map(str, classes[:5])) + (", …" if len(classes) > 5 else "")
        raise InputError(f"pos_label is {pos_label!r}, which is not among the labels {shown}")
    return pos_label
