"""The chart of linear probes: accuracy, control accuracy and selectivity over layers, by method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.measures import shown_in
from evenhand.audit.measures.measure import Measure
from evenhand.errors import InputError
from evenhand.records.probes import UNTRAINED, named
from evenhand.report import theme, vega
from evenhand.report.blocks import Block, Figure, Spot, blocks_of, stem
from evenhand.report.chart_parts import bounds, by_method, capital, choose, short
from evenhand.report.reportable import Reportable, levels
from evenhand.report.wording import methods_of

BARE = "#8f8f8f"
"""The colour of untrained models."""

FEW = 13
"""With at most this many layers, intervals are drawn as bars side by side, else as bands."""

_WIDTH, _HEIGHT, _GAP = 210, 190, 22
_APART = 0.09
_EXPLAINED = "lines: mean over seeds, with 95% intervals; layer 0: the embeddings"
_EXPLAINED_BARE = "; grey: an untrained model"


def probes_of(estimates: pl.DataFrame) -> pl.DataFrame:
    """The estimates of probes over seeds that have a value."""
    names = [measure.name for measure in shown_in("probes")]
    return estimates.filter(pl.col("seed").is_null(), pl.col("measure").is_in(names)).drop_nulls("value")


def probed_for(estimates: pl.DataFrame) -> list[str]:
    """The targets of rows, each once."""
    conditions = probes_of(estimates)["condition"].unique(maintain_order=True)
    return list(dict.fromkeys(named(condition)[0] for condition in conditions))


def of_target(target: str) -> pl.Expr:
    """An expression that is true for rows about a target, in any layer."""
    return pl.col("condition").str.replace("/[^/]*$", "") == target


def signed(measure: Measure) -> bool:
    """Whether a measure can be negative; such measures have a separate axis, which includes 0."""
    return measure.limits[0] < 0


def probes_chart(
    estimates: pl.DataFrame,
    design: Design,
    *,
    setting: str | None = None,
    split: str | None = None,
    target: str | None = None,
) -> vega.Chart:
    """Chart accuracy, control accuracy and selectivity over layers: a line per method with 95% intervals.

    Untrained models have a grey line. Both accuracies share their axis.

    Args:
        estimates: the table.
        design: of the study.
        setting, split, target: which; the first of each unless given.

    Raises:
        InputError: nothing was probed, or not for this target.
    """
    rows = probes_of(estimates)
    if rows.is_empty():
        raise InputError("there are no probes to draw: no representations were probed")
    rows, setting, split = choose(rows, design, setting, split)
    target = target or probed_for(rows)[0]
    rows = rows.filter(of_target(target))
    if rows.is_empty():
        raise InputError(f"{target} was not probed for in {setting}")
    methods = methods_of(rows, design, setting)
    drawn = {measure: points(rows.filter(measure=measure.name), methods) for measure in shown_in("probes")}
    drawn = {measure: values for measure, values in drawn.items() if values}
    shared = extent_of([value for measure, values in drawn.items() if not signed(measure) for value in values])
    parts, data = [], {}
    for measure, values in drawn.items():
        key = f"rows {measure.name}"
        data[key] = values
        domain = extent_of(values, zero=True) if signed(measure) else shared
        panel = lines(key, methods, domain, values, legend=not parts)
        heading = capital(measure.display.heading or measure.title)
        look = {"text": heading, "fontSize": 11, "anchor": "middle"}
        parts.append(panel | {"width": _WIDTH, "height": _HEIGHT, "title": look})
    explained = _EXPLAINED + (_EXPLAINED_BARE if UNTRAINED in methods else "")
    title = vega.heading(f"What representations encode of {target}", explained)
    about = f"Probes for {target} over the layers by method, {setting}, {split}"
    width = len(parts) * _WIDTH + (len(parts) - 1) * _GAP
    return vega.finished({"hconcat": parts, "spacing": _GAP, "title": title}, data, about, panel=width, label=50)


def points(rows: pl.DataFrame, methods: Sequence[str]) -> list[dict[str, Any]]:
    """The chart data, a row per method and layer; where layers are few, methods are drawn side by side."""
    values: list[dict[str, Any]] = [
        {"x": int(named(row["condition"])[1]), "m": row["method"], "c": short(row["value"])} | bounds(row)
        for row in rows.iter_rows(named=True)
    ]
    apart = min(_APART, 0.5 / max(len(methods), 1)) if len({value["x"] for value in values}) <= FEW else 0.0
    middle, rank = (len(methods) - 1) / 2, {method: rank for rank, method in enumerate(methods)}
    return [{**value, "d": value["x"] + apart * (rank[value["m"]] - middle)} for value in values]


def extent_of(values: Sequence[Mapping[str, Any]], zero: bool = False) -> tuple[float, float] | None:
    """The range of an axis that includes all values with their intervals, and 0 if asked; None without values."""
    ends = [value[key] for value in values for key in ("c", "l", "h") if key in value]
    if not ends:
        return None
    ends += [0.0] if zero else []
    room = max(0.04 * (max(ends) - min(ends)), 0.005)
    return min(ends) - room, max(ends) + room


def lines(
    key: str, methods: Sequence[str], domain: tuple[float, float] | None, values: Sequence[dict[str, Any]], legend: bool
) -> vega.Spec:
    """The layers of a line per method with its intervals, and of a line at 0 if 0 is inside the axis.

    Args:
        key: names the rows, see `points`.
        methods: of the setting, in order.
        domain: the axis of values; None: no value is there.
        values: the rows.
        legend: whether methods are explained.
    """
    _, colour, shape = by_method(methods, legend, method_codes(methods))
    layers = sorted({value["x"] for value in values})
    ticks: vega.Spec = {"values": layers} if len(layers) < 9 else {"tickCount": 6}
    room = max(0.04 * (layers[-1] - layers[0]), 0.3)
    across = {"domain": [layers[0] - room, layers[-1] + room], "nice": False}
    low, high = domain or (0.0, 1.0)
    scale = {"domain": [low, high], "zero": False, "nice": False}
    x = vega.field("d", title="layer", axis={"tickMinStep": 1, "format": "d", **ticks}, scale=across)
    along: vega.Spec = {"title": None, "axis": {"tickCount": 5, "labelPadding": 4}, "scale": scale}
    told = (("m", "N", "method"), ("x", "Q", "layer"), ("c", "Q", "value"), ("l", "Q", "low"), ("h", "Q", "high"))
    parts = []
    if low < 0 < high:
        even = {"y": {"datum": 0.0, "scale": scale}}
        parts.append(vega.mark("rule", even, data=vega.NOWHERE, color=theme.INK, strokeWidth=1))
    if any("l" in value for value in values):
        interval = {"x": x, "y": vega.field("l", **along), "y2": {"field": "h"}, "color": colour}
        kind, look = ("area", vega.Spec(opacity=0.1)) if len(layers) > FEW else ("rule", vega.Spec(strokeWidth=1.5))
        parts.append(vega.mark(kind, interval, where="isValid(datum.l)", **look))
    value = {"x": x, "y": vega.field("c", **along), "color": colour}
    parts.append(vega.mark("line", value, strokeWidth=1.6))
    parts.append(
        vega.mark("point", value | {"shape": shape, "tooltip": vega.tooltips(*told)}, filled=True, size=38, opacity=1)
    )
    return {"data": {"name": key}, "layer": parts}


def method_codes(methods: Sequence[str]) -> tuple[list[str], list[str]]:
    """The colours and shapes of methods; untrained models are grey, whatever their position."""
    colours, shapes = theme.scale_of(methods)
    return [BARE if name == UNTRAINED else colour for name, colour in zip(methods, colours, strict=True)], shapes


def probe_blocks(results: Reportable) -> list[Block]:
    """A chart of probes over layers for each setting, split and target."""

    def draw(rows: pl.DataFrame, at: Spot) -> Iterator[Figure]:
        chart = probes_chart(rows, results.design, **at.where)
        about = f"Probe accuracy in each layer, by method, {at.heading}. Tables below."
        yield Figure(chart, about, stem("probes", at.part["target"]))

    rows = probes_of(levels(results))
    return blocks_of(rows, results.design, draw, lambda rows: [{"target": target} for target in probed_for(rows)])
