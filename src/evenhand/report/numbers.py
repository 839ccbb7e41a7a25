"""Charts of numbers: values and errors by group and method, and the mean label against the mean prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.measures import shown_in
from evenhand.audit.measures.regression import MEAN_CALIBRATION
from evenhand.errors import InputError
from evenhand.report import theme, vega
from evenhand.report.blocks import Block, Figure, Spot, attributes_of, blocks_of, by_attribute, stem
from evenhand.report.chart_parts import bounds, by_method, choose, choose_attribute, extent, in_order, is_value, short
from evenhand.report.group_charts import group_values
from evenhand.report.panels import point_panel
from evenhand.report.reliability import diagonal
from evenhand.report.reportable import Reportable, levels
from evenhand.report.wording import EVERYONE, measure_named, methods_of

PARTS = ("values", "regression")
"""The parts of the report that show numbers."""

_WIDTH = 620


def numbers_chart(
    estimates: pl.DataFrame,
    design: Design,
    *,
    measure: str | None = None,
    setting: str | None = None,
    split: str | None = None,
    attribute: str | None = None,
) -> vega.Chart:
    """Chart a measure of numbers for everyone and for each group by method, with 95% intervals and sizes in brackets.

    Args:
        estimates: the table.
        design: of the study.
        measure, setting, split, attribute: which; the first of each unless given.

    Raises:
        InputError: there is no such estimate.
    """
    rows, setting, split = choose(estimates, design, setting, split)
    points = "" if rows["seed"].drop_nulls().n_unique() == 1 else "points: mean over seeds; "
    names = [each.name for part in PARTS for each in shown_in(part)] if measure is None else [measure]
    rows = rows.filter(pl.col("seed").is_null(), pl.col("measure").is_in(names))
    present = set(rows["measure"])
    rows = rows.filter(pl.col("measure") == next((name for name in names if name in present), ""))
    rows, attribute = choose_attribute(rows, attribute)
    if rows.is_empty():
        raise InputError(f"there are no {measure or 'values'} of {setting} to draw")
    shown = measure_named(rows["measure"][0])
    values = group_values(rows, EVERYONE, sized=True)
    order, methods = in_order(value["y"] for value in values), methods_of(rows, design, setting)
    panel = point_panel(
        values,
        methods,
        order,
        width=_WIDTH,
        row="group",
        value=shown.title,
        title=shown.title,
        scale={"zero": False},
        even=shown.display.even,
    )
    heading = shown.title + (f" by {attribute}" if attribute is not None else "")
    panel["title"] = vega.heading(heading, f"{points}bars: 95% intervals; in brackets: examples")
    about = f"{heading} and method, {setting}, {split}"
    return vega.finished(panel, {"rows": values}, about, panel=_WIDTH, label=extent(order))


def mean_calibration_chart(
    curves: pl.DataFrame,
    design: Design,
    *,
    setting: str | None = None,
    split: str | None = None,
    attribute: str | None = None,
    columns: int = 3,
) -> vega.Chart:
    """Chart the mean label against the mean prediction, by bin of the prediction: a panel for everyone or each group.

    Raises:
        InputError: there is no such curve, since no numbers were predicted.
    """
    rows, setting, split = choose(curves, design, setting, split)
    rows = rows.filter(pl.col("measure") == MEAN_CALIBRATION, is_value("attribute", attribute))
    if rows.is_empty():
        raise InputError(f"there is no calibration of the mean of {setting}: no numbers were predicted")
    values = [
        {"g": row["group"] or EVERYONE, "m": row["method"], "x": short(row["x"]), "y": short(row["y"]), **bounds(row)}
        for row in rows.iter_rows(named=True)
    ]
    ends = [value[key] for value in values for key in ("x", "y", "l", "h") if value.get(key) is not None]
    unit = {"domain": [min(ends), max(ends)], "zero": False, "nice": False}
    _, colour, shape = by_method(methods_of(rows, design, setting), True)
    x = vega.field("x", scale=unit, axis={"tickCount": 5}, title="mean prediction")
    along = {"scale": unit, "axis": {"tickCount": 5}, "title": "mean label"}
    encoding = {"color": colour} if colour is not None else {"color": {"value": theme.METHOD_COLOURS[0]}}
    told = vega.tooltips(
        ("m", "N", "method"),
        ("x", "Q", "mean prediction"),
        ("y", "Q", "mean label"),
        ("l", "Q", "low"),
        ("h", "Q", "high"),
    )
    whiskers = {"x": x, "y": vega.field("l", **along), "y2": {"field": "h"}} | encoding
    line = {"x": x, "y": vega.field("y", **along)} | encoding
    point = line | {"tooltip": told} | ({"shape": shape} if shape is not None else {})
    layers = [
        vega.mark("rule", diagonal(min(ends), max(ends)), color="#777777", strokeDash=[4, 3]),
        vega.mark("rule", whiskers, where="isValid(datum.l)", strokeWidth=1.5),
        vega.mark("line", line, strokeWidth=1),
        vega.mark("point", point, filled=True, size=36, opacity=1),
    ]
    groups = list(dict.fromkeys(value["g"] for value in values))
    spec = vega.faceted(layers, "g", groups, columns, 230, 230)
    heading = "Calibration of the mean" + (f" by {attribute}" if attribute is not None else "")
    spec["title"] = vega.heading(heading, "above the dashed line labels are underestimated, below it overestimated")
    about = f"{heading}, {setting}, {split}"
    return vega.finished(spec, {"rows": values}, about, panel=230, label=50)


def number_blocks(part: str) -> Callable[[Reportable], list[Block]]:
    """The charts of a part of the report (`values` or `regression`), a block for each setting, split and attribute."""

    def blocks(results: Reportable) -> list[Block]:
        names = [measure.name for measure in shown_in(part)]

        def draw(rows: pl.DataFrame, at: Spot) -> Iterator[Figure]:
            for name in rows["measure"].unique(maintain_order=True):
                shown = rows.filter(is_value("attribute", at.part["attribute"]) | pl.col("attribute").is_null())
                if shown.filter(measure=name)["value"].count():
                    chart = numbers_chart(rows, results.design, measure=name, **at.where)
                    title = measure_named(name).title
                    about = f"{title[:1].upper()}{title[1:]} with 95% intervals, {at.heading}."
                    yield Figure(chart, about, stem(f"{part}-{name}", at.part["attribute"]), measure=name)

        shown = levels(results).filter(pl.col("measure").is_in(names))
        return blocks_of(shown, results.design, draw, by_attribute)

    return blocks


def regression_blocks(results: Reportable) -> list[Block]:
    """The charts of errors, and of the calibration of the mean for everyone and for each attribute's groups."""

    def draw(rows: pl.DataFrame, at: Spot) -> Iterator[Figure]:
        chart = mean_calibration_chart(rows, results.design, **at.where)
        name = stem("mean-calibration", at.part["attribute"])
        yield Figure(chart, f"Mean label against mean prediction, {at.heading}.", name)

    def parts(rows: pl.DataFrame) -> list[dict[str, str | None]]:
        return [{"attribute": attribute} for attribute in dict.fromkeys([None, *attributes_of(rows)])]

    curves = results.curves.filter(pl.col("measure") == MEAN_CALIBRATION)
    blocks = {_place(block): block for block in blocks_of(curves, results.design, draw, parts)}
    for block in number_blocks("regression")(results):
        curve = blocks.get(_place(block))
        blocks[_place(block)] = replace(block, figures=[*block.figures, *(curve.figures if curve else ())])
    return list(blocks.values())


def _place(block: Block) -> tuple[str | None, str | None, str | None]:
    return block.setting, block.split, block.attribute
