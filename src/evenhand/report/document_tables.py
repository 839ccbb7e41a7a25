"""The tables of values for documents, Markdown and LaTeX alike: every table of the page, each once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evenhand.audit.measures import known
from evenhand.report import tables
from evenhand.report.chart_parts import capital
from evenhand.report.looks import level_in_words
from evenhand.report.reportable import Reportable
from evenhand.report.sections import Content, contents
from evenhand.report.tables import Grid
from evenhand.report.verdict_tables import detectable_grid


@dataclass(frozen=True)
class DocumentTable:
    """A table with its title.

    Attributes:
        section: of the report, for labels.
        title: what it shows, where, and what its intervals are.
        grid: its cells.
        setting: that it is about; None: all of them.
        lines: sentences that follow it.
    """

    section: str
    title: str
    grid: Grid
    setting: str | None = None
    lines: Sequence[str] = ()


def document_tables(results: Reportable, *, every: bool = True) -> Iterator[DocumentTable]:
    """The tables of all sections, of the smallest detectable contrasts, and of training; verdicts have others.

    Args:
        results: of a run or an audit.
        every: whether the tables of all estimates are included, or only those of measures that have charts.
    """
    charted = {measure.title for measure in known().values() if measure.display.shown_in}
    seen: set[tuple[str, str, str]] = set()
    for content in contents(results, charts=False):
        tables_of = _of_section(content, seen)
        if content.section.id == "estimates" and not every:
            tables_of = (table for table in tables_of if table.grid.caption in charted)
        yield from tables_of
    detectable = detectable_grid(results.verdicts, results.design)
    if detectable is not None:
        level = level_in_words(results.design)
        title = f"Smallest contrast that is detected with 80% power, at a one-sided level of {level} in each family"
        yield DocumentTable("detectable", title, detectable)
    training = tables.training_grid(results.trials, results.design)
    if training is not None:
        yield DocumentTable("training", f"Training: {training.caption}", training)
    for grid in (*tables.note_grids(results.trials), *tables.candidate_grids(results.trials)):
        yield DocumentTable("training", capital(grid.caption), grid)


def _of_section(content: Content, seen: set[tuple[str, str, str]]) -> Iterator[DocumentTable]:
    """The tables of a section of which no section before it has one with the same caption."""
    for setting, split, grids in content.tables:
        fresh = [grid for grid in grids if (setting, split, grid.caption) not in seen]
        for rank, grid in enumerate(fresh, 1):
            seen.add((setting, split, grid.caption))
            title = f"{capital(grid.caption)} ({', '.join(filter(None, [setting, split]))}){content.caption}"
            lines = content.lines[setting, split] if rank == len(fresh) else ()
            yield DocumentTable(content.section.id, title, grid, setting, lines)
