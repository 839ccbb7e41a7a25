"""Writes the report as one HTML file that works offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, groupby
from typing import Any

from evenhand.records import VERDICTS
from evenhand.records.schemas import ONE_AGAINST_SEVERAL, TWO_MODELS
from evenhand.report import blocks, forest_plot, offline, tables, theme, vega, verdict_chart, verdict_tables
from evenhand.report.contrast_panels import positive_is
from evenhand.report.detail_sentences import smallest_harm
from evenhand.report.evidence import choices, evidence
from evenhand.report.headline import details, headline
from evenhand.report.number_text import NONE
from evenhand.report.question_grid import GridCell, QuestionGrid, question_grid
from evenhand.report.reportable import Reportable, levels
from evenhand.report.sections import contents
from evenhand.report.visible_names import with_visible_names
from evenhand.report.wording import measure_named, one_run_each, others_of, trained

_OPEN = 60
"""With at most this many verdict rows, all tables are open."""

_OPEN_CHARTS = 3
"""The number of blocks of charts that are open in each section; the others are drawn when they are opened."""

_DRAWN = 800
"""Blocks of charts with more rows of data are closed, so that a page opens at once."""

_MOST_QUESTIONED = 12
"""The most rows of methods × questions on the first screen."""

_MEANINGS = {
    "equivalent": "the interval lies inside ± margin",
    "worse": "the interval lies above 0, and not inside ± margin",
    "better": "it lies below 0, and not inside ± margin",
    "different": "the interval excludes 0, and neither direction is worse",
    "not worse": "it contains 0, and lies below the margin",
    "inconclusive": "this study cannot decide",
    theme.UNDECIDED: "shown for comparison only",
}
"""The meaning of each verdict, in the order in which the rule tests them."""

_NOTHING_TRAINED = ("trials", "training")
"""The sections that a report leaves out where predictions were given and no run failed."""

_FIRST = (("across", "Across settings"), ("verdicts", "Verdicts"))
_LAST = (
    ("trials", "Failed trials"),
    ("training", "Training"),
    ("study", "The study"),
    ("margins", "Margins"),
    ("environment", "Environment"),
    ("reading", "How to read a verdict"),
    ("notes", "Notes"),
)
"""The sections without an entry in `evenhand.report.sections`: those before its sections, and those after."""

_PAIRING = {
    "example": "Methods are compared on the same examples, matched by their ids, seed by seed.",
    "order": "Rows had no ids: methods were matched by the order of rows, where labels and groups agreed.",
    "none": "Methods could not be matched example by example: they are compared as unpaired, with wider intervals.",
}


def html(results: Reportable) -> str:
    """The report as HTML: verdicts first, then charts and tables, the study, and how to read it.

    The page is one file of about 1 MB for the drawing library and little for the data. Its content security policy
    allows its own two scripts by their hashes and no request at all. Names and notes are escaped.
    """
    results = with_visible_names(results)
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("evenhand.report"),
        autoescape=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["spec"] = _spec
    environment.filters["json"] = offline.embedded_json
    environment.filters["by_setting"] = _by_setting
    script, style = offline.own_scripts(), offline.own_file("page.css")
    return environment.get_template("page.html.j2").render(
        **_content(results),
        policy=offline.policy(offline.bundle(), script),
        bundle=offline.markup(offline.bundle()),
        script=offline.markup(script),
        style=offline.markup(style),
    )


def _content(results: Reportable) -> dict[str, Any]:
    design, verdicts, trials = results.design, results.verdicts, results.trials
    shown = verdict_tables.tabled(verdicts)
    single, across = verdict_tables.verdict_tables(shown, design), verdict_tables.across_tables(shown, design)
    in_order = [*across, *single]
    narrowed_by = choices(results, in_order)
    given = {row.verdict for table in in_order for part in table.parts for row in part.rows}
    key = [(verdict, meaning) for verdict, meaning in _MEANINGS.items() if verdict in given]
    level = f"{100 * (1 - 2 * design.alpha):g}"
    rows = sum(table.length for table in single)
    sections = contents(results)
    first = _FIRST if across else _FIRST[1:]
    failed, training = tables.failed_trials(trials), tables.training_grid(trials, design)
    tried = [*tables.note_grids(trials), *tables.candidate_grids(trials)]
    trained_here = bool(failed or training or tried or results.provenance.get("tuning"))
    last = [(id, name) for id, name in _LAST if trained_here or id not in _NOTHING_TRAINED]
    decided = verdicts.drop_nulls(["verdict", "contrast"])
    return {
        "title": f"Evenhand: {design.source}" if design.source else "Evenhand: fairness report",
        "facts": _facts(results),
        "warnings": _warnings(results),
        "mixed": results.provenance.get("mixed", ""),
        "headline": headline(results),
        "details": details(results),
        "links": [*first, *((content.section.id, content.section.name) for content in sections), *last],
        "sections": sections,
        "across": across,
        "across_blocks": forest_plot.across_blocks(verdicts, design),
        "tables": single,
        "key": key,
        "questions": _questions(question_grid(results), in_order),
        "starts": list(accumulate((table.length for table in in_order), initial=0)),
        "glance": verdict_tables.glance(verdicts, design),
        "many": len(single) > 1 or rows > 12,
        "open_tables": rows <= _OPEN,
        "across_open": sum(table.length for table in across) <= _OPEN,
        "opened": _OPEN_CHARTS,
        "most_open": 4 * _OPEN,
        "attributes": len(narrowed_by["attributes"]),
        "most_drawn": _DRAWN,
        "places": len(design.settings) > 1 or levels(results)["split"].n_unique() > 1,
        "level": level,
        "tail": f"{100 * design.alpha:g}",
        "verdict_blocks": verdict_chart.verdict_blocks(verdicts, design),
        "left_out": len(verdicts) - len(shown),
        "sparse": len(verdicts.drop_nulls("class")) > 0 and len(verdicts) > blocks.MOST_ROWS,
        "trained_here": trained_here,
        "failed": failed,
        "trials": tables.audited(trials),
        "training": training,
        "tried": tried,
        "tuning": results.provenance.get("tuning", ""),
        "study": results.provenance.get("study", ""),
        "margins": tables.margin_rows(design),
        "environment": tables.provenance_rows(results.provenance),
        "smallest_harm": smallest_harm(verdicts, design),
        "detectable": verdict_tables.detectable_grid(verdicts, design),
        "paired": design.paired,
        "gaps": "gap" in verdicts["comparison"],
        "gap_changes": "gap change" in verdicts["comparison"],
        "others": others_of(verdicts.drop_nulls("against")),
        "compares": verdicts["reference"].count() > 0,
        "undirected": any(
            positive_is(name, design, *design.settings) == "higher" for name in decided["measure"].unique()
        ),
        "one_run": one_run_each(trials),
        "two_models": TWO_MODELS in decided["scope"],
        "one_against_several": ONE_AGAINST_SEVERAL in decided["scope"],
        "notes": _notes(results),
        "absent": tables.absent_rows(levels(results), design),
        "dash": NONE,
        "verdicts": VERDICTS,
        "page_data": {
            "config": theme.config(),
            "dark": dict(theme.DARK),
            "colours": list(theme.METHOD_COLOURS),
            "level": level,
            "choices": {**narrowed_by, "verdicts": [verdict for verdict, _ in key]},
            **evidence(results, in_order),
        },
    }


def _questions(grid: QuestionGrid | None, given: Sequence[verdict_tables.VerdictTable]) -> dict[str, Any] | None:
    """The grid of methods × questions; each cell with the number of the first row that has its verdict."""
    if grid is None:
        return None
    first_row: dict[tuple[Any, ...], int] = {}
    for rank, row in enumerate(row for table in given for row in table.records):
        if row["contrast"] is not None:
            first_row.setdefault(tuple(row[column] for column in _CELL), rank)
    rows = [
        {
            "names": [*([row.setting or "across settings"] if grid.several else []), row.title],
            "cells": [(cell, None if cell is None else _first(cell, first_row)) for cell in row.cells],
        }
        for row in grid.rows
    ]
    # Of many rows, those across settings come first and the others are closed.
    across = sum(row.setting is None for row in grid.rows) or _MOST_QUESTIONED
    shown = len(rows) if len(rows) <= _MOST_QUESTIONED else min(across, _MOST_QUESTIONED)
    head = [*(["setting"] if grid.several else []), "method", *grid.questions]
    return {"head": head, "parts": [part for part in (rows[:shown], rows[shown:]) if part]}


_CELL = ("setting", "split", "method", "reference", "verdict", "measure")
"""The columns by which a cell of the grid finds its rows."""


def _first(cell: GridCell, first_row: Mapping[tuple[Any, ...], int]) -> int | None:
    """The number of the first row that a cell sums up and that has the cell's verdict."""
    target = cell.target
    of_cell = (target.setting, target.split, target.method, target.reference, cell.verdict)
    ranks = (first_row.get((*of_cell, name)) for name in target.measures)
    return min((rank for rank in ranks if rank is not None), default=None)


def _by_setting(given: Sequence[blocks.Block]) -> list[tuple[str | None, list[blocks.Block]]]:
    """Blocks of charts by setting, in their order."""
    return [(setting, list(of_setting)) for setting, of_setting in groupby(given, key=lambda block: block.setting)]


def _facts(results: Reportable) -> list[str]:
    lines = []
    for name, setting in results.design.settings.items():
        here = results.trials.filter(setting=name)
        parts = [
            f"{name}:",
            f"{setting.task or 'predictions as given'}",
            *([f"on {setting.model}"] if setting.model else []),
            *(f"· {part}" for part in trained(here)),
            f"· {results.examples.filter(setting=name).height:,} examples",
            *([] if one_run_each(here) else [f"· {_splits(results, name)}"]),
        ]
        lines.append(" ".join(parts))
    return lines


def _splits(results: Reportable, setting: str) -> str:
    """What the seeds of a setting have in common: their test set, or where only membership is audited, the members."""
    vary = results.design.settings[setting].vary
    kinds = {measure_named(name).kind for name in results.estimates.filter(setting=setting)["measure"].unique()}
    if kinds == {"membership"}:
        return "other members per seed" if vary else "the same members for all seeds"
    return "a new split per seed" if vary else "one fixed split"


def _warnings(results: Reportable) -> list[str]:
    lines = []
    failed = len(tables.failed_trials(results.trials))
    if failed:
        lines.append(f"{failed} of {tables.audited(results.trials)} trials failed; see below for the reasons.")
    if results.design.paired == "none" and len(results.verdicts):
        lines.append(_PAIRING["none"])
    if len(results.design.margin_history) > 1:
        first, last = results.design.margin_history[0].date, results.design.margin_history[-1].date
        lines.append(f"Margins were changed after they were first declared (first {first}, last {last}).")
    return lines


def _notes(results: Reportable) -> list[str]:
    design = results.design
    several, compares = len(design.settings) > 1, results.verdicts["reference"].count() > 0
    where = "" if one_run_each(results.trials) else " in some run"
    return [
        *(
            f"{name}: {note}" if several else note
            for name, setting in design.settings.items()
            for note in setting.notes
        ),
        *([_PAIRING[design.paired]] if compares else []),
        f"Groups with fewer than {design.support} test examples{where} are shown, and left out of the largest "
        "minus the smallest.",
        "Estimates have 95% intervals each by itself; verdicts have simultaneous ones.",
    ]


def _spec(chart: vega.Chart) -> Any:
    """A chart's specification without the theme, which the page includes once."""
    return offline.embedded_json(
        {key: part for key, part in chart.to_dict().items() if key not in ("config", "$schema")}
    )
