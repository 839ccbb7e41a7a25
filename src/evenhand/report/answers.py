"""Answers to prompts: which gender is guessed, raw beside corrected, and what pulls besides it, by question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from evenhand.audit.design import Design
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
    in_order,
    labels,
    row_key,
    rows_named,
    tooltips,
)
from evenhand.report.drawing import short as digits_shown
from evenhand.report.tables import Grid, estimate_grids
from evenhand.report.wording import ASKED, methods_of

LEAN, LOG_ODDS = "guess_lean", "content_log_odds"
_PANELS = (
    (LEAN, None, "as answered"),
    (LEAN, "permutation", "after permutation"),
    (LEAN, "PriDe", "after PriDe"),
    (LEAN, "contextual calibration", "after calibration"),
    (LOG_ODDS, None, "how strongly"),
    ("identifier_effect", None, "pull of A, B, …"),
    ("yes_effect", None, "pull of yes"),
)
"""Measure, correction, heading."""

_WIDTH = 150
_GAP = 16


def answers_chart(
    estimates: pl.DataFrame, design: Design, *, setting: str | None = None, split: str | None = None
) -> Any:
    """The lean of guesses by question and method with its 95% interval, as answered and corrected, and beside it how
    much identifiers, and the word yes, pull.

    Args:
        estimates: the table.
        design: of the study.
        setting, split: which; the first of each unless given.

    Raises:
        InputError: no answers were audited.
    """
    import altair as alt

    rows = estimates.filter(pl.col("seed").is_null(), pl.col("measure").is_in([name for name, _, _ in _PANELS]))
    if rows.drop_nulls("value").filter(measure=LEAN).is_empty():
        raise InputError("there are no guesses to draw: no answers to prompts were audited")
    rows, setting, split = choose(rows, design, setting, split)
    methods = methods_of(rows, design, setting)
    asked = design.settings[setting].asked
    first, second = ("male", "female") if asked is None else asked.contents
    parts, drawn = [], {}
    order = in_order(_key(row["condition"]) for row in rows.iter_rows(named=True))
    for measure, correction, heading in _PANELS:
        own = rows.filter(pl.col("measure") == measure, pl.col("correction").eq_missing(pl.lit(correction, pl.String)))
        values = [_value(row) for row in own.drop_nulls("value").iter_rows(named=True)]
        if values:
            key = f"rows {len(parts)}"
            drawn[key] = values
            x = f"← {second}   {first} →" if measure in (LEAN, LOG_ODDS) else "log-odds"
            domain = (-0.5, 0.5) if measure == LEAN else _seen(values)
            part = _panel(key, methods, order, heading, x, domain, named=not parts)
            parts.append(part.properties(title=alt.Title(heading, fontSize=11, anchor="middle")))
    chart = alt.hconcat(*parts, spacing=_GAP)
    said = [
        f"0: {first} and {second} are guessed equally often; ±.5: always the same one",
        "points: mean over seeds; bars: 95% intervals, cut at the frame; how strongly, and pulls: in log-odds",
    ]
    about = f"Lean of guesses by question and method, {setting}, {split}"
    whole = chart.properties(title=heading_of("Which gender is guessed", said))
    panel = len(parts) * _WIDTH + (len(parts) - 1) * _GAP
    return finished(whole, drawn, about, panel=panel, label=extent(order))


def _key(condition: str | None) -> str:
    """A row of the chart: those about several questions first."""
    return row_key(condition if condition not in ASKED else None, ASKED.get(condition, str(condition)))


def _value(row: dict[str, Any]) -> dict[str, Any]:
    return {"y": _key(row["condition"]), "m": row["method"], "c": digits_shown(row["value"])} | bounds(row)


def _seen(values: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Where an axis of log-odds begins and ends: about what was seen. Intervals over few questions may be far longer;
    they are cut at the frame."""
    least, most = (extreme([0.0, *(value["c"] for value in values)]) for extreme in (min, max))
    room = 0.3 * (most - least) or 1.0
    return least - (room if least < 0 else 0.0), most + room


def _panel(
    key: str,
    methods: Sequence[str],
    order: Sequence[str],
    said: str,
    x: str,
    domain: tuple[float, float],
    named: bool,
) -> Any:
    import altair as alt

    axis = labels(extent(order)) if named else None
    y = alt.Y("y:N", sort=list(order), title=None, axis=axis, scale=alt.Scale(domain=list(order), padding=0))
    inside, colour, shape = by_method(methods, named)
    told = tooltips(
        ("y", "N", "question"),
        ("m", "N", "method"),
        ("c", "Q", said),
        ("l", "Q", "low"),
        ("h", "Q", "high"),
    )
    scale = alt.Scale(domain=list(domain), nice=False)
    place = alt.X("c:Q", title=x, scale=scale, axis=alt.Axis(tickCount=3))
    base = alt.Chart(rows_named(key))
    zero = alt.Chart(rows_named(key)).mark_rule(color=theme.INK, strokeWidth=1).encode(x=alt.datum(0))
    bars = base.transform_filter("isValid(datum.l)").mark_rule(strokeWidth=1.5, clip=True)
    layers = [zero, bars.encode(x=alt.X("l:Q", scale=scale), x2="h:Q", y=y, yOffset=inside, color=colour)]
    points = base.mark_point(filled=True, size=45, opacity=1)
    layers.append(points.encode(x=place, y=y, yOffset=inside, color=colour, shape=shape, tooltip=told))
    height = max(20, 8 * len(methods) + 6) * len(order)
    return alt.layer(*layers).properties(width=_WIDTH, height=height)


def answer_grids(estimates: pl.DataFrame, design: Design) -> list[tuple[str, str, list[Grid]]]:
    """(setting, split, tables): every measure of answers by question, a column per method."""
    return estimate_grids(estimates.filter(pl.col("measure").is_in(of_kind("options"))), design)
