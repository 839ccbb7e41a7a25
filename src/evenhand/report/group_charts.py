"""Charts of estimates: accuracy and disparities by group and method."""

from __future__ import annotations

from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.errors import InputError
from evenhand.report import theme
from evenhand.report.drawing import (
    bounds,
    by_method,
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
from evenhand.report.wording import methods_of, title

PARITY = ("demographic_parity_difference", "equalized_odds_difference")


def group_accuracy_chart(
    estimates: pl.DataFrame,
    design: Design,
    *,
    setting: str | None = None,
    split: str | None = None,
    attribute: str | None = None,
) -> Any:
    """Accuracy of everyone and of each group with its 95% interval, by method; group sizes in brackets.

    Raises:
        InputError: there is no such estimate.
    """
    rows, setting, split = choose(estimates, design, setting, split)
    rows = rows.filter(pl.col("seed").is_null() & (pl.col("measure") == "accuracy"))
    attribute = attribute if attribute is not None else next(iter(rows["attribute"].drop_nulls()), None)
    rows = rows.filter(pl.col("attribute").is_null() | pl.col("attribute").eq_missing(pl.lit(attribute, pl.String)))
    if rows.is_empty():
        raise InputError(f"there is no accuracy of {setting} to draw")
    chart, values = dots(rows, design, setting, x="accuracy", everyone="everyone", sized=True, panel=620)
    named = f" by {attribute}" if attribute is not None else ""
    heading = heading_of(
        f"Accuracy{named}", "points: mean over seeds; bars: 95% intervals; in brackets: examples tested"
    )
    return finished(
        chart.properties(title=heading),
        {"rows": values},
        f"Accuracy{named} and method, {setting}, {split}",
        panel=620,
        label=extent(row["y"] for row in values),
    )


def disparity_chart(
    estimates: pl.DataFrame,
    design: Design,
    *,
    measure: str = PARITY[0],
    setting: str | None = None,
    split: str | None = None,
    attribute: str | None = None,
    name: str | None = None,
) -> Any:
    """A disparity between groups, and of each group to its complement, by method.

    The band is the first reference's value ± the margin: a point to the right of it is further than the margin from
    the reference. A grey tick is the noise floor's 95% quantile, where one was computed.

    Raises:
        InputError: there is no such estimate.
    """
    rows, setting, split = choose(estimates, design, setting, split)
    rows = rows.filter(pl.col("seed").is_null() & (pl.col("measure") == measure))
    attribute = attribute if attribute is not None else next(iter(rows["attribute"].drop_nulls()), None)
    rows = rows.filter(attribute=attribute)
    if name is None:
        name = next(iter(rows["class"]), None)
    rows = rows.filter(pl.col("class").eq_missing(pl.lit(name, pl.String)))
    if rows.is_empty():
        raise InputError(f"there is no {measure} of {setting} to draw")
    reference = next(iter(design.settings[setting].references), None)
    margin = design.margins.get(measure, design.margins.get("default")) if reference is not None else None
    chart, values = dots(
        rows, design, setting, title(measure), "between groups", reference=reference, margin=margin, panel=400
    )
    explained = "bars: 95% intervals; other rows: group to its complement"
    if margin is not None:
        explained += f"; band: {reference} ± margin"
    floored = any("f" in value for value in values)
    said = [explained, "grey tick: where nothing is there, 95 in 100 lie left of it"] if floored else explained
    heading = f"{capital(title(measure))} by {attribute}"
    heading += f", class {name}" if name is not None else ""
    described = f"{heading} and method, {setting}, {split}"
    return finished(
        chart.properties(title=heading_of(heading, said)),
        {"rows": values},
        described,
        panel=400,
        label=extent(row["y"] for row in values),
    )


def dots(
    rows: pl.DataFrame,
    design: Design,
    setting: str,
    x: str,
    everyone: str,
    *,
    sized: bool = False,
    reference: str | None = None,
    margin: float | None = None,
    panel: int,
) -> tuple[Any, list[dict[str, Any]]]:
    """Values with intervals: a row per group, a point per method, perhaps a band of ± margin; and the rows.

    Args:
        rows: estimates over seeds of one measure.
        design, setting: for the order of methods.
        x: title of the axis of values.
        everyone: label of the row that is no group.
        sized: whether the examples tested are put behind a group's name.
        reference: method whose value ± margin is shaded.
        margin: None for no band.
        panel: width of the plot in pixels.
    """
    import altair as alt

    methods = methods_of(rows, design, setting)
    tested = dict(rows.group_by("group").agg(pl.col("n").max()).iter_rows())
    values = []
    for row in rows.iter_rows(named=True):
        label = row["group"] if row["group"] is not None else everyone
        label = f"{label} ({tested[row['group']]})" if sized and tested[row["group"]] is not None else label
        key = row_key(row["group"], label)
        value: dict[str, Any] = {"y": key, "m": row["method"], "c": short(row["value"])} | bounds(row)
        if margin is not None and row["method"] == reference and row["value"] is not None:
            value |= {"a": short(max(row["value"] - margin, 0.0)), "b": short(row["value"] + margin)}
        if row["noise_high"] is not None:
            value["f"] = short(row["noise_high"])
        values.append(value)
    sort = in_order(value["y"] for value in values)
    step = max(18, 8 * len(methods) + 6)
    width = extent(sort)
    y = alt.Y("y:N", sort=sort, title=None, axis=labels(width), scale=alt.Scale(type="band", padding=0))
    inside, colour, shape = by_method(methods)
    tooltip = tooltips(
        ("y", "N", "group"),
        ("m", "N", "method"),
        ("c", "Q", x),
        ("l", "Q", "low"),
        ("h", "Q", "high"),
        ("f", "Q", "noise floor (95%)"),
    )
    base = alt.Chart(rows_named())
    layers = []
    if any("a" in value for value in values):
        band = base.transform_filter("isValid(datum.a)").mark_rect(color=theme.BAND)
        layers.append(band.encode(x="a:Q", x2="b:Q", y=y))
    if any("f" in value for value in values):
        floor = base.transform_filter("isValid(datum.f)").mark_tick(color=theme.FAINT, thickness=2, size=7)
        layers.append(floor.encode(x="f:Q", y=y, yOffset=inside, tooltip=tooltip))
    if any("l" in value for value in values):
        bars = base.transform_filter("isValid(datum.l)").mark_rule(strokeWidth=1.5)
        layers.append(bars.encode(x="l:Q", x2="h:Q", y=y, yOffset=inside, color=colour))
    points = base.transform_filter("isValid(datum.c)").mark_point(filled=True, size=55, opacity=1)
    value_axis = alt.X("c:Q", title=x, scale=alt.Scale(zero=margin is not None))
    layers.append(points.encode(x=value_axis, y=y, yOffset=inside, color=colour, shape=shape, tooltip=tooltip))
    if any(value["c"] is None for value in values):
        absent = base.transform_filter("!isValid(datum.c)")
        absent = absent.mark_text(text="—", align="left", dx=3, fontSize=10, tooltip="not defined")
        layers.append(absent.encode(x=alt.value(0), y=y, yOffset=inside, color=colour))
    return alt.layer(*layers).properties(width=panel, height=step * len(sort)), values
