"""The chart of verdicts: the contrasts of one setting, a panel per method, a row per group."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.errors import InputError
from evenhand.report import theme, vega
from evenhand.report.blocks import MOST_ROWS, Block, Figure, Spot, attributes_of, blocks_of
from evenhand.report.chart_parts import capital, choose, choose_attribute, extent, in_order, is_value, row_key, short
from evenhand.report.contrast_panels import contrast_layers, contrast_value, explained, positive_is
from evenhand.report.wording import (
    EVERYONE,
    claims,
    heading,
    measure_named,
    methods_of,
    others_of,
    place,
    places_of,
    same_reference,
    single_part,
    title,
)


def panel_of(measure: str) -> str:
    """The name of the measure in whose panel a measure is drawn, by default the measure itself."""
    return measure_named(measure).display.panel or measure


def panels_of(measures: pl.Series) -> pl.Series:
    """The panel of each measure of a column."""
    named = {name: panel_of(name) for name in measures.unique()}
    return measures.replace_strict(named, return_dtype=pl.String)


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
) -> vega.Chart:
    """Chart contrasts with simultaneous intervals: a panel per method, a row per group, the margin as a band.

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
    rows, setting, split = choose(claims(verdicts), design, setting, split)
    reference = reference if reference is not None else next(iter(rows["reference"]), None)
    rows, attribute = choose_attribute(rows.filter(same_reference(reference)), attribute)
    rows = rows.with_columns(panels_of(rows["measure"]).alias("panel"))
    width = extent(_key(row) for row in rows.iter_rows(named=True))
    asked = list(dict.fromkeys(drawn(rows)["panel"] if measures is None else measures))
    rows = rows.filter(pl.col("panel").is_in(asked))
    if name is not None:
        rows = rows.filter(pl.col("class") == name)
    if rows.is_empty():
        raise InputError(f"there is no contrast of {', '.join(asked)} against {reference or 'others'} to draw")
    methods = methods_of(rows, design, setting)
    given = set(rows["verdict"].fill_null(theme.UNDECIDED))
    shown = [verdict for verdict in theme.COLOURS if verdict in given] if legend else None
    charts, data = [], {}
    for measure in asked:
        for part in rows.filter(panel=measure).partition_by("comparison", "class", maintain_order=True):
            values = [_value(row) for row in part.iter_rows(named=True)]
            key = f"rows {len(data)}"
            data[key] = values
            sign = positive_is(part["measure"][0], design, setting)
            spec = _panels(values, key, methods, reference, others_of(part), width, shown, columns, sign)
            of_class = f", class {part['class'][0]}" if part["class"][0] is not None else ""
            lines = explained(values, design, sign)
            if any("l" not in value and value["c"] is not None for value in values):
                lines.append("hollow: shown, not judged")
            charts.append(
                spec | {"title": vega.heading(capital(heading(measure, part["comparison"][0])) + of_class, lines)}
            )
    whole = charts[0] if len(charts) == 1 else {"vconcat": charts, "spacing": 28}
    about = f"Verdicts against {reference or others_of(rows)}, {setting}, {split}"
    return vega.finished(whole, data, about, panel=max(_width(values) for values in data.values()), label=width)


def drawn(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with a verdict whose measures have a panel of their own; spreads are on a scale that nobody can read."""
    tabled = [name for name in rows["measure"].unique() if measure_named(name).one_sided]
    return rows.drop_nulls("verdict").filter(~pl.col("measure").is_in(tabled))


def _key(row: Mapping[str, Any]) -> str:
    """The key of a row of the chart."""
    places = places_of(row["measure"])
    if places.by_condition:
        return row_key(row[places.part], place(row))
    if row["group"] is not None:
        return row_key(row["group"], row["group"])
    return row_key(None, EVERYONE if row["attribute"] is None else measure_named(row["measure"]).display.row)


def _value(row: Mapping[str, Any]) -> dict[str, Any]:
    value = contrast_value(row, _key(row)) | {"m": row["method"]}
    return value if row["detectable"] is None else {**value, "d": short(row["detectable"])}


def _width(values: Sequence[Mapping[str, Any]]) -> int:
    return 230 if len({value["m"] for value in values}) > 1 else 340


def _panels(
    values: list[dict[str, Any]],
    key: str,
    methods: Sequence[str],
    reference: str | None,
    others: str,
    width: int,
    legend: Sequence[str] | None,
    columns: int,
    sign: str,
) -> vega.Spec:
    """One panel for each method; `key` names the data, `others` whom groups are compared with."""
    order = in_order(value["y"] for value in values)
    told = (("m", "N", "method"), ("y", "N", "group"), ("d", "Q", "detectable"))
    layers = contrast_layers(values, order, reference or others, width, legend, *told, sign=sign)
    present = {value["m"] for value in values}
    against = (
        "'gaps of ' + datum.value" if reference is None else f"datum.value + ' against ' + {json.dumps(reference)}"
    )
    header = {"labelExpr": against}
    shown = [method for method in methods if method in present]
    size = (_width(values), 18 * len(order))
    return vega.faceted(layers, "m", shown, columns, *size, data=key, header=header, spacing=34)


def verdict_blocks(verdicts: pl.DataFrame, design: Design) -> list[Block]:
    """A block for each setting, split, reference and attribute; single classes have separate blocks."""
    rows = claims(verdicts).filter(~single_part(design))
    rows = rows.filter(pl.col("class").is_null()) if len(verdicts) > MOST_ROWS else rows

    def draw(rows: pl.DataFrame, at: Spot) -> Iterator[Figure]:
        here = rows.filter(same_reference(at.part["reference"]), is_value("class", at.part["name"]))
        here, _ = choose_attribute(here, at.part["attribute"])
        for measure in dict.fromkeys(panels_of(drawn(here)["measure"])):
            chart = verdict_chart(here, design, measures=[measure], legend=False, **at.where)
            about = f"Contrasts with intervals and margin, {title(measure)}: {at.heading}."
            yield Figure(chart, f"{about} The table above has the numbers.", measure=measure)

    return blocks_of(rows, design, draw, _parts)


def _parts(rows: pl.DataFrame) -> list[dict[str, str | None]]:
    keys = rows.select("reference", "class").unique(maintain_order=True).rows()
    return [
        {"attribute": attribute, "reference": reference, "name": name}
        for attribute in attributes_of(rows)
        for reference, name in keys
    ]
