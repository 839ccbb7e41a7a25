"""Verdicts as tables of groups by comparisons of methods, one table for each setting, split and question.

A document has room for these; the page and Markdown also have a table for each pair of methods, with all details.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from evenhand.audit.design import Design
from evenhand.report.chart_parts import capital
from evenhand.report.contrast_panels import positive_is
from evenhand.report.number_text import NONE, interval, number
from evenhand.report.reportable import Reportable
from evenhand.report.wording import (
    GAP_WORDS,
    Row,
    by_pair,
    by_setting_and_split,
    claims,
    compared,
    digits,
    heading,
    main_split,
    place,
    single_part,
    trained,
)


@dataclass(frozen=True)
class Matrix:
    """A table of verdicts.

    Attributes:
        name: for a label: `faces-change`.
        title: what it shows, in words.
        facts: sentences on how to read it: intervals and their families, runs, margins.
        head: of the columns: the rows' heading, then a comparison each.
        parts: the rows of each measure, under its heading.
    """

    name: str
    title: str
    facts: Sequence[str]
    head: Sequence[str]
    parts: Sequence[tuple[str, Sequence[Sequence[str]]]]


def matrices(results: Reportable) -> list[Matrix]:
    """A table for each setting, of changes and another of gaps, and the means over settings; of the main split.

    Rows of single classes and single questions, and measures without verdicts, appear in the tables of pairs only.
    """
    verdicts, design = results.verdicts, results.design
    split = main_split(verdicts["split"])
    judged = claims(verdicts).filter(~single_part(design), pl.col("class").is_null(), split=split or "")
    judged = judged.drop_nulls("verdict")
    made = []
    for setting, _, here in by_setting_and_split(judged, design):
        made += _by_question(here, results, setting, str(split))
    return made + _by_question(judged.filter(pl.col("setting").is_null()), results, None, str(split))


def _by_question(rows: pl.DataFrame, results: Reportable, setting: str | None, split: str) -> list[Matrix]:
    """The tables of one setting, or of the means over settings."""
    changes, gaps = rows.filter(comparison="change"), rows.filter(pl.col("comparison") != "change")
    words = ("Changes from a reference to a method", "Gaps between groups")
    named = zip(("change", "gap"), words, (changes, gaps), strict=True)
    return [_matrix(part, results, setting, split, name, title) for name, title, part in named if len(part)]


def _matrix(rows: pl.DataFrame, results: Reportable, setting: str | None, split: str, name: str, title: str) -> Matrix:
    design = results.design
    pairs = [(method, reference) for method, reference, _ in by_pair(rows, design, setting)]
    cells: dict[str, dict[str, dict[tuple[str, str | None], str]]] = {}
    for row in rows.iter_rows(named=True):
        part = cells.setdefault(_heading(row, design), {})
        part.setdefault(place(row), {})[row["method"], row["reference"]] = _cell(row)
    parts = [
        (measure, [[who, *(values.get(pair, NONE) for pair in pairs)] for who, values in places.items()])
        for measure, places in cells.items()
    ]
    where = f"means over {len(design.settings)} settings" if setting is None else setting
    trials = results.trials if setting is None else results.trials.filter(setting=setting)
    facts = [*_facts(rows, design, setting), f"{capital(', '.join(trained(trials)))}."]
    head = ["", *(compared(method, reference) for method, reference in pairs)]
    return Matrix(f"{setting or 'across'}-{name}", f"{title}: {where}, {split}.", facts, head, parts)


def _heading(row: Row, design: Design) -> str:
    """The heading of a measure's rows, with the margin if there is one."""
    margin = "" if row["margin"] is None else f" (margin {row['margin']:g})"
    return heading(row["measure"], row["comparison"]) + margin


def _cell(row: Row) -> str:
    """A verdict with its contrast and interval: `worse +0.220 [+0.080, +0.360]`."""
    disparity = GAP_WORDS.get(row["disparity"] or "", "")
    verdict = f"{row['verdict']}, {disparity}" if disparity else row["verdict"]
    if row["contrast"] is None:
        return f"{verdict} (not computed)"
    decimals = digits(row["measure"])
    bounds = "" if row["low"] is None else f" {interval(row['low'], row['high'], decimals, signed=True)}"
    return f"{verdict} {number(row['contrast'], decimals, signed=True)}{bounds}"


def _facts(rows: pl.DataFrame, design: Design, setting: str | None) -> list[str]:
    """Sentences on sign, level and families of the rows of a table."""
    settings = list(design.settings) if setting is None else [setting]
    higher = {measure for measure in rows["measure"].unique() if positive_is(measure, design, *settings) == "higher"}
    sign = "A positive contrast means less fair, or less useful"
    if higher:
        sign += "; of measures without a direction it means higher"
    return [
        "Each cell is a verdict with its contrast and interval.",
        f"{sign}.",
        f"Intervals have {100 * (1 - 2 * design.alpha):g}% coverage, simultaneously within each family"
        f"{_families(rows)}.",
        _margins(rows),
    ]


def _families(rows: pl.DataFrame) -> str:
    """The families of the rows in words: how many there are, and of how many contrasts each."""
    families = rows["family"].drop_nulls().unique().to_list()
    sizes = sorted({int(size) for family in families for size in re.findall(r"\((\d+) contrast", family)})
    if not sizes:
        return ""
    reach = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    plural = "" if sizes == [1] else "s"
    one = (
        "1 family"
        if len(families) == 1
        else f"{len(families)} families, one for each measure and comparison, of everyone or by group"
    )
    return f" ({one}, of {reach} contrast{plural})"


def _margins(rows: pl.DataFrame) -> str:
    """The sentence on margins; which they are stands beside each measure."""
    known: Mapping[str, float] = dict(rows.drop_nulls("margin").select("measure", "margin").unique().iter_rows())
    if not known:
        return "No margin was declared, so that nothing is called equivalent or not worse."
    return "The margin is the largest contrast declared harmless."
