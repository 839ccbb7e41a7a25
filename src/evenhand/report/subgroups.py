"""Subgroups that were searched: a chart of size against gap, a table, and sentences on what survives the search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.subgroups import WITHOUT
from evenhand.audit.subgroups.searchable import why_not
from evenhand.errors import InputError
from evenhand.records.schemas import HALVES, MAX_T
from evenhand.report import theme, vega
from evenhand.report.amounts import bound, difference
from evenhand.report.blocks import Block, Figure, Spot, blocks_of
from evenhand.report.chart_parts import choose, short
from evenhand.report.number_text import NONE, interval, number
from evenhand.report.reportable import Reportable
from evenhand.report.tables import Grid
from evenhand.report.wording import (
    GAP_WORDS,
    Row,
    by_setting_and_split,
    compared,
    digits,
    heading,
    measure_named,
    others,
    title,
)

QUESTION = ("measure", "class", "comparison", "method", "reference")
"""The columns that the rows of one question agree in, within a setting and split."""
MOST_PANELS = 8
MOST_ROWS = 30
FEWEST_ROWS = 5
"""The rows of the table where nothing, or little, survives."""
UNDEFINED = "some run lacks the probabilities that it needs, or there are too many classes"
SURVIVES, NOT = "survives", "does not survive"
_COLOURS = (theme.COLOURS["worse"], theme.COLOURS["inconclusive"])
_SHAPES = (theme.SHAPES["worse"], theme.SHAPES["inconclusive"])


def surviving(findings: pl.DataFrame) -> pl.DataFrame:
    """The subgroups whose contrast is more than a search finds by chance, without those that fold under another one."""
    return findings.filter(pl.col("parent").is_null(), pl.col("verdict") != "inconclusive", selection=MAX_T)


def subgroup_chart(
    findings: pl.DataFrame, design: Design, *, setting: str | None = None, split: str | None = None, columns: int = 2
) -> vega.Chart:
    """Chart size against contrast of the worst subgroups, a panel for each question.

    The band is what the largest contrast of as many subgroups reaches by chance at a size, in 95% of searches where
    nothing is there.

    Args:
        findings: the table.
        design: of the study.
        setting, split: which; the first of each unless given.
        columns: panels beside each other.

    Raises:
        InputError: no subgroups were searched.
    """
    if findings.is_empty():
        raise InputError("there are no subgroups to draw: none were searched")
    rows, setting, split = choose(findings.filter(selection=MAX_T), design, setting, split)
    panels = rows.partition_by(*QUESTION, maintain_order=True)
    panels = sorted(panels, key=lambda part: part["p_adjusted"].to_numpy().min())[:MOST_PANELS]
    one_pair = rows.select("method", "reference").n_unique() == 1
    values = [_point(row, one_pair) for part in panels for row in part.iter_rows(named=True)]
    x = vega.field("n", title="units (logarithmic scale)", scale={"type": "log", "nice": False, "padding": 8})
    y = vega.field("v", title="contrast →", scale={"zero": True, "nice": True})
    order = [SURVIVES, NOT]
    legend = {"title": None, "orient": "top"}
    told = vega.tooltips(
        ("s", "N", "subgroup"),
        ("n", "Q", "units"),
        ("v", "Q", "worse by"),
        ("i", "N", "interval"),
        ("p", "Q", "p, over all searched"),
        ("f", "N", "folds under"),
    )
    coded = {
        "color": vega.field("k", "N", sort=order, scale={"domain": order, "range": list(_COLOURS)}, legend=legend),
        "shape": vega.field("k", "N", sort=order, scale={"domain": order, "range": list(_SHAPES)}, legend=legend),
    }
    band = {"x": x, "y": vega.field("b"), "y2": {"field": "c"}}
    layers = [
        vega.mark("area", band, where="isValid(datum.b)", opacity=0.16, color="#777777"),
        vega.mark("rule", {"y": {"datum": 0}}, data=vega.NOWHERE, color="#777777"),
        vega.mark("point", {"x": x, "y": y, "tooltip": told} | coded, filled=True, size=46, opacity=0.85),
    ]
    names = [_panel(part.row(0, named=True), one_pair) for part in panels]
    spec = vega.faceted(layers, "g", names, columns, 300, 210)
    spec["title"] = vega.heading(
        "Subgroups: size and contrast",
        [
            "above 0: fares worse, or where no direction is worse, has more",
            "grey band: what the worst of as many reaches by chance at that size, in 95% of searches",
            "hover for names",
        ],
    )
    spec["resolve"] = {"scale": {"y": "independent"}}
    about = f"Size and contrast of the worst subgroups by question, {setting}, {split}"
    return vega.finished(spec, {"rows": values}, about, panel=300, label=60)


def _point(row: Row, one_pair: bool) -> dict[str, Any]:
    noise = row["noise_high"]
    return {
        "g": _panel(row, one_pair),
        "s": row["subgroup"],
        "n": row["n"],
        "v": short(row["value"]),
        "i": interval(row["low"], row["high"], digits(row["measure"]), signed=True),
        "p": short(row["p_adjusted"]),
        "b": short(noise),
        "c": None if noise is None else short(-noise),
        "f": row["parent"] or NONE,
        "k": NOT if row["verdict"] == "inconclusive" else SURVIVES,
    }


def _panel(row: Row, one_pair: bool) -> str:
    """The title of a row's panel; the methods are named where there are several."""
    of_class = "" if row["class"] is None else f", class {row['class']}"
    what = f"{title(row['measure'])}{of_class}, {row['comparison']}"
    return what if one_pair else f"{what}: {row['method']}"


def _question(row: Row) -> str:
    """What a row asks, in words: `accuracy, gap change: lora against full`."""
    of_class = "" if row["class"] is None else f", class {row['class']}"
    if row["comparison"] == "gap":
        return f"{title(row['measure'])}{of_class}: {compared(row['method'], None)}"
    return f"{heading(row['measure'], row['comparison'])}{of_class}: {compared(row['method'], row['reference'])}"


def subgroup_blocks(results: Reportable) -> list[Block]:
    """A chart for each setting and split in which subgroups were searched."""
    if results.design.subgroups is None:
        return []

    def draw(rows: pl.DataFrame, at: Spot) -> Iterator[Figure]:
        if rows.filter(selection=MAX_T).is_empty():
            return
        about = f"Size and contrast of the worst subgroups, {at.heading}. The table has their names."
        yield Figure(subgroup_chart(rows, results.design, **at.where), about, "subgroups")

    return blocks_of(results.findings, results.design, draw)


def subgroup_grids(results: Reportable) -> list[tuple[str, str, list[Grid]]]:
    """For each setting and split a table of what survives; where that is little, of the worst subgroups."""
    if results.design.subgroups is None:
        return []
    grids = []
    for setting, split, rows in by_setting_and_split(results.findings, results.design):
        found = surviving(rows).sort("p_adjusted", maintain_order=True)
        caption = "Subgroups that survive the search"
        if len(found) < FEWEST_ROWS:
            worst = rows.filter(pl.col("parent").is_null(), selection=MAX_T)
            found = worst.sort("p_adjusted", maintain_order=True).head(FEWEST_ROWS)
            caption = "The worst subgroups"
        tested = {_key(row): row for row in rows.filter(selection=HALVES).iter_rows(named=True)}
        folded = rows.filter(pl.col("parent").is_not_null()).group_by(*QUESTION, "parent").len()
        under = {tuple(row[:-1]): row[-1] for row in folded.iter_rows()}
        cells = [_cells(row, tested, under) for row in found.head(MOST_ROWS).iter_rows(named=True)]
        head = ["subgroup", "compared", "units", "worse by", "by chance", "p", "other half", "driven by", ""]
        grids.append((setting, split, [Grid(caption, head, cells)]))
    return grids


def _key(row: Row) -> tuple[Any, ...]:
    return (*(row[column] for column in QUESTION), row["subgroup"])


def _cells(row: Row, tested: Mapping[tuple[Any, ...], Row], under: Mapping[Any, int]) -> list[str]:
    decimals = digits(row["measure"])
    other = tested.get(_key(row))
    confirmed = NONE
    if other is not None:
        confirmed = f"{number(other['value'], decimals, signed=True)}, p {_p(other['p_adjusted'])}"
    nested = under.get(_key(row), 0)
    notes = [f"{nested} nested in it that add{'s' if nested == 1 else ''} nothing"] if nested else []
    notes += [GAP_WORDS[row["disparity"]]] if row["disparity"] in GAP_WORDS else []
    notes += [row["note"]] if row["note"] else []
    notes += [NOT] if row["verdict"] == "inconclusive" else []
    return [
        row["subgroup"],
        _question(row),
        f"{row['n']:,}",
        f"{number(row['value'], decimals, signed=True)} {interval(row['low'], row['high'], decimals, signed=True)}",
        f"up to {number(row['noise_high'], decimals)}" if row["noise_high"] is not None else NONE,
        _p(row["p_adjusted"]),
        confirmed,
        ", ".join(row["drivers"] or []) or NONE,
        "; ".join(notes),
    ]


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else number(value, 3)


def subgroup_lines(results: Reportable, setting: str, split: str) -> list[str]:
    """What was searched in a setting and split, and how the chart is read."""
    rows = results.findings.filter(setting=setting, split=split)
    searched, first = results.design.subgroups, rows.filter(selection=MAX_T)
    if searched is None or first.is_empty():
        return []
    found = surviving(first)
    return [
        f"{first['searched'][0]:,} contrasts were compared: conjunctions of up to {searched.depth} groups with at "
        f"least {searched.support} units, in every question. {_counted(len(found))}; without any disparity, a search "
        f"finds one with a probability of at most {results.design.alpha:.0%}. A subgroup above the band that does not "
        "survive varies more, between its examples or runs, than others of its size; one below it fares better, which "
        "is no finding unless neither direction is worse.",
        "The other half: the worst subgroup of each question was also found on one half of the units and tested on the "
        "other half, which the search did not see.",
        *_measures_searched(results, setting, split, first),
    ]


def _measures_searched(results: Reportable, setting: str, split: str, rows: pl.DataFrame) -> Iterator[str]:
    """Which measures were searched, and which of those that were judged were not, with the reason."""
    searched = rows["measure"].unique(maintain_order=True).to_list()
    yield f"Searched by: {', '.join(map(title, searched))}."
    compared_here = results.verdicts.filter(setting=setting, split=split).filter(pl.col("group").is_not_null())
    names = compared_here["measure"].unique(maintain_order=True)
    left = [name for name in names if name not in searched and measure_named(name).decides]
    if left:
        reasons = [f"{title(name)} ({why_not(measure_named(name)) or UNDEFINED})" for name in left]
        yield f"Not searched: {'; '.join(reasons)}."


def _counted(count: int) -> str:
    if not count:
        return "None survives"
    return f"{count:,} survive{'s' if count == 1 else ''}, not counting those that add nothing to a larger one"


def finding_sentence(results: Reportable) -> str | None:
    """The sentence on the worst subgroup that survives; None where none does, or none were searched."""
    if results.design.subgroups is None:
        return None
    found = surviving(results.findings)
    found = found.filter(~pl.col("note").fill_null("").str.starts_with(WITHOUT))
    if found.is_empty():
        return None
    row = found.sort("p_adjusted", maintain_order=True).row(0, named=True)
    lead = f"{row['setting']}: " if len(results.design.settings) > 1 else ""
    more = len(found) - 1
    besides = f" {more} more {'survives' if more == 1 else 'survive'} the search." if more else ""
    return f"{lead}{_told(row, results.design)}{besides}"


def _told(row: Row, design: Design) -> str:
    level = round(100 * (1 - 2 * design.alpha))
    by = difference({**row, "contrast": row["value"]}, level)
    measure = measure_named(row["measure"])
    worse = measure.display.worse or (
        f"has a worse {measure.title}" if row["verdict"] == "worse" else f"has a different {measure.title}"
    )
    chance = "" if row["noise_high"] is None else (
        f", where chance alone reaches {bound(row['measure'], row['noise_high'])} in the worst of "
        f"{row['searched']:,} contrasts searched"
    )  # fmt: skip
    who, of_class = row["subgroup"], "" if row["class"] is None else f" (class {row['class']})"
    if row["comparison"] == "gap":
        return f"{row['method']} {worse} for {who}{of_class} than for {others(row['against'])}, by {by}{chance}."
    if row["comparison"] == "change":
        return f"{row['method']} {worse} than {row['reference']} for {who}{of_class}, by {by}{chance}."
    changed = "less favourably" if row["verdict"] == "worse" else "differently"
    return (
        f"From {row['reference']} to {row['method']}, {measure.title}{of_class} changed {changed} for {who} than for "
        f"{others(row['against'])}, by {by}{chance}."
    )


def finding_lines(results: Reportable) -> Sequence[str]:
    """What a search found, for the details: the number of subgroups that survive, by setting and split."""
    if results.design.subgroups is None:
        return []
    lines = []
    for setting, split, rows in by_setting_and_split(results.findings.filter(selection=MAX_T), results.design):
        where = f" of {setting}" if len(results.design.settings) > 1 else ""
        where += "" if split == "test" else f", split {split}"
        found = surviving(rows)
        lines.append(f"Subgroups{where}: {rows['searched'][0]:,} contrasts were searched. {_counted(len(found))}.")
    return lines
