"""The tables of verdicts, as text cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand.audit.across_settings import DIFFER
from evenhand.audit.design import Design
from evenhand.audit.measures import known
from evenhand.report import theme
from evenhand.report.tables import Footnotes, Grid, splits_of
from evenhand.report.wording import NONE, counts, digits, interval, methods_of, number, place, settings_of, title


@dataclass(frozen=True)
class Row:
    """A contrast as text.

    Attributes:
        runs: of a setting's contrast, and of a pooled one the settings.
        notes: numbers of footnotes.
        prediction, differ: of a pooled contrast where a new setting would lie, and how the settings differ.
    """

    who: str
    contrast: str
    interval: str
    margin: str
    verdict: str
    mark: str
    detectable: str
    runs: str
    notes: Sequence[int]
    prediction: str = NONE
    differ: str = ""


@dataclass(frozen=True)
class Part:
    """The rows of one measure."""

    title: str
    summary: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class VerdictTable:
    """All contrasts of one method with one reference in one split, of one setting or (None) pooled over all."""

    setting: str | None
    split: str
    method: str
    reference: str
    counts: Mapping[str, int]
    parts: Sequence[Part]
    notes: Sequence[str]
    families: Sequence[str]

    @property
    def length(self) -> int:
        return sum(len(part.rows) for part in self.parts)


def verdict_tables(verdicts: pl.DataFrame, design: Design) -> list[VerdictTable]:
    """One table per setting, split, method and reference, in the design's order, `test` before other splits."""
    return [_verdict_table(verdicts.filter(**pair), **pair) for pair in verdict_pairs(verdicts, design)]


def across_tables(verdicts: pl.DataFrame, design: Design) -> list[VerdictTable]:
    """One table of what was pooled over settings per split, method and reference."""
    pooled = verdicts.filter(pl.col("setting").is_null())
    return [_verdict_table(pooled.filter(**pair), None, **pair) for pair in pooled_pairs(pooled, design)]


def _verdict_table(rows: pl.DataFrame, setting: str | None, split: str, method: str, reference: str) -> VerdictTable:
    notes = Footnotes()
    parts = []
    for measure in rows["measure"].unique(maintain_order=True):
        own = rows.filter(measure=measure)
        found = known().get(measure)
        summary = found.summary if found else ""
        cells = [_row(row, notes) for row in own.iter_rows(named=True)]
        parts.append(Part(title(measure), summary, cells))
    families = rows["family"].drop_nulls().unique(maintain_order=True).to_list()
    return VerdictTable(setting, split, method, reference, counts(rows), parts, notes.texts, families)


def _row(row: Mapping[str, Any], notes: Footnotes) -> Row:
    decimals = digits(row["measure"])
    verdict = row["verdict"] or theme.UNDECIDED
    runs = NONE if row["runs"] is None else str(row["runs"])
    if row["runs_needed"] is not None:
        runs += f" ({row['runs_needed']} needed)"
    note, differ = row["note"], ""
    if row["setting"] is None and row["contrast"] is not None:  # how settings differ is the first note
        first, _, note = (note or "").partition("; ")
        numbers, _, said = first.partition(", ")[2].replace("p of Q", "p").partition(": ")
        differ = f"{numbers}: they differ" if said == DIFFER else numbers
    return Row(
        place(row),
        number(row["contrast"], decimals, signed=True),
        interval(row["low"], row["high"], decimals, signed=True),
        NONE if row["margin"] is None else f"{row['margin']:g}",
        verdict,
        theme.MARKS[verdict],
        number(row["detectable"], decimals),
        runs,
        notes.mark(note),
        interval(row["predict_low"], row["predict_high"], decimals, signed=True),
        differ,
    )


@dataclass(frozen=True)
class Glance:
    """How often which verdict was given: measures by method and reference, in one setting and split."""

    caption: str
    head: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Mapping[str, int]]]]


def glance(verdicts: pl.DataFrame, design: Design) -> list[Glance]:
    """The verdicts counted, a table per setting and split."""
    grids = []
    judged = verdicts.drop_nulls("verdict")
    for setting in settings_of(judged, design):
        own = judged.filter(setting=setting)
        for split in splits_of(own):
            here = own.filter(split=split)
            pairs = [
                (method, reference)
                for method in methods_of(here, design, setting)
                for reference in here.filter(method=method)["reference"].unique(maintain_order=True)
            ]
            rows = []
            for measure in here["measure"].unique(maintain_order=True):
                cells = here.filter(measure=measure)
                rows.append((title(measure), [_counted(cells, *pair) for pair in pairs]))
            head = ["measure", *(f"{method} against {reference}" for method, reference in pairs)]
            grids.append(Glance(f"{setting}, {split}", head, rows))
    return grids


def _counted(rows: pl.DataFrame, method: str, reference: str) -> dict[str, int]:
    return counts(rows.filter(method=method, reference=reference))


def detectable_grid(verdicts: pl.DataFrame, design: Design) -> Grid | None:
    """The smallest harm that could have been seen: measures by setting, split, method and reference."""
    rows = []
    known = verdicts.drop_nulls("detectable")
    for table in verdict_pairs(known, design):
        own = known.filter(**table)
        for measure in own["measure"].unique(maintain_order=True):
            for level, chosen in (
                ("everyone", pl.col("attribute").is_null()),
                ("between groups", pl.col("attribute").is_not_null() & pl.col("group").is_null()),
                ("each group", pl.col("group").is_not_null()),
            ):
                values = own.filter((pl.col("measure") == measure) & chosen)["detectable"].to_list()
                if values:
                    low, high = (number(value, digits(measure)) for value in (min(values), max(values)))
                    reach = low if low == high else f"{low} to {high}"
                    pair = f"{table['method']} against {table['reference']}"
                    rows.append([table["setting"], pair, title(measure), level, reach])
    return Grid("", ["setting", "comparison", "measure", "taken for", "detectable"], rows) if rows else None


def verdict_pairs(verdicts: pl.DataFrame, design: Design) -> list[dict[str, str]]:
    """The `setting, split, method, reference` that were compared, in the design's order."""
    return [
        {"setting": setting, **pair}
        for setting in settings_of(verdicts, design)
        for pair in _pairs(verdicts.filter(setting=setting), design, setting)
    ]


def pooled_pairs(verdicts: pl.DataFrame, design: Design) -> list[dict[str, str]]:
    """The `split, method, reference` that were pooled over settings, in the design's order."""
    return _pairs(verdicts.filter(pl.col("setting").is_null()), design, None)


def _pairs(rows: pl.DataFrame, design: Design, setting: str | None) -> list[dict[str, str]]:
    return [
        {"split": split, "method": method, "reference": reference}
        for split in splits_of(rows)
        for method in methods_of(rows.filter(split=split), design, setting)
        for reference in rows.filter(split=split, method=method)["reference"].unique(maintain_order=True)
    ]
