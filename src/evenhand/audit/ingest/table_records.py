"""Turns a user's table into records of one setting: examples, trials, predictions, values and membership scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from evenhand import records
from evenhand.audit.design import Design, MarginChange, SettingDesign
from evenhand.audit.ingest.against import compared_with
from evenhand.audit.ingest.attributes import TableGroups, attributes
from evenhand.audit.ingest.columns import Columns, first_row
from evenhand.audit.ingest.coverage import copies, coverage
from evenhand.audit.ingest.membership_scores import Scored, scored_tables
from evenhand.audit.ingest.pairing import Pairing, pair
from evenhand.audit.ingest.predictions import Outcomes
from evenhand.audit.ingest.request import SETTING, TableRequest, several
from evenhand.audit.ingest.request_checks import (
    check_comparison,
    check_ranks,
    check_references,
    check_split,
    favourable,
    measures_and_margins,
    searched_subgroups,
    thresholds,
)
from evenhand.audit.ingest.suspicions import notes_on_patterns, spellings, warnings_on
from evenhand.audit.ingest.table_contents import TableContents, named_columns
from evenhand.audit.ingest.trials import Runs, references, runs
from evenhand.audit.ingest.unused_columns import unused_columns
from evenhand.audit.ingest.values import values_table
from evenhand.errors import InputError

__all__ = ["SETTING", "TableRecords", "TableRequest", "records_from_table"]


_SMALL = 1e-30
"""Weights between this and its inverse can be squared, summed and divided."""


@dataclass(frozen=True, eq=False)
class TableRecords:
    """A table as records: one setting, `table`; a trial is a hash of (method, seed)."""

    examples: pl.DataFrame
    trials: pl.DataFrame
    predictions: pl.DataFrame
    values: pl.DataFrame
    members: pl.DataFrame
    scores: pl.DataFrame
    design: Design


def records_from_table(frame: Any, request: TableRequest) -> TableRecords:
    """The records of a table with a row per prediction, or per attacked example of a model, and the design.

    Args:
        frame: any dataframe that narwhals reads.
        request: the columns and options of the audit.

    Returns:
        One setting, `table`, whose predictions are of the split `test`, those of members of the split `train`.

    Raises:
        InputError: one sentence about the first error in the table or the request.
    """
    columns = Columns.of(frame, request.source)
    read = TableContents.of(columns, request)
    predicted, membership = read.predicted, read.membership
    measures, margins = measures_and_margins(request, read)
    if membership is not None and request.weight is not None:
        raise InputError(
            f"{request.source}: weights ({request.weight}) play no part in an audit of membership; leave weight out"
        )
    names = several(request.groups)
    searched = searched_subgroups(request, read)
    cuts = None if searched is None else searched.cuts
    groups = attributes(columns, names, cuts) if names or membership is None else {}
    asked = several(request.against)
    compared = {name: values.names for name, values in groups.items()} if asked and read.of_groups else {}
    against, elsewhere = compared_with(asked, compared)
    check_ranks(read.values, against)
    table_runs = runs(columns, request.method, request.seed)
    facts = _facts(columns, request, read.labels, groups)
    check_split(request)
    check_comparison(request)
    pairing = pair(columns, table_runs.rows, facts, request.example, request.split, request.test_share)
    suspicions = [*notes_on_patterns(groups), *spellings(predicted, groups, table_runs.rows)]
    suspicions += [*copies(table_runs.rows, pairing, facts, predicted), *elsewhere]
    chosen = references(several(request.reference), table_runs.methods, request.method)
    check_references(several(request.measures), chosen, request.source)
    holds = "prediction" if predicted or read.numbers else "row"
    known = coverage(table_runs.rows, pairing, chosen, groups, holds)
    warnings = (
        *known.warnings,
        *unused_columns(columns, request, named_columns(columns, request)),
        *warnings_on(predicted, membership, groups, table_runs.rows["method"]),
        *(read.numbers.warnings if read.numbers else ()),
        *(text for column in read.values for text in column.warnings(table_runs.rows, pairing.first, groups)),
    )
    members, scores = scored_tables(table_runs.rows["trial"], pairing.example, membership)
    split = _splits(len(columns), membership)
    return TableRecords(
        _examples(pairing, facts, predicted, groups),
        table_runs.trials(SETTING),
        _predictions(table_runs.rows, split, pairing.example, predicted),
        values_table(table_runs.rows["trial"], split, pairing.example, read.values, read.numbers),
        members,
        scores,
        Design(
            settings={
                SETTING: _setting(chosen, table_runs, pairing, read, suspicions).model_copy(
                    update={
                        "warnings": warnings,
                        "unmatched": known.unmatched,
                        "favourable": favourable(request, predicted),
                        "against": against,
                    }
                )
            },
            measures=measures,
            declared=read.design.declared,
            gaps=request.comparison == "gap",
            thresholds=thresholds(request, predicted),
            margins=margins,
            margin_history=(MarginChange(date=date.today().isoformat(), margins=margins),) if margins else (),
            paired=pairing.paired,
            source=request.source,
            # Numbers are in their classes already.
            subgroups=None if searched is None else searched.model_copy(update={"cuts": {}}),
        ),
    )


def _facts(
    columns: Columns, request: TableRequest, labels: pl.Series | None, groups: Mapping[str, TableGroups]
) -> dict[str, pl.Series]:
    """The properties of each row's example, by their names in messages: texts, and weights as numbers."""
    facts = {"label": pl.repeat("", len(columns), eager=True) if labels is None else labels}
    facts |= {f"group of {name}": values.text for name, values in groups.items()}
    if request.unit is not None:
        facts["unit"] = columns.words(request.unit, "unit")
    if request.weight is not None:
        facts["weight"] = pl.Series(_weights(columns, request.weight))
    return facts


def _examples(
    pairing: Pairing, facts: Mapping[str, pl.Series], predicted: Outcomes | None, groups: Mapping[str, TableGroups]
) -> pl.DataFrame:
    """The table `examples`, with the first row of each example."""
    rows = pairing.first.unique(maintain_order=True)
    ids = pairing.example[rows]
    return records.validate(
        pl.DataFrame(
            {
                "setting": pl.repeat(SETTING, len(ids), eager=True),
                "example": ids,
                "label": pl.Series(predicted.label)[rows]
                if predicted
                else pl.Series([None] * len(ids), dtype=pl.Int64),
                "weight": facts["weight"][rows] if "weight" in facts else pl.repeat(1.0, len(ids), eager=True),
                "unit": facts["unit"][rows] if "unit" in facts else ids,
                **{records.ATTRIBUTE + name: values.lists_of(rows) for name, values in groups.items()},
            }
        ),
        "examples",
    )


def _splits(count: int, membership: Scored | None) -> pl.Series:
    """The split of each row; models are not audited on examples that they were trained on (the split `train`)."""
    if membership is None:
        return pl.repeat("test", count, eager=True)
    return pl.Series(np.where(membership.member, "train", "test"))


def _predictions(rows: pl.DataFrame, split: pl.Series, example: pl.Series, predicted: Outcomes | None) -> pl.DataFrame:
    """The table `predictions`."""
    if predicted is None:
        return records.TABLES["predictions"].empty()
    table = {"trial": rows["trial"], "split": split, "example": example, "predicted": pl.Series(predicted.predicted)}
    if predicted.probabilities is not None:
        shape = predicted.probabilities.shape
        table["probabilities"] = pl.Series(predicted.probabilities, dtype=pl.Array(pl.Float64, shape[1]))
    return records.validate(pl.DataFrame(table), "predictions")


def _setting(
    chosen: tuple[str, ...],
    table_runs: Runs,
    pairing: Pairing,
    read: TableContents,
    suspicions: Sequence[str],
) -> SettingDesign:
    methods, predicted, membership = table_runs.methods, read.predicted, read.membership
    outcome_notes = [*(predicted.notes if predicted else ()), *suspicions]
    return SettingDesign(
        references=chosen,
        methods=(*chosen, *(name for name in methods if name not in chosen)),
        classes=predicted.classes if predicted else (),
        vary=pairing.vary or (membership is not None and membership.varies(pairing.example)),
        test_share=pairing.test_share,
        task=read.task,
        regression=None if read.numbers is None else read.numbers.design,
        notes=(
            *pairing.notes,
            *table_runs.notes,
            *(f"{note[0].upper()}{note[1:]}." for note in outcome_notes),
        ),
    )


def _weights(columns: Columns, name: str) -> np.ndarray:
    weights = columns.numbers(name, "weight")
    if not (weights > 0).all():
        row = first_row(weights <= 0)
        raise InputError(f"{columns.subject(name, 'weight')} is {weights[row]:g} in row {row}; weights are above 0")
    if not _SMALL < weights.min() <= weights.max() < 1 / _SMALL:
        raise InputError(
            f"{columns.subject(name, 'weight')} goes from {weights.min():g} to {weights.max():g}, which is too small "
            "or too large to compute with; only the ratios of weights matter, so divide all by one number"
        )
    return weights
