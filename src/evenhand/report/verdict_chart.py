"""The chart of verdicts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.measures import measure_named
from evenhand.errors import InputError
from evenhand.report import theme
from evenhand.report.drawing import (
    bounds,
    capital,
    choose,
    extent,
    finished,
    heading_of,
    in_order,
    labels,
    row_key,
    rows_named,
    short,
    tooltips,
)
from evenhand.report.wording import methods_of, place, title

PANEL = {"worst_group_accuracy": "accuracy", "accuracy_difference": "accuracy"}
"""Measures that are drawn as further rows of another measure's panel."""

_ROWS = {
    "worst_group_accuracy": "worst group",
    "accuracy_difference": "best − worst group",
    "demographic_parity_difference": "between groups",
    "equalized_odds_difference": "between groups",
}


def panel_of(measure: str) -> str:
    """The measure whose panel a measure is drawn in, mostly its own."""
    return PANEL.get(measure, measure)


def verdict_chart(
    verdicts: pl.DataFrame,
    design: Design,
    *,
    setting: str | None = None,
    split: str | None = None,
    attribute: str | None = None,
    reference: str | None = None,
    measures: Sequence[str] | None = None,
    name: str | None = None,
    columns: int = 3,
    legend: bool = True,
) -> Any:
    """Contrasts with their simultaneous intervals: one panel per method, one row per group, the margin as a band.

    Args:
        verdicts: the table.
        design: of the study.
        setting, split, attribute, reference: which; the first of each unless given (`test` before other splits).
        measures: which; all that get verdicts unless given. Several are stacked.
        name: the class of a measure that is taken class by class; all classes unless given.
        columns: panels beside each other.
        legend: whether colours are explained below the chart.

    Raises:
        InputError: there is no such contrast.
    """
    import altair as alt

    rows, setting, split = choose(verdicts, design, setting, split)
    reference = reference if reference is not None else next(iter(rows["reference"]), None)
    rows = rows.filter(reference=reference)
    if attribute is None:
        attribute = next(iter(rows["attribute"].drop_nulls()), None)
    rows = rows.filter(pl.col("attribute").is_null() | pl.col("attribute").eq_missing(pl.lit(attribute, pl.String)))
    width = extent(_key(row) for row in rows.iter_rows(named=True))
    panel = pl.col("measure").replace(PANEL)
    asked = rows.drop_nulls("verdict").select(panel).to_series().to_list() if measures is None else measures
    asked = [str(measure) for measure in dict.fromkeys(asked)]
    rows = rows.filter(panel.is_in(asked))
    if name is not None:
        rows = rows.filter(pl.col("class") == name)
    if rows.is_empty():
        raise InputError(f"there is no contrast of {', '.join(asked)} against {reference} to draw")
    methods = methods_of(rows, design, setting)
    shown = [verdict for verdict in theme.COLOURS if verdict in set(rows["verdict"].fill_null(theme.UNDECIDED))]
    charts, drawn = [], {}
    for measure in asked:
        own = rows.filter(panel == measure)
        for part in own.partition_by("class", maintain_order=True):
            values = [_value(row) for row in part.iter_rows(named=True)]
            key = f"rows {len(drawn)}"
            drawn[key] = values
            facets = _panels(values, key, methods, str(reference), width, shown if legend else None, columns)
            given = part["class"][0]
            heading = capital(title(measure)) + (f", class {given}" if given is not None else "")
            charts.append(facets.properties(title=heading_of(heading, _explained(values, design))))
    whole = charts[0] if len(charts) == 1 else alt.vconcat(*charts, spacing=28)
    return finished(
        whole,
        drawn,
        f"Verdicts against {reference}, {setting}, {split}",
        panel=max(_width(part) for part in drawn.values()),
        label=width,
    )


def _key(row: Mapping[str, Any]) -> str:
    if measure_named(row["measure"]).kind == "benchmarks":
        return row_key(row["group"], place(row))
    if measure_named(row["measure"]).kind in ("options", "probes"):
        return row_key(row["condition"], place(row))
    return row_key(row["group"], row["group"] if row["group"] is not None else _ROWS.get(row["measure"], "everyone"))


def _value(row: Mapping[str, Any]) -> dict[str, Any]:
    value = {
        "y": _key(row),
        "m": row["method"],
        "v": row["verdict"] or theme.UNDECIDED,
        "c": short(row["contrast"]),
    }
    if row["margin"] is not None:
        value["k"] = row["margin"]
    if row["detectable"] is not None:
        value["d"] = short(row["detectable"])
    return value | bounds(row)


def _width(values: Sequence[Mapping[str, Any]]) -> int:
    return 230 if len({value["m"] for value in values}) > 1 else 340


def _explained(values: Sequence[Mapping[str, Any]], design: Design) -> str | list[str]:
    level = round(100 * (1 - 2 * design.alpha))
    parts = ["right of 0: worse", f"bars: simultaneous {level}% intervals"]
    if any("k" in value for value in values):
        parts.append("band: ± margin")
    if any("l" not in value and value["c"] is not None for value in values):
        parts.append("hollow: shown, not judged")
    return ["; ".join(parts[:3]), *parts[3:]]


def _panels(
    values: list[dict[str, Any]],
    key: str,
    methods: Sequence[str],
    reference: str,
    width: int,
    legend: Sequence[str] | None,
    columns: int,
) -> Any:
    """One panel per method; `key` names the rows. `legend` names the verdicts to explain; None for no legend."""
    import altair as alt

    ordered = in_order(value["y"] for value in values)
    y = alt.Y("y:N", sort=ordered, title=None, axis=labels(width), scale=_band())
    # Every chart knows every verdict: stacked charts share these scales, and parts of them would be mixed up.
    verdicts = list(theme.COLOURS)
    explained = None if legend is None else alt.Legend(title=None, columns=len(legend), values=list(legend))
    colour = alt.Color("v:N", scale=alt.Scale(domain=verdicts, range=list(theme.COLOURS.values())), legend=explained)
    shape = alt.Shape("v:N", scale=alt.Scale(domain=verdicts, range=list(theme.SHAPES.values())), legend=explained)
    tooltip = tooltips(*_TOOLTIP)
    x = alt.X("c:Q", title=f"worse than {reference} by", axis=alt.Axis(tickCount=4), scale=alt.Scale(padding=8))
    base = alt.Chart()
    zero = base.mark_rule(color=theme.INK, strokeWidth=1).encode(x=alt.datum(0))
    layers: list[Any] = []
    # A layer that would be empty is left out: its scales would have no extent.
    if any("k" in value for value in values):
        margin = base.transform_filter("isValid(datum.k)").transform_calculate(n="-datum.k")
        layers.append(margin.mark_rect(color=theme.BAND).encode(x="n:Q", x2="k:Q", y=y))
    layers.append(zero)
    if any("l" in value for value in values):
        judged = base.transform_filter("isValid(datum.l)")
        points = judged.mark_point(filled=True, size=75, opacity=1)
        layers.append(judged.mark_rule(strokeWidth=2).encode(x="l:Q", x2="h:Q", y=y, color=colour))
        layers.append(points.encode(x=x, y=y, color=colour, shape=shape, tooltip=tooltip))
    if any("l" not in value and value["c"] is not None for value in values):
        hollow = base.transform_filter("isValid(datum.c) && !isValid(datum.l)").mark_point(size=60, opacity=1)
        layers.append(hollow.encode(x=x, y=y, color=colour, shape=shape, tooltip=tooltip))
    if any(value["c"] is None for value in values):
        absent = base.transform_filter("!isValid(datum.c)")
        absent = absent.mark_text(text="— not defined", align="left", dx=4, fontSize=10, color=theme.FAINT)
        layers.append(absent.encode(x=alt.datum(0), y=y))
    chart = alt.layer(*layers, data=rows_named(key)).properties(width=_width(values), height=18 * len(ordered))
    header = alt.Header(labelExpr=f"datum.value + ' against ' + {json.dumps(reference)}")
    present = {value["m"] for value in values}
    sort = [method for method in methods if method in present]
    return chart.facet(
        facet=alt.Facet("m:N", title=None, sort=sort, header=header), columns=min(columns, len(sort)), spacing=34
    )


def _band() -> Any:
    import altair as alt

    return alt.Scale(type="band", padding=0)


_TOOLTIP = (
    ("m", "N", "method"),
    ("y", "N", "group"),
    ("v", "N", "verdict"),
    ("c", "Q", "worse by"),
    ("l", "Q", "low"),
    ("h", "Q", "high"),
    ("k", "Q", "margin"),
    ("d", "Q", "detectable"),
)
