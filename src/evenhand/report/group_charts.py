"""Charts of estimates: accuracy and disparities by group and method."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.measures import shown_in
from evenhand.errors import InputError
from evenhand.report import vega
from evenhand.report.blocks import MOST_ROWS, Block, Figure, Spot, blocks_of, by_attribute, stem
from evenhand.report.chart_parts import (
    around,
    bounds,
    capital,
    choose,
    choose_attribute,
    extent,
    in_order,
    is_value,
    row_key,
    short,
    verdict_margin,
)
from evenhand.report.panels import point_panel
from evenhand.report.reportable import Reportable, levels
from evenhand.report.wording import EVERYONE, methods_of, title


def group_accuracy_chart(
    estimates: pl.DataFrame,
    design: Design,
    *,
    setting: str | None = None,
    split: str | None = None,
    attribute: str | None = None,
) -> vega.Chart:
    """Chart the accuracy of everyone and of each group by method, with 95% intervals and group sizes in brackets.

    Raises:
        InputError: there is no such estimate.
    """
    (accuracy,) = shown_in("accuracy")
    rows, setting, split = choose(estimates, design, setting, split)
    points = "" if rows["seed"].drop_nulls().n_unique() == 1 else "points: mean over seeds; "
    rows = rows.filter(pl.col("seed").is_null() & (pl.col("measure") == accuracy.name))
    rows, attribute = choose_attribute(rows, attribute)
    if rows.is_empty():
        raise InputError(f"there is no accuracy of {setting} to draw")
    values = group_values(rows, EVERYONE, sized=True)
    order, methods = in_order(value["y"] for value in values), methods_of(rows, design, setting)
    panel = point_panel(
        values,
        methods,
        order,
        width=620,
        row="group",
        value=accuracy.title,
        title=accuracy.title,
        scale={"zero": not accuracy.display.fitted},
    )
    heading = "Accuracy" + (f" by {attribute}" if attribute is not None else "")
    panel["title"] = vega.heading(heading, f"{points}bars: 95% intervals; in brackets: examples tested")
    about = f"{heading} and method, {setting}, {split}"
    return vega.finished(panel, {"rows": values}, about, panel=620, label=extent(order))


def disparity_chart(
    estimates: pl.DataFrame,
    design: Design,
    *,
    measure: str | None = None,
    setting: str | None = None,
    split: str | None = None,
    attribute: str | None = None,
    name: str | None = None,
) -> vega.Chart:
    """Chart a disparity between groups, and of each group to its complement, by method.

    The band is the first reference's value ± the margin of the measure's verdicts: a point to the right of it is
    further than the margin from the reference. A grey tick is the noise floor's 95% quantile, where there is one.

    Args:
        estimates: the table.
        design: of the study.
        measure, setting, split, attribute: which; the first of each unless given.
        name: the class of a measure that is taken class by class.

    Raises:
        InputError: there is no such estimate.
    """
    measure = measure or shown_in("disparities")[0].name
    rows, setting, split = choose(estimates, design, setting, split)
    rows = rows.filter(pl.col("seed").is_null() & (pl.col("measure") == measure))
    attribute = attribute if attribute is not None else next(iter(rows["attribute"].drop_nulls()), None)
    rows = rows.filter(is_value("attribute", attribute))
    rows = rows.filter(is_value("class", name if name is not None else next(iter(rows["class"]), None)))
    if rows.is_empty():
        raise InputError(f"there is no {measure} of {setting} to draw")
    reference = next(iter(design.settings[setting].references), None)
    values = group_values(rows, "between groups", reference=reference, margin=verdict_margin(measure, design))
    order, methods = in_order(value["y"] for value in values), methods_of(rows, design, setting)
    panel = point_panel(
        values, methods, order, width=400, row="group", value=title(measure), title=title(measure), scale={"zero": True}
    )
    explained = ["bars: 95% intervals; other rows: group to its complement"]
    if any("a" in value for value in values):
        explained[0] += f"; band: {reference} ± margin"
    if any("f" in value for value in values):
        explained.append("grey tick: noise floor, below which 95% of values lie where there is no disparity")
    heading = f"{capital(title(measure))} by {attribute}" + (f", class {name}" if name is not None else "")
    panel["title"] = vega.heading(heading, explained)
    about = f"{heading} and method, {setting}, {split}"
    return vega.finished(panel, {"rows": values}, about, panel=400, label=extent(order))


def group_values(
    rows: pl.DataFrame, whole: str, *, sized: bool = False, reference: str | None = None, margin: float | None = None
) -> list[dict[str, Any]]:
    """The chart data of one measure's estimates over seeds; `evenhand.report.panels` describes the fields.

    Args:
        rows: the estimates.
        whole: label of the row that is no group.
        sized: whether the examples tested are put behind a group's name.
        reference: method whose value ± margin is shaded.
        margin: None for no band.
    """
    tested = dict(rows.group_by("group").agg(pl.col("n").max()).iter_rows()) if sized else {}
    values = []
    for row in rows.iter_rows(named=True):
        size = tested.get(row["group"])
        label = (row["group"] or whole) + (f" ({size})" if size is not None else "")
        value: dict[str, Any] = {"y": row_key(row["group"], label), "m": row["method"], "c": short(row["value"])}
        value |= bounds(row)
        if margin is not None and row["method"] == reference and row["value"] is not None:
            value["a"], value["b"] = around(row["value"], margin, row["measure"])
        if row["noise_high"] is not None:
            value["f"] = short(row["noise_high"])
        values.append(value)
    return values


def accuracy_blocks(results: Reportable) -> list[Block]:
    """A chart of group accuracy for each setting, split and attribute."""

    def draw(rows: pl.DataFrame, at: Spot) -> Iterator[Figure]:
        chart = group_accuracy_chart(rows, results.design, **at.where)
        name, about = stem("accuracy", at.part["attribute"]), f"Accuracy with 95% intervals, {at.heading}."
        yield Figure(chart, about, name, measure=shown_in("accuracy")[0].name)

    return blocks_of(_of_measures(levels(results), "accuracy"), results.design, draw, by_attribute)


def disparity_blocks(results: Reportable) -> list[Block]:
    """Charts of disparities for each setting, split, attribute and class."""

    def draw(rows: pl.DataFrame, at: Spot) -> Iterator[Figure]:
        shown = rows.filter(is_value("attribute", at.part["attribute"]), is_value("class", at.part["name"]))
        for measure in shown["measure"].unique(maintain_order=True):
            chart = disparity_chart(shown, results.design, measure=measure, **at.where)
            name = measure.removesuffix("_difference") if at.part["name"] is None else ""
            about = f"{title(measure)} with 95% intervals, {at.heading}."
            yield Figure(chart, about, stem(name, at.part["attribute"]), measure=measure)

    rows = _of_measures(levels(results), "disparities").filter(pl.col("seed").is_null()).drop_nulls("attribute")
    if len(rows) > MOST_ROWS:
        rows = rows.filter(pl.col("class").is_null())
    return blocks_of(
        rows,
        results.design,
        draw,
        lambda rows: rows.select("attribute", name="class").unique(maintain_order=True).to_dicts(),
    )


def _of_measures(estimates: pl.DataFrame, part: str) -> pl.DataFrame:
    """The estimates of the measures that are shown in a part of the report."""
    return estimates.filter(pl.col("measure").is_in([measure.name for measure in shown_in(part)]))
