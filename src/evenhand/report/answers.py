"""The chart of answers to prompts: the gender that models guess, and letter and yes bias, by question."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.measures import shown_in
from evenhand.audit.measures.measure import Measure
from evenhand.errors import InputError
from evenhand.report import vega
from evenhand.report.blocks import Block, Figure, Spot, blocks_of
from evenhand.report.chart_parts import bounds, choose, extent, in_order, is_value, row_key, short
from evenhand.report.panels import point_panel
from evenhand.report.reportable import Reportable, levels
from evenhand.report.wording import ASKED, methods_of

_WIDTH = 150
_GAP = 16


def answers_chart(
    estimates: pl.DataFrame, design: Design, *, setting: str | None = None, split: str | None = None
) -> vega.Chart:
    """Chart the lean of guesses by question and method, as answered and corrected, with 95% intervals.

    Panels beside it show the pull of identifiers and of the word yes.

    Args:
        estimates: the table.
        design: of the study.
        setting, split: which; the first of each unless given.

    Raises:
        InputError: no answers were audited.
    """
    rows = guesses(estimates)
    if rows.is_empty():
        raise InputError("there are no guesses to draw: no answers to prompts were audited")
    rows, setting, split = choose(rows, design, setting, split)
    methods = methods_of(rows, design, setting)
    asked = design.settings[setting].asked
    first, second = ("male", "female") if asked is None else asked.contents
    parts, data = [], {}
    order = in_order(_key(row["condition"]) for row in rows.iter_rows(named=True))
    for measure, correction, heading in _panels():
        shown = rows.filter(pl.col("measure") == measure.name, is_value("correction", correction)).drop_nulls("value")
        values = [_value(row) for row in shown.iter_rows(named=True)]
        if values:
            key = f"rows {len(parts)}"
            data[key] = values
            low, high = value_axis(measure, [value["c"] for value in values], 0.3)
            panel = point_panel(
                values,
                methods,
                order,
                data=key,
                width=_WIDTH,
                row="question",
                value=heading,
                title=f"← {second}   {first} →" if measure.display.signed else "log-odds",
                scale={"domain": [low, high], "nice": False},
                ticks=3,
                even=measure.display.even,
                legend=not parts,
                named=not parts,
                clip=True,
            )
            parts.append(panel | {"title": {"text": heading, "fontSize": 11, "anchor": "middle"}})
    explained = [
        f"0: {first} and {second} are guessed equally often; ±.5: always the same one",
        "points: mean over seeds; bars: 95% intervals, cut at the frame; how strongly, and pulls: in log-odds",
    ]
    spec = {"hconcat": parts, "spacing": _GAP, "title": vega.heading("Which gender is guessed", explained)}
    about = f"Lean of guesses by question and method, {setting}, {split}"
    width = len(parts) * _WIDTH + (len(parts) - 1) * _GAP
    return vega.finished(spec, data, about, panel=width, label=extent(order))


def guesses(estimates: pl.DataFrame) -> pl.DataFrame:
    """The estimates over seeds that the chart shows; empty where no answer holds a guess."""
    shown = shown_in("answers")
    rows = estimates.filter(pl.col("seed").is_null(), pl.col("measure").is_in([measure.name for measure in shown]))
    guessed = rows.drop_nulls("value").filter(measure=shown[0].name)
    return rows if len(guessed) else rows.clear()


def value_axis(measure: Measure, seen: Sequence[float], room: float) -> tuple[float, float]:
    """The two ends of an axis of values: the measure's limits, else a range around the values.

    Intervals over few questions may be far longer than this range; they are cut at the frame.

    Args:
        measure: whose values.
        seen: they.
        room: beyond the extremes, as a share of what lies between them.
    """
    least, most = min([0.0, *seen]), max([0.0, *seen])
    beyond = room * (most - least) or 1.0
    low, high = least - (beyond if least < 0 else 0.0), most + beyond
    bounded = all(map(math.isfinite, measure.limits))
    return measure.limits if bounded else measure.within((low, high))


def _panels() -> Iterator[tuple[Measure, str | None, str]]:
    """The measure, the correction and the heading of each panel."""
    for measure in shown_in("answers"):
        yield measure, None, measure.display.heading
        for correction, heading in measure.display.corrected.items():
            yield measure, correction, heading


def _key(condition: str | None) -> str:
    """The key of a row of the chart; it sorts rows about several questions first."""
    return row_key(condition if condition not in ASKED else None, ASKED.get(condition, str(condition)))


def _value(row: dict[str, Any]) -> dict[str, Any]:
    return {"y": _key(row["condition"]), "m": row["method"], "c": short(row["value"])} | bounds(row)


def answer_blocks(results: Reportable) -> list[Block]:
    """A chart of the guesses for each setting and split."""

    def draw(rows: pl.DataFrame, at: Spot) -> Iterator[Figure]:
        if len(guesses(rows)):
            chart = answers_chart(rows, results.design, **at.where)
            about = f"Which gender is guessed, by question and method, {at.heading}. Tables below."
            yield Figure(chart, about, "answers")

    return blocks_of(guesses(levels(results)), results.design, draw)
