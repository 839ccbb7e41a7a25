"""Turns a user's table into records of one setting: examples, trials, predictions, values and membership scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
from evenhand.audit.ingest.membership_scores import Scored, scored_tables
from evenhand.audit.ingest.pairing import Pairing, pair
from evenhand.audit.ingest.predictions import Outcomes
from evenhand.audit.ingest.request import SETTING, TableRequest, several
from evenhand.audit.ingest.suspicions import notes_on_patterns, spellings, warnings_on
from evenhand.audit.ingest.table_contents import TableContents
from evenhand.audit.ingest.trials import Runs, references, runs
from evenhand.audit.ingest.values import ValueColumn, values_table
from evenhand.audit.measures import (
    SEVERAL,
    Kind,
    check_margins,
    declaring,
    is_selected,
    known,
    measure_named,
    of_kind,
    select,
)
from evenhand.audit.measures.stability import needs_reference
from evenhand.audit.subgroups.searchable import refusal
from evenhand.errors import InputError, did_you_mean

__all__ = ["SETTING", "TableRecords", "TableRequest", "records_from_table"]


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
    predicted, membership, declared = read.predicted, read.membership, read.design
    with declaring(declared):
        margins = _margins({} if request.margins is None else request.margins)
        measures = _measures(several(request.measures), [column.name for column in read.values])
        _check_kinds("measures", several(request.measures), read.kinds, request.source)
        _check_kinds("margins", margins, read.kinds, request.source)
        if not measures:
            _check_computed(margins, request.source)
        if request.subgroups is not None and (refused := refusal(measures)) is not None:
            raise InputError(f"{request.source}: {refused}")
    if membership is not None and request.weight is not None:
        raise InputError(
            f"{request.source}: weights ({request.weight}) play no part in an audit of membership; leave weight out"
        )
    names = several(request.groups)
    searchable = predicted is not None or read.numbers is not None or bool(read.values) or membership is not None
    searched = _subgroups(request, searchable)
    cuts = None if searched is None else searched.cuts
    groups = attributes(columns, names, cuts) if names or membership is None else {}
    asked = several(request.against)
    compared = {name: values.names for name, values in groups.items()} if asked and read.of_groups else {}
    against, elsewhere = compared_with(asked, compared)
    _check_ranks(read.values, against)
    table_runs = runs(columns, request.method, request.seed)
    facts = _facts(columns, request, read.labels, groups)
    _check_split(request)
    pairing = pair(columns, table_runs.rows, facts, request.example, request.split, request.test_share)
    suspicions = [*notes_on_patterns(groups), *spellings(predicted, groups, table_runs.rows)]
    suspicions += [*copies(table_runs.rows, pairing, facts, predicted), *elsewhere]
    chosen = references(several(request.reference), table_runs.methods, request.method)
    _check_references(several(request.measures), chosen, request.source)
    holds = "prediction" if predicted or read.numbers else "row"
    known = coverage(table_runs.rows, pairing, chosen, groups, holds)
    warnings = (
        *known.warnings,
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
                        "favourable": _favourable(request, predicted),
                        "against": against,
                    }
                )
            },
            measures=measures,
            declared=declared.declared,
            gaps=request.comparison == "gap",
            thresholds=_thresholds(request, predicted),
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


def _subgroups(request: TableRequest, searchable: bool) -> SubgroupsDesign | None:
    """Which conjunctions of groups are searched; None where that is not asked for."""
    if request.subgroups is None:
        return None
    if not searchable:
        raise InputError(
            f"{request.source}: subgroups are searched in predictions, values and membership scores, and there are none"
        )
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


def _check_references(measures: Sequence[str], references: Sequence[str], source: str) -> None:
    """Refuse a measure that is asked for by its name and needs a reference where there is none."""
    for name in measures:
        if name not in SEVERAL and not references and needs_reference(measure_named(name)):
            raise InputError(f"{source}: {name} compares each method with a reference; name it (reference)")


def _check_split(request: TableRequest) -> None:
    """Refuse a split that is none, and a test share that is no number."""
    splits = ("fixed", "varying")
    if request.split is not None and request.split not in splits:
        raise InputError(
            f'{request.source}: there is no split "{request.split}"; {did_you_mean(str(request.split), splits)}'
        )
    share = request.test_share
    if share is not None and (isinstance(share, bool) or not isinstance(share, int | float)):
        raise InputError(f"{request.source}: the test share (test_share) is a number between 0 and 1, not {share!r}")


def _thresholds(request: TableRequest, predicted: Outcomes | None) -> bool:
    """Whether rates over thresholds are asked for, which need probabilities of two classes."""
    if request.thresholds and (predicted is None or predicted.probabilities is None or len(predicted.classes) > 2):
        raise InputError(
            f"{request.source}: thresholds need the probability of the positive one of two classes (probability)"
        )
    return request.thresholds


_SMALL = 1e-30
"""Weights between this and its inverse can be squared, summed and divided."""
KINDS = ("predictions", "membership", "values", "regression")
"""The kinds of records that a table holds."""


def _measures(names: tuple[str, ...], values: Sequence[str]) -> tuple[str, ...]:
    """The measures that are named, and those of the columns of values, which naming the column asks for."""
    if not names:
        return ()
    return tuple(measure.name for kind in KINDS for measure in select([*names, *values], kind))


def _check_kinds(keyword: str, names: Iterable[str], kinds: Sequence[Kind], source: str) -> None:
    """Refuse measures, or margins of measures, of records that the table does not hold."""
    for name in names:
        if name not in SEVERAL and measure_named(name).kind not in kinds:
            raise InputError(
                f'{source}: {keyword}: "{name}" is a measure of {measure_named(name).kind}, and the table holds '
                f"{' and '.join(kinds)}; {did_you_mean(name, of_kind(*kinds))}"
            )


def _check_computed(margins: Iterable[str], source: str) -> None:
    """Refuse margins of measures that are computed only where they are asked for; no measure was."""
    for name in margins:
        if name not in SEVERAL and name in known() and not is_selected(name, ()):
            raise InputError(f"{source}: margins: {name} is not computed; name it among the measures, too")


def _check_ranks(values: Sequence[ValueColumn], against: Mapping[str, str]) -> None:
    """Refuse ranks where groups are compared with others than their rest."""
    for column in values:
        if column.measure.scale == "rank" and against:
            raise InputError(f"scale rank ({column.name}): a group is ranked among its rest; leave against out")


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


def _margins(margins: Mapping[str, float]) -> dict[str, float]:
    check_margins(margins)
    return {name: float(margin) for name, margin in margins.items()}
