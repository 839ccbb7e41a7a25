"""Checks what an audit of a table is asked for against what the table holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from evenhand.audit.design import SubgroupsDesign
from evenhand.audit.ingest.predictions import Outcomes
from evenhand.audit.ingest.request import TableRequest, several
from evenhand.audit.ingest.table_contents import TableContents
from evenhand.audit.ingest.values import ValueColumn
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

KINDS = ("predictions", "membership", "values", "regression")
"""The kinds of records that a table holds."""


def measures_and_margins(request: TableRequest, contents: TableContents) -> tuple[tuple[str, ...], dict[str, float]]:
    """The measures that are asked for, none where all are left to the audit, and the margins.

    Raises:
        InputError: a measure or margin is unknown, of records that the table does not hold, or not computed; subgroups
            are searched by a measure that cannot be searched.
    """
    named, margins = several(request.measures), {} if request.margins is None else request.margins
    with declaring(contents.design):
        check_margins(margins)
        measures = _measures(named, [column.name for column in contents.values])
        _check_kinds("measures", named, contents.kinds, request.source)
        _check_kinds("margins", margins, contents.kinds, request.source)
        if not measures:
            _check_computed(margins, request.source)
        if request.subgroups is not None and (refused := refusal(measures)) is not None:
            raise InputError(f"{request.source}: {refused}")
    return measures, {name: float(margin) for name, margin in margins.items()}


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


def check_references(measures: Sequence[str], references: Sequence[str], source: str) -> None:
    """Refuse a measure that is asked for by its name and needs a reference where there is none."""
    for name in measures:
        if name not in SEVERAL and not references and needs_reference(measure_named(name)):
            raise InputError(f"{source}: {name} compares each method with a reference; name it (reference)")


def check_comparison(request: TableRequest) -> None:
    """Refuse a comparison that is none."""
    if request.comparison not in (None, "gap"):
        raise InputError(f"comparison should be gap, not {request.comparison!r}")


def check_split(request: TableRequest) -> None:
    """Refuse a split that is none, and a test share that is no number."""
    splits = ("fixed", "varying")
    if request.split is not None and request.split not in splits:
        raise InputError(
            f'{request.source}: there is no split "{request.split}"; {did_you_mean(str(request.split), splits)}'
        )
    share = request.test_share
    if share is not None and (isinstance(share, bool) or not isinstance(share, int | float)):
        raise InputError(f"{request.source}: the test share (test_share) is a number between 0 and 1, not {share!r}")


def check_ranks(values: Sequence[ValueColumn], against: Mapping[str, str]) -> None:
    """Refuse ranks where groups are compared with others than their rest."""
    for column in values:
        if column.measure.scale == "rank" and against:
            raise InputError(f"scale rank ({column.name}): a group is ranked among its rest; leave against out")


def favourable(request: TableRequest, predicted: Outcomes | None) -> Literal["positive", "negative"] | None:
    """The favourable prediction of two; None where it is not said."""
    if request.favourable not in (None, "positive", "negative"):
        raise InputError(f"favourable should be positive or negative, not {request.favourable!r}")
    if request.favourable is not None and (predicted is None or len(predicted.classes) > 2):
        raise InputError(f"favourable {request.favourable} needs predictions of two classes, one of them positive")
    return request.favourable


def thresholds(request: TableRequest, predicted: Outcomes | None) -> bool:
    """Whether rates over thresholds are asked for, which need probabilities of two classes."""
    if request.thresholds and (predicted is None or predicted.probabilities is None or len(predicted.classes) > 2):
        raise InputError(
            f"{request.source}: thresholds need the probability of the positive one of two classes (probability)"
        )
    return request.thresholds


def searched_subgroups(request: TableRequest, contents: TableContents) -> SubgroupsDesign | None:
    """Which conjunctions of groups are searched; None where that is not asked for."""
    if request.subgroups is None:
        return None
    if not contents.of_groups and contents.membership is None:
        raise InputError(
            f"{request.source}: subgroups are searched in predictions, values and membership scores, and there are none"
        )
    return SubgroupsDesign.parse(request.subgroups, "subgroups")
