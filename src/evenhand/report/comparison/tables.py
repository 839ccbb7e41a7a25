"""The comparison's tables as text cells, for the page and for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from evenhand.report import theme
from evenhand.report.comparison.comparison import NOT_JUDGED, Comparison
from evenhand.report.comparison.paired import Pair
from evenhand.report.comparison.rows import VERDICT_CELLS, SideBySide, shared
from evenhand.report.number_text import NONE, interval, number
from evenhand.report.wording import claims, compared, digits, heading, place

MOST_ROWS = 10_000
"""With more rows a page would pass 5 MB, so that it leaves out those of single classes."""

_FIRST = ("worse", "different", "better", "not worse", "equivalent", "inconclusive")
"""The verdicts of differences in the order in which a reader wants them."""


@dataclass(frozen=True)
class Cell:
    """What one folder says in a row.

    Attributes:
        verdict: empty in tables without verdicts, and where the folder has no such row.
        numbers: the value with its interval.
        details: the runs, and the margin.
    """

    verdict: str
    numbers: str
    details: str = ""

    @property
    def mark(self) -> str:
        """The verdict as the name of a style."""
        return self.verdict.replace(" ", "-")


ABSENT = Cell("", NONE)


@dataclass(frozen=True)
class Line:
    """A row with a cell for each folder, and whether its verdicts differ."""

    title: str
    who: str
    cells: Sequence[Cell]
    changed: bool = False


@dataclass(frozen=True)
class Table:
    """Rows about one setting, split, method and reference, or about one measure."""

    title: str
    lines: Sequence[Line]

    @property
    def changed(self) -> int:
        """The number of rows whose verdicts differ."""
        return sum(line.changed for line in self.lines)


def changed_table(comparison: Comparison) -> Table:
    """Return the rows whose verdicts differ between folders, with what each is about."""
    return Table("Verdicts that differ", _named_lines(comparison, comparison.changed))


def lost_table(comparison: Comparison) -> Table:
    """Return the rows that one folder judges and another does not, those that are worse first."""
    return Table("Judged in one folder and not in another", _named_lines(comparison, comparison.lost))


def _named_lines(comparison: Comparison, rows: Iterable[SideBySide]) -> list[Line]:
    """Return a line for each row, which names its methods, and its setting where there are several."""
    several = len({_where(row.key) for row in comparison.verdicts}) > 1
    lines = []
    for row in rows:
        methods = compared(row.key["method"], row.key["reference"])
        lead = f"{_where(row.key)} · {methods}" if several else methods
        lines.append(_verdict_line(row, comparison, lead))
    return lines


def verdict_tables(comparison: Comparison) -> tuple[list[Table], int]:
    """Return a table of shared verdicts for each comparison of methods, and how many rows are left out."""
    rows, left_out = _fewer(shared(comparison.verdicts))
    parts: dict[str, list[Line]] = {}
    for row in rows:
        title = f"{compared(row.key['method'], row.key['reference'])} ({_where(row.key)})"
        parts.setdefault(title, []).append(_verdict_line(row, comparison, ""))
    return [Table(title, lines) for title, lines in parts.items()], left_out


def estimate_tables(comparison: Comparison) -> tuple[list[Table], int]:
    """Return a table of shared levels for each measure, setting and split, and how many rows are left out."""
    rows, left_out = _fewer(shared(comparison.estimates))
    parts: dict[str, list[Line]] = {}
    for row in rows:
        decimals = digits(row.key["measure"])
        cells = []
        for index in range(len(comparison.folders)):
            found = row.cells.get(index)
            if found is None or found["value"] is None:
                cells.append(ABSENT)
                continue
            bounds = interval(found["low"], found["high"], decimals)
            cells.append(Cell("", f"{number(found['value'], decimals)} {bounds}", f"{found['n'] or 0:,} examples"))
        title = f"{heading(row.key['measure'], None)} ({_where(row.key)})"
        parts.setdefault(title, []).append(Line("", f"{place(row.key)} · {row.key['method']}", cells))
    return [Table(title, lines) for title, lines in parts.items()], left_out


def difference_tables(comparison: Comparison) -> list[Table]:
    """Return a table of tested differences for each method and folder."""
    return [Table(_pair_title(pair), [*_difference_lines(pair)]) for pair in comparison.pairs]


def fact_rows(comparison: Comparison) -> list[tuple[str, Sequence[str]]]:
    """Return what differs in designs and provenance, with the text of each folder."""
    return list(comparison.facts.different.items())


def _verdict_line(row: SideBySide, comparison: Comparison, lead: str) -> Line:
    decimals = digits(row.key["measure"])
    cells = [_verdict_cell(row.cells.get(index), decimals) for index in range(len(comparison.folders))]
    if row.lost:
        unjudged = row.cells.keys() - row.verdicts.keys()
        cells = [replace(cell, verdict=NOT_JUDGED) if index in unjudged else cell for index, cell in enumerate(cells)]
    who = " · ".join(filter(None, [place(row.key), lead]))
    return Line(heading(row.key["measure"], row.key["comparison"]), who, cells, row.changed)


def _verdict_cell(found: Mapping[str, Any] | None, decimals: int) -> Cell:
    if found is None:
        return ABSENT
    numbers = number(found["contrast"], decimals, signed=True)
    if found["contrast"] is not None:
        numbers += f" {interval(found['low'], found['high'], decimals, signed=True)}"
    if "group" in found:
        numbers = f"{found['group']}: {numbers}"
    margin = "" if found["margin"] is None else f", margin {number(found['margin'], decimals)}"
    runs = found["runs"]
    why = f"; {found['note']}" if found["low"] is None and found["note"] else ""
    return Cell(found["verdict"] or theme.UNDECIDED, numbers, f"{runs} run{'' if runs == 1 else 's'}{margin}{why}")


def _difference_lines(pair: Pair) -> Iterable[Line]:
    judged = claims(pair.verdicts).drop_nulls(["verdict", "contrast"])
    order = {verdict: rank for rank, verdict in enumerate(_FIRST)}
    ranked = judged.with_columns(rank=pl.col("verdict").replace_strict(order, return_dtype=pl.Int64))
    if len(ranked) > MOST_ROWS:
        ranked = ranked.filter(pl.col("class").is_null())
    for row in ranked.sort("rank", maintain_order=True).iter_rows(named=True):
        cell = _verdict_cell({name: row[name] for name in VERDICT_CELLS}, digits(row["measure"]))
        yield Line(heading(row["measure"], row["comparison"]), place(row), [cell])


def _pair_title(pair: Pair) -> str:
    return f"{pair.setting}, {pair.method}: {pair.label} against {pair.reference}, {pair.examples:,} examples"


def _where(key: Mapping[str, Any]) -> str:
    return f"{'across settings' if key['setting'] is None else key['setting']}, {key['split']}"


def _fewer(rows: Sequence[SideBySide]) -> tuple[Sequence[SideBySide], int]:
    """Return the rows, or of too many those that are not about single classes; and how many were left out."""
    if len(rows) <= MOST_ROWS:
        return rows, 0
    kept = [row for row in rows if row.key["class"] is None]
    return kept, len(rows) - len(kept)
