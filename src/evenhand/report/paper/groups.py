"""Measures by group, methods side by side: the paper's figures of accuracy, demographic parity and equalized odds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand.audit.design import Figure, Panel
from evenhand.report import theme
from evenhand.report.drawing import bounds, in_order, row_key, rows_named, short
from evenhand.report.paper.layout import (
    SMALL,
    WIDE,
    Figured,
    Sign,
    absent,
    attribute_of,
    compared,
    outcome,
    pair_of,
    palette,
    sized,
    sizes,
    span,
    tested,
    verdict_signs,
    whole,
)
from evenhand.report.wording import methods_of, title

HEIGHT = 150
_LOW = 100
"""Pixels of panels in more than three rows, which are to fit a page."""
_AXIS = 44
"""Pixels that a panel's axis of values takes."""

_SAID = (
    "points: mean over seeds; bars: 95% intervals; in brackets: examples in the data; disparities: each group to its "
    "complement, fairer towards 0; noise floor: 95 in 100 lie below it where nothing is there"
)


@dataclass(frozen=True)
class _Shown:
    """A panel's rows: values by group and method, and verdicts by group and method."""

    panel: Panel
    measure: str
    methods: Sequence[str]
    others: Sequence[str]
    values: list[dict[str, Any]]
    marks: list[dict[str, Any]]
    contrasts: pl.DataFrame


def groups_figure(results: Figured, figure: Figure) -> Any:
    """One panel per setting and measure: a value per group and method with its interval, group sizes in brackets.

    The band is the reference's value ± the margin, a grey tick the noise floor's 95% quantile; the sign above a group
    is the verdict of its contrast. Panels of one measure share their axis of values.
    """
    import altair as alt

    looks = palette(results, figure)
    shown = [_shown(results, panel, measure, looks) for panel in figure.panels for measure in panel.measures]
    width = (WIDE - figure.columns * _AXIS) // figure.columns
    domains = {one.measure: _domain(shown, one.measure) for one in shown}
    rows, charts = {}, []
    for place, one in enumerate(shown):
        key = f"rows {place}"
        rows[key] = [*one.values, *one.marks]
        height = HEIGHT if len(shown) <= 3 * figure.columns else _LOW
        charts.append(_panel(one, key, domains[one.measure], width, height))
    lines = [charts[start : start + figure.columns] for start in range(0, len(charts), figure.columns)]
    parts = [alt.hconcat(*line, spacing=10) for line in lines]
    decided = pl.concat([one.contrasts for one in shown])
    settings = dict.fromkeys(panel.setting for panel in figure.panels)
    heading = f"{pair_of(results.design, settings)}, by group: {outcome(decided)}"
    return whole(parts, rows, results, figure, heading, _SAID, _signs(results, shown, decided, looks))


def _shown(results: Figured, panel: Panel, measure: str, looks: Mapping[str, tuple[str, str]]) -> _Shown:
    design = results.design
    attribute = attribute_of(panel, results.estimates)
    here = {"setting": panel.setting, "measure": measure}
    about = pl.col("group").is_not_null() & (pl.col("attribute") == attribute)
    everyone = pl.col("attribute").is_null()
    own = tested(results.estimates).filter(pl.col("seed").is_null(), about | everyone, **here)
    methods = methods_of(own, design, panel.setting)
    reference, others = compared(design, panel.setting)
    margin = design.margins.get(measure, design.margins.get("default")) if reference is not None else None
    size = sizes(results.examples, panel.setting, attribute)
    values = []
    for row in own.iter_rows(named=True):
        colour, shape = looks[row["method"]]
        value = {"y": _label(row["group"], size), "m": row["method"], "c": short(row["value"])} | bounds(row)
        value |= {"k": colour, "s": shape}
        if margin is not None and row["method"] == reference and row["value"] is not None:
            value |= {"a": short(max(row["value"] - margin, 0.0)), "b": short(min(row["value"] + margin, 1.0))}
        if row["noise_high"] is not None:
            value["f"] = short(row["noise_high"])
        values.append(value)
    against = pl.col("reference") == (reference or "")
    contrasts = tested(results.verdicts).filter(against, about | everyone, **here)
    marks = []
    for row in contrasts.iter_rows(named=True):
        said = row["verdict"] or theme.UNDECIDED
        line = others.index(row["method"]) if row["method"] in others else 0
        marks.append({"y": _label(row["group"], size), "v": said, "k": theme.COLOURS[said], "s": theme.SHAPES[said]})
        marks[-1]["p"] = line
    return _Shown(panel, measure, methods, others, values, marks, contrasts)


def _label(group: str | None, size: Mapping[str | None, int]) -> str:
    return row_key(group, sized("everyone" if group is None else group, size.get(group)))


def _domain(shown: Iterable[_Shown], measure: str) -> tuple[float, float]:
    values = [value for one in shown if one.measure == measure for value in one.values]
    return span(values, zero=measure != "accuracy")


def _panel(one: _Shown, key: str, domain: tuple[float, float], width: int, height: int) -> Any:
    import altair as alt

    named = alt.Title(
        one.panel.setting,
        subtitle=title(one.measure),
        fontSize=11,
        subtitleFontSize=SMALL,
        anchor="start",
        offset=8 + 13 * max(len(one.others), 1),
    )
    if not any(value["c"] is not None for value in one.values):
        return absent(f"no {title(one.measure)} of groups: the report says why", width, height).properties(title=named)
    order = in_order(value["y"] for value in one.values)
    italic = alt.condition("indexof(datum.label, '\u00a0') >= 0", alt.value("italic"), alt.value("normal"))
    axis = alt.Axis(labelAngle=-45, labelFontSize=SMALL, labelLimit=150, labelOverlap=False, labelFontStyle=italic)
    x = alt.X("y:N", sort=order, title=None, axis=axis, scale=alt.Scale(type="band", padding=0.08))
    inside = alt.XOffset("m:N", sort=list(one.methods), scale=alt.Scale(domain=list(one.methods), paddingOuter=0.7))
    scale = alt.Scale(domain=list(domain), nice=False, zero=False)
    ticks = alt.Axis(tickCount=5, labelFontSize=SMALL, format=".2f", title=None)
    y = alt.Y("c:Q", scale=scale, axis=ticks)
    colour, shape = alt.Color("k:N", scale=None), alt.Shape("s:N", scale=None)
    base = alt.Chart(rows_named(key))
    layers = []
    if any("a" in value for value in one.values):
        band = base.transform_filter("isValid(datum.a)").mark_rect(color=theme.BAND)
        layers.append(band.encode(x=x, y=alt.Y("a:Q", scale=scale, axis=ticks), y2="b:Q"))
    if any("f" in value for value in one.values):
        floor = base.transform_filter("isValid(datum.f)").mark_tick(
            color=theme.FAINT, thickness=2, size=8, orient="horizontal"
        )
        layers.append(floor.encode(x=x, xOffset=inside, y=alt.Y("f:Q", scale=scale, axis=ticks)))
    if any("l" in value for value in one.values):
        bars = base.transform_filter("isValid(datum.l)").mark_rule(strokeWidth=1.5)
        layers.append(bars.encode(x=x, xOffset=inside, y=alt.Y("l:Q", scale=scale, axis=ticks), y2="h:Q", color=colour))
    points = base.transform_filter("isValid(datum.c)").mark_point(filled=True, size=34, opacity=1)
    layers.append(points.encode(x=x, xOffset=inside, y=y, color=colour, shape=shape))
    if any("c" in value and value["c"] is None for value in one.values):
        gone = base.transform_filter("isValid(datum.m) && !isValid(datum.c)").mark_text(
            text="—", baseline="bottom", fontSize=SMALL
        )
        layers.append(gone.encode(x=x, xOffset=inside, y=alt.value(height), color=colour))
    for line in range(max(len(one.others), 1)):
        if any(mark["p"] == line for mark in one.marks):
            sign = base.transform_filter(f"datum.p === {line}").mark_point(filled=True, size=42, opacity=1)
            layers.append(sign.encode(x=x, y=alt.value(-9 - 13 * line), color=colour, shape=shape))
            said = "verdict" if len(one.others) == 1 else one.others[line]
            words = alt.Chart(alt.Data(values=[{}])).mark_text(text=said, align="right", fontSize=9, color=theme.FAINT)
            layers.append(words.encode(x=alt.value(-5), y=alt.value(-9 - 13 * line)))
    return alt.layer(*layers).properties(width=width, height=height, title=named)


def _signs(
    results: Figured, shown: Sequence[_Shown], decided: pl.DataFrame, looks: Mapping[str, tuple[str, str]]
) -> list[Sign]:
    present = {method for one in shown for method in one.methods}
    signs = [Sign(method, *looks[method]) for method in looks if method in present]
    values = [value for one in shown for value in one.values]
    if any("a" in value for value in values):
        reference = compared(results.design, shown[0].panel.setting)[0]
        signs.append(Sign(f"{reference} ± margin", theme.BAND, "band"))
    if any("f" in value for value in values):
        signs.append(Sign("noise floor, 95%", theme.FAINT, "tick"))
    return [*signs, *verdict_signs(decided["verdict"].fill_null(theme.UNDECIDED))]
