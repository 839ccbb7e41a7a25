"""Writes the report in Markdown, for documents and pull requests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from evenhand.report import tables
from evenhand.report.chart_parts import capital
from evenhand.report.document_tables import DocumentTable, document_tables
from evenhand.report.headline import details, headline
from evenhand.report.question_grid import question_grid
from evenhand.report.reportable import Reportable
from evenhand.report.verdict_matrix import Matrix, matrices
from evenhand.report.verdict_tables import VerdictTable, across_tables, verdict_tables
from evenhand.report.visible_names import with_visible_names


def markdown(results: Reportable) -> str:
    """The report in Markdown: headline, methods × questions, details, verdicts, tables of values, failures, margins.

    Verdicts come as one table of groups by comparisons, and as a table with all details for each pair of methods.
    """
    results = with_visible_names(results)
    design = results.design
    level = f"{100 * (1 - 2 * design.alpha):g}% interval"
    lines = [f"# {escaped(design.source or 'Fairness report')}", ""]
    lines += [f"- {escaped(line)}" for line in headline(results)]
    grid = question_grid(results)
    if grid is not None:
        head, *rows = grid.table()
        lines += ["", *_table(head, rows)]
    further = details(results)
    if further:
        lines += ["", "## Details", "", *(f"- {escaped(line)}" for line in further)]
    for matrix in matrices(results):
        lines += _matrix(matrix)
    for table in across_tables(results.verdicts, design):
        lines += _verdicts(table, f"Across settings: {table.title} ({table.split})", level)
    for table in verdict_tables(results.verdicts, design):
        title = capital(table.title) if table.reference is None else table.title
        lines += _verdicts(table, f"{title} ({table.setting}, {table.split})", level)
    for table in document_tables(results):
        lines += _document_table(table)
    failed = tables.failed_trials(results.trials)
    if failed:
        lines += ["", "## Trials that failed", ""]
        lines += _table(["setting", "method", "seed", "why"], [[str(cell) for cell in row] for row in failed])
    if design.margin_history:
        lines += ["", "## Margins", ""]
        lines += [f"- {date}: {escaped(margins)}" for date, margins in tables.margin_rows(design)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _matrix(matrix: Matrix) -> Iterator[str]:
    """A table of verdicts by group and comparison, with a row in bold over the rows of each measure."""
    marked = _table(matrix.head, [])
    for title, rows in matrix.parts:
        marked += [f"| **{escaped(title)}** |" + " |" * (len(matrix.head) - 1), *_rows(rows)]
    yield from ["", f"## {escaped(matrix.title.removesuffix('.'))}", "", escaped(" ".join(matrix.facts)), "", *marked]


def _document_table(table: DocumentTable) -> Iterator[str]:
    """A table of values under its title, with its notes and sentences."""
    yield from ["", f"## {escaped(table.title)}", "", *_table(table.grid.head, table.grid.rows)]
    yield from ["", *(f"({rank}) {escaped(note)}" for rank, note in enumerate(table.grid.notes, 1))]
    yield from ["", *(f"{escaped(line)}\n" for line in table.lines)]


def _verdicts(table: VerdictTable, heading: str, level: str) -> list[str]:
    """A table of verdicts with its notes; tables of means over settings have other columns."""
    pooled = table.setting is None
    head = ["measure", "of", "verdict", "worse by", level, *(["a new setting"] if pooled else []), "margin"]
    head += ["detectable", *(["settings", "how they differ"] if pooled else ["runs"]), "notes"]
    rows = [
        [
            part.title,
            row.who,
            f"{row.mark} {row.verdict}" + (f", {row.disparity}" if row.disparity else ""),
            row.contrast,
            row.interval,
            *([row.prediction] if pooled else []),
            row.margin,
            row.detectable,
            f"{row.runs}, {row.scope}" if row.scope else row.runs,
            *([row.differ] if pooled else []),
            ", ".join(map(str, row.notes)),
        ]
        for part in table.parts
        for row in part.rows
    ]
    notes = (f"{rank}. {escaped(note)}" for rank, note in enumerate(table.notes, 1))
    scope = ["", f"About {escaped(table.scope)}."] if table.scope else []
    return ["", f"## {escaped(heading)}", *scope, "", *_table(head, rows), "", *notes]


def escaped(text: str) -> str:
    """The text with characters escaped that Markdown would read as markup, HTML or table cells."""
    flat = " ".join(text.split())
    marked = re.sub(r"([\\`*_\[\]|#~])", r"\\\1", flat)
    return marked.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [*_rows([head]), "|" + " --- |" * len(head), *_rows(rows)]


def _rows(rows: Iterable[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(map(escaped, row)) + " |" for row in rows]
