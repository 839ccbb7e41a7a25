r"""Writes the report's tables for LaTeX, as a file that a paper reads with `\input`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata

from evenhand.report.chart_parts import capital
from evenhand.report.document_tables import document_tables
from evenhand.report.latex_tables import Table, pieces, set_table
from evenhand.report.latex_text import PREAMBLE
from evenhand.report.reportable import Reportable
from evenhand.report.tables import Grid
from evenhand.report.verdict_matrix import matrices
from evenhand.report.visible_names import with_visible_names
from evenhand.report.wording import trained

_HEAD = r"""% Tables of {source}, written by Evenhand {version}.
% In the preamble: \usepackage{{array,booktabs,longtable,textcomp}}
% Where the tables belong: \input{{report}}
"""

_FLOATS = 16
"""Tables between which LaTeX is told to print what it holds back: it cannot hold many."""


def latex(results: Reportable) -> str:
    r"""The tables of the report for LaTeX: verdicts of groups by comparisons, values, and the harm that is detectable.

    Values are those of the measures that have charts; the page and Markdown have all.
    Tables that are too wide for a page are divided by columns, and those that are too long may break across pages.
    Every caption says what the intervals are, and how many runs they come from. Names cannot bring commands.
    """
    results = with_visible_names(results)
    source = "".join(sign if sign.isprintable() else " " for sign in results.design.source or "results")
    lines = [_HEAD.format(source=source, version=metadata.version("evenhand")), PREAMBLE]
    labels: dict[str, int] = {}
    for rank, piece in enumerate(piece for table in _tables(results) for piece in pieces(table)):
        lines += ["", *([r"\clearpage", ""] if rank and rank % _FLOATS == 0 else [])]
        lines += set_table(piece, _label(piece.table.label, labels))
    return "\n".join(lines) + "\n"


def _tables(results: Reportable) -> Iterator[Table]:
    """All tables: verdicts first, then values."""
    for matrix in matrices(results):
        yield Table(matrix.name, matrix.title, " ".join(matrix.facts), matrix.head, matrix.parts)
    for table in document_tables(results, every=False):
        grid = table.grid
        trials = results.trials if table.setting is None else results.trials.filter(setting=table.setting)
        label = f"{table.setting or 'all'}-{table.section}-{grid.caption}"
        runs = f"{capital(', '.join(trained(trials)))}."
        yield Table(label, f"{table.title}.", runs, grid.head, [("", grid.rows)], grid.notes, _names(grid))


def _names(grid: Grid) -> int:
    """The number of columns that say what a row is about: those before the first with a number."""
    for column in range(1, len(grid.head) - 1):
        if any(re.search(r"\d", row[column]) for row in grid.rows):
            return column
    return 1


def _label(name: str, labels: dict[str, int]) -> str:
    """A label of plain letters that no other table has."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "table"
    labels[plain] = labels.get(plain, 0) + 1
    return f"tab:{plain}" if labels[plain] == 1 else f"tab:{plain}-{labels[plain]}"
