"""The chart of benchmark scores from lm-evaluation-harness, by method: of all documents and of groups of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.measures import shown_in
from evenhand.errors import InputError
from evenhand.report import vega
from evenhand.report.blocks import Block, Figure, Spot, blocks_of
from evenhand.report.chart_parts import bounds, choose, extent, row_key, short
from evenhand.report.panels import point_panel
from evenhand.report.reportable import Reportable, levels
from evenhand.report.wording import methods_of

_WIDTH = 190
_GAP = 16

_SHORT = {
    "crows_pairs_english": "crows_pairs",
    "winogender_all": "winogender",
    "stereoset_intrasentence": "intrasentence",
    "stereoset_intersentence": "intersentence",
}
"""Names of benchmarks that are short enough to be followed by the name of a group."""


def benchmarks_chart(
    estimates: pl.DataFrame, design: Design, *, setting: str | None = None, split: str | None = None
) -> vega.Chart:
    """Chart benchmark scores by method with 95% intervals, of all documents and of each group, a panel per measure.

    A line marks the value that means no preference.

    Args:
        estimates: the table.
        design: of the study.
        setting, split: which; the first of each unless given.

    Raises:
        InputError: no benchmarks were audited.
    """
    rows = scores(estimates)
    if rows.is_empty():
        raise InputError("there is nothing to draw: no benchmarks were audited")
    rows, setting, split = choose(rows, design, setting, split)
    methods = methods_of(rows, design, setting)
    parts, data = [], {}
    widest = extent(_key(row) for row in rows.iter_rows(named=True))
    for measure in shown_in("benchmarks"):
        values = [_value(row) for row in rows.filter(measure=measure.name).iter_rows(named=True)]
        if values:
            key, heading = f"rows {len(parts)}", measure.display.heading
            data[key] = values
            panel = point_panel(
                values,
                methods,
                list(dict.fromkeys(value["y"] for value in values)),
                data=key,
                width=_WIDTH,
                row="benchmark",
                value=heading,
                scale={"domain": list(measure.limits)},
                ticks=4,
                even=measure.display.even,
                legend=not parts,
                labels_width=widest,
            )
            parts.append(panel | {"title": {"text": heading, "fontSize": 11, "anchor": "middle"}})
    explained = [
        "line: no preference. points: mean over seeds; bars: 95% intervals",
        "in italics: a whole benchmark; below it groups of its documents",
    ]
    spec = {"concat": parts, "columns": 2, "spacing": _GAP, "title": vega.heading("Benchmark scores", explained)}
    about = f"Benchmarks of lm-evaluation-harness by method, {setting}, {split}"
    return vega.finished(spec, data, about, panel=min(len(parts), 2) * (_WIDTH + widest) - widest, label=widest)


def scores(estimates: pl.DataFrame) -> pl.DataFrame:
    """The estimates over seeds that the chart shows."""
    names = [measure.name for measure in shown_in("benchmarks")]
    level = pl.col("comparison").is_null(), pl.col("seed").is_null(), pl.col("measure").is_in(names)
    return estimates.filter(*level).drop_nulls("value")


def _key(row: Mapping[str, Any]) -> str:
    """The key of a row of the chart: a benchmark, or a group of its documents."""
    task, group = row["condition"], row["group"]
    return row_key(None, task) if group is None else row_key(group, f"{_SHORT.get(task, task)}: {group}")


def _value(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"y": _key(row), "m": row["method"], "c": short(row["value"]), "n": row["n"]} | bounds(row)


def benchmark_blocks(results: Reportable) -> list[Block]:
    """A chart of benchmark scores for each setting and split."""

    def draw(rows: pl.DataFrame, at: Spot) -> Iterator[Figure]:
        chart = benchmarks_chart(rows, results.design, **at.where)
        yield Figure(chart, f"Benchmarks by method, {at.heading}. Tables below.", "benchmarks")

    return blocks_of(scores(levels(results)), results.design, draw)
