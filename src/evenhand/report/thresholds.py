"""The chart and the tables of rates over the threshold: what each threshold would mean for each group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.kinds.threshold_curves import IN_USE, SUFFIX
from evenhand.errors import InputError
from evenhand.report import theme, vega
from evenhand.report.blocks import Block, Figure, Spot, attributes_of, blocks_of, stem
from evenhand.report.chart_parts import bounds, capital, choose, choose_attribute, in_order, row_key, short
from evenhand.report.number_text import NONE, number
from evenhand.report.reportable import Reportable
from evenhand.report.sizes import group_sizes
from evenhand.report.tables import Grid
from evenhand.report.wording import EVERYONE, by_setting_and_split, methods_of

_PANEL, _HEIGHT = 180, 180
_BANDS = 6
"""With more groups than this, bands would hide each other, and are left to the tooltips."""
CHOSEN = (10, 20, 30, 40, 50, 60, 70, 80, 90)
"""The thresholds of the tables, in hundredths, besides the one in use."""


def threshold_chart(
    curves: pl.DataFrame,
    design: Design,
    *,
    setting: str | None = None,
    split: str | None = None,
    attribute: str | None = None,
    method: str | None = None,
    columns: int = 5,
) -> vega.Chart:
    """Chart rates over the threshold, a panel per rate and a line per group, with pointwise 95% bands.

    The dashed line is everyone; the vertical line is the threshold that the method's predictions were made by.

    Args:
        curves: the table.
        design: of the study.
        setting, split, attribute, method: which; the first of each unless given.
        columns: panels beside each other.

    Raises:
        InputError: there are no such curves, since they were not asked for, or nothing with probabilities of two
            classes was recorded.
    """
    rows = curves.filter(_swept())
    if rows.is_empty():
        raise InputError(
            "there are no rates over thresholds to draw: they need probabilities of two classes, and to be asked for "
            "(thresholds)"
        )
    rows, setting, split = choose(rows, design, setting, split)
    present = methods_of(rows, design, setting)
    method = present[0] if method is None else method
    if method not in present:
        raise InputError(f'there are no rates over thresholds of "{method}"; there are those of {", ".join(present)}')
    rows, attribute = choose_attribute(rows.filter(method=method), attribute)
    rates, groups = _rates(rows), in_order(rows["group"].drop_nulls().unique(maintain_order=True))
    banded = len(groups) <= _BANDS
    values = _values(rows, rates, banded)
    used = _threshold_in_use(curves, setting, split, method)
    values += [{"p": _panel(rate), "t": used} for rate in rates]
    keys = [row_key(None, EVERYONE), *groups]
    colours = [theme.FAINT, *theme.scale_of(groups)[0]]
    legend = {"title": None, "columns": min(len(keys), 5), "symbolType": "stroke", "symbolOpacity": 1}
    colour = vega.field("g", "N", scale={"domain": keys, "range": colours}, legend=legend)
    dash = vega.field("g", "N", scale={"domain": keys, "range": [[5, 3], *[[1, 0]] * len(groups)]}, legend=legend)
    unit: dict[str, Any] = {
        "scale": {"domain": [0, 1], "padding": 0},
        "axis": {"values": [0, 0.2, 0.4, 0.6, 0.8, 1], "format": ".1f"},
    }
    x, y = vega.field("x", title="threshold", **unit), vega.field("y", title=None, **unit)
    told = vega.tooltips(
        ("g", "N", "group"), ("x", "Q", "threshold"), ("y", "Q", "rate"), ("l", "Q", "low"), ("h", "Q", "high")
    )
    band = {"x": x, "y": vega.field("l", title=None, **unit), "y2": {"field": "h"}, "color": colour}
    layers = [
        vega.mark("area", band, where="isValid(datum.l) && datum.b", opacity=0.14),
        vega.mark("rule", {"x": vega.field("t", **unit)}, where="isValid(datum.t)", color=theme.INK, strokeDash=[2, 3]),
        vega.mark("line", {"x": x, "y": y, "color": colour, "strokeDash": dash}, where="isValid(datum.y)"),
        vega.mark("point", {"x": x, "y": y, "color": colour, "tooltip": told}, where="isValid(datum.y)", opacity=0),
    ]
    spec = vega.faceted(layers, "p", [_panel(rate) for rate in rates], columns, _PANEL, _HEIGHT)
    by = "" if attribute is None else f" by {attribute}"
    explained = [f"vertical line: the threshold of {method}, {used:g}; dashed: everyone"]
    explained.append(
        "bands: 95% intervals at each threshold by itself"
        if len(groups) <= _BANDS
        else "point at a line for its 95% interval"
    )
    spec["title"] = vega.heading(f"Rates{by} over the threshold, {method}", explained)
    about = f"Rates{by} over the threshold, {method}, {setting}, {split}"
    return vega.finished(spec, {"rows": values}, about, panel=_PANEL, label=40)


def _swept() -> pl.Expr:
    return pl.col("measure").str.ends_with(SUFFIX)


def _rates(rows: pl.DataFrame) -> list[str]:
    """The swept rates, as the table names their curves."""
    return rows["measure"].unique(maintain_order=True).to_list()


def _panel(rate: str) -> str:
    return capital(rate.removesuffix(SUFFIX).replace("_", " "))


def _values(rows: pl.DataFrame, rates: Sequence[str], bands: bool) -> list[dict[str, Any]]:
    """The rows of the chart: every second threshold, which a line cannot be told from."""
    panels = {rate: _panel(rate) for rate in rates}
    return [
        {"p": panels[row["measure"]], "g": row_key(row["group"], row["group"] or EVERYONE)}
        | {"x": short(row["x"]), "y": short(row["y"])}
        | bounds(row)
        | ({"b": 1} if bands and row["group"] is not None else {})
        for row in rows.iter_rows(named=True)
        if round(100 * row["x"]) % 2 == 0
    ]


def _threshold_in_use(curves: pl.DataFrame, setting: str, split: str, method: str) -> float:
    row = curves.filter(measure=IN_USE, setting=setting, split=split, method=method).row(0, named=True)
    return float(row["x"])


def threshold_blocks(results: Reportable) -> list[Block]:
    """A chart for each setting, split, attribute and method."""

    def draw(rows: pl.DataFrame, at: Spot) -> Iterator[Figure]:
        chart = threshold_chart(results.curves, results.design, **at.where)
        about = f"Rates of groups over the threshold, {at.heading}. The tables have chosen thresholds."
        yield Figure(chart, about, stem(f"thresholds-{at.part['method']}", at.part["attribute"]))

    def parts(rows: pl.DataFrame) -> list[dict[str, str | None]]:
        methods = methods_of(rows, results.design, rows["setting"][0])
        return [{"attribute": attribute, "method": method} for attribute in attributes_of(rows) for method in methods]

    return blocks_of(results.curves.filter(_swept()), results.design, draw, parts)


def threshold_grids(results: Reportable) -> list[tuple[str, str, list[Grid]]]:
    """Tables of chosen thresholds: the groups with the lowest and the highest rate, and how far apart they are.

    Groups with fewer examples than the design's support are left out of the lowest and the highest.
    """
    grids = []
    for setting, split, rows in by_setting_and_split(results.curves.filter(_swept()), results.design):
        sizes = group_sizes(results.examples, results.design, setting).group_by("attribute", "group").agg(pl.sum("n"))
        large = {(attribute, group) for attribute, group, n in sizes.iter_rows() if n >= results.design.support}
        tables = []
        for attribute in (name for name in attributes_of(rows) if name is not None):
            for method in methods_of(rows, results.design, setting):
                used = round(100 * _threshold_in_use(results.curves, setting, split, method))
                here = rows.filter(pl.col("attribute").is_null() | (pl.col("attribute") == attribute), method=method)
                cells = _cells(here, sorted({*CHOSEN, used}), used, {name for of, name in large if of == attribute})
                head = ["rate", "threshold", "everyone", "lowest", "highest", "difference"]
                left_out = sorted({*here["group"].drop_nulls()} - {name for of, name in large if of == attribute})
                notes = [f"groups left out, with fewer than {results.design.support} examples: {', '.join(left_out)}"]
                caption = f"rates of {method} at chosen thresholds, by {attribute}"
                tables.append(Grid(caption, head, cells, notes if left_out else [], method=method))
        if tables:
            grids.append((setting, split, tables))
    return grids


def _cells(rows: pl.DataFrame, thresholds: Sequence[int], used: int, large: set[str]) -> list[list[str]]:
    """The rows of a table about one method and attribute; thresholds are in hundredths."""
    at: dict[tuple[str, int], dict[str | None, float]] = {}
    for measure, group, x, y in rows.select("measure", "group", "x", "y").iter_rows():
        at.setdefault((measure, round(100 * x)), {})[group] = y
    cells = []
    for rate in _rates(rows):
        for threshold in thresholds:
            values = at.get((rate, threshold), {})
            groups = [(value, str(name)) for name, value in values.items() if name in large]
            label = number(threshold / 100, 2) + (" (in use)" if threshold == used else "")
            row = [_panel(rate), label, number(values.get(None), 3)]
            if len(groups) < 2:
                cells.append([*row, NONE, NONE, NONE])
                continue
            (low, lowest), (high, highest) = min(groups), max(groups)
            ends = (f"{name} {number(value, 3)}" for value, name in ((low, lowest), (high, highest)))
            cells.append([*row, *ends, number(high - low, 3)])
    return cells
