"""The chart of reliability diagrams."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from evenhand.audit.design import Design
from evenhand.errors import InputError
from evenhand.report import theme, vega
from evenhand.report.blocks import Block, Figure, Spot, blocks_of
from evenhand.report.chart_parts import bounds, choose, is_value, short
from evenhand.report.reportable import Reportable
from evenhand.report.wording import methods_of

RELIABILITY, CONFIDENCE = "reliability", "confidence"
"""The measures of `curves` that are drawn: observed share and share of the predictions, by confidence."""


def reliability_chart(
    curves: pl.DataFrame,
    design: Design,
    *,
    setting: str | None = None,
    split: str | None = None,
    attribute: str | None = None,
    group: str | None = None,
    columns: int = 4,
) -> vega.Chart:
    """Chart the observed share against confidence, a panel per method; bars show the share of predictions in each bin.

    Raises:
        InputError: there is no such curve, since nothing with probabilities was recorded.
    """
    rows, setting, split = choose(curves, design, setting, split)
    rows = rows.filter(is_value("attribute", attribute), is_value("group", group))
    rows = rows.filter(pl.col("measure").is_in([RELIABILITY, CONFIDENCE]))
    if rows.is_empty():
        raise InputError(f"there is no reliability curve of {setting}: only labels were predicted, no probabilities")
    values = []
    for row in rows.iter_rows(named=True):
        value = {"m": row["method"], "x": short(row["x"])}
        share = {"b": short(row["y"])} if row["measure"] == CONFIDENCE else {"y": short(row["y"])} | bounds(row)
        values.append(value | share)
    unit = {"domain": [0, 1], "padding": 0}
    axis = {"values": [0, 0.2, 0.4, 0.6, 0.8, 1], "format": ".1f"}
    x = vega.field("x", scale=unit, axis=axis, title="confidence")
    along = {"scale": unit, "axis": axis, "title": "observed share"}
    told = vega.tooltips(("x", "Q", "confidence"), ("y", "Q", "observed share"), ("l", "Q", "low"), ("h", "Q", "high"))
    colour = theme.METHOD_COLOURS[0]
    dots = {"point": {"size": 32, "filled": True, "color": colour}}
    whiskers = {"x": x, "y": vega.field("l", **along), "y2": {"field": "h"}}
    layers = [
        vega.mark("bar", {"x": x, "y": vega.field("b", **along)}, where="isValid(datum.b)", color="#c9d3df", size=10),
        vega.mark("rule", diagonal(0, 1), color="#777777", strokeDash=[4, 3]),
        vega.mark("rule", whiskers, where="isValid(datum.l)", color=colour, strokeWidth=1.5),
        vega.mark(
            "line",
            {"x": x, "y": vega.field("y", **along), "tooltip": told},
            where="isValid(datum.y)",
            color=colour,
            strokeWidth=1,
            **dots,
        ),
    ]
    spec = vega.faceted(layers, "m", methods_of(rows, design, setting), columns, 230, 230)
    explained = "on the dashed line: confidence is right; bars: share of predictions in the bin"
    spec["title"] = vega.heading("Reliability", explained)
    about = f"Reliability by method, {setting}, {split}"
    return vega.finished(spec, {"rows": values}, about, panel=230, label=50)


def diagonal(low: float, high: float) -> dict[str, dict[str, float]]:
    """The encoding of the diagonal, on which confidence and observed share are equal."""
    return {"x": {"datum": low}, "y": {"datum": low}, "x2": {"datum": high}, "y2": {"datum": high}}


def reliability_blocks(results: Reportable) -> list[Block]:
    """Charts of reliability for each setting and split: everyone, and the worst-calibrated group of each attribute."""

    def draw(rows: pl.DataFrame, at: Spot) -> Iterator[Figure]:
        chart = reliability_chart(rows, results.design, **at.where)
        yield Figure(chart, f"Observed share against confidence, {at.heading}.")

    def parts(rows: pl.DataFrame) -> list[dict[str, str | None]]:
        return rows.filter(measure=RELIABILITY).select("attribute", "group").unique(maintain_order=True).to_dicts()

    rows = results.curves.filter(pl.col("measure").is_in([RELIABILITY, CONFIDENCE]))
    return blocks_of(rows, results.design, draw, parts)
