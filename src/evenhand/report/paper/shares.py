"""Which gender translations give, by method: stacked shares, as the paper's figure of pro and anti."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand.audit.design import Figure, Panel
from evenhand.audit.measures import known
from evenhand.report import theme
from evenhand.report.drawing import rows_named, short
from evenhand.report.paper.layout import (
    SMALL,
    WIDE,
    Figured,
    Sign,
    absent,
    compared,
    outcome,
    tested,
    verdict_signs,
    whole,
)
from evenhand.report.translations import COLOURS, OUTCOMES, SAID, stacked
from evenhand.report.wording import methods_of

STEP = 26
"""Pixels of a bar and the room about it."""

_AXIS = 104
"""Pixels that the names of methods take."""

_SIGN = 22
"""Pixels of the column of verdicts."""

_MEASURE = "pro_share"
_EXPLAINED = (
    "bars: mean shares over seeds; black: 95% interval of the share with the stereotypical gender; sign: verdict on "
    "that share, against the first method of the panel; dashed: that method's share ± the margin"
)


@dataclass(frozen=True)
class _Shown:
    """A panel's bars, and its verdicts by method."""

    panel: Panel
    methods: Sequence[str]
    values: list[dict[str, Any]]
    marks: list[dict[str, Any]]
    contrasts: pl.DataFrame


def shares_figure(results: Figured, figure: Figure) -> Any:
    """One panel per entry of the figure: a bar per method, of everyone, with the verdict on the share of the
    stereotypical gender against the panel's first method."""
    import altair as alt

    shown = [_shown(results, panel) for panel in figure.panels]
    width = WIDE // figure.columns - _AXIS - _SIGN
    rows, charts = {}, []
    for place, one in enumerate(shown):
        key = f"rows {place}"
        rows[key] = [*one.values, *one.marks]
        charts.append(_panel(one, key, width))
    lines = [charts[start : start + figure.columns] for start in range(0, len(charts), figure.columns)]
    parts = [alt.hconcat(*line, spacing=10) for line in lines]
    decided = pl.concat([one.contrasts for one in shown])
    heading = f"Which gender translations give: share of the stereotypical one {outcome(decided)}"
    signs = [Sign(SAID[name], COLOURS[name], "band") for name in OUTCOMES]
    signs += verdict_signs(decided["verdict"].fill_null(theme.UNDECIDED))
    return whole(parts, rows, results, figure, heading, _EXPLAINED, signs)


def _shown(results: Figured, panel: Panel) -> _Shown:
    everyone = pl.col("attribute").is_null()
    own = tested(results.estimates).filter(pl.col("seed").is_null(), everyone, setting=panel.setting)
    own = own.filter(pl.col("measure").is_in([f"{name}_share" for name in OUTCOMES]))
    present = methods_of(own, results.design, panel.setting)
    methods = [name for name in panel.methods or present if name in present]
    values = stacked(own.filter(pl.col("method").is_in(methods)))
    first = methods[0] if panel.methods and methods else compared(results.design, panel.setting)[0]
    margin = known()[_MEASURE].margin(results.design.margins)
    marks: list[dict[str, Any]] = []
    for value in values:
        if value["m"] == first and value["o"] == SAID["pro"] and margin is not None:
            marks += [{"r": short(min(max(value["v"] + sign * margin, 0.0), 1.0))} for sign in (-1, 1)]
    contrasts = tested(results.verdicts).filter(
        everyone,
        pl.col("measure") == _MEASURE,
        pl.col("method").is_in(methods),
        pl.col("reference") == (first or ""),
        setting=panel.setting,
    )
    for row in contrasts.iter_rows(named=True):
        said = row["verdict"] or theme.UNDECIDED
        marks.append({"y": row["method"], "k": theme.COLOURS[said], "s": theme.SHAPES[said]})
    return _Shown(panel, methods, values, marks, contrasts)


def _panel(one: _Shown, key: str, width: int) -> Any:
    import altair as alt

    title = alt.Title(one.panel.title or one.panel.setting, fontSize=11, anchor="start", offset=6)
    height = STEP * max(len(one.methods), 2)
    if not one.values:
        return absent("no translations of this setting: the report says why", width, height).properties(title=title)
    x = alt.X(
        "a:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%", tickCount=5, labelFontSize=SMALL), title=None
    )
    axis = alt.Axis(labelFontSize=SMALL, labelLimit=_AXIS - 12, minExtent=_AXIS - 12)
    names = alt.Scale(domain=list(one.methods))
    y = alt.Y("m:N", sort=list(one.methods), scale=names, axis=axis, title=None)
    colour = alt.Color(
        "o:N", scale=alt.Scale(domain=list(SAID.values()), range=[COLOURS[name] for name in OUTCOMES]), legend=None
    )
    base = alt.Chart(rows_named(key))
    bars = base.transform_filter("isValid(datum.o)").mark_bar(height={"band": 0.7})
    layers = [bars.encode(x=x, x2="b:Q", y=y, color=colour)]
    if any("r" in mark for mark in one.marks):
        rule = base.transform_filter("isValid(datum.r)").mark_rule(color="black", strokeDash=[3, 3], strokeWidth=1)
        layers.append(rule.encode(x=alt.X("r:Q")))
    if any("l" in value for value in one.values):
        interval = base.transform_filter("isValid(datum.l)").mark_rule(color="black", strokeWidth=1.6)
        layers.append(interval.encode(x=alt.X("l:Q"), x2="h:Q", y=y))
    if any("s" in mark for mark in one.marks):
        sign = base.transform_filter("isValid(datum.s)").mark_point(filled=True, size=55, opacity=1)
        place = alt.Y("y:N", sort=list(one.methods), scale=names, axis=axis, title=None)
        verdict = sign.encode(
            x=alt.value(width + _SIGN // 2),
            y=place,
            color=alt.Color("k:N", scale=None),
            shape=alt.Shape("s:N", scale=None),
        )
        layers.append(verdict)
    chart = alt.layer(*layers).resolve_scale(color="independent", shape="independent")
    return chart.properties(width=width, height=height, title=title)
