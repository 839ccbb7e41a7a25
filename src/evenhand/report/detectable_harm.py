"""The smallest loss of accuracy that the study detects: sentences, tables and a chart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.harm_curves import MEASURE, reached
from evenhand.audit.measures import shown_in
from evenhand.errors import InputError
from evenhand.report import theme, vega
from evenhand.report.blocks import Block, Figure, Spot, blocks_of, by_attribute, stem
from evenhand.report.chart_parts import (
    choose,
    choose_attribute,
    extent,
    in_order,
    labels,
    row_key,
    short,
    verdict_margin,
)
from evenhand.report.number_text import NONE, number
from evenhand.report.reportable import Reportable
from evenhand.report.tables import Grid
from evenhand.report.wording import EVERYONE, Row, by_setting_and_split, main_split, methods_of, settings_of

POWERS = (0.5, 0.8, 0.9)
"""The powers in the columns of the tables; the chart's bars run from the first to the last."""
MOST_LINES = 6


def losses(curves: pl.DataFrame) -> pl.DataFrame:
    """The loss of accuracy detected with each of `POWERS`, by setting, split, attribute, group and method.

    Columns `0.5`, `0.8`, `0.9`; null where no loss is large enough.
    """
    keys = ["setting", "split", "attribute", "group", "method"]
    rows = []
    by_curve = curves.filter(measure=MEASURE).group_by(keys, maintain_order=True)
    for *key, x, y in by_curve.agg(pl.col("x", "y").sort_by("x")).iter_rows():
        points = np.array(x), np.array(y)
        rows.append({**dict(zip(keys, key, strict=True)), **{str(power): reached(*points, power) for power in POWERS}})
    schema: dict[str, Any] = {**dict.fromkeys(keys, pl.String), **{str(power): pl.Float64 for power in POWERS}}
    return pl.DataFrame(rows, schema=schema)


def detectable_lines(curves: pl.DataFrame, design: Design) -> list[str]:
    """A sentence for each setting and method: the loss of accuracy that the study detects with 80% power.

    About the main split. Empty without curves, or with more lines than a summary can hold.
    """
    known = losses(curves)
    known = known.filter(pl.col("split").eq_missing(pl.lit(main_split(known["split"]), pl.String)))
    settings = settings_of(known, design)
    lines = []
    for setting in settings:
        if setting not in design.settings or not design.settings[setting].references:
            continue  # of a folder whose design does not fit its curves
        known_here = known.filter(setting=setting)
        lead = f"{setting}: " if len(settings) > 1 else ""
        for method in methods_of(known_here, design, setting):
            reference = design.settings[setting].references[0]
            lines.append(lead + _sentences(known_here.filter(method=method), method, reference))
    return lines if len(lines) <= MOST_LINES else []


def _sentences(rows: pl.DataFrame, method: str, reference: str) -> str:
    whole = rows.filter(pl.col("group").is_null())["0.8"].to_list()
    groups = rows.drop_nulls("group")
    detected = groups.drop_nulls("0.8").sort("0.8")
    hidden = len(groups) - len(detected)
    if whole and whole[0] is not None:
        answer = (
            f"The smallest loss of accuracy of {method} against {reference} that this study detects with 80% power "
        )
        answer += f"is {_points(whole[0])} for everyone."
    else:
        answer = f"No loss of accuracy of {method} against {reference} for everyone is reliably detectable."
    parts = []
    if len(detected) == 1:
        parts.append(f"for {_who(detected.row(0, named=True))} it is {_points(detected['0.8'][0])}")
    elif len(detected):
        least, most = detected.row(0, named=True), detected.row(-1, named=True)
        reach = f"{number(100 * least['0.8'], 1)} ({_who(least)}) to {_points(most['0.8'])} ({_who(most)})"
        parts.append(f"for individual groups, the smallest loss detected with 80% power ranges from {reach}")
    if hidden:
        parts.append(f"in {'one group' if hidden == 1 else f'{hidden} groups'} no loss is reliably detectable")
    further = "; ".join(parts)
    return f"{answer} {further[:1].upper()}{further[1:]}." if parts else answer


def _who(row: Row) -> str:
    return f"{row['attribute']} = {row['group']}"


def _points(loss: float) -> str:
    """A loss in words, in percentage points."""
    points = number(100 * loss, 1)
    return f"{points} point{'' if points == '1.0' else 's'}"


def loss_grids(curves: pl.DataFrame, design: Design) -> list[tuple[str, str, list[Grid]]]:
    """Tables of the losses of accuracy detected with each of `POWERS`, as (setting, split, tables)."""
    head = ["method", "of", *(f"detected with {power:.0%} power" for power in POWERS)]
    grids = []
    for setting, split, here in by_setting_and_split(losses(curves), design):
        rows = [
            [
                row["method"],
                EVERYONE if row["group"] is None else _who(row),
                *(NONE if row[str(power)] is None else number(row[str(power)], 3) for power in POWERS),
            ]
            for method in methods_of(here, design, setting)
            for row in here.filter(method=method).iter_rows(named=True)
        ]
        grids.append((setting, split, [Grid("smallest detectable loss of accuracy", head, rows)]))
    return grids


def harm_chart(
    curves: pl.DataFrame,
    design: Design,
    *,
    setting: str | None = None,
    split: str | None = None,
    attribute: str | None = None,
    columns: int = 3,
) -> vega.Chart:
    """Chart the loss of accuracy that the study detects: a panel per method, bars from 50% to 90% power.

    Args:
        curves: the table.
        design: of the study.
        setting, split, attribute: which; the first of each unless given (`test` before other splits).
        columns: panels beside each other.

    Raises:
        InputError: there is no such curve: nothing was compared, or with a single run.
    """
    known = losses(curves)
    if known.is_empty():
        raise InputError("there is no curve of harm to draw: it takes a reference, and two runs of each method")
    rows, setting, split = choose(known, design, setting, split)
    rows, attribute = choose_attribute(rows, attribute)
    methods = methods_of(rows, design, setting)
    keys, values = [], []
    for row in rows.iter_rows(named=True):
        key = row_key(row["group"], row["group"] or EVERYONE)
        keys.append(key)
        low, middle, high = (short(row[str(power)]) for power in POWERS)
        if low is not None:
            values.append({"m": row["method"], "y": key, "l": low, "c": middle, "h": high})
    width = extent(keys)
    (accuracy,) = shown_in("accuracy")
    margin = verdict_margin(accuracy.name, design)
    largest = max([value[end] for value in values for end in "lch" if value[end] is not None], default=1)
    scale = {"domain": [0, 1.04 * largest], "nice": False}
    x = vega.field("l", title="accuracy lost", scale=scale, axis={"format": ".2f"})
    y = vega.field("y", "N", title=None, sort=in_order(keys), axis=labels(width))
    told = {"tooltip": vega.tooltips(("l", "Q", "50% power"), ("c", "Q", "80% power"), ("h", "Q", "90% power"))}
    bar, colour = {"color": theme.METHOD_COLOURS[0], "opacity": 0.35}, theme.METHOD_COLOURS[0]
    dot = {"color": colour, "size": 52, "filled": True, "opacity": 1}
    to_80, to_90 = ({"x": x, "x2": {"field": end}, "y": y} for end in "ch")
    # Where 90% is never reached, the bar is open: it ends at 80%, or at 50% alone.
    short_of_90 = "!isValid(datum.h) && isValid(datum.c)"
    layers = [
        vega.mark("rule", to_90 | told, where="isValid(datum.h)", strokeWidth=4, **bar),
        vega.mark("rule", to_80, where=short_of_90, strokeWidth=2, strokeDash=[3, 3], **bar),
        vega.mark("point", {"x": vega.field("c", scale=scale), "y": y} | told, where="isValid(datum.c)", **dot),
    ]
    explained = ["dot: detected with 80% power; bar: with 50% to 90%"]
    if margin is not None and margin < largest:
        layers.insert(0, vega.mark("rect", {"x": {"datum": 0}, "x2": {"datum": margin}}, color=theme.BAND))
        explained.append("band: within the margin, declared harmless")
    spec = vega.faceted(layers, "m", methods, columns, 230, {"step": 20})
    reference = design.settings[setting].references[0]
    spec["title"] = vega.heading(f"Detectable loss of accuracy against {reference}", explained)
    about = f"The loss of accuracy that is detectable, {setting}, {split}"
    return vega.finished(spec, {"rows": values}, about, panel=230, label=width)


def harm_blocks(results: Reportable) -> list[Block]:
    """A chart of the detectable loss of accuracy for each setting, split and attribute."""

    def draw(rows: pl.DataFrame, at: Spot) -> Iterator[Figure]:
        shown, _ = choose_attribute(rows, at.part["attribute"])
        chart = harm_chart(shown, results.design, **at.where)
        yield Figure(chart, f"Detectable loss of accuracy, {at.heading}.", stem("harm", at.part["attribute"]))

    return blocks_of(results.curves.filter(measure=MEASURE), results.design, draw, by_attribute)
