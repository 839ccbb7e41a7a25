"""Measures by group over the rank of LoRA, with full fine-tuning as a dotted line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand.audit.design import Figure, Panel, Rank
from evenhand.audit.measures import known
from evenhand.report import theme
from evenhand.report.drawing import bounds, capital, rows_named, short
from evenhand.report.paper.layout import (
    SMALL,
    WIDE,
    Figured,
    Sign,
    absent,
    attribute_of,
    compared,
    outcome,
    sized,
    sizes,
    span,
    tested,
    verdict_signs,
    whole,
)
from evenhand.report.wording import title

HEIGHT = 84
BEND = 0.25
"""The axis of ranks is log(1 + rank / BEND): it holds rank 0, and is logarithmic beyond 1."""

_AXIS = 50
_WHOLE = "circle"
_SHAPES = {"front": "triangle-up", "back": "triangle-down", "random": "diamond"}
_ASIDE = {"front": -0.1, "back": 0.1, "random": 0.0}
"""Where ranks that are shares of the layers lie beside each other, in units of the axis."""
_REFERENCE = theme.METHOD_COLOURS[1]
_INTERVAL = "#fae6d3"
_MARGIN = "#8fa8c4"
_SAID = (
    "marks: mean over seeds, coloured by verdict; bars: 95% intervals; rank 0: the head alone; below 1: rank 1 in that "
    "share of the layers; disparities: each group to its complement, fairer towards 0"
)
_SAID_OF_TEXTS = "marks: mean over seeds, coloured by verdict; bars: 95% intervals"


@dataclass(frozen=True)
class _Shown:
    """One measure in one group of a setting: a row per rank, and one for the reference."""

    label: str
    measure: str
    values: list[dict[str, Any]]


def ranks_figure(results: Figured, figure: Figure) -> Any:
    """A row of panels per group, a panel per measure: the value at each rank, coloured by its verdict. Of translations
    there is one row per setting, everyone.

    The dotted line is the first reference, the band its interval, the blue lines the reference ± the margin, a grey
    tick the noise floor's 95% quantile. Panels of one measure share their axis of values.
    """
    import altair as alt

    rows: dict[str, list[dict[str, Any]]] = {}
    parts, shapes, decided = [], set(), []
    for number, panel in enumerate(figure.panels):
        contrasts = _contrasts(results, panel)
        decided.append(contrasts)
        grid = _grid(results, panel, contrasts)
        ranks = sorted({rank.rank for rank in _ranks(results, panel).values()})
        width = (WIDE - _AXIS * len(panel.measures)) // len(panel.measures)
        domains = [_domain(line[column] for line in grid) for column in range(len(panel.measures))]
        for place, line in enumerate(grid):
            charts = []
            for column, one in enumerate(line):
                key = f"rows {number} {place} {column}"
                rows[key] = one.values
                shapes |= {value["s"] for value in one.values if "s" in value}
                outer = (place == 0, place == len(grid) - 1, column == 0)
                charts.append(_panel(one, key, domains[column], width, ranks, *outer))
            parts.append(alt.hconcat(*charts, spacing=12))
    decisions = pl.concat(decided)
    references = sorted({str(_reference(results, panel)) for panel in figure.panels})
    named = " and ".join(references)
    texts = all(_of_texts(results, panel) for panel in figure.panels)
    heading = f"Ranks of LoRA against {named}{'' if texts else ', by group'}: {outcome(decisions)}"
    if not parts:
        parts = [absent("no ranks were compared", WIDE, HEIGHT)]
    signs = [Sign("whole ranks", theme.INK, _WHOLE)]
    signs += [Sign(f"{name} layers", theme.INK, shape) for name, shape in _SHAPES.items() if shape in shapes]
    signs += [Sign(named, _REFERENCE, "dots"), Sign("its 95% interval", _INTERVAL, "band")]
    values = [value for found in rows.values() for value in found]
    if any("a" in value for value in values):
        signs.append(Sign(f"{named} ± margin", _MARGIN, "rule"))
    if any("f" in value for value in values):
        signs.append(Sign("noise floor, 95%", theme.FAINT, "tick"))
    given = decisions["verdict"].fill_null(theme.UNDECIDED)
    signs += [Sign(sign.text, sign.colour, "bar") for sign in verdict_signs(given)]
    return whole(parts, rows, results, figure, heading, _SAID_OF_TEXTS if texts else _SAID, signs)


def _of_texts(results: Figured, panel: Panel) -> bool:
    return results.design.settings[panel.setting].kind == "translation"


def _reference(results: Figured, panel: Panel) -> str | None:
    """The dotted line."""
    found = results.design.settings[panel.setting]
    shown = [name for name in panel.methods if name in found.references]
    return shown[0] if shown else compared(results.design, panel.setting)[0]


def _ranks(results: Figured, panel: Panel) -> dict[str, Rank]:
    """By method, of those that the panel shows."""
    found, reference = results.design.settings[panel.setting].ranks, _reference(results, panel)
    return {
        name: rank for name, rank in found.items() if name != reference and (not panel.methods or name in panel.methods)
    }


def _whom(results: Figured, panel: Panel) -> pl.Expr:
    """The rows that are shown: of each group of the panel's attribute, of translations everyone."""
    if _of_texts(results, panel):
        return pl.col("attribute").is_null()
    attribute = attribute_of(panel, results.estimates)
    return pl.col("group").is_not_null() & (pl.col("attribute") == attribute)


def _contrasts(results: Figured, panel: Panel) -> pl.DataFrame:
    """Of every rank with the reference, in each group."""
    return tested(results.verdicts).filter(
        _whom(results, panel),
        pl.col("measure").is_in(panel.measures),
        pl.col("method").is_in(list(_ranks(results, panel))),
        pl.col("reference") == (_reference(results, panel) or ""),
        setting=panel.setting,
    )


def _grid(results: Figured, panel: Panel, contrasts: pl.DataFrame) -> list[list[_Shown]]:
    """A line per group, and in it what is shown of each measure."""
    size = sizes(results.examples, panel.setting, attribute_of(panel, results.estimates))
    own = tested(results.estimates).filter(pl.col("seed").is_null(), _whom(results, panel), setting=panel.setting)
    named = {
        group: panel.title or panel.setting if group is None else sized(group, size.get(group))
        for group in own["group"].unique()
    }
    return [
        [
            _Shown(named[group], measure, _values(results, panel, measure, own, contrasts, group))
            for measure in panel.measures
        ]
        for group in own["group"].unique(maintain_order=True)
    ]


def _values(
    results: Figured, panel: Panel, measure: str, own: pl.DataFrame, contrasts: pl.DataFrame, group: str | None
) -> list[dict[str, Any]]:
    design = results.design
    ranks, reference = _ranks(results, panel), _reference(results, panel)
    here = pl.col("group").eq_missing(pl.lit(group, pl.String)) & (pl.col("measure") == measure)
    verdict = dict(contrasts.filter(here).select("method", "verdict").iter_rows())
    margin = known()[measure].margin(design.margins) if known()[measure].direction else None
    most = _most(measure)
    values = []
    for row in own.filter(here).iter_rows(named=True):
        value: dict[str, Any] = {"c": short(row["value"])} | bounds(row)
        if row["method"] == reference:
            value["q"] = 1
            if margin is not None and row["value"] is not None:
                value |= {"a": short(max(row["value"] - margin, 0.0)), "b": short(min(row["value"] + margin, most))}
            values.append(value)
        elif row["method"] in ranks:
            rank = ranks[row["method"]]
            value |= {"x": short(_aside(rank)), "k": theme.COLOURS[verdict.get(row["method"]) or theme.UNDECIDED]}
            value |= {"s": _SHAPES.get(rank.layers or "", _WHOLE)}
            if row["noise_high"] is not None:
                value["f"] = short(row["noise_high"])
            values.append(value)
    return values


def _aside(rank: Rank) -> float:
    """Where a rank is drawn: itself, or a little to one side of a share of the layers."""
    moved = math.log1p(rank.rank / BEND) + _ASIDE.get(rank.layers or "", 0.0)
    return BEND * math.expm1(moved)


def _domain(shown: Iterable[_Shown]) -> tuple[float, float]:
    found = list(shown)
    measure = found[0].measure
    from_zero = measure != "accuracy" and known()[measure].kind != "translations"
    return span([value for one in found for value in one.values], zero=from_zero, most=_most(measure))


def _most(measure: str) -> float:
    """The most that a measure can be."""
    return known()[measure].limits[1]


def _panel(
    one: _Shown,
    key: str,
    domain: tuple[float, float],
    width: int,
    ranks: Sequence[float],
    top: bool,
    bottom: bool,
    left: bool,
) -> Any:
    import altair as alt

    if not any(value["c"] is not None for value in one.values):
        gone = absent(f"no {title(one.measure)}: the report says why", width, HEIGHT)
        return alt.layer(gone, *_headings(one, top, left)).properties(width=width, height=HEIGHT)
    ticks = [rank for rank in ranks if rank >= 1 or rank == 0] or list(ranks)
    scale_x = alt.Scale(type="symlog", constant=BEND, domain=[0, max(ranks, default=1)], nice=False, padding=8)
    axis_x = alt.Axis(
        values=ticks, tickCount=len(ticks) + 1, labels=bottom, labelFontSize=9, format="d", labelOverlap=False
    )
    x = alt.X("x:Q", scale=scale_x, axis=axis_x, title="rank of LoRA" if bottom else None)
    scale = alt.Scale(domain=list(domain), nice=False, zero=False)
    kind: dict[str, Any] = {"format": ".2f"} if domain[1] <= 1 else {"format": ".0f", "tickMinStep": 1}
    axis = alt.Axis(tickCount=3, labelFontSize=SMALL, title=None, **kind)

    def y(field: str) -> Any:
        return alt.Y(f"{field}:Q", scale=scale, axis=axis)

    colour, shape = alt.Color("k:N", scale=None), alt.Shape("s:N", scale=None)
    base = alt.Chart(rows_named(key))
    reference = base.transform_filter("isValid(datum.q) && isValid(datum.c)")
    rank = base.transform_filter("isValid(datum.x) && isValid(datum.c)")
    layers = []
    if any("a" in value for value in one.values):
        layers += [reference.mark_rule(color=_MARGIN, strokeWidth=1.5).encode(y=y(end)) for end in ("a", "b")]
    if any("q" in value and "l" in value for value in one.values):
        layers.insert(0, reference.mark_rect(color=_INTERVAL).encode(y=y("l"), y2="h:Q"))
    layers.append(reference.mark_rule(color=_REFERENCE, strokeDash=[2, 3], strokeWidth=2).encode(y=y("c")))
    if any("f" in value for value in one.values):
        floor = rank.transform_filter("isValid(datum.f)")
        layers.append(
            floor.mark_tick(color=theme.FAINT, thickness=1.5, size=8, orient="horizontal").encode(x=x, y=y("f"))
        )
    line = rank.transform_filter(f"datum.s === '{_WHOLE}'").mark_line(color=theme.FAINT, strokeWidth=1)
    layers.append(line.encode(x=x, y=y("c")))
    if any("x" in value and "l" in value for value in one.values):
        bars = rank.transform_filter("isValid(datum.l)").mark_rule(strokeWidth=1.2)
        layers.append(bars.encode(x=x, y=y("l"), y2="h:Q", color=colour))
    points = rank.mark_point(filled=True, size=38, opacity=1)
    layers.append(points.encode(x=x, y=y("c"), color=colour, shape=shape))
    return alt.layer(*layers, *_headings(one, top, left)).properties(width=width, height=HEIGHT)


def _headings(one: _Shown, top: bool, left: bool) -> list[Any]:
    """The group over the panels of its row, the measure over those of its column: at the same height in all of them,
    which titles are not."""
    import altair as alt

    said: list[tuple[str, int, Any, int]] = [(one.label, -6, "normal", 11)] if left else []
    said += [(capital(title(one.measure)), -22, "bold", 12)] if top else []
    base = alt.Chart(alt.Data(values=[{}]))
    return [
        base.mark_text(
            text=text, align="left", baseline="bottom", fontWeight=weight, fontSize=size, color=theme.INK
        ).encode(x=alt.value(0), y=alt.value(height))
        for text, height, weight, size in said
    ]
