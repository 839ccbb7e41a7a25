"""The report's chart of ROC curves of membership inference, on logarithmic axes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.kinds.membership import ROC
from evenhand.errors import InputError
from evenhand.report import theme, vega
from evenhand.report.blocks import Block, Figure, Spot, blocks_of, by_attribute, stem
from evenhand.report.chart_parts import choose, choose_attribute, in_order, row_key, short
from evenhand.report.reliability import diagonal
from evenhand.report.reportable import Reportable
from evenhand.report.wording import EVERYONE, methods_of

_PANEL = 240
_DASHES = ([1, 0], [6, 3], [2, 2], [8, 2, 2, 2], [4, 4], [1, 3], [10, 4], [3, 1])


def roc_chart(
    curves: pl.DataFrame,
    design: Design,
    *,
    setting: str | None = None,
    split: str | None = None,
    attribute: str | None = None,
    columns: int = 3,
) -> vega.Chart:
    """Chart ROC curves with 95% bands on logarithmic axes: a panel for everyone and for each group, a line per method.

    Points without a true positive have no place on a logarithmic axis; a band that reaches 0 ends at the axis.

    Args:
        curves: the table.
        design: of the study.
        setting, split, attribute: which; the first of each unless given. Without groups, everyone alone.
        columns: panels beside each other.

    Raises:
        InputError: there is no such curve, since no membership scores were audited.
    """
    rows = curves.filter(measure=ROC)
    if rows.is_empty():
        raise InputError("there is no ROC curve to draw: no membership scores were audited")
    rows, setting, split = choose(rows, design, setting, split)
    rows, attribute = choose_attribute(rows, attribute)
    rows = rows.filter(pl.col("y") > 0)
    methods = methods_of(rows, design, setting)
    values: list[dict[str, Any]] = [
        {"g": row_key(row["group"], row["group"] or EVERYONE), "m": row["method"]}
        | {"x": short(row["x"]), "y": short(row["y"])}
        for row in rows.iter_rows(named=True)
    ]
    least = 10.0 ** least_decade(values)
    for value, row in zip(values, rows.iter_rows(named=True), strict=True):
        if row["low"] is not None:
            value |= {"l": short(max(row["low"], least)), "h": short(row["high"])}
    legend = {"title": None, "columns": min(len(methods), 5), "symbolType": "stroke", "symbolOpacity": 1}
    colour = vega.field("m", "N", scale={"domain": methods, "range": theme.scale_of(methods)[0]}, legend=legend)
    dash = vega.field("m", "N", scale={"domain": methods, "range": list(_DASHES)}, legend=legend)
    scale = {"type": "log", "domain": [least, 1], "clamp": True}
    axis = {"values": decades(least), "format": "~g"}
    x = vega.field("x", scale=scale, axis=axis, title="false positive rate")
    along: dict[str, Any] = {"scale": scale, "axis": axis, "title": "true positive rate"}
    names = (("g", "N", "group"), ("m", "N", "method"), ("x", "Q", "false positive rate"))
    told = vega.tooltips(*names, ("y", "Q", "true positive rate"), ("l", "Q", "low"), ("h", "Q", "high"))
    band = {"x": x, "y": vega.field("l", **along), "y2": {"field": "h"}, "color": colour}
    line = {"x": x, "y": vega.field("y", **along), "color": colour, "strokeDash": dash, "tooltip": told}
    layers = [
        vega.mark("rule", diagonal(least, 1), color="#777777", strokeDash=[4, 3]),
        vega.mark("area", band, where="isValid(datum.l)", opacity=0.2),
        vega.mark("line", line, strokeWidth=1.8, point={"size": 12, "filled": True}),
    ]
    spec = vega.faceted(layers, "g", in_order(value["g"] for value in values), columns, _PANEL, _PANEL)
    by = f" by {attribute}" if attribute is not None else ""
    explained = ["grey diagonal: guessing", "bands: 95% intervals, where there are enough non-members for a rate"]
    spec["title"] = vega.heading(f"Whose membership in the training set can be inferred{by}?", explained)
    about = f"ROC of membership inference{by} and method, {setting}, {split}"
    return vega.finished(spec, {"rows": values}, about, panel=_PANEL, label=50)


def least_decade(values: Any) -> int:
    """The power of ten at which axes begin: at most .01, and at most the lowest rate that is drawn."""
    least = min((min(value["x"], value["y"]) for value in values), default=0.01)
    return math.floor(math.log10(min(least, 0.01)) + 1e-9)


def decades(least: float) -> list[float]:
    """The powers of ten from one up to 1."""
    return [10.0**power for power in range(round(math.log10(least)), 1)]


def roc_blocks(results: Reportable) -> list[Block]:
    """A chart of ROC curves for each setting, split and attribute."""

    def draw(rows: pl.DataFrame, at: Spot) -> Iterator[Figure]:
        chart = roc_chart(rows, results.design, **at.where)
        about = f"True against false positive rates of membership inference, {at.heading}. The tables have the rates."
        yield Figure(chart, about, stem("membership", at.part["attribute"]))

    return blocks_of(results.curves.filter(measure=ROC), results.design, draw, by_attribute)
