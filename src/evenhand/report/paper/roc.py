"""ROC curves of membership inference on logarithmic axes: the paper's figures of who leaks, and to which attack."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand.audit.design import Figure, Panel
from evenhand.audit.kinds.membership import AREA, OWN, ROC
from evenhand.report import theme
from evenhand.report.drawing import rows_named, short
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
    tested,
    verdict_signs,
    whole,
)
from evenhand.report.wording import NONE, methods_of

RATE = "membership_tpr_at_fpr_0.01"
_AXIS = 40
"""Pixels that a row's axis of true positives takes."""
_LINE = 12
_EVERYONE = "everyone"
_SAID = (
    "true against false positive rate on logarithmic axes; dashed: guessing; bands: 95% intervals, from where there "
    "are non-members enough for a rate; in the corner: TPR at 1% FPR, members found of all; in brackets: examples; "
    "signs: verdict on the area"
)


@dataclass(frozen=True)
class _Shown:
    """A panel: everyone, or one group.

    Attributes:
        title: who, with how many examples.
        points: of the curves, by method.
        corner: a line per method: its rate at 1% with the counts.
        verdicts: (method, verdict) of the area, for each method that is compared.
        reason: why there is no curve.
    """

    title: str
    points: list[dict[str, Any]]
    corner: list[dict[str, Any]]
    verdicts: list[tuple[str, str]]
    reason: str


@dataclass(frozen=True)
class _Row:
    """A setting's panels, under a line on what its models were trained to."""

    setting: str
    losses: str
    panels: Sequence[_Shown]
    contrasts: pl.DataFrame


def roc_figure(results: Figured, figure: Figure) -> Any:
    """A row of panels per setting: everyone, then each group of the attribute; a curve per method with its 95% band.

    Printed in a panel are the rates at 1% false positives with their counts, or that there are too few non-members, and
    the verdict on the area; under a setting's name the loss on members and non-members. All panels share their axes.
    """
    import altair as alt

    looks = palette(results, figure)
    rows = [_row(results, panel, looks) for panel in figure.panels]
    least = _least(point for row in rows for shown in row.panels for point in shown.points)
    width = (WIDE - _AXIS) // figure.columns - 10
    data, parts = {}, []
    for place, row in enumerate(rows):
        lines = []
        for start in range(0, len(row.panels), figure.columns):
            charts = []
            for at, shown in enumerate(row.panels[start : start + figure.columns]):
                key = f"rows {place} {start + at}"
                data[key] = [*shown.points, *shown.corner]
                charts.append(_panel(shown, key, least, width, first=at == 0))
            lines.append(alt.hconcat(*charts, spacing=10))
        named = alt.Title(row.setting, subtitle=row.losses, fontSize=12, subtitleFontSize=SMALL, anchor="start")
        parts.append(alt.vconcat(*lines, spacing=8).properties(title=named))
    decided = pl.concat([row.contrasts for row in rows])
    settings = dict.fromkeys(panel.setting for panel in figure.panels)
    heading = f"{pair_of(results.design, settings)}, area under the ROC curve of membership: {outcome(decided)}"
    present = {point["m"] for row in rows for shown in row.panels for point in shown.points}
    signs = [Sign(method, looks[method][0], "rule") for method in looks if method in present]
    signs += verdict_signs(decided["verdict"].fill_null(theme.UNDECIDED))
    return whole(parts, data, results, figure, heading, _SAID, signs)


def _row(results: Figured, panel: Panel, looks: Mapping[str, tuple[str, str]]) -> _Row:
    design, setting = results.design, panel.setting
    curves = results.curves.filter(measure=ROC, setting=setting, split="test")
    estimates = results.estimates.filter(pl.col("seed").is_null(), setting=setting, split="test")
    attribute = attribute_of(panel, estimates.filter(measure=AREA))
    about = pl.col("attribute").is_null() | pl.col("attribute").eq_missing(pl.lit(attribute, pl.String))
    reference, others = compared(design, setting)
    contrasts = tested(results.verdicts).filter(
        about, pl.col("reference") == (reference or ""), setting=setting, measure=AREA
    )
    areas = estimates.filter(about, measure=AREA)
    methods = methods_of(areas, design, setting)
    shown = []
    for group in dict.fromkeys([None, *areas["group"]]):
        here = pl.col("group").eq_missing(pl.lit(group, pl.String))
        own = areas.filter(here)
        title = sized(_EVERYONE if group is None else group, own["n"].max() or 0)  # pyright: ignore[reportArgumentType]
        points = [_point(row, looks) for row in curves.filter(about, here, pl.col("y") > 0).iter_rows(named=True)]
        rates = estimates.filter(about, here, measure=RATE)
        rates = rates.filter(pl.col("condition").is_null() | (pl.col("condition") == OWN))
        corner = _corner(rates, methods, looks)
        given = dict(contrasts.filter(here).select("method", "verdict").iter_rows())
        verdicts = [(method, given[method] or theme.UNDECIDED) for method in others if method in given]
        reason = next(iter(own["note"].drop_nulls()), "the report says why")
        shown.append(_Shown(title, points, corner if points else [], verdicts, reason))
    return _Row(setting, _losses(estimates, methods), shown, contrasts)


def _point(row: Mapping[str, Any], looks: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    point = {"m": row["method"], "k": looks[row["method"]][0], "x": short(row["x"]), "y": short(row["y"])}
    return point if row["low"] is None else {**point, "l": short(row["low"]), "h": short(row["high"])}


def _corner(rates: pl.DataFrame, methods: Sequence[str], looks: Mapping[str, tuple[str, str]]) -> list[dict[str, Any]]:
    """Lines of the corner, the last at the bottom; one line where no method has a rate."""
    found = {row["method"]: row for row in rates.iter_rows(named=True)}
    if all(row["value"] is None for row in found.values()):
        return [{"t": "too few for a TPR at 1%", "k": theme.FAINT, "line": 0}] if found else []
    lines = [{"t": "TPR at 1% FPR", "k": theme.FAINT}]
    for method in methods:
        row = found.get(method)
        if row is not None:
            counts = (row["note"] or "").partition(" members")[0]
            said = NONE if row["value"] is None else f"{_rate(row['value'])} ({counts})"
            lines.append({"t": f"{method} {said}", "k": looks[method][0]})
    return [{**line, "line": len(lines) - 1 - place} for place, line in enumerate(lines)]


def _rate(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def _losses(estimates: pl.DataFrame, methods: Sequence[str]) -> str:
    """Mean loss on members and on non-members, by method."""
    own = estimates.filter(pl.col("attribute").is_null())
    sides = [
        dict(own.filter(measure=f"membership_{side}_loss").select("method", "value").iter_rows())
        for side in ("train", "test")
    ]
    said = [
        f"{method} {sides[0][method]:.2f} / {sides[1][method]:.2f}"
        for method in methods
        if all(side.get(method) is not None for side in sides)
    ]
    return f"loss on members / on non-members: {', '.join(said)}" if said else ""


def _least(points: Any) -> float:
    """Where the axes begin: the power of ten at or below all that is drawn, and at most .01."""
    lowest = min((min(point["x"], point["y"]) for point in points), default=0.01)
    return 10.0 ** math.floor(math.log10(min(lowest, 0.01)) + 1e-9)


def _panel(shown: _Shown, key: str, least: float, width: int, first: bool) -> Any:
    import altair as alt

    title = alt.Title(shown.title, fontSize=11, anchor="start", offset=4)
    if not shown.points:
        return absent(f"no curve: {shown.reason}", width, width).properties(title=title)
    scale = alt.Scale(type="log", domain=[least, 1], clamp=True)
    ticks = [10.0**power for power in range(round(math.log10(least)), 1)]
    axis = alt.Axis(values=ticks, format="~g", labelFontSize=SMALL, titleFontSize=SMALL)
    x = alt.X("x:Q", scale=scale, axis=axis, title="false positive rate")
    y = alt.Y("y:Q", scale=scale, axis=axis if first else alt.Axis(values=ticks, labels=False), title=None)
    if first:
        y = y.title("true positive rate")
    colour = alt.Color("k:N", scale=None)
    base = alt.Chart(rows_named(key))
    chance = alt.Chart(alt.Data(values=[{}])).mark_rule(color="#777777", strokeDash=[4, 3])
    chance = chance.encode(x=alt.datum(least), y=alt.datum(least), x2=alt.datum(1), y2=alt.datum(1))
    bands = base.transform_filter("isValid(datum.l)").mark_area(opacity=0.18, clip=True)
    bands = bands.encode(x=x, y=alt.Y("l:Q", scale=scale), y2="h:Q", color=colour)
    lines = base.transform_filter("isValid(datum.x)").mark_line(strokeWidth=1.7, clip=True)
    layers = [chance, bands, lines.encode(x=x, y=y, color=colour)]
    for line in sorted({entry["line"] for entry in shown.corner}):
        words = base.transform_filter(f"datum.line === {line}")
        words = words.mark_text(align="right", baseline="bottom", fontSize=SMALL)
        words = words.encode(x=alt.value(width - 4), y=alt.value(width - 3 - _LINE * line), text="t:N", color=colour)
        layers.append(words)
    for line, (method, verdict) in enumerate(shown.verdicts):
        at = alt.value(-9 - 13 * line)
        one = alt.Chart(alt.Data(values=[{}]))
        sign = one.mark_point(
            filled=True, size=42, opacity=1, color=theme.COLOURS[verdict], shape=theme.SHAPES[verdict]
        )
        layers.append(sign.encode(x=alt.value(6), y=at))
        said = one.mark_text(text=f"{method}: {verdict}", align="left", fontSize=SMALL, color=theme.COLOURS[verdict])
        layers.append(said.encode(x=alt.value(14), y=at))
    return alt.layer(*layers).properties(width=width, height=width, title=title)
