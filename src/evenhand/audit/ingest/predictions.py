"""Reads labels, predicted classes and probabilities from a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from shlex import quote

import numpy as np
import polars as pl

from evenhand.audit.ingest.class_columns import match, order
from evenhand.audit.ingest.columns import TRUTH, Columns, first_row, listed
from evenhand.errors import InputError, did_you_mean
from evenhand.tables.values import as_numbers, is_quantity

_NATURAL = ({"0", "1"}, {"-1", "1"})
"""Pairs of labels whose second is the positive one without saying so."""

_ROUNDING = 1e-6
"""A probability may be outside [0, 1] by this much, which float32 arithmetic causes; it is clipped."""

_SUM = 1e-3
"""The probabilities of all classes sum to 1 within this."""


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Labels and predictions of the rows of a table.

    Attributes:
        classes: names [C]; of two, the second is the positive one.
        label, predicted: int64 [n], codes into `classes`.
        probabilities: float64 [n, C], as given, or None.
        notes: for the report.
    """

    classes: tuple[str, ...]
    label: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray | None
    notes: tuple[str, ...]

    @cached_property
    def labels(self) -> pl.Series:
        """The names of the labels' classes, str [n]."""
        return pl.Series(self.classes)[pl.Series(self.label)]

    @property
    def label_probability(self) -> np.ndarray:
        """The probability of the label, float64 [n]; needs probabilities."""
        assert self.probabilities is not None
        return np.take_along_axis(self.probabilities, self.label[:, None], axis=1)[:, 0]


def outcomes(
    columns: Columns, label: str, prediction: str | None, probability: Sequence[str], positive: object | None
) -> Outcomes:
    """Read the columns of labels and predictions; see `evenhand.audit.ingest.table.audit` for what is taken.

    Raises:
        InputError: neither a prediction nor a probability; a label that is missing, has one class, or needs
            `positive`; a predicted class that is none; a probability that is missing, NaN or out of range.
    """
    if prediction is None and not probability:
        raise InputError("name the column of predictions, or of probabilities, or both")
    if prediction is not None:
        _refuse_fractions(columns, prediction)
    words, truthful = _labels(columns, label)
    present = {_truth(word) if truthful else word for word in words.unique().to_list()}
    notes: list[str] = []
    classes = _ordered(columns, label, sorted(present, key=order(present)), positive, truthful, notes)
    if len(probability) > 1:
        classes, probability = match(columns.source, classes, probability, truthful, notes)
    elif probability and len(classes) > 2:
        raise InputError(
            f"{columns.subject(label, 'label')} has {len(classes)} classes, so one column of probabilities is not "
            "enough: name one per class"
        )
    probabilities = _probabilities(columns, probability) if probability else None
    predicted = None
    if prediction is not None:
        predicted_words = columns.words(prediction, "prediction")
        classes = _with_predicted(
            columns, prediction, classes, predicted_words, truthful, probabilities is not None, notes
        )
        predicted = _codes(predicted_words, classes, truthful)
    if probabilities is not None and predicted is not None:
        _compare(columns, probability, predicted, probabilities, notes)
    if predicted is None:
        assert probabilities is not None
        predicted = probabilities.argmax(axis=1).astype(np.int64)
    return Outcomes(classes, _codes(words, classes, truthful), predicted, probabilities, tuple(notes))


def _labels(columns: Columns, name: str) -> tuple[pl.Series, bool]:
    """Labels as words, and whether they are truth values (true and false, or 1 and 0)."""
    values = columns.full(name, "label")
    numbers = as_numbers(values) if is_quantity(values) else None
    if numbers is not None and not (numbers == numbers.round()).all():
        raise InputError(
            f"{columns.subject(name, 'label')} holds fractions, not classes; make classes of them first, or name "
            "the task, regression"
        )
    words = columns.as_words(values, "label")
    present = words.unique().to_list()
    _refuse_doubtful(columns, name, words, present)
    truthful = {word.lower() for word in present} <= {*TRUTH, *TRUTH.values()}
    if len({_truth(word) if truthful else word for word in present}) == 1:
        raise InputError(
            f'{columns.subject(name, "label")} is "{values[0]}" in every row; two or more classes are needed'
        )
    return words, truthful


def _refuse_doubtful(columns: Columns, name: str, words: pl.Series, present: Sequence[str]) -> None:
    """Refuse labels of which two are the same number, such as 1 and 01, and None beside numbers or truth values."""
    numbers = pl.Series(present).str.strip_chars().str.strip_prefix("+").cast(pl.Float64, strict=False)
    by_number: dict[float, str] = {}
    for word, number in zip(present, numbers, strict=True):
        if number is not None and by_number.setdefault(number, word) != word:
            one, other = sorted((by_number[number], word), key=lambda each: (len(each), each))
            raise InputError(
                f'{columns.subject(name, "label")} has "{one}" and "{other}", which are the same number; write it in '
                "one way, or give the classes names"
            )
    others = [word for word in present if word.lower() != "none"]
    plain = all(word.lower() in TRUTH or word in by_number.values() for word in others)
    if len(others) < len(present) and others and plain:
        row = first_row(words.str.to_lowercase() == "none")
        raise InputError(
            f'{columns.subject(name, "label")} is "{words[row]}" in row {row}, beside {listed(sorted(others))}; if it '
            "stands for a missing value, fill in these cells, or remove the rows, and else give it another name"
        )


def _refuse_fractions(columns: Columns, name: str) -> None:
    """Refuse predicted numbers, each of which would be a class of its own."""
    values = columns.get(name, "prediction")
    numbers = as_numbers(values) if is_quantity(values) else None
    if numbers is not None and not (numbers == numbers.round()).all():
        raise InputError(
            f"{columns.subject(name, 'prediction')} holds fractions, not classes; name a column of probabilities as "
            "probability, and the task of predicted numbers, regression"
        )


def _truth(word: str) -> str:
    """1 or 0 for true or false, however they are written; another word in small letters."""
    return TRUTH.get(word.lower(), word.lower())


def _ordered(
    columns: Columns, label: str, classes: list[str], positive: object | None, truthful: bool, notes: list[str]
) -> tuple[str, ...]:
    """The classes, the positive one of two last."""
    where = columns.subject(label, "label")
    if positive is not None:
        wanted = str(positive)
        wanted = TRUTH.get(wanted.lower(), wanted) if truthful else wanted
        wanted = wanted if wanted in classes else wanted.removesuffix(".0")
        if wanted not in classes:
            raise InputError(f'{where} is never "{positive}" (positive); {did_you_mean(wanted, classes)}')
        if len(classes) == 2:
            classes.sort(key=lambda word: word == wanted)
        else:
            notes.append(f"positive {wanted} has no effect: with {len(classes)} classes each is taken against the rest")
    elif len(classes) == 2 and set(classes) not in _NATURAL:
        raise InputError(
            f'{where} has the classes "{classes[0]}" and "{classes[1]}"; say which is the positive one, such as '
            f"--positive {quote(classes[1])}, or positive={classes[1]!r} in Python"
        )
    return tuple(classes)


def _probabilities(columns: Columns, names: Sequence[str]) -> np.ndarray:
    """float64 [n, C], as given; of one column, [1 − p, p]."""
    by_column = []
    for name in names:
        numbers = columns.numbers(name, "probability")
        outside = (numbers < -_ROUNDING) | (numbers > 1 + _ROUNDING)
        if outside.any():
            row = first_row(outside)
            subject = columns.subject(name, "probability")
            raise InputError(f"{subject} is {numbers[row]:g} in row {row}; probabilities lie between 0 and 1")
        by_column.append(np.clip(numbers, 0.0, 1.0))
    if len(by_column) == 1:
        return np.stack([1 - by_column[0], by_column[0]], axis=1)
    probabilities = np.stack(by_column, axis=1)
    sums = probabilities.sum(axis=1)
    wrong = np.abs(sums - 1) > _SUM
    if wrong.any():
        row = first_row(wrong)
        raise InputError(
            f"{columns.source}: the probabilities {listed(names)} sum to {sums[row]:.4g} in row {row}, not to 1"
        )
    return probabilities


def _with_predicted(
    columns: Columns,
    name: str,
    classes: tuple[str, ...],
    words: pl.Series,
    truthful: bool,
    closed: bool,
    notes: list[str],
) -> tuple[str, ...]:
    """The classes, including those that are predicted but never the label; allowed with more than two classes."""
    present = {word: _truth(word) if truthful else word for word in words.unique().to_list()}
    new = sorted(set(present.values()) - set(classes))
    if not new:
        return classes
    row = first_row(words.is_in([word for word, class_name in present.items() if class_name == new[0]]))
    if len(classes) == 2 or closed:
        raise InputError(
            f'{columns.subject(name, "prediction")} is "{new[0]}" in row {row}, which is none of the classes '
            f"{listed(classes)}"
        )
    notes.append(f"predicted, but nowhere the label: {listed(new)}")
    return tuple(sorted([*classes, *new], key=order([*classes, *new])))


def _codes(words: pl.Series, classes: Sequence[str], truthful: bool) -> np.ndarray:
    """int64 [n], the index of each word's class."""
    code = {name: number for number, name in enumerate(classes)}
    codes = {word: code[_truth(word) if truthful else word] for word in words.unique().to_list()}
    return words.replace_strict(codes, return_dtype=pl.Int64).to_numpy()


def _compare(
    columns: Columns, names: Sequence[str], predicted: np.ndarray, probabilities: np.ndarray, notes: list[str]
) -> None:
    """Refuse predictions and probabilities that no threshold reconciles; note rows where they differ."""
    if probabilities.shape[1] == 2:
        chosen, other = probabilities[predicted == 1, 1], probabilities[predicted == 0, 1]
        if len(chosen) and len(other) and chosen.max() < other.min():
            raise InputError(
                f"{columns.subject(names[-1], 'probability')} is lower wherever the positive class is predicted: it "
                "seems to be that of the other class"
            )
    chosen = np.take_along_axis(probabilities, predicted[:, None], axis=1)[:, 0]
    differ = float((chosen < probabilities.max(axis=1)).mean())
    if differ > 0:
        notes.append(f"the prediction is not the more probable class in {100 * differ:.2g}% of the rows")
