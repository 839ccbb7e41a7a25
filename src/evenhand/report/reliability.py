"""The chart of reliability."""

from __future__ import annotations

from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.errors import InputError
from evenhand.report import theme
from evenhand.report.drawing import bounds, choose, finished, heading_of, rows_named, short
from evenhand.report.wording import methods_of


def reliability_chart(
    curves: pl.DataFrame,
    design: Design,
    *,
    setting: str | None = None,
    split: str | None = None,
    attribute: str | None = None,
    group: str | None = None,
    columns: int = 4,
) -> Any:
    """Observed share against confidence, a panel per method, with the share of the predictions in each bin as bars.

    Raises:
        InputError: there is no such curve, since nothing with probabilities was recorded.
    """
    import altair as alt

    rows, setting, split = choose(curves, design, setting, split)
    who = pl.col("attribute").eq_missing(pl.lit(attribute, pl.String))
    rows = rows.filter(who & pl.col("group").eq_missing(pl.lit(group, pl.String)))
    rows = rows.filter(pl.col("measure").is_in(["reliability", "confidence"]))
    if rows.is_empty():
        raise InputError(f"there is no reliability curve of {setting}: only labels were predicted, no probabilities")
    methods = methods_of(rows, design, setting)
    values = []
    for row in rows.iter_rows(named=True):
        value = {"m": row["method"], "x": short(row["x"])}
        if row["measure"] == "confidence":
            value["b"] = short(row["y"])
        else:
            value |= {"y": short(row["y"])} | bounds(row)
        values.append(value)
    base = alt.Chart()
    axis = alt.Axis(values=[0, 0.2, 0.4, 0.6, 0.8, 1], format=".1f")
    unit = alt.Scale(domain=[0, 1], padding=0)
    x = alt.X("x:Q", scale=unit, axis=axis, title="confidence")
    bars = (
        base.transform_filter("isValid(datum.b)")
        .mark_bar(color="#c9d3df", size=10)
        .encode(x=x, y=alt.Y("b:Q", scale=unit))
    )
    ideal = alt.Chart().mark_rule(color="#777777", strokeDash=[4, 3])
    ideal = ideal.encode(x=alt.datum(0), y=alt.datum(0), x2=alt.datum(1), y2=alt.datum(1))
    whiskers = base.transform_filter("isValid(datum.l)").mark_rule(color=theme.METHOD_COLOURS[0], strokeWidth=1.5)
    whiskers = whiskers.encode(x=x, y="l:Q", y2="h:Q")
    y = alt.Y("y:Q", scale=unit, axis=axis, title="observed share")
    line = (
        base.transform_filter("isValid(datum.y)")
        .mark_line(
            color=theme.METHOD_COLOURS[0],
            strokeWidth=1,
            point=alt.OverlayMarkDef(size=32, filled=True, color=theme.METHOD_COLOURS[0]),
        )
        .encode(x=x, y=y, tooltip=[alt.Tooltip(f"{key}:Q", title=said) for key, said in _CURVE])
    )
    layers = alt.layer(bars, ideal, whiskers, line, data=rows_named()).properties(width=230, height=230)
    chart = layers.facet(
        facet=alt.Facet("m:N", title=None, sort=methods), columns=min(columns, len(methods)), spacing=26
    )
    heading = heading_of(
        "Reliability", "on the dashed line: confidence is right; bars: share of predictions in the bin"
    )
    return finished(
        chart.properties(title=heading),
        {"rows": values},
        f"Reliability by method, {setting}, {split}",
        panel=230,
        label=50,
    )


_CURVE = (("x", "confidence"), ("y", "observed share"), ("l", "low"), ("h", "high"))
