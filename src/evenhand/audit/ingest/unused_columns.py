"""Warns of columns that were not named and change the answer if they hold what their names say."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

from evenhand.audit.ingest.columns import Columns
from evenhand.audit.ingest.request import TableRequest
from evenhand.errors import InputError

_USUAL: Mapping[str, str] = {
    **dict.fromkeys(("method", "model", "model_name", "adapter"), "method"),
    **dict.fromkeys(("seed", "run", "run_id"), "seed"),
    **dict.fromkeys(("weight", "weights", "sample_weight", "sample_weights"), "weight"),
    **dict.fromkeys(("id", "example", "example_id", "row_id", "sample_id"), "example"),
    **dict.fromkeys(("unit", "user", "user_id", "person", "person_id", "patient_id", "subject_id", "template"), "unit"),
}
"""The roles of columns by the names that they usually have, in lower case."""

_TAKEN_FOR_GRANTED: Mapping[str, str] = {
    "method": "all rows count as one model's; if it says which model made a prediction",
    "seed": "all rows count as one run's; if it tells runs apart",
    "example": "nothing says which rows of several runs are of the same example; if it holds ids",
    "unit": "rows with the same value count as independent; if they belong together",
    "weight": "all rows count alike; if it holds weights",
}
"""By role, the gravest first: what holds without such a column, and when it should be named."""


def unused_columns(columns: Columns, request: TableRequest, named: Collection[str]) -> list[str]:
    """Sentences for the headline on columns that look like methods, seeds, weights, ids or units and have no role.

    There is none for a column whose role another column has, or that would change nothing: it has the same value in all
    rows or, as a unit, another for each example.

    Args:
        columns: of the table.
        request: the columns that have a role, by role.
        named: all columns that have one.
    """
    found: dict[str, list[str]] = {role: [] for role in _TAKEN_FOR_GRANTED}
    for name in columns.names:
        usual = _USUAL.get(name.lower())
        role = None if usual is None or name in named else _role(usual, request)
        if role is None or getattr(request, role) is not None:
            continue
        count = _distinct(columns, name)
        if count > 1 and not (role == "unit" and count >= _examples(columns, request)):
            found[role].append(
                f"The column {name} ({count:,} values) has no role, and {_TAKEN_FOR_GRANTED[role]}, give it as {role}."
            )
    return [sentence for sentences in found.values() for sentence in sentences]


def _role(usual: str, request: TableRequest) -> str | None:
    """The role that a column of a usual name could have in this audit; None where it could have none."""
    several_runs = request.method is not None or request.seed is not None
    if usual == "weight":
        return None if request.member is not None else usual
    if usual == "example":
        return "example" if several_runs else "unit" if request.example is None else None
    if usual == "unit" and several_runs and request.example is None:
        return None  # the same unit is in every run, and nothing says which rows are the same example
    return usual


def _examples(columns: Columns, request: TableRequest) -> int:
    """The number of different examples."""
    return len(columns) if request.example is None else _distinct(columns, request.example)


def _distinct(columns: Columns, name: str) -> int:
    """The number of different values of a column; 0 if it holds no plain values."""
    try:
        return columns.get(name, "unused").drop_nulls().n_unique()
    except (InputError, pl.exceptions.PolarsError):
        return 0
