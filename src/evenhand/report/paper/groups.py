"""The paper's figures of accuracy, demographic parity and equalized odds: by group, methods side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand.audit.figure_design import Figure, Panel
from evenhand.report import theme, vega
from evenhand.report.chart_parts import around, bounds, in_order, row_key, short, verdict_margin
from evenhand.report.panels import Axes, point_layers
from evenhand.report.paper import layout
from evenhand.report.reportable import Reportable, levels
from evenhand.report.wording import EVERYONE, methods_of, title

HEIGHT = 150
_LOW = 100
"""The height in pixels of panels in more than three rows, so that the figure fits a page."""
_AXIS = 44
"""Pixels that a panel's axis of values takes."""
_SIGN = 13
"""Pixels of a line of verdicts."""

_EXPLAINED = (
    "points: mean over seeds; bars: 95% intervals; in brackets: examples in the data; disparities: each group to its "
    "complement, fairer towards 0; noise floor: 95% of values lie below it where there is no disparity"
)


@dataclass(frozen=True)
class _Shown:
    """The content of a panel: values and verdicts by group and method."""

    panel: Panel
    measure: str
    methods: Sequence[str]
    others: Sequence[str]
    values: list[dict[str, Any]]
    marks: list[dict[str, Any]]
    contrasts: pl.DataFrame


def groups_figure(results: Reportable, figure: Figure) -> vega.Chart:
    """Draw the figure: a panel per setting and measure, values by group and method with intervals, sizes in brackets.

    The band is the reference's value ± the margin, a grey tick the noise floor's 95% quantile; the sign above a group
    is the verdict of its contrast, or what becomes of its gap to the rest. Panels of one measure share their axis.
    """
    looks = layout.palette(results, figure)
    shown = [_shown(results, panel, measure, looks) for panel in figure.panels for measure in panel.measures]
    width = (layout.WIDE - figure.columns * _AXIS) // figure.columns
    height = HEIGHT if len(shown) <= 3 * figure.columns else _LOW
    domains = {each.measure: _domain(shown, each.measure) for each in shown}
    data = {f"rows {rank}": [*each.values, *each.marks] for rank, each in enumerate(shown)}
    panels = [_panel(each, f"rows {rank}", domains[each.measure], width, height) for rank, each in enumerate(shown)]
    decided = pl.concat([each.contrasts for each in shown])
    settings = dict.fromkeys(panel.setting for panel in figure.panels)
    heading = f"{layout.pair_of(results.design, settings)}, by group: {layout.outcome(decided)}"
    signs = _signs(results, shown, decided, looks)
    return layout.whole(layout.in_lines(panels, figure.columns), data, results, figure, heading, _EXPLAINED, signs)


def _shown(results: Reportable, panel: Panel, measure: str, looks: Mapping[str, tuple[str, str]]) -> _Shown:
    design = results.design
    attribute = layout.attribute_of(panel, levels(results))
    here = {"setting": panel.setting, "measure": measure}
    about = pl.col("group").is_not_null() & (pl.col("attribute") == attribute) | pl.col("attribute").is_null()
    estimates = layout.tested(levels(results)).filter(pl.col("seed").is_null(), about, **here)
    methods = methods_of(estimates, design, panel.setting)
    reference, others = layout.compared(design, panel.setting)
    margin = verdict_margin(measure, design)
    size = layout.sizes(results.examples, panel.setting, attribute)
    values = []
    for row in estimates.iter_rows(named=True):
        colour, shape = looks[row["method"]]
        value = {"y": _label(row["group"], size), "m": row["method"], "c": short(row["value"])} | bounds(row)
        value |= {"k": colour, "s": shape}
        if margin is not None and row["method"] == reference and row["value"] is not None:
            value["a"], value["b"] = around(row["value"], margin, measure)
        if row["noise_high"] is not None:
            value["f"] = short(row["noise_high"])
        values.append(value)
    contrasts = layout.tested(results.verdicts).filter(pl.col("reference") == (reference or ""), about, **here)
    contrasts = layout.with_disparities(contrasts, results.verdicts)
    marks = []
    for row in contrasts.iter_rows(named=True):
        sign = layout.VERDICT_SIGNS[row["verdict"] or theme.UNDECIDED]
        mark = {"y": _label(row["group"], size), "v": sign.text, "k": sign.colour, "s": sign.shape}
        marks.append(mark | {"p": others.index(row["method"]) if row["method"] in others else 0})
    return _Shown(panel, measure, methods, others, values, marks, contrasts)


def _label(group: str | None, size: Mapping[str | None, int]) -> str:
    return row_key(group, layout.sized(EVERYONE if group is None else group, size.get(group)))


def _domain(shown: Iterable[_Shown], measure: str) -> tuple[float, float]:
    return layout.value_span([value for each in shown if each.measure == measure for value in each.values], measure)


def _panel(shown: _Shown, key: str, domain: tuple[float, float], width: int, height: int) -> vega.Spec:
    offset = 8 + _SIGN * max(len(shown.others), 1)
    named = layout.panel_title(shown.panel.setting, title(shown.measure), offset)
    if not any(value["c"] is not None for value in shown.values):
        return {
            **layout.absent(f"no {title(shown.measure)} of groups: the report says why", width, height),
            "title": named,
        }
    italic = {"condition": {"test": "indexof(datum.label, '\u00a0') >= 0", "value": "italic"}, "value": "normal"}
    axis = {"labelAngle": -45, "labelFontSize": layout.SMALL, "labelLimit": 150, "labelOverlap": False}
    x = vega.field(
        "y",
        "N",
        sort=in_order(value["y"] for value in shown.values),
        title=None,
        axis={**axis, "labelFontStyle": italic},
        scale={"type": "band", "padding": 0.08},
    )
    methods = list(shown.methods)
    inside = vega.field("m", "N", sort=methods, scale={"domain": methods, "paddingOuter": 0.7})
    along = {
        "scale": {"domain": list(domain), "nice": False, "zero": False},
        "axis": {"tickCount": 5, "labelFontSize": layout.SMALL, "format": ".2f" if domain[1] <= 1 else ".0f"},
        "title": None,
    }
    axes = Axes(x, along, vega.literal("k"), vega.literal("s"), inside, upright=True, height=height)
    layers = point_layers(shown.values, axes, size=34)
    for line in range(max(len(shown.others), 1)):
        if any(sign["p"] == line for sign in shown.marks):
            at = {"value": -9 - _SIGN * line}
            sign = {"x": x, "y": at, "color": vega.literal("k"), "shape": vega.literal("s")}
            layers.append(vega.mark("point", sign, where=f"datum.p === {line}", filled=True, size=42, opacity=1))
            name = "verdict" if len(shown.others) == 1 else shown.others[line]
            look = {"text": name, "align": "right", "fontSize": 9, "color": theme.FAINT}
            layers.append(vega.mark("text", {"x": {"value": -5}, "y": at}, data=vega.NOWHERE, **look))
    return {"data": {"name": key}, "layer": layers, "width": width, "height": height, "title": named}


def _signs(
    results: Reportable, shown: Sequence[_Shown], decided: pl.DataFrame, looks: Mapping[str, tuple[str, str]]
) -> list[layout.Sign]:
    present = {method for each in shown for method in each.methods}
    signs = [layout.Sign(method, *looks[method]) for method in looks if method in present]
    values = [value for each in shown for value in each.values]
    if any("a" in value for value in values):
        reference = layout.compared(results.design, shown[0].panel.setting)[0]
        signs.append(layout.Sign(f"{reference} ± margin", theme.BAND, "band"))
    if any("f" in value for value in values):
        signs.append(layout.Sign("noise floor, 95%", theme.FAINT, "tick"))
    return [*signs, *layout.verdict_signs(decided["verdict"].fill_null(theme.UNDECIDED))]
