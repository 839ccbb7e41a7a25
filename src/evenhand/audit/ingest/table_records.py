"""Turns a user's table into records: examples, trials, predictions and membership scores of one setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
import polars as pl

from evenhand import records
from evenhand.audit.design import Design, MarginChange, SettingDesign, SubgroupsDesign
from evenhand.audit.ingest.against import compared_with
from evenhand.audit.ingest.attributes import TableGroups, attributes
from evenhand.audit.ingest.columns import Columns, first_row
from evenhand.audit.ingest.coverage import copies, coverage
from evenhand.audit.ingest.membership_scores import Scored, scored, scored_tables
from evenhand.audit.ingest.pairing import Pairing, pair
from evenhand.audit.ingest.predictions import Outcomes, outcomes
from evenhand.audit.ingest.suspicions import one_role_each, spellings, warnings_on
from evenhand.audit.ingest.trials import Runs, references, runs
from evenhand.audit.measures import check_margins, select
from evenhand.errors import InputError

SETTING = "table"


@dataclass(frozen=True, kw_only=True)
class TableRequest:
    """The keywords of `evenhand.audit.ingest.table.audit`, which describes them."""

    label: str | None = None
    prediction: str | None = None
    probability: str | Sequence[str] | None = None
    groups: str | Sequence[str] = ()
    positive: object | None = None
    favourable: Literal["positive", "negative"] | None = None
    method: str | None = None
    seed: str | None = None
    reference: str | Sequence[str] | None = None
    example: str | None = None
    unit: str | None = None
    weight: str | None = None
    margins: Mapping[str, float] | None = None
    measures: Sequence[str] | None = None
    comparison: Literal["gap"] | None = None
    against: str | Sequence[str] | None = None
    split: Literal["fixed", "varying"] | None = None
    test_share: float | None = None
    member: str | None = None
    score: str | None = None
    subgroups: Mapping[str, Any] | None = None
    source: str = "table"


@dataclass(frozen=True, eq=False)
class TableRecords:
    """A table as records: one setting, `table`; a trial is a hash of (method, seed)."""

    examples: pl.DataFrame
    trials: pl.DataFrame
    predictions: pl.DataFrame
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
    one_role_each(columns, request.label, _other_roles(request))
    margins, measures = _margins(request.margins or {}), _measures(_several(request.measures))
    membership = scored(columns, request.member, request.score)
    predicted = _outcomes(columns, request, membership)
    if membership is not None and request.weight is not None:
        raise InputError(
            f"{request.source}: weights ({request.weight}) play no part in an audit of membership; leave weight out"
        )
    names = _several(request.groups)
    searched = _subgroups(request, predicted)
    cuts = None if searched is None else searched.cuts
    groups = attributes(columns, names, cuts) if names or membership is None else {}
    asked = _several(request.against)
    compared = {name: values.names for name, values in groups.items()} if asked and predicted else {}
    against, elsewhere = compared_with(asked, compared)
    table_runs = runs(columns, request.method, request.seed)
    facts = _facts(columns, request, predicted, groups)
    pairing = pair(columns, table_runs.rows, facts, request.example, request.split, request.test_share)
    suspicions = spellings(predicted, groups, table_runs.rows)
    suspicions += [*copies(table_runs.rows, pairing, facts, predicted), *elsewhere]
    chosen = references(_several(request.reference), table_runs.methods, request.method)
    known = coverage(table_runs.rows, pairing, chosen, groups)
    warnings = (*known.warnings, *warnings_on(predicted, membership, groups))
    members, scores = scored_tables(table_runs.rows["trial"], pairing.example, membership)
    return TableRecords(
        _examples(pairing, facts, predicted, groups),
        table_runs.trials(SETTING),
        _predictions(table_runs.rows, pairing.example, predicted, membership),
        members,
        scores,
        Design(
            settings={
                SETTING: _setting(chosen, table_runs, pairing, predicted, membership, suspicions).model_copy(
                    update={
                        "warnings": warnings,
                        "unmatched": known.unmatched,
                        "favourable": _favourable(request, predicted),
                        "against": against,
                    }
                )
            },
            measures=measures,
            gaps=request.comparison == "gap",
            margins=margins,
            margin_history=(MarginChange(date=date.today().isoformat(), margins=margins),) if margins else (),
            paired=pairing.paired,
            source=request.source,
            # Numbers are in their classes already.
            subgroups=None if searched is None else searched.model_copy(update={"cuts": {}}),
        ),
    )


def _other_roles(request: TableRequest) -> list[tuple[str, str | None]]:
    """The columns that are named in roles other than that of the label, (role, column)."""
    single = ("prediction", "method", "seed", "example", "weight", "member", "score")
    named = [(role, getattr(request, role)) for role in single]
    named += [("probability", name) for name in _several(request.probability)]
    return named + [("group", name.rpartition("=")[2]) for name in _several(request.groups)]


def _outcomes(columns: Columns, request: TableRequest, membership: Scored | None) -> Outcomes | None:
    """Labels and predictions; None where only membership is audited."""
    probability = _several(request.probability)
    if request.label is not None:
        return outcomes(columns, request.label, request.prediction, probability, request.positive)
    if membership is None:
        raise InputError(
            f"{columns.source}: name the column of labels (label), or those of membership and of an attack's scores "
            "(member and score)"
        )
    if request.prediction is not None or probability:
        raise InputError(f"{columns.source}: predictions are named and labels are not; name the column of labels too")
    return None


def _facts(
    columns: Columns, request: TableRequest, predicted: Outcomes | None, groups: Mapping[str, TableGroups]
) -> dict[str, pl.Series]:
    """The properties of each row's example, by their names in messages: texts, and weights as numbers."""
    facts = {"label": predicted.labels if predicted else pl.repeat("", len(columns), eager=True)}
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


def _predictions(
    rows: pl.DataFrame, example: pl.Series, predicted: Outcomes | None, membership: Scored | None
) -> pl.DataFrame:
    """The table `predictions`; models are not audited on examples that they were trained on (the split `train`)."""
    if predicted is None:
        return records.TABLES["predictions"].empty()
    if membership is None:
        split = pl.repeat("test", len(rows), eager=True)
    else:
        split = pl.Series(np.where(membership.member, "train", "test"))
    table = {"trial": rows["trial"], "split": split, "example": example, "predicted": pl.Series(predicted.predicted)}
    if predicted.probabilities is not None:
        shape = predicted.probabilities.shape
        table["probabilities"] = pl.Series(predicted.probabilities, dtype=pl.Array(pl.Float64, shape[1]))
    return records.validate(pl.DataFrame(table), "predictions")


def _setting(
    chosen: tuple[str, ...],
    table_runs: Runs,
    pairing: Pairing,
    predicted: Outcomes | None,
    membership: Scored | None,
    suspicions: Sequence[str],
) -> SettingDesign:
    methods = table_runs.methods
    outcome_notes = [*(predicted.notes if predicted else ()), *suspicions]
    return SettingDesign(
        references=chosen,
        methods=(*chosen, *(name for name in methods if name not in chosen)),
        classes=predicted.classes if predicted else (),
        vary=pairing.vary or (membership is not None and membership.varies(pairing.example)),
        test_share=pairing.test_share,
        task="" if predicted else "membership scores as given",
        notes=(
            *pairing.notes,
            *table_runs.notes,
            *(f"{note[0].upper()}{note[1:]}." for note in outcome_notes),
        ),
    )


def _subgroups(request: TableRequest, predicted: Outcomes | None) -> SubgroupsDesign | None:
    """Which conjunctions of groups are searched; None where that is not asked for."""
    if request.subgroups is None:
        return None
    if predicted is None:
        raise InputError(f"{request.source}: subgroups are searched in predictions, and there are none")
    return SubgroupsDesign.parse(request.subgroups, "subgroups")


def _favourable(request: TableRequest, predicted: Outcomes | None) -> Literal["positive", "negative"] | None:
    """The favourable prediction of two; None where it is not said."""
    for name, value, allowed in (
        ("favourable", request.favourable, ("positive", "negative")),
        ("comparison", request.comparison, ("gap",)),
    ):
        if value is not None and value not in allowed:
            raise InputError(f"{name} should be {' or '.join(allowed)}, not {value!r}")
    if request.favourable is not None and (predicted is None or len(predicted.classes) > 2):
        raise InputError(f"favourable {request.favourable} needs predictions of two classes, one of them positive")
    return request.favourable


def _measures(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        return ()
    return tuple(measure.name for kind in ("predictions", "membership") for measure in select(names, kind))


def _weights(columns: Columns, name: str) -> np.ndarray:
    weights = columns.numbers(name, "weight")
    if not (weights > 0).all():
        row = first_row(weights <= 0)
        raise InputError(f"{columns.subject(name, 'weight')} is {weights[row]:g} in row {row}; weights are above 0")
    return weights


def _margins(margins: Mapping[str, float]) -> dict[str, float]:
    check_margins(margins)
    return {name: float(margin) for name, margin in margins.items()}


def _several(names: str | Sequence[str] | None) -> tuple[str, ...]:
    if names is None:
        return ()
    return tuple(map(str, names)) if isinstance(names, Sequence) and not isinstance(names, str) else (str(names),)
