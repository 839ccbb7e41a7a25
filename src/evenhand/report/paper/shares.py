"""The paper's figure of genders in translations: stacked shares of pro and anti by method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand.audit.figure_design import Figure, Panel
from evenhand.audit.measures import shown_in
from evenhand.report import theme, vega
from evenhand.report.chart_parts import around, verdict_margin
from evenhand.report.paper import layout
from evenhand.report.reportable import Reportable, levels
from evenhand.report.translations import COLOURS, outcome_colour, outcome_names, shares, stacked
from evenhand.report.wording import methods_of

STEP = 26
"""Pixels of a bar with the space around it."""

_AXIS = 104
"""Pixels that the names of methods take."""

_SIGN = 22
"""Pixels of the column of verdicts."""

_EXPLAINED = (
    "bars: mean shares over seeds; black: 95% interval of the share with the stereotypical gender; sign: verdict on "
    "that share, against the first method of the panel; dashed: that method's share ± the margin"
)


@dataclass(frozen=True)
class _Shown:
    """The content of a panel: the bars, and the verdicts by method."""

    panel: Panel
    methods: Sequence[str]
    values: list[dict[str, Any]]
    marks: list[dict[str, Any]]
    contrasts: pl.DataFrame


def shares_figure(results: Reportable, figure: Figure) -> vega.Chart:
    """Draw the figure: one panel per entry, a bar per method for everyone.

    The verdict beside a bar is on the share of the stereotypical gender, against the panel's first method.
    """
    shown = [_shown(results, panel) for panel in figure.panels]
    width = layout.WIDE // figure.columns - _AXIS - _SIGN
    data = {f"rows {rank}": [*each.values, *each.marks] for rank, each in enumerate(shown)}
    panels = [_panel(each, f"rows {rank}", width) for rank, each in enumerate(shown)]
    decided = pl.concat([each.contrasts for each in shown])
    heading = f"Genders in translations: share of the stereotypical one {layout.outcome(decided)}"
    signs = [layout.Sign(name, colour, "band") for name, colour in zip(outcome_names(), COLOURS, strict=True)]
    signs += layout.verdict_signs(decided["verdict"].fill_null(theme.UNDECIDED))
    return layout.whole(layout.in_lines(panels, figure.columns), data, results, figure, heading, _EXPLAINED, signs)


def _shown(results: Reportable, panel: Panel) -> _Shown:
    everyone = pl.col("attribute").is_null()
    estimates = shares(layout.tested(levels(results)).filter(everyone, setting=panel.setting))
    present = methods_of(estimates, results.design, panel.setting)
    methods = [name for name in panel.methods or present if name in present]
    values = stacked(estimates.filter(pl.col("method").is_in(methods)))
    first = methods[0] if panel.methods and methods else layout.compared(results.design, panel.setting)[0]
    judged = next(measure for measure in shown_in("shares") if measure.direction)
    margin = verdict_margin(judged.name, results.design)
    marks: list[dict[str, Any]] = []
    for value in values:
        if value["m"] == first and value["o"] == judged.display.heading and margin is not None:
            marks += [{"r": end} for end in around(value["v"], margin, judged.name)]
    contrasts = layout.tested(results.verdicts).filter(
        everyone,
        pl.col("measure") == judged.name,
        pl.col("method").is_in(methods),
        pl.col("reference") == (first or ""),
        setting=panel.setting,
    )
    for row in contrasts.iter_rows(named=True):
        verdict = row["verdict"] or theme.UNDECIDED
        marks.append({"y": row["method"], "k": theme.COLOURS[verdict], "s": theme.SHAPES[verdict]})
    return _Shown(panel, methods, values, marks, contrasts)


def _panel(shown: _Shown, key: str, width: int) -> vega.Spec:
    title = {"text": shown.panel.title or shown.panel.setting, "fontSize": 11, "anchor": "start", "offset": 6}
    height = STEP * max(len(shown.methods), 2)
    if not shown.values:
        return {**layout.absent("no translations of this setting: the report says why", width, height), "title": title}
    percent = {"format": ".0%", "tickCount": 5, "labelFontSize": layout.SMALL}
    x = vega.field("a", scale={"domain": [0, 1]}, axis=percent, title=None)
    methods = list(shown.methods)
    axis = {"labelFontSize": layout.SMALL, "labelLimit": _AXIS - 12, "minExtent": _AXIS - 12}
    rows: vega.Spec = {"sort": methods, "scale": {"domain": methods}, "axis": axis, "title": None}
    y = vega.field("m", "N", **rows)
    bar = {"x": x, "x2": {"field": "b"}, "y": y, "color": outcome_colour(None)}
    layers = [vega.mark("bar", bar, where="isValid(datum.o)", height={"band": 0.7})]
    if any("r" in sign for sign in shown.marks):
        dashed = {"color": "black", "strokeDash": [3, 3], "strokeWidth": 1}
        layers.append(vega.mark("rule", {"x": vega.field("r")}, where="isValid(datum.r)", **dashed))
    if any("l" in value for value in shown.values):
        interval = {"x": vega.field("l"), "x2": {"field": "h"}, "y": y}
        layers.append(vega.mark("rule", interval, where="isValid(datum.l)", color="black", strokeWidth=1.6))
    if any("s" in sign for sign in shown.marks):
        at = {"x": {"value": width + _SIGN // 2}, "y": vega.field("y", "N", **rows)}
        sign = {**at, "color": vega.literal("k"), "shape": vega.literal("s")}
        layers.append(vega.mark("point", sign, where="isValid(datum.s)", filled=True, size=55, opacity=1))
    independent = {"scale": {"color": "independent", "shape": "independent"}}
    spec: vega.Spec = {"data": {"name": key}, "layer": layers, "width": width, "height": height, "title": title}
    return {**spec, "resolve": independent}
