"""Results whose names (groups, methods, sources) show hidden characters as escapes, for every form of the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.report.reportable import Reportable
from evenhand.visible_text import hides, visible


@dataclass(frozen=True, eq=False)
class _Visible:
    """The attributes of `Reportable`, with visible names."""

    examples: pl.DataFrame
    trials: pl.DataFrame
    design: Design
    estimates: pl.DataFrame
    verdicts: pl.DataFrame
    curves: pl.DataFrame
    looks: pl.DataFrame
    findings: pl.DataFrame
    provenance: Mapping[str, str]


def with_visible_names(results: Reportable) -> Reportable:
    """Return the results themselves where no name hides a character, else a copy for display.

    The records keep the names as they are; line breaks of the study's file stay line breaks.
    """
    if not any(hides(text) for text in _texts(results)):
        return results
    return _Visible(
        examples=_shown_frame(results.examples),
        trials=_shown_frame(results.trials),
        design=Design.model_validate(_shown(results.design.model_dump(mode="json"))),
        estimates=_shown_frame(results.estimates),
        verdicts=_shown_frame(results.verdicts),
        curves=_shown_frame(results.curves),
        looks=_shown_frame(results.looks),
        findings=_shown_frame(results.findings),
        provenance={visible(key): visible(text, keep="\n\t") for key, text in results.provenance.items()},
    )


def _texts(results: Reportable) -> Iterator[str]:
    """All texts that a report may show, each at least once; every group of an example is in `estimates`."""
    for frame in (results.trials, results.estimates, results.verdicts, results.curves):
        for column in frame.iter_columns():
            if column.dtype == pl.String:
                yield from filter(None, column.unique())
    yield from _parts(results.design.model_dump())
    for key, text in results.provenance.items():
        yield from (key, text.replace("\n", "").replace("\t", ""))


def _parts(value: Any) -> Iterator[str]:
    """All texts in plain values, mappings' keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for pair in value.items():
            yield from _parts(pair)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _parts(part)


def _shown_frame(frame: pl.DataFrame) -> pl.DataFrame:
    columns = [
        pl.Series(column.name, _shown(column.to_list()), column.dtype) if "String" in str(column.dtype) else column
        for column in frame.iter_columns()
    ]
    return pl.DataFrame(columns)


def _shown(value: Any) -> Any:
    """Return plain values with visible texts, mappings' keys included."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        return {_shown(key): _shown(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shown(part) for part in value]
    return value
