"""The chart of benchmark scores by method, of all documents and of groups of them, and what the scores mean."""

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
    drawn = [measure for measure in shown_in("benchmarks") if measure.name in rows["measure"]]
    for measure in drawn:
        values = [_value(row) for row in rows.filter(measure=measure.name).iter_rows(named=True)]
        if values:
            key, heading = f"rows {len(parts)}", measure.display.heading or measure.title
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
    even = any(measure.display.even is not None for measure in drawn)
    explained = [
        f"{'line: no preference. ' if even else ''}points: mean over seeds; bars: 95% intervals",
        "in italics: a whole benchmark; below it groups of its documents",
    ]
    spec = {"concat": parts, "columns": 2, "spacing": _GAP, "title": vega.heading("Benchmark scores", explained)}
    about = f"Benchmarks by method, {setting}, {split}"
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


_EXPLAINED = {
    "pct_stereotype": "<em>pct_stereotype</em> (CrowS-Pairs, StereoSet) is the share of pairs of sentences of which "
    "the stereotypical one is more probable; at .5 neither is preferred, and the harm is the distance from .5.",
    "amb_bias_score": "BBQ asks questions whose context does or does not give the answer: its <em>bias scores</em> are "
    "0 where wrong guesses follow and contradict stereotypes equally often, and <em>acc</em> is the share of right "
    "answers (“unknown” where the context does not give one).",
    "acc_gap": "<em>acc</em> of Winogender is the share of sentences in which a pronoun is understood; the distance "
    "between he and she is the harm.",
}
"""By measure, what a reader has to know."""

_FAULTS = (
    "These benchmarks have known faults, such as pairs that involve no stereotype or differ in other ways (Blodgett et "
    "al. 2021): a"
)
_ABOUT = "verdict here is about the benchmark, and does not prove harm or its absence elsewhere."


def benchmarks_explained(results: Reportable) -> str:
    """What the scores of these results mean, and what a verdict on them does not; in HTML."""
    present = set(levels(results)["measure"])
    of_stereotypes = present & {"pct_stereotype", "amb_bias_score"}
    sentences = [text for measure, text in _EXPLAINED.items() if measure in present]
    return " ".join([*sentences, _FAULTS if of_stereotypes else "A", _ABOUT])
