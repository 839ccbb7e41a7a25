"""Panels for charts of verdicts: contrasts with simultaneous intervals, and the margin as a shaded band.

A row of data has `y` (its row), `v` (the verdict), `c` (the contrast) and, where they are known, `l` and `h` (the
interval) and `k` (the margin). A mean over settings has `t`, its contrast again, and `pl` and `ph`, the interval in
the true contrast of a new setting is predicted to lie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evenhand.audit.design import Design
from evenhand.report import theme, vega
from evenhand.report.chart_parts import bounds, labels, short
from evenhand.report.wording import measure_named

_POOLED, _SINGLE = "isValid(datum.t)", "!isValid(datum.t)"


def contrast_value(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The chart data of one contrast."""
    value = {"y": name, "v": row["verdict"] or theme.UNDECIDED, "c": short(row["contrast"])}
    if row["margin"] is not None:
        value["k"] = row["margin"]
    return value | bounds(row)


def positive_is(measure: str, design: Design, *settings: str) -> str:
    """What a positive contrast of a measure is in these settings: worse, or higher where neither direction is worse."""
    named = [measure_named(measure).given(design.settings[name].favourable) for name in settings]
    return "higher" if any(not measure.direction for measure in named) else "worse"


def explained(values: Sequence[Mapping[str, Any]], design: Design, sign: str = "worse") -> list[str]:
    """The caption that explains the marks; `sign` is what a positive contrast is, worse or higher."""
    level = round(100 * (1 - 2 * design.alpha))
    parts = [f"right of 0: {sign}", f"bars: simultaneous {level}% intervals"]
    if any("k" in value for value in values):
        parts.append("band: ± margin")
    return ["; ".join(parts)]


def contrast_layers(
    values: Sequence[Mapping[str, Any]],
    order: Sequence[str],
    reference: str,
    width: int,
    legend: Sequence[str] | None,
    *told: tuple[str, str, str],
    sign: str = "worse",
) -> list[vega.Spec]:
    """The layers of a panel, without layers that would be empty, since their scales would have no extent.

    Args:
        values: the rows of data of all panels.
        order: of the rows.
        reference: what is compared with it: a method, or `the rest` where groups are.
        width: pixels of the labels.
        legend: the verdicts to explain; None for no legend.
        told: tooltips besides verdict, contrast, interval and margin, which they precede.
        sign: what a positive contrast is.
    """
    y = vega.field("y", "N", sort=list(order), title=None, axis=labels(width), scale={"type": "band", "padding": 0})
    x = vega.field("c", title=f"{sign} than {reference} by", axis={"tickCount": 4}, scale={"padding": 8})
    # Every chart knows every verdict: stacked charts share these scales, and parts of them would be mixed up.
    verdicts = list(theme.COLOURS)
    key = None if legend is None else {"title": None, "columns": len(legend), "values": list(legend)}
    colour = {
        "color": vega.field("v", "N", scale={"domain": verdicts, "range": list(theme.COLOURS.values())}, legend=key)
    }
    shape = {
        "shape": vega.field("v", "N", scale={"domain": verdicts, "range": list(theme.SHAPES.values())}, legend=key)
    }
    point = {"x": x, "y": y, **colour, **shape, "tooltip": vega.tooltips(*told, *_told(sign))}
    bar = {"x": vega.field("l"), "x2": {"field": "h"}, "y": y, **colour}
    layers = []
    if any("k" in value for value in values):
        band = vega.mark("rect", {"x": vega.field("n"), "x2": {"field": "k"}, "y": y}, color=theme.BAND)
        layers.append(band | {"transform": [{"filter": "isValid(datum.k)"}, {"calculate": "-datum.k", "as": "n"}]})
    layers.append(vega.mark("rule", {"x": {"datum": 0}}, color=theme.INK, strokeWidth=1))
    pooled = any("t" in value for value in values)
    if pooled:
        dashed = {"color": theme.FAINT, "strokeDash": [3, 3], "strokeWidth": 1}
        layers.append(vega.mark("rule", {"x": vega.field("t")}, where=_POOLED, **dashed))
    if any("pl" in value for value in values):
        new: vega.Spec = {"where": "isValid(datum.pl)", "color": theme.INK}
        layers.append(vega.mark("rule", {"x": vega.field("pl"), "x2": {"field": "ph"}, "y": y}, strokeWidth=1.5, **new))
        layers += [
            vega.mark("tick", {"x": vega.field(end), "y": y}, thickness=1.5, size=9, **new) for end in ("pl", "ph")
        ]
    if any("l" in value and "t" not in value for value in values):
        judged = f"isValid(datum.l) && {_SINGLE}"
        layers.append(vega.mark("rule", bar, where=judged, strokeWidth=2))
        layers.append(vega.mark("point", point, where=judged, filled=True, size=70, opacity=1))
    if pooled:
        layers.append(vega.mark("rule", bar, where=_POOLED, strokeWidth=6))
        outlined = {"size": 150, "stroke": "white", "strokeWidth": 1}
        layers.append(vega.mark("point", point, where=_POOLED, filled=True, opacity=1, **outlined))
    if any("l" not in value and value["c"] is not None for value in values):
        layers.append(vega.mark("point", point, where="isValid(datum.c) && !isValid(datum.l)", size=60, opacity=1))
    if any(value["c"] is None for value in values):
        look = {"text": "— not defined", "align": "left", "dx": 4, "fontSize": 10, "color": theme.FAINT}
        layers.append(vega.mark("text", {"x": {"datum": 0}, "y": y}, where="!isValid(datum.c)", **look))
    return layers


def _told(sign: str) -> list[tuple[str, str, str]]:
    """The tooltips of every contrast."""
    return [
        ("v", "N", "verdict"),
        ("c", "Q", f"{sign} by"),
        ("l", "Q", "low"),
        ("h", "Q", "high"),
        ("k", "Q", "margin"),
    ]
