"""Results as HTML for a notebook: the headline and the first verdicts, without charts and scripts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from evenhand.report.headline import headline
from evenhand.report.reportable import Reportable
from evenhand.report.terminal import Summary, summaries, title_line
from evenhand.report.visible_names import with_visible_names

MOST_ROWS = 12


def fragment(results: Reportable) -> str:
    """A piece of HTML that a notebook shows where results are the value of a cell; names are escaped."""
    results = with_visible_names(results)
    lines = "".join(f"<p>{escape(line)}</p>" for line in headline(results))
    tables = "".join(map(_table, summaries(results, MOST_ROWS)))
    return f"<div><p><strong>{escape(title_line(results))}</strong></p>{lines}{tables}</div>"


def _table(summary: Summary) -> str:
    head, *rows = summary.rows
    body = "".join(_row(cells, "td") for cells in rows)
    left = f"<p>{escape(summary.left)}</p>" if summary.left else ""
    return f"<table><thead>{_row(head, 'th')}</thead><tbody>{body}</tbody></table>{left}"


def _row(cells: Sequence[str], element: str) -> str:
    return "<tr>" + "".join(f"<{element}>{escape(cell)}</{element}>" for cell in cells) + "</tr>"
