"""Tables of verdicts as text cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand.audit.across_settings import DIFFER
from evenhand.audit.design import Design
from evenhand.records import VERDICTS
from evenhand.records.schemas import THE_METHODS
from evenhand.report import theme
from evenhand.report.number_text import NONE, interval, number
from evenhand.report.tables import Footnotes, Grid
from evenhand.report.wording import (
    EVERYONE,
    GAP_WORDS,
    by_pair,
    by_setting_and_split,
    claims,
    compared,
    counts,
    digits,
    heading,
    measure_named,
    others,
    others_of,
    place,
    scope_in_words,
    splits_of,
)

_GAP_CHANGE = "how much more a group lost than {} did, from the reference to the method"
"""What is said of gap changes, which are not of the measure itself."""


@dataclass(frozen=True)
class Row:
    """A contrast as text.

    Attributes:
        runs: of a setting's contrast, and of a pooled one the settings.
        notes: numbers of footnotes.
        disparity: of a gap change, what becomes of the gap.
        scope: what it is about, where the rows of a table are not about the same.
        attribute, group: of whom, to find it by.
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
    disparity: str = ""
    scope: str = ""
    attribute: str | None = None
    group: str | None = None


MOST_TABLED = 10_000
"""With more verdicts a page would pass 6 MB, so that it leaves out undecided rows of single classes."""


@dataclass(frozen=True)
class Part:
    """The rows of one measure and comparison.

    Attributes:
        against: whom groups are compared with, in words; empty for a change.
    """

    measure: str
    comparison: str
    against: str
    title: str
    summary: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class VerdictTable:
    """The contrasts of one method with one reference in one split, of one setting or (None) pooled over settings.

    Attributes:
        reference: None where groups of the method are compared with others.
        scope: what all rows are about, unless that is the methods: `these models`.
        records: the rows of `verdicts`, in the order of the rows of its parts.
    """

    setting: str | None
    split: str
    method: str
    reference: str | None
    scope: str
    counts: Mapping[str, int]
    parts: Sequence[Part]
    notes: Sequence[str]
    families: Sequence[str]
    records: Sequence[Mapping[str, Any]] = ()

    @property
    def title(self) -> str:
        """What is compared, in words."""
        return compared(self.method, self.reference)

    @property
    def length(self) -> int:
        return sum(len(part.rows) for part in self.parts)


def tabled(verdicts: pl.DataFrame, most: int = MOST_TABLED) -> pl.DataFrame:
    """The rows that a page has tables of: all, or of more than `most` without undecided rows of single classes."""
    if len(verdicts) <= most:
        return verdicts
    return verdicts.filter(pl.col("class").is_null() | pl.col("verdict").is_in(["worse", "better", "different"]))


def verdict_tables(verdicts: pl.DataFrame, design: Design) -> list[VerdictTable]:
    """A table for each setting, split, method and reference, in the design's order, `test` before other splits."""
    return [
        _verdict_table(rows, setting, split, method, reference)
        for setting, split, here in by_setting_and_split(verdicts, design)
        for method, reference, rows in by_pair(here, design, setting)
    ]


def across_tables(verdicts: pl.DataFrame, design: Design) -> list[VerdictTable]:
    """A table of the means over settings for each split, method and reference."""
    pooled = verdicts.filter(pl.col("setting").is_null())
    return [
        _verdict_table(rows, None, split, method, reference)
        for split in splits_of(pooled)
        for method, reference, rows in by_pair(pooled.filter(split=split), design)
    ]


def _verdict_table(
    rows: pl.DataFrame, setting: str | None, split: str, method: str, reference: str | None
) -> VerdictTable:
    notes = Footnotes()
    made = rows.drop_nulls("contrast").with_columns(runs=pl.col("runs").max())
    scopes = list(dict.fromkeys(scope_in_words(row) for row in made.iter_rows(named=True)))
    mixed = len(scopes) > 1
    records: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows.iter_rows(named=True):
        records.setdefault((row["measure"], row["comparison"]), []).append(row)
    changed = _GAP_CHANGE.format(others_of(rows.filter(comparison="gap change")))
    parts = [
        Part(
            measure,
            comparison,
            "" if comparison == "change" else others(of_measure[0]["against"]),
            heading(measure, comparison),
            changed if comparison == "gap change" else measure_named(measure).summary,
            [_row(row, notes, mixed) for row in of_measure],
        )
        for (measure, comparison), of_measure in records.items()
    ]
    families = rows["family"].drop_nulls().unique(maintain_order=True).to_list()
    scope = "" if mixed or THE_METHODS in scopes else "".join(scopes)
    in_order = [row for of_measure in records.values() for row in of_measure]
    return VerdictTable(
        setting, split, method, reference, scope, counts(claims(rows)), parts, notes.texts, families, in_order
    )


def _row(row: Mapping[str, Any], notes: Footnotes, scoped: bool) -> Row:
    decimals = digits(row["measure"])
    verdict = row["verdict"] or theme.UNDECIDED
    runs = NONE if row["runs"] is None else str(row["runs"])
    if row["runs_needed"] is not None:
        runs += f" ({row['runs_needed']} needed)"
    note, differ = row["note"], ""
    if row["setting"] is None and row["contrast"] is not None:  # how settings differ is the first note
        first, _, note = (note or "").partition("; ")
        numbers, _, outcome = first.partition(", ")[2].replace("p of Q", "p").partition(": ")
        differ = f"{numbers}: they differ" if outcome == DIFFER else numbers
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
        GAP_WORDS.get(row["disparity"] or "", ""),
        scope_in_words(row) if scoped and row["contrast"] is not None else "",
        row["attribute"],
        row["group"],
    )


@dataclass(frozen=True)
class Glance:
    """The counts of verdicts in one setting and split: measures by method and reference."""

    caption: str
    head: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Mapping[str, int]]]]


def glance(verdicts: pl.DataFrame, design: Design) -> list[Glance]:
    """A table of counts of verdicts for each setting and split."""
    grids = []
    for setting, split, here in by_setting_and_split(claims(verdicts.drop_nulls("verdict")), design):
        pairs = [(method, reference) for method, reference, _ in by_pair(here, design, setting)]
        number_of: dict[str, dict[tuple[str, str | None], dict[str, int]]] = {}
        keys = ["measure", "comparison", "method", "reference", "verdict"]
        counted = here.group_by(keys, maintain_order=True).len().iter_rows()
        for measure, comparison, method, reference, verdict, count in counted:
            number_of.setdefault(heading(measure, comparison), {}).setdefault((method, reference), {})[verdict] = count
        rows = [(name, [_ordered(cells.get(pair, {})) for pair in pairs]) for name, cells in number_of.items()]
        head = ["measure", *(compared(method, reference) for method, reference in pairs)]
        grids.append(Glance(f"{setting}, {split}", head, rows))
    return grids


def _ordered(number_of: Mapping[str, int]) -> dict[str, int]:
    return {verdict: number_of[verdict] for verdict in VERDICTS if verdict in number_of}


def detectable_grid(verdicts: pl.DataFrame, design: Design) -> Grid | None:
    """The table of smallest detectable harms: measures by setting, split, method and reference."""
    level = (
        pl.when(pl.col("group").is_not_null())
        .then(pl.lit("each group"))
        .when(pl.col("attribute").is_not_null())
        .then(pl.lit("between groups"))
        .otherwise(pl.lit(EVERYONE))
    )
    known = verdicts.drop_nulls("detectable").with_columns(level=level)
    extremes = [pl.col("detectable").min().alias("low"), pl.col("detectable").max().alias("high")]
    rows = []
    for setting, _, here in by_setting_and_split(known, design):
        for method, reference, rows_of in by_pair(here, design, setting):
            for measure, comparison, taken_for, low, high in (
                rows_of.group_by("measure", "comparison", "level", maintain_order=True).agg(extremes).iter_rows()
            ):
                ends = [number(value, digits(measure)) for value in (low, high)]
                reach = ends[0] if ends[0] == ends[1] else " to ".join(ends)
                rows.append([setting, compared(method, reference), heading(measure, comparison), taken_for, reach])
    return Grid("", ["setting", "comparison", "measure", "taken for", "detectable"], rows) if rows else None
