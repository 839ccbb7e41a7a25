"""The report in Markdown: headline, verdict tables, accuracy; for documents and pull requests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from evenhand.report import tables
from evenhand.report.answers import answer_grids
from evenhand.report.detectable_harm import noticed
from evenhand.report.drawing import capital
from evenhand.report.forest_plot import patterns
from evenhand.report.harness import harness_grids
from evenhand.report.membership_sentences import going_with, leaking
from evenhand.report.privacy import leak_grids
from evenhand.report.probes import probe_grids
from evenhand.report.translations import translation_grids
from evenhand.report.verdict_tables import VerdictTable, across_tables, verdict_tables
from evenhand.report.wording import headline

if TYPE_CHECKING:
    from evenhand.report.page import Reportable


def markdown(results: Reportable) -> str:
    """The headline, the verdict tables with their notes, accuracy and leakage by group, failed trials and margins."""
    design = results.design
    level = f"{100 * (1 - 2 * design.alpha):g}% interval"
    lines = [f"# {escaped(design.source or 'Fairness report')}", ""]
    lines += [f"- {escaped(line)}" for line in patterns(results.verdicts, design)]
    lines += [f"- {escaped(line)}" for line in headline(results.verdicts, design)]
    lines += [f"- {escaped(line)}" for line in leaking(results.estimates, results.verdicts, design)]
    lines += [f"- {escaped(line)}" for line in noticed(results.curves, design)]
    for table in across_tables(results.verdicts, design):
        lines += _verdicts(table, f"Across settings: {table.method} against {table.reference} ({table.split})", level)
    for table in verdict_tables(results.verdicts, design):
        where = f" ({table.setting}, {table.split})"
        lines += _verdicts(table, f"{table.method} against {table.reference}{where}", level)
    for setting, split, grids in tables.estimate_grids(results.estimates, design, ["accuracy"]):
        for grid in grids:
            lines += ["", f"## {escaped(f'Accuracy ({setting}, {split}), mean over seeds with 95% intervals')}", ""]
            lines += _table(grid.head, grid.rows)
            lines += ["", *(f"({place}) {escaped(note)}" for place, note in enumerate(grid.notes, 1))]
    texts = [*translation_grids(results.estimates, design), *answer_grids(results.estimates, design)]
    texts += harness_grids(results.estimates, design)
    texts += probe_grids(results.estimates, design)
    for setting, split, grids in texts:
        for grid in grids:
            heading = f"{capital(grid.caption)} ({setting}, {split}), mean over seeds with 95% intervals"
            lines += ["", f"## {escaped(heading)}", "", *_table(grid.head, grid.rows)]
            lines += ["", *(f"({place}) {escaped(note)}" for place, note in enumerate(grid.notes, 1))]
    for setting, split, grids in leak_grids(results.estimates, design):
        for grid in grids:
            lines += ["", f"## {escaped(f'{capital(grid.caption)} ({setting}, {split})')}", ""]
            lines += _table(grid.head, grid.rows)
            lines += ["", *(f"({place}) {escaped(note)}" for place, note in enumerate(grid.notes, 1))]
        lines += ["", *(f"{escaped(line)}\n" for line in going_with(results.estimates, design, setting, split))]
    failed = tables.failed_trials(results.trials)
    if failed:
        lines += ["", "## Trials that failed", ""]
        lines += _table(["setting", "method", "seed", "why"], [[str(cell) for cell in row] for row in failed])
    if design.margin_history:
        lines += ["", "## Margins", ""]
        lines += [
            f"- {change.date}: " + escaped(", ".join(f"{name} {value:g}" for name, value in change.margins.items()))
            for change in design.margin_history
        ]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _verdicts(table: VerdictTable, heading: str, level: str) -> list[str]:
    """A table of verdicts with its notes; one of means over settings has columns of its own."""
    pooled = table.setting is None
    head = ["measure", "of", "verdict", "worse by", level, *(["a new setting"] if pooled else []), "margin"]
    head += ["detectable", *(["settings", "how they differ"] if pooled else ["runs"]), "notes"]
    rows = [
        [
            part.title,
            row.who,
            f"{row.mark} {row.verdict}",
            row.contrast,
            row.interval,
            *([row.prediction] if pooled else []),
            row.margin,
            row.detectable,
            row.runs,
            *([row.differ] if pooled else []),
            ", ".join(map(str, row.notes)),
        ]
        for part in table.parts
        for row in part.rows
    ]
    notes = (f"{place}. {escaped(note)}" for place, note in enumerate(table.notes, 1))
    return ["", f"## {escaped(heading)}", "", *_table(head, rows), "", *notes]


def escaped(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, no table cells of its own."""
    flat = " ".join(text.split())
    marked = re.sub(r"([\\`*_\[\]|#~])", r"\\\1", flat)
    return marked.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cells = ["| " + " | ".join(escaped(cell) for cell in row) + " |" for row in (head, *rows)]
    return [cells[0], "|" + " --- |" * len(head), *cells[1:]]
