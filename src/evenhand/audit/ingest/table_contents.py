"""Reads what the columns of a table hold besides groups: classes, numbers, values, and membership with its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand.audit.design import Design, SettingDesign
from evenhand.audit.ingest.attributes import columns_of
from evenhand.audit.ingest.columns import Columns
from evenhand.audit.ingest.membership_scores import Scored, scored
from evenhand.audit.ingest.predictions import Outcomes, outcomes
from evenhand.audit.ingest.request import SETTING, TableRequest, several
from evenhand.audit.ingest.suspicions import one_role_each
from evenhand.audit.ingest.values import PredictedNumbers, ValueColumn, predicted_numbers, value_columns
from evenhand.audit.measures import Kind
from evenhand.errors import InputError, did_you_mean


@dataclass(frozen=True, eq=False)
class TableContents:
    """What a table says of its examples and models, besides groups.

    Attributes:
        predicted: labels and predicted classes; None where no classes were predicted.
        numbers: labels and predictions of a regression; None of another task.
        values: columns of values.
        membership: members and an attack's scores; None where they are not named.
    """

    predicted: Outcomes | None
    numbers: PredictedNumbers | None
    values: tuple[ValueColumn, ...]
    membership: Scored | None

    @classmethod
    def of(cls, columns: Columns, request: TableRequest) -> TableContents:
        """Read the columns that are named. Raises InputError where they name nothing to audit, or contradict."""
        one_role_each(columns, request.label, _other_roles(columns, request))
        membership, names = scored(columns, request.member, request.score), several(request.value)
        regression = _is_regression(request)
        own, limits = _ranges(request, names) if regression else (None, request.range)
        values = value_columns(columns, names, request.more_is, limits, request.scale)
        if regression:
            numbers = predicted_numbers(columns, str(request.label), request.prediction, own)
            return cls(None, numbers, values, membership)
        return cls(_outcomes(columns, request, membership, values), None, values, membership)

    @property
    def of_groups(self) -> bool:
        """Whether groups are compared."""
        return self.predicted is not None or self.numbers is not None or bool(self.values)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of records that the columns hold, whose measures can be asked for."""
        held: dict[Kind, object] = {
            "predictions": self.predicted,
            "membership": self.membership,
            "values": self.values or None,
            "regression": self.numbers,
        }
        return tuple(kind for kind, records in held.items() if records is not None)

    @property
    def task(self) -> str:
        """What a report says was given; empty for predictions."""
        if self.predicted or self.numbers:
            return ""
        return "values as given" if self.values else "membership scores as given"

    @property
    def labels(self) -> pl.Series | None:
        """The labels as texts, str [n]; None where there are none."""
        known = self.predicted or self.numbers
        return None if known is None else known.labels

    @property
    def design(self) -> Design:
        """A design that declares the measures of these columns."""
        regression = None if self.numbers is None else self.numbers.design
        return Design(
            settings={SETTING: SettingDesign(regression=regression)},
            declared=tuple(column.measure for column in self.values),
        )


def named_columns(columns: Columns, request: TableRequest) -> set[str]:
    """The columns that have a role."""
    named = [request.label, request.unit, *(name for _, name in _other_roles(columns, request))]
    return {str(name) for name in named if name is not None}


def _other_roles(columns: Columns, request: TableRequest) -> list[tuple[str, str | None]]:
    """The columns that are named in roles other than that of the label, (role, column)."""
    single = ("prediction", "method", "seed", "example", "weight", "member", "score")
    named = [(role, getattr(request, role)) for role in single]
    named += [("probability", name) for name in several(request.probability)]
    named += [("value", name) for name in several(request.value)]
    return named + [("group", column) for name in several(request.groups) for column in columns_of(columns, name)]


def _outcomes(
    columns: Columns, request: TableRequest, membership: Scored | None, values: Sequence[ValueColumn]
) -> Outcomes | None:
    """Labels and predictions; None where only membership or values are audited."""
    probability = several(request.probability)
    if request.label is not None:
        return outcomes(columns, request.label, request.prediction, probability, request.positive)
    if membership is None and not values:
        raise InputError(
            f"{columns.source}: name the column of labels (label), one of values (value), or those of membership and "
            "of an attack's scores (member and score)"
        )
    if request.prediction is not None or probability:
        raise InputError(f"{columns.source}: predictions are named and labels are not; name the column of labels too")
    return None


def _is_regression(request: TableRequest) -> bool:
    """Whether labels are numbers. Raises InputError for another task, or options that numbers do not have."""
    tasks = ("classification", "regression")
    if request.task not in tasks:
        raise InputError(f"task should be {' or '.join(tasks)}, not {request.task!r}")
    if request.task == "classification":
        return False
    if request.label is None:
        raise InputError("task regression: name the column of true numbers (label)")
    for name in ("probability", "positive", "favourable"):
        if getattr(request, name) not in (None, ()):
            raise InputError(f"task regression: {name} is about classes; leave it out")
    return True


def _ranges(request: TableRequest, values: Sequence[str]) -> tuple[Any, Any]:
    """What was declared of a regression: the range of labels and predictions, and those of columns of values.

    Raises:
        InputError: a range by column names another column, or says two things of labels and predictions.
    """
    given, both = request.range, [str(request.label), str(request.prediction)]
    if not isinstance(given, Mapping):
        return given, given if values else None
    for name in given:
        if name not in (*both, *values):
            raise InputError(f'range: "{name}" is no column of numbers here; {did_you_mean(name, [*both, *values])}')
    own = [given[name] for name in dict.fromkeys(both) if name in given]
    own = [tuple(each) if isinstance(each, list) else each for each in own]
    if len(own) > 1 and own[0] != own[1]:
        raise InputError(f"range: label and prediction have one range, not {own[0]} and {own[1]}")
    return own[0] if own else None, {name: each for name, each in given.items() if name not in both} or None
