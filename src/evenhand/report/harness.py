"""Benchmarks that lm-evaluation-harness scored: what each says, by method, of all documents and of groups of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.kinds.benchmarks import DISTANCES, GAPS
from evenhand.audit.measures import of_kind
from evenhand.errors import InputError
from evenhand.report import theme
from evenhand.report.drawing import (
    bounds,
    by_method,
    choose,
    extent,
    finished,
    heading_of,
    labels,
    row_key,
    rows_named,
    short,
    tooltips,
)
from evenhand.report.tables import Grid, estimate_grids
from evenhand.report.wording import methods_of

_PANELS = (
    ("pct_stereotype", "stereotypes preferred", 0.5, (0.0, 1.0)),
    ("acc", "accuracy", None, (0.0, 1.0)),
    ("amb_bias_score", "bias, context does not tell", 0.0, (-1.0, 1.0)),
    ("disamb_bias_score", "bias, context tells", 0.0, (-1.0, 1.0)),
)
"""Measure, heading, where there is no preference, and the values that there are."""

_WIDTH = 190
_GAP = 16


def harness_chart(
    estimates: pl.DataFrame, design: Design, *, setting: str | None = None, split: str | None = None
) -> Any:
    """What benchmarks say by method with 95% intervals, of all documents and of each group: a panel per measure, with a
    line where there is no preference.

    Args:
        estimates: the table.
        design: of the study.
        setting, split: which; the first of each unless given.

    Raises:
        InputError: no benchmarks were audited.
    """
    import altair as alt

    rows = drawn_rows(estimates)
    if rows.is_empty():
        raise InputError("there is nothing to draw: no benchmarks were audited")
    rows, setting, split = choose(rows, design, setting, split)
    methods = methods_of(rows, design, setting)
    parts, drawn = [], {}
    widest = extent(_key(row) for row in rows.iter_rows(named=True))
    for measure, heading, even, domain in _PANELS:
        own = rows.filter(measure=measure)
        if own.is_empty():
            continue
        values = [_value(row) for row in own.iter_rows(named=True)]
        order = list(dict.fromkeys(value["y"] for value in values))
        key = f"rows {len(parts)}"
        drawn[key] = values
        panel = _panel(key, methods, order, widest, heading, even, domain, explained=not parts)
        parts.append(panel.properties(title=alt.Title(heading, fontSize=11, anchor="middle")))
    chart = alt.concat(*parts, columns=2, spacing=_GAP)
    said = [
        "line: no preference. points: mean over seeds; bars: 95% intervals",
        "in italics: a whole benchmark; below it groups of its documents",
    ]
    whole = chart.properties(title=heading_of("What benchmarks say", said))
    about = f"Benchmarks of lm-evaluation-harness by method, {setting}, {split}"
    return finished(whole, drawn, about, panel=min(len(parts), 2) * (_WIDTH + widest) - widest, label=widest)


def drawn_rows(estimates: pl.DataFrame) -> pl.DataFrame:
    """The estimates over seeds that the chart shows."""
    names = [name for name, *_ in _PANELS]
    return estimates.filter(pl.col("seed").is_null(), pl.col("measure").is_in(names)).drop_nulls("value")


def harness_grids(estimates: pl.DataFrame, design: Design) -> list[tuple[str, str, list[Grid]]]:
    """(setting, split, tables): every measure of benchmarks by benchmark and group, a column per method. Distances are
    left to the tables of verdicts: what they are distances of is here with its sign."""
    shown = [name for name in of_kind("benchmarks") if name not in DISTANCES and name not in GAPS]
    return estimate_grids(estimates.filter(pl.col("measure").is_in([*shown, *GAPS])), design)


def _key(row: dict[str, Any]) -> str:
    """A row of the chart: a benchmark, or a group of its documents."""
    task, group = row["condition"], row["group"]
    return row_key(None, task) if group is None else row_key(group, f"{_SHORT.get(task, task)}: {group}")


_SHORT = {
    "crows_pairs_english": "crows_pairs",
    "winogender_all": "winogender",
    "stereoset_intrasentence": "intrasentence",
    "stereoset_intersentence": "intersentence",
}
"""Names that leave room for a group."""


def _value(row: dict[str, Any]) -> dict[str, Any]:
    return {"y": _key(row), "m": row["method"], "c": short(row["value"]), "n": row["n"]} | bounds(row)


def _panel(
    key: str,
    methods: Sequence[str],
    order: Sequence[str],
    width: int,
    said: str,
    even: float | None,
    domain: tuple[float, float],
    explained: bool,
) -> Any:
    import altair as alt

    y = alt.Y("y:N", sort=list(order), title=None, axis=labels(width), scale=alt.Scale(domain=list(order), padding=0))
    inside, colour, shape = by_method(methods, explained)
    told = tooltips(
        ("y", "N", "benchmark"),
        ("m", "N", "method"),
        ("c", "Q", said),
        ("l", "Q", "low"),
        ("h", "Q", "high"),
        ("n", "Q", "documents"),
    )
    place = alt.X("c:Q", title=None, scale=alt.Scale(domain=list(domain)), axis=alt.Axis(tickCount=4))
    base = alt.Chart(rows_named(key))
    layers: list[Any] = []
    if even is not None:
        layers.append(alt.Chart(rows_named(key)).mark_rule(color=theme.INK, strokeWidth=1).encode(x=alt.datum(even)))
    bars = base.transform_filter("isValid(datum.l)").mark_rule(strokeWidth=1.5)
    layers.append(bars.encode(x="l:Q", x2="h:Q", y=y, yOffset=inside, color=colour))
    points = base.mark_point(filled=True, size=45, opacity=1)
    layers.append(points.encode(x=place, y=y, yOffset=inside, color=colour, shape=shape, tooltip=told))
    height = max(18, 8 * len(methods) + 4) * len(order)
    return alt.layer(*layers).properties(width=_WIDTH, height=height)
