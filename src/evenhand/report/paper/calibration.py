"""The paper's figure of calibration: histograms of confidence above reliability diagrams, for everyone and a group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand.audit.figure_design import Figure, Panel
from evenhand.audit.measures import shown_in
from evenhand.audit.measures.run_data import BINS
from evenhand.report import theme, vega
from evenhand.report.chart_parts import bounds, is_value, short
from evenhand.report.number_text import number
from evenhand.report.paper import layout
from evenhand.report.reliability import CONFIDENCE, RELIABILITY, diagonal
from evenhand.report.reportable import Reportable, levels
from evenhand.report.wording import EVERYONE, methods_of

_AXIS = 46
_HISTOGRAM = 64
_GAP = "#e3b7d3"
_IDEAL = "#7b3294"
_EXPLAINED = (
    "above: share of predictions by confidence; below: share of the event by confidence, bars with 95% intervals; "
    "pink: gap to the mean confidence; ECE: mean over runs, in brackets its noise floor's 95% quantile; "
    "verdict: on the debiased squared calibration error"
)


@dataclass(frozen=True)
class _Shown:
    """The content of a panel: the bins of each method, and the contrasts of calibration, for everyone or a group."""

    panel: Panel
    heading: list[str]
    methods: Sequence[str]
    bins: dict[str, list[dict[str, Any]]]
    errors: dict[str, str]
    contrasts: pl.DataFrame


def calibration_figure(results: Reportable, figure: Figure) -> vega.Chart:
    """Draw the figure: in each panel, a histogram above a diagram for each method, the first reference first.

    What is drawn are the curves that the audit keeps: 15 bins of equal width of P(positive) where there are two
    classes, else of the largest probability, pooled over runs.
    """
    shown = [_shown(results, panel) for panel in figure.panels]
    looks = layout.palette(results, figure)
    columns = figure.columns * max(1, *(len(each.methods) for each in shown))
    side = max((layout.WIDE - _AXIS - 10 * columns) // columns, 60)
    top = max((bin["b"] for each in shown for bins in each.bins.values() for bin in bins if "b" in bin), default=1.0)
    data, places = {}, []
    for place, each in enumerate(shown):
        title = layout.panel_title(each.heading[0], each.heading[1:], 4)
        if not each.methods:
            why = "no curve: there are no probabilities, or no group is large enough"
            places.append({**layout.absent(why, 2 * side, side + _HISTOGRAM), "title": title})
            continue
        charts = []
        for rank, method in enumerate(each.methods):
            key = f"rows {place} {rank}"
            data[key] = each.bins[method]
            first = not place % figure.columns and not rank
            charts.append(_method(each, method, key, looks[method][0], side, top, first))
        places.append({"hconcat": charts, "spacing": 8, "title": title})
    lines = layout.in_lines(places, figure.columns, 16)
    decided = pl.concat([each.contrasts for each in shown])
    settings = dict.fromkeys(panel.setting for panel in figure.panels)
    heading = f"Calibration, {layout.pair_of(results.design, settings)}: {layout.outcome(decided)}"
    given = dict.fromkeys(method for each in shown for method in each.methods)
    signs = [layout.Sign(method, looks[method][0], "bar") for method in given]
    signs += [layout.Sign("gap", _GAP, "bar"), layout.Sign("perfect calibration", _IDEAL, "dots")]
    signs += layout.verdict_signs(decided["verdict"].fill_null(theme.UNDECIDED))
    return layout.whole(lines, data, results, figure, heading, _EXPLAINED, signs)


def _shown(results: Reportable, panel: Panel) -> _Shown:
    design, attribute = results.design, layout.attribute_of(panel, levels(results))
    curves = layout.tested(results.curves).filter(
        pl.col("measure").is_in([CONFIDENCE, RELIABILITY]), setting=panel.setting
    )
    if panel.of == "worst":
        curves = curves.filter(pl.col("group").is_not_null(), attribute=attribute)
    else:
        curves = curves.filter(pl.col("group").is_null())
    group = next(iter(curves["group"]), None)
    about = is_value("group", group) & is_value("attribute", None if group is None else attribute)
    here = [pl.col("setting") == panel.setting, about]
    reference, _ = layout.compared(design, panel.setting)
    methods = methods_of(curves, design, panel.setting)
    methods.sort(key=lambda method: method != reference)
    (error,) = shown_in("calibration")
    errors = layout.tested(levels(results)).filter(*here, pl.col("seed").is_null(), measure=error.name)
    values = {row["method"]: _error(row["value"], row["noise_high"]) for row in errors.iter_rows(named=True)}
    contrasts = layout.tested(results.verdicts).filter(
        *here, pl.col("reference") == (reference or ""), measure=error.display.judged_by
    )
    size = layout.sizes(results.examples, panel.setting, attribute)
    who = layout.sized(EVERYONE if group is None else f"{attribute} = {group}", size.get(group))
    heading = [panel.setting, who if panel.of == "everyone" else f"largest ECE: {who if group else 'none'}"]
    bins = {method: _bins(curves.filter(method=method)) for method in methods}
    return _Shown(panel, heading, methods, bins, values, contrasts)


def _error(value: float | None, floor: float | None) -> str:
    return f"ECE {number(value)}" + (f" ({number(floor)})" if floor is not None else "")


def _bins(curve: pl.DataFrame) -> list[dict[str, Any]]:
    """The chart data, a row per bin and curve; `u`, `v` are the bin's edges, `w` its middle."""
    rows = []
    for row in curve.iter_rows(named=True):
        bin_at = min(max(math.ceil(row["x"] * BINS) - 1, 0), BINS - 1)
        edges = {"u": short(bin_at / BINS), "v": short((bin_at + 1) / BINS), "w": short((bin_at + 0.5) / BINS)}
        if row["measure"] == CONFIDENCE:
            rows.append({**edges, "b": short(row["y"])})
        else:
            rows.append({**edges, "y": short(row["y"]), "g": short(row["x"])} | bounds(row))
    return rows


def _method(shown: _Shown, method: str, key: str, colour: str, side: int, top: float, first: bool) -> vega.Spec:
    """One method's histogram above its diagram; only the first in a line has the axes of values."""
    verdict = next(iter(shown.contrasts.filter(method=method)["verdict"]), "")
    below = f"{theme.MARKS[verdict]} {verdict}" if verdict else " "
    title = layout.panel_title(method, below, 4, subtitleColor=theme.COLOURS.get(verdict, theme.FAINT))
    unit = {"domain": [0, 1], "nice": False, "padding": 0}
    halves = {"values": [0, 0.5, 1]}
    ends = {**halves, "labelFontSize": layout.SMALL, "format": ".1f"}
    edges = {"x2": {"field": "v"}}
    white = {"stroke": "white", "strokeWidth": 0.5}
    counted = vega.field(
        "b",
        title="share" if first else None,
        axis={"tickCount": 3, "labelFontSize": layout.SMALL, "format": ".2f", "labels": first},
        scale={"domain": [0, top], "nice": True},
    )
    across = vega.field("u", scale=unit, axis={**halves, "labels": False, "ticks": False}, title=None)
    bars = {"x": across, **edges, "y": counted, "y2": {"datum": 0}}
    histogram = vega.mark("bar", bars, where="isValid(datum.b)", data={"name": key}, color=colour, **white)
    x = vega.field("u", scale=unit, axis={**ends, "labelFlush": True}, title="confidence")
    y = vega.field("y", scale=unit, axis={**ends, "labels": first}, title="observed" if first else None)
    bin_, known = {"x": x, **edges, "y": y}, "isValid(datum.y)"
    layers = [
        vega.mark("bar", {**bin_, "y2": {"datum": 0}}, where=known, color=colour, opacity=0.55, **white),
        vega.mark("bar", {**bin_, "y2": {"field": "g"}}, where=known, color=_GAP, **white),
        vega.mark("rule", bin_, where=known, color=colour, strokeWidth=1.5),
        vega.mark("rule", diagonal(0, 1), data=vega.NOWHERE, color=_IDEAL, strokeDash=[2, 2], strokeWidth=1.5),
    ]
    if any("l" in row for row in shown.bins[method]):
        whiskers = {"x": vega.field("w", scale=unit), "y": vega.field("l", scale=unit), "y2": {"field": "h"}}
        layers.append(vega.mark("rule", whiskers, where="isValid(datum.l)", color=theme.INK, strokeWidth=1))
    look = {"align": "left", "baseline": "bottom", "fontSize": layout.SMALL, "color": theme.INK}
    corner = {"x": {"value": 0}, "y": {"value": -3}}
    layers.append(vega.mark("text", corner, data=vega.NOWHERE, text=shown.errors.get(method, ""), **look))
    diagram: vega.Spec = {"data": {"name": key}, "layer": layers, "width": side, "height": side}
    upper = {**histogram, "width": side, "height": _HISTOGRAM, "title": title}
    return {"vconcat": [upper, diagram], "spacing": 26, "bounds": "flush"}
