"""What an evaluation harness says of one model: its scores of every document, and the numbers that it reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from evenhand.errors import InputError

MoreIs = Literal["worse", "better", "neither"]

CUT = object()
"""Stands for the value of a field that the log does not hold whole."""

CLOSE = 1e-9
"""The relative difference up to which the mean of documents is the harness's number; only rounding differs."""


@dataclass(frozen=True, eq=False)
class Document:
    """One document of a task (in Inspect a sample).

    Attributes:
        fields: what groups and units are read from; may be nested.
        content: identifies the document, so that two models are known to have been asked the same.
    """

    fields: Mapping[str, Any]
    content: str


@dataclass(frozen=True, eq=False)
class MetricScores:
    """One metric of a task.

    Attributes:
        name: the harness's.
        more_is: what a larger number means; `neither` where the harness does not say.
        share: whether each value is 0 or 1, or a share by its definition, so that the mean is on a scale of 0 to 1.
        total: the number that the harness reports; None where it reports none.
        values: by document; a document without a value is left out. None where the number is not a mean over documents.
        scored: whether documents have numbers although the harness's is not known to be made of them.
    """

    name: str
    more_is: MoreIs
    share: bool
    total: float | None
    values: Mapping[str, float] | None
    scored: bool = False


@dataclass(frozen=True, eq=False)
class TaskScores:
    """One task: its documents by id, and its metrics.

    Attributes:
        documents: all that were scored.
        metrics: in the harness's order.
        protocol: further facts that should be the same for all models, by name: the task's version, …
    """

    documents: Mapping[str, Document]
    metrics: Sequence[MetricScores]
    protocol: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The scores of one model, from one file or from files that belong together.

    Attributes:
        where: the file, for messages.
        model: its name, as short as readers know it.
        identity: all that says which model it is: two evaluations with one name may be of different models.
        seed: the seeds of the evaluation, as one text; empty where the log has none.
        tasks: by name.
        notes: sentences for the report.
        harness: the program and its version.
    """

    where: str
    model: str
    identity: Mapping[str, str]
    seed: str
    tasks: Mapping[str, TaskScores]
    notes: tuple[str, ...] = ()
    harness: str = ""


def is_mean(values: Mapping[str, float], total: float | None) -> bool:
    """Whether a number is the mean of documents' values, up to rounding.

    Example:
        >>> is_mean({"0": 1.0, "1": 0.0, "2": 0.0}, 1 / 3), is_mean({"0": 1.0, "1": 3.0}, 1.5)
        (True, False)
    """
    if total is None or not values:
        return False
    numbers = np.fromiter(values.values(), dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(abs(numbers.mean() - total) <= CLOSE * max(1.0, float(np.abs(numbers).max())))


def shares(values: Mapping[str, float]) -> bool:
    """Whether every value is 0 or 1, so that their mean is a share of documents."""
    return all(value in (0.0, 1.0) for value in values.values())


def agreed(directions: Iterable[MoreIs]) -> MoreIs:
    """What a larger number means where all say the same; else `neither`.

    Example:
        >>> agreed(["better", "better"]), agreed(["better", "worse"])
        ('better', 'neither')
    """
    distinct = set(directions)
    return distinct.pop() if len(distinct) == 1 else "neither"


def unread(where: str, what: str, hint: str) -> InputError:
    """The error for a path that holds no evaluation."""
    return InputError(f"{where} holds no {what}; {hint}")
