"""Results as plain text for a terminal: the headline, methods × questions, the most important verdicts, and notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from evenhand.audit.design import Design
from evenhand.report.headline import details, headline
from evenhand.report.number_text import interval, number
from evenhand.report.question_grid import question_grid
from evenhand.report.reportable import Reportable, levels
from evenhand.report.visible_names import with_visible_names
from evenhand.report.wording import claims, digits, heading, measure_named, place, single_part, title, trained

MOST_ROWS = 24
MOST_ACROSS = 8
MOST_METHODS = 12
MOST_DETAILS = 6
"""A summary ends with the details if there are no more than this, as of one or two methods: an audit without a folder
has no report to look them up in. Those of many methods would push the verdicts off the screen, and are only counted."""

_FIRST = ("worse", "different", "better", "inconclusive", "not worse", "equivalent")


@dataclass(frozen=True)
class Summary:
    """The most important rows of a table as text cells, and a line on those that are left out.

    Attributes:
        rows: the first is the head.
        left: empty where no row is left out.
    """

    rows: Sequence[Sequence[str]]
    left: str


def text(results: Reportable) -> str:
    """The summary that a run or an audit prints at its end."""
    results = with_visible_names(results)
    lines = [title_line(results), *headline(results)]
    for summary in [*questions(results), *summaries(results)]:
        lines += ["", *_aligned(summary.rows), *([summary.left] if summary.left else [])]
    further = details(results)
    if len(further) > MOST_DETAILS:
        further = [f"{len(further)} more sentences are under Details in the report."]
    lines += ["", *further] if further else []
    notes = [note for setting in results.design.settings.values() for note in setting.notes]
    return "\n".join([*lines, *([""] if notes else []), *(f"- {note}" for note in notes)])


def questions(results: Reportable, most: int = MOST_METHODS) -> list[Summary]:
    """The grid of methods × questions as a table; none without verdicts.

    Args:
        results: to be shown.
        most: rows; the others are counted.
    """
    grid = question_grid(results)
    if grid is None:
        return []
    head, *rows = grid.table()
    left = len(rows) - most
    return [Summary([head, *rows[:most]], f"and {left} more in the report" if left > 0 else "")]


def title_line(results: Reportable) -> str:
    """The source of results and their size: `posts.csv: 2 models, 5,000 examples`."""
    size = f"{', '.join(trained(results.trials))}, {len(results.examples):,} examples"
    return f"{results.design.source or 'results'}: {size}"


def summaries(results: Reportable, most: int = MOST_ROWS) -> list[Summary]:
    """The tables below a headline: verdicts across settings, if there are any, and the first verdicts or estimates.

    Args:
        results: to be shown.
        most: rows of the last table.
    """
    verdicts = results.verdicts
    if not verdicts["verdict"].count():
        return [_estimates(levels(results), most)]
    pooled = pl.col("setting").is_null()
    across, single = verdicts.filter(pooled), verdicts.filter(~pooled)
    design = results.design
    first = [_ranked(across, design, MOST_ACROSS, "across settings")] if len(across) else []
    return [*first, _ranked(single, design, most, None)]


def _ranked(verdicts: pl.DataFrame, design: Design, most: int, where: str | None) -> Summary:
    """The most important rows first; `where` is the setting and split, unless each row names it."""
    judged = claims(verdicts).drop_nulls("verdict")
    order = {verdict: rank for rank, verdict in enumerate(_FIRST)}
    spreads = [name for name in judged["measure"].unique() if measure_named(name).one_sided]
    ranked = judged.with_columns(
        rank=pl.col("verdict").replace_strict(order, return_dtype=pl.Int64),
        spread=pl.col("measure").is_in(spreads),  # on a scale that nobody reads at a glance
        narrow=pl.col("group").is_not_null() | single_part(design),
    ).sort("rank", "spread", "narrow", maintain_order=True)
    several = where is not None or judged["setting"].n_unique() > 1 or judged["split"].n_unique() > 1
    compared = judged.select("method", "reference").unique()
    rows = [("verdict", *(["where"] if several else []), "measure", "of", "worse by", "interval", "margin")]
    for row in ranked.head(most).iter_rows(named=True):
        decimals = digits(row["measure"])
        who = place(row) if len(compared) == 1 else f"{place(row)} · {row['method']}"
        places = [f"{where or row['setting']}, {row['split']}"] if several else []
        rows.append(
            (
                row["verdict"],
                *places,
                heading(row["measure"], row["comparison"]),
                who,
                number(row["contrast"], decimals, signed=True),
                interval(row["low"], row["high"], decimals, signed=True),
                number(row["margin"], decimals),
            )
        )
    left = len(judged) - most
    return Summary(rows, f"and {left} more in the table of verdicts" if left > 0 else "")


def _estimates(estimates: pl.DataFrame, most: int) -> Summary:
    names = estimates["measure"].unique().to_list()
    shown = [name for name in names if measure_named(name).display.summary] or names
    over = estimates.filter(pl.col("seed").is_null() & pl.col("measure").is_in(shown) & pl.col("class").is_null())
    rows = [("measure", "of", "method", "value", "95% interval", "examples")]
    for row in over.head(most).iter_rows(named=True):
        decimals = digits(row["measure"])
        bounds, value = interval(row["low"], row["high"], decimals), number(row["value"], decimals)
        rows.append((title(row["measure"]), place(row), row["method"], value, bounds, f"{row['n'] or 0:,}"))
    left = len(over) - most
    return Summary(rows, f"and {left} more in the table of estimates" if left > 0 else "")


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
