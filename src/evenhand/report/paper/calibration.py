"""Confidence histograms over reliability diagrams with their gaps, for everyone and for the worst-calibrated group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand.audit.design import Figure, Panel
from evenhand.audit.measures.calibration import BINS
from evenhand.report import theme
from evenhand.report.drawing import bounds, rows_named, short
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
    tested,
    verdict_signs,
    whole,
)
from evenhand.report.wording import methods_of, number

_AXIS = 46
_HISTOGRAM = 64
_GAP = "#e3b7d3"
_IDEAL = "#7b3294"
_SAID = (
    "above: share of predictions by confidence; below: share of the event by confidence, bars with 95% intervals; "
    "pink: gap to the mean confidence; ECE: mean over runs, in brackets its noise floor's 95% quantile; "
    "verdict: on the debiased squared calibration error"
)


@dataclass(frozen=True)
class _Shown:
    """A place of a figure, a method's bins each, and the contrasts of calibration there."""

    panel: Panel
    heading: list[str]
    methods: Sequence[str]
    bins: dict[str, list[dict[str, Any]]]
    errors: dict[str, str]
    contrasts: pl.DataFrame


def calibration_figure(results: Figured, figure: Figure) -> Any:
    """A place per panel, and in it a histogram over a diagram per method, the first reference first.

    What is drawn are the curves that the audit keeps: 15 bins of equal width of P(positive) where there are two
    classes, else of the largest probability, pooled over runs.
    """
    import altair as alt

    shown = [_shown(results, panel) for panel in figure.panels]
    looks = palette(results, figure)
    columns = figure.columns * max(1, *(len(one.methods) for one in shown))
    side = max((WIDE - _AXIS - 10 * columns) // columns, 60)
    top = max((one["b"] for place in shown for bins in place.bins.values() for one in bins if "b" in one), default=1.0)
    rows, lines = {}, []
    for start in range(0, len(shown), figure.columns):
        line = []
        for offset, one in enumerate(shown[start : start + figure.columns]):
            named = alt.Title(
                one.heading[0], subtitle=one.heading[1:], fontSize=11, subtitleFontSize=SMALL, anchor="start"
            )
            if not one.methods:
                why = "no curve: there are no probabilities, or no group is large enough"
                line.append(absent(why, 2 * side, side + _HISTOGRAM).properties(title=named))
                continue
            charts = []
            for place, method in enumerate(one.methods):
                key = f"rows {start + offset} {place}"
                rows[key] = one.bins[method]
                first = not offset and not place
                charts.append(_method(one, method, key, looks[method][0], side, top, first))
            line.append(alt.hconcat(*charts, spacing=8).properties(title=named))
        lines.append(alt.hconcat(*line, spacing=16))
    decided = pl.concat([one.contrasts for one in shown])
    settings = dict.fromkeys(panel.setting for panel in figure.panels)
    heading = f"Calibration, {pair_of(results.design, settings)}: {outcome(decided)}"
    given = list(dict.fromkeys(method for one in shown for method in one.methods))
    signs = [Sign(method, looks[method][0], "bar") for method in given]
    signs += [Sign("gap", _GAP, "bar"), Sign("perfect calibration", _IDEAL, "dots")]
    signs += verdict_signs(decided["verdict"].fill_null(theme.UNDECIDED))
    return whole(lines, rows, results, figure, heading, _SAID, signs)


def _shown(results: Figured, panel: Panel) -> _Shown:
    design, attribute = results.design, attribute_of(panel, results.estimates)
    curves = tested(results.curves).filter(
        pl.col("measure").is_in(["confidence", "reliability"]), setting=panel.setting
    )
    if panel.of == "worst":
        curves = curves.filter(pl.col("group").is_not_null(), attribute=attribute)
    else:
        curves = curves.filter(pl.col("group").is_null())
    group = next(iter(curves["group"]), None)
    about = pl.col("group").eq_missing(pl.lit(group, pl.String))
    about &= pl.col("attribute").eq_missing(pl.lit(None if group is None else attribute, pl.String))
    here = [pl.col("setting") == panel.setting, about]
    reference, _ = compared(design, panel.setting)
    methods = methods_of(curves, design, panel.setting)
    methods.sort(key=lambda method: method != reference)
    errors = tested(results.estimates).filter(
        *here, pl.col("seed").is_null(), pl.col("measure") == "expected_calibration_error"
    )
    said = {row["method"]: _error(row["value"], row["noise_high"]) for row in errors.iter_rows(named=True)}
    contrasts = tested(results.verdicts).filter(
        *here, pl.col("measure") == "calibration_error_squared", pl.col("reference") == (reference or "")
    )
    size = sizes(results.examples, panel.setting, attribute)
    who = sized("everyone" if group is None else f"{attribute} = {group}", size.get(group))
    heading = [panel.setting, who if panel.of == "everyone" else f"largest ECE: {who if group else 'none'}"]
    bins = {method: _bins(curves.filter(method=method)) for method in methods}
    return _Shown(panel, heading, methods, bins, said, contrasts)


def _error(value: float | None, floor: float | None) -> str:
    return f"ECE {number(value)}" + (f" ({number(floor)})" if floor is not None else "")


def _bins(curve: pl.DataFrame) -> list[dict[str, Any]]:
    """A row per bin and curve; `u`, `v` are the bin's edges, `w` its middle."""
    rows = []
    for row in curve.iter_rows(named=True):
        place = min(max(math.ceil(row["x"] * BINS) - 1, 0), BINS - 1)
        edges = {"u": short(place / BINS), "v": short((place + 1) / BINS), "w": short((place + 0.5) / BINS)}
        if row["measure"] == "confidence":
            rows.append({**edges, "b": short(row["y"])})
        else:
            rows.append({**edges, "y": short(row["y"]), "g": short(row["x"])} | bounds(row))
    return rows


def _method(one: _Shown, method: str, key: str, colour: str, side: int, top: float, first: bool) -> Any:
    """A histogram over a diagram; the first of a line has the axes of values."""
    import altair as alt

    verdict = next(iter(one.contrasts.filter(method=method)["verdict"]), "")
    said = f"{theme.MARKS[verdict]} {verdict}" if verdict else " "
    unit = alt.Scale(domain=[0, 1], nice=False, padding=0)
    ends = alt.Axis(values=[0, 0.5, 1], labelFontSize=SMALL, format=".1f", labelFlush=True)
    bare = alt.Axis(values=[0, 0.5, 1], labels=False, ticks=False)
    base = alt.Chart(rows_named(key))
    side_axis = alt.Axis(tickCount=3, labelFontSize=SMALL, format=".2f", labels=first)
    counted = alt.Y(
        "b:Q", title="share" if first else None, axis=side_axis, scale=alt.Scale(domain=[0, top], nice=True)
    )
    across = alt.X("u:Q", scale=unit, axis=bare, title=None)
    bars = base.transform_filter("isValid(datum.b)").mark_bar(color=colour, stroke="white", strokeWidth=0.5)
    floor = alt.datum(0)
    named = alt.Title(
        method,
        subtitle=said,
        fontSize=11,
        subtitleFontSize=SMALL,
        subtitleColor=theme.COLOURS.get(verdict, theme.FAINT),
        anchor="start",
        offset=4,
    )
    histogram = bars.encode(x=across, x2="v:Q", y=counted, y2=floor).properties(
        width=side, height=_HISTOGRAM, title=named
    )
    x = alt.X("u:Q", scale=unit, axis=ends, title="confidence")
    value_axis = alt.Axis(values=[0, 0.5, 1], labelFontSize=SMALL, format=".1f", labels=first)
    y = alt.Y("y:Q", scale=unit, axis=value_axis, title="observed" if first else None)
    known = base.transform_filter("isValid(datum.y)")
    observed = known.mark_bar(color=colour, opacity=0.55, stroke="white", strokeWidth=0.5)
    gap = known.mark_bar(color=_GAP, stroke="white", strokeWidth=0.5)
    level = known.mark_rule(color=colour, strokeWidth=1.5)
    ideal = alt.Chart(alt.Data(values=[{}])).mark_rule(color=_IDEAL, strokeDash=[2, 2], strokeWidth=1.5)
    corners = {"x": alt.datum(0), "y": alt.datum(0), "x2": alt.datum(1), "y2": alt.datum(1)}
    layers = [
        observed.encode(x=x, x2="v:Q", y=y, y2=floor),
        gap.encode(x=x, x2="v:Q", y=y, y2="g:Q"),
        level.encode(x=x, x2="v:Q", y=y),
        ideal.encode(**corners),
    ]
    if any("l" in row for row in one.bins[method]):
        whiskers = base.transform_filter("isValid(datum.l)").mark_rule(color=theme.INK, strokeWidth=1)
        layers.append(whiskers.encode(x=alt.X("w:Q", scale=unit), y=alt.Y("l:Q", scale=unit), y2="h:Q"))
    error = alt.Chart(alt.Data(values=[{}])).mark_text(
        text=one.errors.get(method, ""), align="left", baseline="bottom", fontSize=SMALL, color=theme.INK
    )
    layers.append(error.encode(x=alt.value(0), y=alt.value(-3)))
    return alt.vconcat(histogram, alt.layer(*layers).properties(width=side, height=side), spacing=26, bounds="flush")
