"""The plane of accuracy and fairness: one point for each method, so that a trade-off between both is seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.measures import shown_in
from evenhand.errors import InputError
from evenhand.report import vega
from evenhand.report.blocks import Block, Figure, Spot, blocks_of, by_attribute, stem
from evenhand.report.chart_parts import by_method, capital, choose, is_value, short
from evenhand.report.reportable import Reportable, levels
from evenhand.report.wording import methods_of, title

_WIDTH, _HEIGHT = 300, 230


def plane_chart(
    estimates: pl.DataFrame,
    design: Design,
    *,
    measure: str | None = None,
    setting: str | None = None,
    split: str | None = None,
    attribute: str | None = None,
) -> vega.Chart:
    """Chart the accuracy of each method against one of its disparities between the groups of an attribute.

    The best place is the lower right. Bars are 95% intervals, each by itself; the disparity is above 0 by chance alone.

    Args:
        estimates: the table.
        design: of the study.
        measure: the disparity; the first that is known unless given.
        setting, split, attribute: which; the first of each unless given.

    Raises:
        InputError: no method has both.
    """
    rows, setting, split = choose(estimates, design, setting, split)
    measure = measure or shown_in("disparities")[0].name
    points = plane_points(rows, measure, attribute)
    if not points:
        raise InputError(f"there is no method of {setting} whose accuracy and {title(measure)} are both known")
    attribute = attribute if attribute is not None else points[0]["attribute"]
    methods = [name for name in methods_of(rows, design, setting) if name in {point["m"] for point in points}]
    _, colour, shape = by_method(methods)
    x = vega.field("c", title=shown_in("accuracy")[0].title, scale={"zero": False, "nice": True})
    y = vega.field("d", title=f"{title(measure)} by {attribute}", scale={"zero": True, "nice": True})
    told = {
        "tooltip": vega.tooltips(("m", "N", "method"), ("c", "Q", "accuracy"), ("d", "Q", title(measure))),
    }
    across = {"x": vega.field("l", scale={"zero": False}), "x2": {"field": "h"}, "y": y, "color": colour}
    up = {"x": x, "y": vega.field("dl"), "y2": {"field": "dh"}, "color": colour}
    layers = [
        vega.mark("rule", across, where="isValid(datum.l)", strokeWidth=1.5, opacity=0.7),
        vega.mark("rule", up, where="isValid(datum.dl)", strokeWidth=1.5, opacity=0.7),
        vega.mark("point", {"x": x, "y": y, "color": colour, "shape": shape} | told, filled=True, size=80, opacity=1),
    ]
    layers = [layer for layer, field in zip(layers, ("l", "dl", "c"), strict=True) if _any(points, field)]
    heading = f"{capital(title(measure))} and accuracy"
    spec: dict[str, Any] = {"data": {"name": "rows"}, "layer": layers, "width": _WIDTH, "height": _HEIGHT}
    spec["title"] = vega.heading(heading, "the lower right is best; bars: 95% intervals")
    values = [{key: value for key, value in point.items() if key != "attribute"} for point in points]
    return vega.finished(
        spec, {"rows": values}, f"{heading} of each method, {setting}, {split}", panel=_WIDTH, label=60
    )


def plane_points(rows: pl.DataFrame, measure: str, attribute: str | None = None) -> list[dict[str, Any]]:
    """The accuracy of everyone and a disparity of each method, with intervals, where both are known.

    Args:
        rows: estimates of one setting and split.
        measure: the disparity.
        attribute: whose groups it is between; the first unless given.

    Returns:
        A mapping for each method: `m` its name, `c`, `l`, `h` accuracy and interval, `d`, `dl`, `dh` the disparity's.
    """
    whole = rows.filter(pl.col("seed").is_null(), pl.col("group").is_null(), pl.col("class").is_null())
    whole = whole.drop_nulls("value")
    accuracy = whole.filter(pl.col("measure") == shown_in("accuracy")[0].name)
    between = whole.filter(pl.col("measure") == measure).drop_nulls("attribute")
    attribute = attribute if attribute is not None else next(iter(between["attribute"]), None)
    between = between.filter(is_value("attribute", attribute))
    found = {row["method"]: row for row in between.iter_rows(named=True)}
    return [
        {
            "m": row["method"],
            "attribute": attribute,
            "c": short(row["value"]),
            "l": short(row["low"]),
            "h": short(row["high"]),
            "d": short(found[row["method"]]["value"]),
            "dl": short(found[row["method"]]["low"]),
            "dh": short(found[row["method"]]["high"]),
        }
        for row in accuracy.iter_rows(named=True)
        if row["method"] in found
    ]


def _any(points: list[dict[str, Any]], field: str) -> bool:
    return any(point[field] is not None for point in points)


def plane_blocks(results: Reportable) -> list[Block]:
    """A chart for each setting, split, attribute and disparity, where several methods have both numbers."""

    def draw(rows: pl.DataFrame, at: Spot) -> Iterator[Figure]:
        for measure in shown_in("disparities"):
            if len(plane_points(rows, measure.name, at.part["attribute"])) > 1:
                chart = plane_chart(rows, results.design, measure=measure.name, **at.where)
                name = f"plane-{measure.name.removesuffix('_difference')}"
                about = f"Accuracy and {measure.title} of each method, {at.heading}."
                yield Figure(chart, about, stem(name, at.part["attribute"]), measure=measure.name)

    return blocks_of(levels(results), results.design, draw, by_attribute)
