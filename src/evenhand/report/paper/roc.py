"""Figures of ROC curves for a paper: the panels of each setting, with rates in the corner and verdicts above."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand.audit.figure_design import Figure, Panel
from evenhand.audit.kinds.membership import OWN, ROC
from evenhand.audit.measures import shown_in
from evenhand.report import theme, vega
from evenhand.report.chart_parts import is_value, short
from evenhand.report.number_text import NONE
from evenhand.report.paper import layout
from evenhand.report.paper.arrangement import APART, Arrangement, Room, arrange
from evenhand.report.reliability import diagonal
from evenhand.report.reportable import Reportable, levels
from evenhand.report.roc import decades, least_decade
from evenhand.report.wording import EVERYONE, methods_of

_AXIS = 56
"""Pixels that a setting's axis of true positives takes."""
_LINE = 12
_GAP = 10
_RATE = "TPR at 1% FPR"
_ROOMY = 150
"""Pixels of panels that have room for the counts of a rate."""
_EXPLAINED = (
    "true against false positive rate on logarithmic axes; dashed: guessing; bands: 95% intervals, from where there "
    "are enough non-members for a rate; in the corner: {}; in brackets: examples; signs: verdict on the area"
)


@dataclass(frozen=True)
class _Shown:
    """The content of a panel: everyone, or one group.

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
    """The panels of a setting, under a line with the losses that its models reached."""

    setting: str
    losses: str
    panels: Sequence[_Shown]
    contrasts: pl.DataFrame


def roc_figure(results: Reportable, figure: Figure) -> vega.Chart:
    """Draw the figure: the panels of each setting (everyone, then each group), a curve per method with its 95% band.

    Printed in a panel are the rates at 1% false positives, with their counts if there is room, or that there are too
    few non-members, and the verdict on the area; under a setting's name the loss on members and non-members. All panels
    share their axes, and the figure fits on a page if it can.
    """
    looks = layout.palette(results, figure)
    rows = [_row(results, panel, looks) for panel in figure.panels]
    points = [point for row in rows for shown in row.panels for point in shown.points]
    least = 10.0 ** least_decade(points)
    judged = max((len(shown.verdicts) for row in rows for shown in row.panels), default=0)
    room = Room(axis=_AXIS, gap=_GAP, line=27 + 13 * judged, block=78, rest=172)
    places = arrange([len(row.panels) for row in rows], figure.columns, room)
    data, blocks = {}, []
    for rank, row in enumerate(rows):
        panels = []
        for at, shown in enumerate(row.panels):
            key = f"rows {rank} {at}"
            data[key] = [*shown.points, *_in_width(shown.corner, places.width)]
            left, lowest = at % places.columns == 0, at + places.columns >= len(row.panels)
            panels.append(_panel(shown, key, least, places, left, lowest))
        wide = places.columns * (places.width + _GAP) + _AXIS
        named = layout.panel_title(row.setting, layout.wrapped(row.losses, layout.SMALL, wide), 4, fontSize=12)
        blocks.append({"vconcat": layout.in_lines(panels, places.columns), "spacing": 8, "title": named})
    parts = blocks if places.across == 1 else layout.in_lines(blocks, places.across, APART)
    decided = pl.concat([row.contrasts for row in rows])
    settings = dict.fromkeys(panel.setting for panel in figure.panels)
    pair = layout.pair_of(results.design, settings)
    heading = f"{pair}, area under the ROC curve of membership: {layout.outcome(decided)}"
    present = {point["m"] for point in points}
    signs = [layout.Sign(method, looks[method][0], "rule") for method in looks if method in present]
    signs += layout.verdict_signs(decided["verdict"].fill_null(theme.UNDECIDED))
    corner = _RATE + (", members found of all" if places.width >= _ROOMY else "")
    return layout.whole(parts, data, results, figure, heading, _EXPLAINED.format(corner), signs)


def _row(results: Reportable, panel: Panel, looks: Mapping[str, tuple[str, str]]) -> _Row:
    design, setting = results.design, panel.setting
    (area,), rate = shown_in("areas"), shown_in("rates")[0]
    curves = results.curves.filter(measure=ROC, setting=setting, split="test")
    estimates = levels(results).filter(pl.col("seed").is_null(), setting=setting, split="test")
    attribute = layout.attribute_of(panel, estimates.filter(measure=area.name))
    about = pl.col("attribute").is_null() | is_value("attribute", attribute)
    reference, others = layout.compared(design, setting)
    contrasts = layout.tested(results.verdicts).filter(
        about, pl.col("reference") == (reference or ""), setting=setting, measure=area.name
    )
    areas = estimates.filter(about, measure=area.name)
    methods = methods_of(areas, design, setting)
    shown = []
    for group in dict.fromkeys([None, *areas["group"]]):
        here = is_value("group", group)
        area_rows = areas.filter(here)
        title = layout.sized(EVERYONE if group is None else group, max((n or 0 for n in area_rows["n"]), default=0))
        points = [_point(row, looks) for row in curves.filter(about, here, pl.col("y") > 0).iter_rows(named=True)]
        rates = estimates.filter(about, here, measure=rate.name)
        rates = rates.filter(pl.col("condition").is_null() | (pl.col("condition") == OWN))
        corner = _corner(rates, methods, looks)
        given = dict(contrasts.filter(here).select("method", "verdict").iter_rows())
        verdicts = [(method, given[method] or theme.UNDECIDED) for method in others if method in given]
        reason = next(iter(area_rows["note"].drop_nulls()), "the report says why")
        shown.append(_Shown(title, points, corner if points else [], verdicts, reason))
    return _Row(setting, _losses(estimates, methods), shown, contrasts)


def _point(row: Mapping[str, Any], looks: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    point = {"m": row["method"], "k": looks[row["method"]][0], "x": short(row["x"]), "y": short(row["y"])}
    return point if row["low"] is None else {**point, "l": short(row["low"]), "h": short(row["high"])}


def _corner(rates: pl.DataFrame, methods: Sequence[str], looks: Mapping[str, tuple[str, str]]) -> list[dict[str, Any]]:
    """The lines of text in the corner, the last at the bottom; a single line where no method has a rate."""
    by_method = {row["method"]: row for row in rates.iter_rows(named=True)}
    if all(row["value"] is None for row in by_method.values()):
        return [{"t": "too few for a TPR at 1%", "k": theme.FAINT, "line": 0}] if by_method else []
    lines = [{"t": _RATE, "k": theme.FAINT}]
    for method in methods:
        row = by_method.get(method)
        if row is not None:
            counts = (row["note"] or "").partition(" members")[0]
            rate = NONE if row["value"] is None else f"{row['value']:.3f}".removeprefix("0") + f" ({counts})"
            lines.append({"t": f"{method} {rate}", "k": looks[method][0]})
    return [{**line, "line": len(lines) - 1 - rank} for rank, line in enumerate(lines)]


def _losses(estimates: pl.DataFrame, methods: Sequence[str]) -> str:
    """The mean loss on members and on non-members, by method, in words."""
    overall = estimates.filter(pl.col("attribute").is_null())
    members, others = (
        dict(overall.filter(measure=measure.name).select("method", "value").iter_rows())
        for measure in shown_in("losses")[:2]
    )
    both = [
        f"{method} {members[method]:.2f} / {others[method]:.2f}"
        for method in methods
        if members.get(method) is not None and others.get(method) is not None
    ]
    return f"loss on members / on non-members: {', '.join(both)}" if both else ""


def _in_width(corner: Sequence[Mapping[str, Any]], width: int) -> list[dict[str, Any]]:
    """The lines of the corner; in narrow panels the rates alone: `lora .022`."""
    if width >= _ROOMY:
        return [dict(line) for line in corner]
    rates = [line for line in corner if line["t"] != _RATE]
    return [{**line, "t": line["t"].partition(" (")[0].replace("too few for a TPR", "too few")} for line in rates]


def _panel(shown: _Shown, key: str, least: float, places: Arrangement, left: bool, lowest: bool) -> vega.Spec:
    width, height = places.width, places.height
    title = {"text": shown.title, "fontSize": 11, "anchor": "start", "offset": 4, "limit": width}
    if not shown.points:
        return {**layout.absent(f"no curve: {shown.reason}", width, height), "title": title}
    scale = {"type": "log", "domain": [least, 1], "clamp": True}
    bare = {"values": decades(least), "labels": False}
    axis = {"values": decades(least), "labelFontSize": layout.SMALL, "titleFontSize": layout.SMALL}
    axis |= {"labelExpr": "replace(format(datum.value, '~g'), /^0/, '')"}  # .001: the narrowest panels need the room
    within = {"labelFlush": True, "labelOverlap": "greedy", "labelSeparation": 1}  # which keeps columns in line
    below = axis | within if lowest else bare
    x = vega.field("x", scale=scale, axis=below, title="false positive rate" if lowest else None)
    along: vega.Spec = {
        "scale": scale,
        "axis": axis if left else bare,
        "title": "true positive rate" if left else None,
    }
    colour = {"color": vega.literal("k")}
    band = {"x": x, "y": vega.field("l", **along), "y2": {"field": "h"}, **colour}
    layers = [
        vega.mark("rule", diagonal(least, 1), data=vega.NOWHERE, color="#777777", strokeDash=[4, 3]),
        vega.mark("area", band, where="isValid(datum.l)", opacity=0.18, clip=True),
        vega.mark(
            "line",
            {"x": x, "y": vega.field("y", **along), **colour},
            where="isValid(datum.x)",
            strokeWidth=1.7,
            clip=True,
        ),
    ]
    for line in sorted({entry["line"] for entry in shown.corner}):
        at = {"x": {"value": width - 4}, "y": {"value": height - 3 - _LINE * line}}
        words = {"align": "right", "baseline": "bottom", "fontSize": layout.SMALL}
        layers.append(
            vega.mark("text", {**at, "text": {"field": "t"}, **colour}, where=f"datum.line === {line}", **words)
        )
    for line, (method, verdict) in enumerate(shown.verdicts):
        at = {"value": -9 - 13 * line}
        sign = {"filled": True, "size": 42, "opacity": 1, "shape": theme.SHAPES[verdict]}
        look = {"color": theme.COLOURS[verdict], "data": vega.NOWHERE}
        layers.append(vega.mark("point", {"x": {"value": 6}, "y": at}, **sign, **look))
        words = {"text": f"{method}: {verdict}", "align": "left", "fontSize": layout.SMALL}
        layers.append(vega.mark("text", {"x": {"value": 14}, "y": at}, **words, **look))
    return {"data": {"name": key}, "layer": layers, "width": width, "height": height, "title": title}
