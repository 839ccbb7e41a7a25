"""Answers to prompts by method, as the paper's figure of guessed genders: a point per method over its questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand.audit.design import Figure, Panel
from evenhand.report import theme
from evenhand.report.drawing import bounds, capital, rows_named, short
from evenhand.report.paper.layout import SMALL, WIDE, Figured, Sign, absent, compared, outcome, verdict_signs, whole
from evenhand.report.wording import methods_of, title

STEP = 24
"""Pixels of a method."""

_AXIS = 84
_SIGN = 18
_QUESTION = "#8f8f8f"
_LEAN, _DISTANCE = "guess_lean", "distance_from_equal"
_SHARES = ("flip_rate", "negation_consistency", "option_mass")
_SAID = (
    "points: mean over questions and seeds; bars: 95% intervals, which hold how questions differ; grey: single "
    "questions; sign: verdict against the first reference, of a lean on its distance from 0"
)


@dataclass(frozen=True)
class _Shown:
    """A measure in a setting: its methods, their values, their verdicts."""

    panel: Panel
    measure: str
    methods: Sequence[str]
    values: list[dict[str, Any]]
    contrasts: pl.DataFrame


def answers_figure(results: Figured, figure: Figure) -> Any:
    """One panel per setting and measure, a row per method. Panels of one measure share their axis of values; that of
    leans runs from always the one gender to always the other, with a line where both are guessed equally often."""
    import altair as alt

    shown = [_shown(results, panel, measure) for panel in figure.panels for measure in panel.measures]
    width = WIDE // figure.columns - _AXIS - _SIGN - 8
    rows, charts = {}, []
    for place, one in enumerate(shown):
        key = f"rows {place}"
        rows[key] = one.values
        domain = _domain([other for other in shown if other.measure == one.measure], one.measure)
        charts.append(_panel(one, key, width, domain))
    lines = [charts[start : start + figure.columns] for start in range(0, len(charts), figure.columns)]
    decided = pl.concat([one.contrasts for one in shown])
    heading = f"Answers to prompts about authors: {outcome(decided)}"
    signs = [Sign("mean over questions", theme.INK, "circle"), Sign("one question", _QUESTION, "tick")]
    signs += verdict_signs(decided["verdict"].fill_null(theme.UNDECIDED))
    parts = [alt.hconcat(*line, spacing=8) for line in lines]
    return whole(parts, rows, results, figure, heading, _SAID, signs)


def _shown(results: Figured, panel: Panel, measure: str) -> _Shown:
    raw = pl.col("correction").is_null()
    own = results.estimates.filter(raw, pl.col("seed").is_null(), setting=panel.setting, measure=measure)
    own = own.drop_nulls("value")
    reference, _ = compared(results.design, panel.setting)
    present = methods_of(own, results.design, panel.setting)
    methods = [name for name in panel.methods or present if name in present]
    values: list[dict[str, Any]] = []
    for row in own.filter(pl.col("method").is_in(methods)).iter_rows(named=True):
        if row["condition"] is None:
            values.append({"m": row["method"], "c": short(row["value"])} | bounds(row))
        elif "/" in row["condition"]:
            values.append({"m": row["method"], "q": short(row["value"])})
    judged = _DISTANCE if measure == _LEAN else measure
    contrasts = results.verdicts.filter(
        raw,
        pl.col("condition").is_null(),
        pl.col("reference") == (reference or ""),
        pl.col("method").is_in(methods),
        setting=panel.setting,
        measure=judged,
    )
    for row in contrasts.iter_rows(named=True):
        said = row["verdict"] or theme.UNDECIDED
        values.append({"m": row["method"], "k": theme.COLOURS[said], "s": theme.SHAPES[said]})
    return _Shown(panel, measure, methods, values, contrasts)


def _domain(shown: Sequence[_Shown], measure: str) -> tuple[float, float]:
    if measure == _LEAN:
        return -0.5, 0.5
    if measure in _SHARES:
        return 0.0, 1.0
    drawn = [value[key] for one in shown for value in one.values for key in ("c", "q") if key in value]
    # Intervals over few questions may be far longer than anything that was seen: they are cut at the frame.
    least, most = min([0.0, *drawn]), max([0.0, *drawn])
    room = 0.12 * (most - least) or 1.0
    return least - (room if least < 0 else 0.0), most + room


def _panel(one: _Shown, key: str, width: int, domain: tuple[float, float]) -> Any:
    import altair as alt

    named = alt.Title(
        one.panel.setting,
        subtitle=capital(title(one.measure)),
        fontSize=11,
        subtitleFontSize=SMALL,
        anchor="start",
        offset=6,
    )
    height = STEP * max(len(one.methods), 2)
    if not one.values:
        return absent("nothing was asked that tells it: the report says why", width, height).properties(title=named)
    scale = alt.Scale(domain=list(domain), nice=False)
    ticks = alt.Axis(tickCount=3, labelFontSize=SMALL)
    axis = alt.Axis(labelFontSize=SMALL, labelLimit=_AXIS - 12, minExtent=_AXIS - 12)
    y = alt.Y("m:N", sort=list(one.methods), scale=alt.Scale(domain=list(one.methods)), axis=axis, title=None)
    base = alt.Chart(rows_named(key))
    question = base.transform_filter("isValid(datum.q)").mark_tick(color=_QUESTION, thickness=1.5, size=11)
    layers = [question.encode(x=alt.X("q:Q", scale=scale, axis=ticks, title=None), y=y)]
    if one.measure == _LEAN:
        line = alt.Chart(alt.Data(values=[{}])).mark_rule(color="#c43c3c", strokeDash=[3, 3], strokeWidth=1.2)
        layers.insert(0, line.encode(x=alt.XDatum(0.0, scale=scale)))
    if any("l" in value for value in one.values):
        bars = base.transform_filter("isValid(datum.l)").mark_rule(color=theme.INK, strokeWidth=1.6, clip=True)
        layers.append(bars.encode(x=alt.X("l:Q", scale=scale, axis=ticks, title=None), x2="h:Q", y=y))
    points = base.transform_filter("isValid(datum.c)").mark_point(color=theme.INK, filled=True, size=50, opacity=1)
    layers.append(points.encode(x=alt.X("c:Q", scale=scale, axis=ticks, title=None), y=y))
    if any("s" in value for value in one.values):
        sign = base.transform_filter("isValid(datum.s)").mark_point(filled=True, size=50, opacity=1)
        verdict = sign.encode(
            x=alt.value(width + _SIGN // 2),
            y=y,
            color=alt.Color("k:N", scale=None),
            shape=alt.Shape("s:N", scale=None),
        )
        layers.append(verdict)
    chart = alt.layer(*layers).resolve_scale(color="independent", shape="independent")
    return chart.properties(width=width, height=height, title=named)
