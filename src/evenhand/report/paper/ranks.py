"""The paper's figure of measures by group over the rank of LoRA, with full fine-tuning as a dotted line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand.audit.figure_design import Figure, Panel, Rank
from evenhand.report import theme, vega
from evenhand.report.chart_parts import around, bounds, capital, is_value, short, verdict_margin
from evenhand.report.paper import layout
from evenhand.report.reportable import Reportable, levels
from evenhand.report.wording import title

HEIGHT = 84
BEND = 0.25
"""The axis of ranks is log(1 + rank / BEND): it holds rank 0, and is logarithmic beyond 1."""

_AXIS = 50
_WHOLE = "circle"
_SHAPES = {"front": "triangle-up", "back": "triangle-down", "random": "diamond"}
_ASIDE = {"front": -0.1, "back": 0.1, "random": 0.0}
"""The offsets between ranks below 1 (shares of the layers) at the same position, in units of the axis."""
_REFERENCE = theme.METHOD_COLOURS[1]
_INTERVAL = "#fae6d3"
_MARGIN = "#8fa8c4"
_EXPLAINED = (
    "marks: mean over seeds, coloured by verdict; bars: 95% intervals; rank 0: the head alone; below 1: rank 1 in that "
    "share of the layers; disparities: each group to its complement, fairer towards 0"
)
_EXPLAINED_OF_TEXTS = "marks: mean over seeds, coloured by verdict; bars: 95% intervals"


@dataclass(frozen=True)
class _Shown:
    """The content of a panel, one measure in one group of a setting: a row per rank, and one for the reference."""

    label: str
    measure: str
    values: list[dict[str, Any]]


def ranks_figure(results: Reportable, figure: Figure) -> vega.Chart:
    """Draw the figure: a row of panels per group, a panel per measure, values by rank coloured by verdict.

    Translations have one row per setting, for everyone.

    The dotted line is the first reference, the band its interval, the blue lines the reference ± the margin, a grey
    tick the noise floor's 95% quantile. Panels of one measure share their axis of values.
    """
    data: dict[str, list[dict[str, Any]]] = {}
    parts, decided = [], []
    for number, panel in enumerate(figure.panels):
        contrasts = _contrasts(results, panel)
        decided.append(contrasts)
        grid = _grid(results, panel, contrasts)
        ranks = sorted({rank.rank for rank in _ranks(results, panel).values()})
        width = (layout.WIDE - _AXIS * len(panel.measures)) // len(panel.measures)
        domains = [_domain([line[column] for line in grid]) for column in range(len(panel.measures) if grid else 0)]
        for row, line in enumerate(grid):
            charts = []
            for column, shown in enumerate(line):
                key = f"rows {number} {row} {column}"
                data[key] = shown.values
                outer = (row == 0, row == len(grid) - 1, column == 0)
                charts.append(_panel(shown, key, domains[column], width, ranks, *outer))
            parts.append({"hconcat": charts, "spacing": 12})
    decisions = pl.concat(decided)
    reference = " and ".join(sorted({str(_reference(results, panel)) for panel in figure.panels}))
    texts = all(_of_texts(results, panel) for panel in figure.panels)
    heading = f"Ranks of LoRA against {reference}{'' if texts else ', by group'}: {layout.outcome(decisions)}"
    if not parts:
        parts = [layout.absent("no ranks were compared", layout.WIDE, HEIGHT)]
    values = [value for rows in data.values() for value in rows]
    signs = _signs(values, reference, decisions["verdict"].fill_null(theme.UNDECIDED))
    return layout.whole(parts, data, results, figure, heading, _EXPLAINED_OF_TEXTS if texts else _EXPLAINED, signs)


def _signs(values: Sequence[dict[str, Any]], reference: str, verdicts: pl.Series) -> list[layout.Sign]:
    """The entries of the key."""
    shapes = {value["s"] for value in values if "s" in value}
    signs = [layout.Sign("whole ranks", theme.INK, _WHOLE)]
    signs += [layout.Sign(f"{name} layers", theme.INK, shape) for name, shape in _SHAPES.items() if shape in shapes]
    signs += [layout.Sign(reference, _REFERENCE, "dots"), layout.Sign("its 95% interval", _INTERVAL, "band")]
    if any("a" in value for value in values):
        signs.append(layout.Sign(f"{reference} ± margin", _MARGIN, "rule"))
    if any("f" in value for value in values):
        signs.append(layout.Sign("noise floor, 95%", theme.FAINT, "tick"))
    return signs + [layout.Sign(sign.text, sign.colour, "bar") for sign in layout.verdict_signs(verdicts)]


def _of_texts(results: Reportable, panel: Panel) -> bool:
    return results.design.settings[panel.setting].kind == "translation"


def _reference(results: Reportable, panel: Panel) -> str | None:
    """The layer of the dotted line."""
    references = results.design.settings[panel.setting].references
    shown = [name for name in panel.methods if name in references]
    return shown[0] if shown else layout.compared(results.design, panel.setting)[0]


def _ranks(results: Reportable, panel: Panel) -> dict[str, Rank]:
    """The rank of each method that the panel shows."""
    ranks, reference = results.design.settings[panel.setting].ranks, _reference(results, panel)
    return {
        name: rank for name, rank in ranks.items() if name != reference and (not panel.methods or name in panel.methods)
    }


def _whom(results: Reportable, panel: Panel) -> pl.Expr:
    """The rows of each group of the panel's attribute; for translations the rows of everyone."""
    if _of_texts(results, panel):
        return pl.col("attribute").is_null()
    attribute = layout.attribute_of(panel, levels(results))
    return pl.col("group").is_not_null() & (pl.col("attribute") == attribute)


def _contrasts(results: Reportable, panel: Panel) -> pl.DataFrame:
    """Of every rank with the reference, in each group."""
    contrasts = layout.tested(results.verdicts).filter(
        _whom(results, panel),
        pl.col("measure").is_in(panel.measures),
        pl.col("method").is_in(list(_ranks(results, panel))),
        pl.col("reference") == (_reference(results, panel) or ""),
        setting=panel.setting,
    )
    return layout.with_disparities(contrasts, results.verdicts)


def _grid(results: Reportable, panel: Panel, contrasts: pl.DataFrame) -> list[list[_Shown]]:
    """The contents of the panels: a line per group, with an entry for each measure."""
    size = layout.sizes(results.examples, panel.setting, layout.attribute_of(panel, levels(results)))
    estimates = layout.tested(levels(results)).filter(
        pl.col("seed").is_null(), _whom(results, panel), setting=panel.setting
    )
    named = {
        group: panel.title or panel.setting if group is None else layout.sized(group, size.get(group))
        for group in estimates["group"].unique()
    }
    return [
        [
            _Shown(named[group], measure, _values(results, panel, measure, estimates, contrasts, group))
            for measure in panel.measures
        ]
        for group in estimates["group"].unique(maintain_order=True)
    ]


def _values(
    results: Reportable, panel: Panel, measure: str, estimates: pl.DataFrame, contrasts: pl.DataFrame, group: str | None
) -> list[dict[str, Any]]:
    design = results.design
    ranks, reference = _ranks(results, panel), _reference(results, panel)
    here = is_value("group", group) & (pl.col("measure") == measure)
    verdict = dict(contrasts.filter(here).select("method", "verdict").iter_rows())
    margin = verdict_margin(measure, design)
    values = []
    for row in estimates.filter(here).iter_rows(named=True):
        value: dict[str, Any] = {"c": short(row["value"])} | bounds(row)
        if row["method"] == reference:
            value["q"] = 1
            if margin is not None and row["value"] is not None:
                value["a"], value["b"] = around(row["value"], margin, measure)
            values.append(value)
        elif row["method"] in ranks:
            rank = ranks[row["method"]]
            colour = layout.VERDICT_SIGNS[verdict.get(row["method"]) or theme.UNDECIDED].colour
            value |= {"x": short(_aside(rank)), "k": colour}
            value |= {"s": _SHAPES.get(rank.layers or "", _WHOLE)}
            if row["noise_high"] is not None:
                value["f"] = short(row["noise_high"])
            values.append(value)
    return values


def _aside(rank: Rank) -> float:
    """The position of a rank on the axis; ranks of different shares of the layers are drawn side by side."""
    moved = math.log1p(rank.rank / BEND) + _ASIDE.get(rank.layers or "", 0.0)
    return BEND * math.expm1(moved)


def _domain(shown: Sequence[_Shown]) -> tuple[float, float]:
    return layout.value_span([value for each in shown for value in each.values], shown[0].measure)


def _panel(
    shown: _Shown,
    key: str,
    domain: tuple[float, float],
    width: int,
    ranks: Sequence[float],
    top: bool,
    bottom: bool,
    left: bool,
) -> vega.Spec:
    if not any(value["c"] is not None for value in shown.values):
        gone = layout.absent(f"no {title(shown.measure)}: the report says why", width, HEIGHT)
        return {**gone, "layer": [*gone["layer"], *_headings(shown, top, left)]}
    ticks = [rank for rank in ranks if rank >= 1 or rank == 0] or list(ranks)
    symlog = {"type": "symlog", "constant": BEND, "domain": [0, max(ranks, default=1)], "nice": False, "padding": 8}
    axis_x = {"values": ticks, "tickCount": len(ticks) + 1, "labels": bottom, "labelFontSize": 9, "format": "d"}
    x = vega.field("x", scale=symlog, axis={**axis_x, "labelOverlap": False}, title="rank of LoRA" if bottom else None)
    numbers = {"format": ".2f"} if domain[1] <= 1 else {"format": ".0f", "tickMinStep": 1}
    along: vega.Spec = {
        "scale": {"domain": list(domain), "nice": False, "zero": False},
        "axis": {"tickCount": 3, "labelFontSize": layout.SMALL, **numbers},
        "title": None,
    }
    colour, whole_rank = {"color": vega.literal("k")}, f"datum.s === '{_WHOLE}'"
    reference, rank = "isValid(datum.q) && isValid(datum.c)", "isValid(datum.x) && isValid(datum.c)"
    value, interval = vega.field("c", **along), {"y": vega.field("l", **along), "y2": {"field": "h"}}
    layers = []
    if any("q" in row and "l" in row for row in shown.values):
        layers.append(vega.mark("rect", interval, where=reference, color=_INTERVAL))
    if any("a" in row for row in shown.values):
        layers += [
            vega.mark("rule", {"y": vega.field(end, **along)}, where=reference, color=_MARGIN, strokeWidth=1.5)
            for end in "ab"
        ]
    layers.append(vega.mark("rule", {"y": value}, where=reference, color=_REFERENCE, strokeDash=[2, 3], strokeWidth=2))
    if any("f" in row for row in shown.values):
        tick = {"color": theme.FAINT, "thickness": 1.5, "size": 8, "orient": "horizontal"}
        layers.append(
            vega.mark("tick", {"x": x, "y": vega.field("f", **along)}, where=f"{rank} && isValid(datum.f)", **tick)
        )
    line = {"color": theme.FAINT, "strokeWidth": 1}
    layers.append(vega.mark("line", {"x": x, "y": value}, where=f"{rank} && {whole_rank}", **line))
    if any("x" in row and "l" in row for row in shown.values):
        bar = {"x": x, **interval, **colour}
        layers.append(vega.mark("rule", bar, where=f"{rank} && isValid(datum.l)", strokeWidth=1.2))
    point = {"x": x, "y": value, **colour, "shape": vega.literal("s")}
    layers.append(vega.mark("point", point, where=rank, filled=True, size=38, opacity=1))
    layers += _headings(shown, top, left)
    return {"data": {"name": key}, "layer": layers, "width": width, "height": HEIGHT}


def _headings(shown: _Shown, top: bool, left: bool) -> list[vega.Spec]:
    """The headings of rows (groups) and columns (measures).

    They are text marks, since titles would not be at the same height in all panels.
    """
    texts: list[tuple[str, int, str, int]] = [(shown.label, -6, "normal", 11)] if left else []
    texts += [(capital(title(shown.measure)), -22, "bold", 12)] if top else []
    return [
        vega.mark(
            "text",
            {"x": {"value": 0}, "y": {"value": height}},
            data=vega.NOWHERE,
            text=text,
            align="left",
            baseline="bottom",
            fontWeight=weight,
            fontSize=size,
            color=theme.INK,
        )
        for text, height, weight, size in texts
    ]
