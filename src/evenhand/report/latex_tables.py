r"""Sets tables of text cells in LaTeX: floats, or tables that break across pages, divided by columns where too wide."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from evenhand.report.latex_text import escaped

LINE = 40.5
"""The width of a page of text in em of the tables' letters; narrow classes such as `article` have so much."""

_LETTER, GAP = 0.46, 1.4
"""The width of a letter on average, and between two columns, in em."""

_NAMES = 26
"""The most letters in a line of the first columns, which say what a row is about."""

_VALUES = (42, 22)
"""The most letters in a line of other columns: where all of them fit on a page side by side, and where not."""

_BREAKABLE = 16
"""Letters of a word between two places where it may be broken, if need be."""

_LONG = 40
"""With more lines than this a table may break across pages."""


@dataclass(frozen=True)
class Table:
    """A table of text cells.

    Attributes:
        label: its name in references.
        title: what it shows; the entry of the list of tables.
        facts: what the caption says besides.
        head: the headings of the columns.
        parts: rows under a heading over all columns, which may be empty.
        notes: footnotes, by their numbers from 1.
        names: the number of first columns that say what a row is about; each piece of a divided table has them.
    """

    label: str
    title: str
    facts: str
    head: Sequence[str]
    parts: Sequence[tuple[str, Sequence[Sequence[str]]]]
    notes: Sequence[str] = ()
    names: int = 1


@dataclass(frozen=True)
class Piece:
    """A table that a page is wide enough for, and the letters in a line of each of its columns."""

    table: Table
    letters: Sequence[int]


def pieces(table: Table) -> list[Piece]:
    """The table, or parts of its columns if a page is too narrow; each part repeats the first columns."""
    wide = _letters(table, _VALUES[0])
    if sum(map(_width, wide)) <= LINE + GAP:
        return [Piece(table, wide)]
    letters = _letters(table, _VALUES[1])
    names = range(min(table.names, len(letters)))
    room = LINE + GAP - sum(_width(letters[column]) for column in names)
    groups: list[list[int]] = [[]]
    for column in range(len(names), len(letters)):
        if groups[-1] and sum(_width(letters[each]) for each in (*groups[-1], column)) > room:
            groups.append([])
        groups[-1].append(column)
    if len(groups) == 1:
        return [Piece(table, letters)]
    return [
        _piece(table, [*names, *group], letters, f" Part {n} of {len(groups)}.") for n, group in enumerate(groups, 1)
    ]


def _piece(table: Table, columns: Sequence[int], letters: Sequence[int], which: str) -> Piece:
    """Some columns of a table."""
    parts = [(title, [[row[column] for column in columns] for row in rows]) for title, rows in table.parts]
    head = [table.head[column] for column in columns]
    part = replace(table, title=table.title + which, head=head, parts=parts)
    return Piece(part, [letters[column] for column in columns])


def _letters(table: Table, most: int) -> list[int]:
    """The letters in a line of each column: of its longest cell, or word of its heading, but not too many."""
    lengths = []
    for column, name in enumerate(table.head):
        cells = [len(row[column]) for _, rows in table.parts for row in rows]
        words = [len(word) for word in name.split()]
        limit = _NAMES if column < table.names else most
        lengths.append(min(max([*cells, *words, 1]), limit))
    return lengths


def _width(letters: int) -> float:
    """The width of a column in em with the space beside it; a letter more than its lines have, since some are wide."""
    return _LETTER * (letters + 1) + GAP


def set_table(piece: Piece, label: str) -> Iterator[str]:
    """A table in LaTeX, line by line: a float, or for many lines one that breaks across pages."""
    table = piece.table
    format_ = "".join(_column(piece, column) for column in range(len(table.head)))
    head, title = _row(table.head), escaped(table.title)
    caption = rf"\caption[{title}]{{{title} {escaped(table.facts)}}}\label{{{label}}}"
    if _lines(piece) <= _LONG:
        yield from [r"\begin{table}[htbp]", r"\centering\footnotesize", rf"{caption}\smallskip"]
        yield from [rf"\begin{{tabular}}{{@{{}}{format_}@{{}}}}", r"\toprule", head, r"\midrule"]
        yield from _body(table)
        yield from [r"\bottomrule", r"\end{tabular}", *_notes(table.notes), r"\end{table}"]
        return
    yield from [r"{\footnotesize", rf"\begin{{longtable}}{{@{{}}{format_}@{{}}}}", rf"{caption}\\[3pt]"]
    yield from [r"\toprule", head, r"\midrule", r"\endfirsthead", r"\toprule", head, r"\midrule", r"\endhead"]
    yield from [r"\midrule", rf"\multicolumn{{{len(table.head)}}}{{r@{{}}}}{{continued on the next page}}\\"]
    yield from [r"\endfoot", r"\bottomrule", r"\endlastfoot"]
    yield from _body(table)
    yield from [r"\end{longtable}", *_notes(table.notes), "}"]


def _lines(piece: Piece) -> int:
    """The number of lines that the rows of a table take."""
    count = 0
    for title, rows in piece.table.parts:
        count += bool(title)
        for row in rows:
            count += max(-(-len(cell) // letters) for cell, letters in zip(row, piece.letters, strict=True))
    return count


def _column(piece: Piece, column: int) -> str:
    """The format of a column: as wide as its cells, or a paragraph where some are longer than a line."""
    letters, rows = piece.letters[column], [row for _, rows in piece.table.parts for row in rows]
    if max(len(row[column]) for row in (piece.table.head, *rows)) <= letters:
        return "l"
    return rf">{{\raggedright\arraybackslash}}p{{{_width(letters) - GAP:.3g}em}}"


def _body(table: Table) -> Iterator[str]:
    """The rows, each part under its heading."""
    for rank, (title, rows) in enumerate(table.parts):
        if title:
            yield from [r"\addlinespace"] if rank else []
            yield rf"\multicolumn{{{len(table.head)}}}{{@{{}}l}}{{\emph{{{escaped(title)}}}}}\\*"
        yield from map(_row, rows)


def _row(cells: Sequence[str]) -> str:
    return " & ".join(map(_cell, cells)) + r" \\"


def _cell(text: str) -> str:
    """A cell whose long words may be broken: a zero-width space stands for a place to do so."""
    breakable = re.sub(rf"(\S{{{_BREAKABLE}}})(?=\S{{4}})", "\\1\u200b", text)
    return escaped(re.sub(r"(\[[^], ]+,) (?=[^], ]+\])", "\\1\u00a0", breakable))  # an interval stays on a line


def _notes(notes: Sequence[str]) -> Iterator[str]:
    """The footnotes of a table, a line each."""
    for rank, note in enumerate(notes, 1):
        yield rf"\par\noindent\footnotesize ({rank}) {escaped(note)}"
