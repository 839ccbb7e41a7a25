"""The comparison as plain text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from evenhand.report.comparison.comparison import Comparison
from evenhand.report.comparison.tables import Cell, Table, changed_table, difference_tables, fact_rows, lost_table
from evenhand.visible_text import visible

_MOST = 20
"""The most rows of each table."""

_MOST_DIFFERENCES = 10
"""The most rows of each table of tested differences, which begins with those that say something."""

_WIDEST = 44
"""Characters of a cell; what is longer is cut."""


def text(comparison: Comparison) -> str:
    """Return what `evenhand compare` prints: sentences, what differs, verdicts that changed, and tested differences."""
    labels = comparison.labels
    lines = [" · ".join(labels), *comparison.headline(), *(f"- {reason}." for reason in comparison.not_paired)]
    facts = [(name, *texts) for name, texts in fact_rows(comparison)]
    lines += _block(f"What differs ({comparison.facts.same} other facts are the same)", ["", *labels], facts)
    lines += _verdict_block(changed_table(comparison), labels)
    lines += _verdict_block(lost_table(comparison), labels)
    for table in difference_tables(comparison):
        lines += _verdict_block(table, ["worse by"], _MOST_DIFFERENCES)
    return "\n".join(visible(line) for line in lines)


def _verdict_block(table: Table, labels: Sequence[str], most: int = _MOST) -> list[str]:
    rows = [(line.title, line.who, *map(_in_words, line.cells)) for line in table.lines]
    return _block(table.title, ["measure", "of", *labels], rows, most)


def _in_words(cell: Cell) -> str:
    return f"{cell.verdict} {cell.numbers}".strip()


def _block(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], most: int = _MOST) -> list[str]:
    """Return a table with its title, of its first rows; nothing where there are none."""
    if not rows:
        return []
    cut = [[_short(visible(cell)) for cell in row] for row in (head, *rows[:most])]
    widths = [max(map(len, column)) for column in zip(*cut, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cut]
    more = [f"and {len(rows) - most} more, on the page that --out writes"] if len(rows) > most else []
    return ["", title, *lines, *more]


def _short(cell: str) -> str:
    return cell if len(cell) <= _WIDEST else f"{cell[: _WIDEST - 1]}…"
