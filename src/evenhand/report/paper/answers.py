"""The paper's figure of guessed genders: each method's mean, over ticks for its single questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand.audit.figure_design import Figure, Panel
from evenhand.report import theme, vega
from evenhand.report.answers import value_axis
from evenhand.report.chart_parts import bounds, capital, short
from evenhand.report.panels import Axes, even_line, point_layers
from evenhand.report.paper import layout
from evenhand.report.reportable import Reportable, levels
from evenhand.report.wording import measure_named, methods_of, title

STEP = 24
"""Pixels that a row, one method, takes."""

_AXIS = 84
_SIGN = 18
_QUESTION = "#8f8f8f"
_EXPLAINED = (
    "points: mean over questions and seeds; bars: 95% intervals, which include how questions differ; grey: single "
    "questions; sign: verdict against the first reference, of a lean on its distance from 0"
)


@dataclass(frozen=True)
class _Shown:
    """The content of a panel, one measure in one setting: methods, their values and verdicts."""

    panel: Panel
    measure: str
    methods: Sequence[str]
    values: list[dict[str, Any]]
    contrasts: pl.DataFrame


def answers_figure(results: Reportable, figure: Figure) -> vega.Chart:
    """Draw the figure: one panel per setting and measure, a row per method.

    Panels of one measure share their axis of values. The axis of leans runs from always one gender to always the
    other, with a line where both are guessed equally often.
    """
    shown = [_shown(results, panel, measure) for panel in figure.panels for measure in panel.measures]
    width = layout.WIDE // figure.columns - _AXIS - _SIGN - 8
    data, panels = {}, []
    for rank, each in enumerate(shown):
        key = f"rows {rank}"
        data[key] = each.values
        values = [value for other in shown if other.measure == each.measure for value in other.values]
        seen = [value[name] for value in values for name in ("c", "q") if name in value]
        panels.append(_panel(each, key, width, value_axis(measure_named(each.measure), seen, 0.12)))
    decided = pl.concat([each.contrasts for each in shown])
    heading = f"Answers to prompts about authors: {layout.outcome(decided)}"
    signs = [layout.Sign("mean over questions", theme.INK, "circle"), layout.Sign("one question", _QUESTION, "tick")]
    signs += layout.verdict_signs(decided["verdict"].fill_null(theme.UNDECIDED))
    return layout.whole(layout.in_lines(panels, figure.columns, 8), data, results, figure, heading, _EXPLAINED, signs)


def _shown(results: Reportable, panel: Panel, measure: str) -> _Shown:
    raw = pl.col("correction").is_null()
    estimates = levels(results).filter(raw, pl.col("seed").is_null(), setting=panel.setting, measure=measure)
    estimates = estimates.drop_nulls("value")
    reference, _ = layout.compared(results.design, panel.setting)
    present = methods_of(estimates, results.design, panel.setting)
    methods = [name for name in panel.methods or present if name in present]
    values: list[dict[str, Any]] = []
    for row in estimates.filter(pl.col("method").is_in(methods)).iter_rows(named=True):
        if row["condition"] is None:
            values.append({"m": row["method"], "c": short(row["value"])} | bounds(row))
        elif "/" in row["condition"]:
            values.append({"m": row["method"], "q": short(row["value"])})
    contrasts = results.verdicts.filter(
        raw,
        pl.col("condition").is_null(),
        pl.col("reference") == (reference or ""),
        pl.col("method").is_in(methods),
        setting=panel.setting,
        measure=measure_named(measure).display.judged_by or measure,
    )
    for row in contrasts.iter_rows(named=True):
        verdict = row["verdict"] or theme.UNDECIDED
        values.append({"m": row["method"], "k": theme.COLOURS[verdict], "s": theme.SHAPES[verdict]})
    return _Shown(panel, measure, methods, values, contrasts)


def _panel(shown: _Shown, key: str, width: int, domain: tuple[float, float]) -> vega.Spec:
    named = layout.panel_title(shown.panel.setting, capital(title(shown.measure)))
    height = STEP * max(len(shown.methods), 2)
    if not shown.values:
        return {**layout.absent("no question measures it: the report says why", width, height), "title": named}
    methods = list(shown.methods)
    axis = {"labelFontSize": layout.SMALL, "labelLimit": _AXIS - 12, "minExtent": _AXIS - 12}
    y = vega.field("m", "N", sort=methods, scale={"domain": methods}, axis=axis, title=None)
    scale = {"domain": list(domain), "nice": False}
    along = {"scale": scale, "axis": {"tickCount": 3, "labelFontSize": layout.SMALL}, "title": None}
    axes = Axes(y, along, None, None)
    display, line = measure_named(shown.measure).display, None
    if display.judged_by and display.even is not None:
        line = even_line(axes, display.even, color="#c43c3c", strokeDash=[3, 3], strokeWidth=1.2)
    question = vega.mark("tick", axes.at("q"), where="isValid(datum.q)", color=_QUESTION, thickness=1.5, size=11)
    layers = [question, *point_layers(shown.values, axes, even=line, clip=True)]
    if any("s" in value for value in shown.values):
        sign = {"x": {"value": width + _SIGN // 2}, "y": y, "color": vega.literal("k"), "shape": vega.literal("s")}
        layers.append(vega.mark("point", sign, where="isValid(datum.s)", filled=True, size=50, opacity=1))
    independent = {"scale": {"color": "independent", "shape": "independent"}}
    spec: vega.Spec = {"data": {"name": key}, "layer": layers, "width": width, "height": height, "title": named}
    return {**spec, "resolve": independent}
