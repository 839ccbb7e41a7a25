"""The chart of genders in translations: stacked shares of outcomes by method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.measures import shown_in
from evenhand.errors import InputError
from evenhand.report import vega
from evenhand.report.blocks import Block, Figure, Spot, blocks_of
from evenhand.report.chart_parts import bounds, choose, extent, in_order, row_key, short
from evenhand.report.reportable import Reportable, levels
from evenhand.report.wording import EVERYONE, methods_of

COLOURS = ("#c44601", "#0b62a8", "#8f8f8f", "#c4b36a", "#e4e4e4")
"""The colours of outcomes in stacking order, which differ enough in brightness for grey printing."""

_PANEL = 210
_STEP = 24


def shares_chart(
    estimates: pl.DataFrame,
    design: Design,
    *,
    setting: str | None = None,
    split: str | None = None,
    methods: Sequence[str] | None = None,
    columns: int = 3,
) -> vega.Chart:
    """Chart the stacked shares of outcomes: a bar per method, a panel for everyone and for each stereotype.

    The rule on a bar is the 95% interval of the share of the stereotypical gender.

    Args:
        estimates: the table.
        design: of the study.
        setting, split: which; the first of each unless given.
        methods: which; all unless given.
        columns: panels beside each other.

    Raises:
        InputError: no translations were audited.
    """
    rows = shares(estimates)
    if rows.is_empty():
        raise InputError("there are no shares to draw: no translations were audited")
    rows, setting, split = choose(rows, design, setting, split)
    shown = [name for name in methods_of(rows, design, setting) if methods is None or name in methods]
    values = stacked(rows.filter(pl.col("method").is_in(shown)))
    axis = {"format": ".0%", "values": [0, 0.5, 1]}
    x, y = (
        vega.field("a", scale={"domain": [0, 1]}, axis=axis, title=None),
        vega.field("m", "N", sort=shown, title=None),
    )
    colour = outcome_colour({"title": None, "columns": 5, "symbolType": "square"})
    told = vega.tooltips(("m", "N", "method"), ("o", "N", "outcome"), ("v", "Q", "share"))
    bar = {"x": x, "x2": {"field": "b"}, "y": y, "color": colour, "tooltip": told}
    rule = {"x": vega.field("l"), "x2": {"field": "h"}, "y": y}
    layers = [
        vega.mark("bar", bar, height={"band": 0.72}),
        vega.mark("rule", rule, where="isValid(datum.l)", color="black", strokeWidth=2),
    ]
    spec = vega.faceted(
        layers, "g", in_order(value["g"] for value in values), columns, _PANEL, _STEP * len(shown), spacing=34
    )
    explained = "black: 95% interval of the share with the stereotypical gender"
    spec["title"] = vega.heading("Genders in translations", explained)
    about = f"Shares of pronouns in translations by method, {setting}, {split}"
    return vega.finished(spec, {"rows": values}, about, panel=_PANEL, label=extent(shown))


def outcome_names() -> list[str]:
    """The names of outcomes in stacking order."""
    return [measure.display.heading for measure in shown_in("shares")]


def outcome_colour(legend: vega.Spec | None) -> vega.Spec:
    """The encoding of outcomes as colours."""
    return vega.field("o", "N", scale={"domain": outcome_names(), "range": list(COLOURS)}, legend=legend)


def stacked(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """The chart data: for each group, method and outcome a bar from `a` to `b`; the first outcome has its interval."""
    values = []
    outcomes = shown_in("shares")
    for part in rows.partition_by("attribute", "group", "method", maintain_order=True):
        by_measure = {row["measure"]: row for row in part.iter_rows(named=True)}
        start = 0.0
        for outcome in outcomes:
            row = by_measure.get(outcome.name)
            if row is None or row["value"] is None:
                continue
            who = EVERYONE if row["group"] is None else f"{row['group']} by stereotype"
            value = {"g": row_key(row["group"], who), "m": row["method"], "o": outcome.display.heading}
            value |= {"v": short(row["value"]), "a": short(start), "b": short(start + row["value"])}
            values.append(value | (bounds(row) if outcome is outcomes[0] else {}))
            start += row["value"]
    return values


def shares(estimates: pl.DataFrame) -> pl.DataFrame:
    """The estimates over seeds that are stacked."""
    names = [measure.name for measure in shown_in("shares")]
    level = pl.col("comparison").is_null(), pl.col("seed").is_null(), pl.col("measure").is_in(names)
    return estimates.filter(*level).drop_nulls("value")


def translation_blocks(results: Reportable) -> list[Block]:
    """A chart of the shares of outcomes for each setting and split."""

    def draw(rows: pl.DataFrame, at: Spot) -> Iterator[Figure]:
        chart = shares_chart(rows, results.design, **at.where)
        yield Figure(chart, f"Shares of pronouns by method, {at.heading}. Tables below.", "translations")

    return blocks_of(shares(levels(results)), results.design, draw)
