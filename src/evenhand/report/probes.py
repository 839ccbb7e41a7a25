"""What probes find: accuracy, accuracy on control tasks and selectivity over the layers of a model, by method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.measures import of_kind
from evenhand.errors import InputError
from evenhand.records.probes import UNTRAINED, named
from evenhand.report import theme
from evenhand.report.drawing import bounds, capital, choose, finished, heading_of, rows_named, short, tooltips
from evenhand.report.tables import Grid, estimate_grids
from evenhand.report.wording import methods_of

BARE = "#8f8f8f"
"""Of untrained models."""

SELECTIVITY = "selectivity"
_PANELS = {"probe_accuracy": "probe accuracy", "control_accuracy": "on control tasks", "selectivity": "selectivity"}
_WIDTH, _HEIGHT, _GAP = 210, 190, 22
FEW = 13
"""Up to so many layers intervals are bars beside each other, else bands."""

_APART = 0.09
_SAID = "lines: mean over seeds, with 95% intervals; layer 0: the embeddings"
_SAID_BARE = "; grey: an untrained model"


def probes_of(estimates: pl.DataFrame) -> pl.DataFrame:
    """The rows of probes over seeds that have a value."""
    return estimates.filter(pl.col("seed").is_null(), pl.col("measure").is_in(of_kind("probes"))).drop_nulls("value")


def probed_for(estimates: pl.DataFrame) -> list[str]:
    """The targets of these rows."""
    return list(dict.fromkeys(named(condition)[0] for condition in probes_of(estimates)["condition"]))


def probes_chart(
    estimates: pl.DataFrame,
    design: Design,
    *,
    setting: str | None = None,
    split: str | None = None,
    target: str | None = None,
) -> Any:
    """Accuracy, control accuracy and selectivity over layers: a line per method with the band of its 95% interval, and
    a grey one for untrained models. Both accuracies share their axis.

    Args:
        estimates: the table.
        design: of the study.
        setting, split, target: which; the first of each unless given.

    Raises:
        InputError: nothing was probed, or not for this target.
    """
    import altair as alt

    rows = probes_of(estimates)
    if rows.is_empty():
        raise InputError("there are no probes to draw: no representations were probed")
    rows, setting, split = choose(rows, design, setting, split)
    target = target or probed_for(rows)[0]
    rows = rows.filter(pl.col("condition").str.replace("/[^/]*$", "") == target)
    if rows.is_empty():
        raise InputError(f"{target} was not probed for in {setting}")
    methods = methods_of(rows, design, setting)
    present = [name for name in _PANELS if name in set(rows["measure"])]
    drawn = {f"rows {name}": points(rows.filter(measure=name), methods) for name in present}
    domain = extent_of([one for name in present if name != SELECTIVITY for one in drawn[f"rows {name}"]])
    parts = []
    for name in present:
        heading = alt.Title(capital(_PANELS[name]), fontSize=11, anchor="middle")
        own = extent_of(drawn[f"rows {name}"], zero=True) if name == SELECTIVITY else domain
        part = lines(f"rows {name}", methods, own, drawn[f"rows {name}"], legend=not parts)
        parts.append(part.properties(width=_WIDTH, height=_HEIGHT, title=heading))
    said = _SAID + (_SAID_BARE if UNTRAINED in methods else "")
    about = f"What probes for {target} find over the layers by method, {setting}, {split}"
    chart = alt.hconcat(*parts, spacing=_GAP).properties(
        title=heading_of(f"What representations say of {target}", said)
    )
    return finished(chart, drawn, about, panel=len(parts) * _WIDTH + (len(parts) - 1) * _GAP, label=50)


def points(rows: pl.DataFrame, methods: Sequence[str]) -> list[dict[str, Any]]:
    """A row per method and layer: value and bounds. Where layers are few, methods stand a little beside each other."""
    found: list[dict[str, Any]] = [
        {"x": int(named(row["condition"])[1]), "m": row["method"], "c": short(row["value"])} | bounds(row)
        for row in rows.iter_rows(named=True)
    ]
    apart = min(_APART, 0.5 / max(len(methods), 1)) if len({value["x"] for value in found}) <= FEW else 0.0
    middle = (len(methods) - 1) / 2
    return [{**value, "d": value["x"] + apart * (methods.index(value["m"]) - middle)} for value in found]


def extent_of(values: Sequence[dict[str, Any]], zero: bool = False) -> tuple[float, float] | None:
    """The axis that holds all of these with their intervals, and perhaps 0; None for none."""
    ends = [value[key] for value in values for key in ("c", "l", "h") if key in value]
    if not ends:
        return None
    ends += [0.0] if zero else []
    room = max(0.04 * (max(ends) - min(ends)), 0.005)
    return min(ends) - room, max(ends) + room


def lines(
    key: str, methods: Sequence[str], domain: tuple[float, float] | None, values: Sequence[dict[str, Any]], legend: bool
) -> Any:
    """A line per method over layers with its intervals, and a line at 0 where the axis has it inside.

    Args:
        key: names the rows, see `points`.
        methods: of the setting, in order.
        domain: the axis of values; None: no value is there.
        values: the rows.
        legend: whether methods are explained.
    """
    import altair as alt

    colours, shapes = _signs(methods)
    explained = alt.Legend(title=None, columns=min(len(methods), 5), symbolOpacity=1) if legend else None
    colour = alt.Color("m:N", scale=alt.Scale(domain=list(methods), range=colours), legend=explained)
    shape = alt.Shape("m:N", scale=alt.Scale(domain=list(methods), range=shapes), legend=explained)
    layers = sorted({value["x"] for value in values})
    ticks: dict[str, Any] = {"values": layers} if len(layers) < 9 else {"tickCount": 6}
    axis = alt.Axis(tickMinStep=1, format="d", **ticks)
    room = max(0.04 * (layers[-1] - layers[0]), 0.3)
    across = alt.Scale(domain=[layers[0] - room, layers[-1] + room], nice=False)
    low, high = domain or (0.0, 1.0)
    scale = alt.Scale(domain=[low, high], zero=False, nice=False)
    x = alt.X("d:Q", title="layer", axis=axis, scale=across)
    y = alt.Y("c:Q", title=None, axis=alt.Axis(tickCount=5, labelPadding=4), scale=scale)
    told = tooltips(
        ("m", "N", "method"),
        ("x", "Q", "layer"),
        ("c", "Q", "value"),
        ("l", "Q", "low"),
        ("h", "Q", "high"),
    )
    base = alt.Chart(rows_named(key))
    parts = []
    if low < 0 < high:
        parts.append(
            alt.Chart(rows_named(key)).mark_rule(color=theme.INK, strokeWidth=1).encode(y=alt.YDatum(0.0, scale=scale))
        )
    if any("l" in value for value in values):
        known = base.transform_filter("isValid(datum.l)")
        drawn = known.mark_area(opacity=0.1) if len(layers) > FEW else known.mark_rule(strokeWidth=1.5)
        parts.append(drawn.encode(x=x, y=alt.Y("l:Q", scale=scale), y2="h:Q", color=colour))
    parts.append(base.mark_line(strokeWidth=1.6).encode(x=x, y=y, color=colour))
    mark = base.mark_point(filled=True, size=38, opacity=1)
    parts.append(mark.encode(x=x, y=y, color=colour, shape=shape, tooltip=told))
    return alt.layer(*parts)


def _signs(methods: Sequence[str]) -> tuple[list[str], list[str]]:
    """Colours and shapes of methods; untrained models are grey, whatever their place."""
    colours, shapes = theme.scale_of(methods)
    return [BARE if name == UNTRAINED else colour for name, colour in zip(methods, colours, strict=True)], shapes


def probe_grids(estimates: pl.DataFrame, design: Design) -> list[tuple[str, str, list[Grid]]]:
    """(setting, split, tables): every measure of probes by target and layer, a column per method."""
    return estimate_grids(estimates.filter(pl.col("measure").is_in(of_kind("probes"))), design)
