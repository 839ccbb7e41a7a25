"""The comparison as one HTML file that works offline, without any script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evenhand.report import offline
from evenhand.report.comparison.comparison import HOW_TO_TEST, NO_TEST, Comparison
from evenhand.report.comparison.pictures import pictures
from evenhand.report.comparison.tables import (
    Table,
    changed_table,
    difference_tables,
    estimate_tables,
    fact_rows,
    lost_table,
    verdict_tables,
)
from evenhand.report.number_text import NONE
from evenhand.visible_text import visible

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""The content security policy: no script and no request at all."""

_OPEN = 60
"""With at most this many rows, all tables of a section are open."""


def html(comparison: Comparison) -> str:
    """Return the page: what changed in sentences, what differs, verdicts and levels side by side, tested differences.

    Names are escaped, and hidden characters in them are shown as escapes.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("evenhand.report"),
        autoescape=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: visible(value, keep="\n\t") if type(value) is str else value,
    )
    style = "\n".join(map(offline.own_file, _STYLES))
    return environment.get_template("comparison.html.j2").render(
        **_content(comparison), policy=_POLICY, style=offline.markup(style)
    )


_STYLES = ("page.css", "comparison.css")


def _content(comparison: Comparison) -> dict[str, Any]:
    verdicts, verdicts_left_out = verdict_tables(comparison)
    estimates, estimates_left_out = estimate_tables(comparison)
    differences, drawn = difference_tables(comparison), pictures(comparison.pairs)
    return {
        "title": f"Evenhand: {' · '.join(comparison.labels)}",
        "labels": comparison.labels,
        "folders": [
            (
                folder.label,
                folder.results.design.source,
                ", ".join(f"{what} {date}" for what, date in folder.dates.items()),
            )
            for folder in comparison.folders
        ],
        "headline": comparison.headline(),
        "facts": fact_rows(comparison),
        "same": comparison.facts.same,
        "changed": changed_table(comparison),
        "lost": lost_table(comparison),
        "verdicts": verdicts,
        "verdicts_open": _few(verdicts),
        "estimates": estimates,
        "estimates_open": _few(estimates),
        "left_out": verdicts_left_out + estimates_left_out,
        "differences": [
            (table, [picture for picture in drawn if picture.pair == position])
            for position, table in enumerate(differences)
        ],
        "differences_open": _few(differences),
        "not_paired": comparison.not_paired,
        "unmatched": comparison.unmatched,
        "no_test": NO_TEST,
        "how_to_test": HOW_TO_TEST,
        "dash": NONE,
    }


def _few(tables: Sequence[Table]) -> bool:
    return sum(len(table.lines) for table in tables) <= _OPEN
