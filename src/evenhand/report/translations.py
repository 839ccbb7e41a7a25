"""Translations: what became of the stereotype, as stacked shares by method, and tables of shares, BLEU and ROUGE-L."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.measures import of_kind
from evenhand.errors import InputError
from evenhand.report.drawing import (
    bounds,
    choose,
    extent,
    finished,
    heading_of,
    in_order,
    row_key,
    rows_named,
    short,
    tooltips,
)
from evenhand.report.tables import Grid, estimate_grids
from evenhand.report.wording import methods_of

OUTCOMES = ("pro", "anti", "neutral", "mixed", "none")
"""In the order in which they are stacked; they add up to 1."""

COLOURS = {"pro": "#c44601", "anti": "#0b62a8", "neutral": "#8f8f8f", "mixed": "#c4b36a", "none": "#e4e4e4"}
"""Dark enough against each other to be told apart in grey."""

SAID = {
    "pro": "stereotypical gender",
    "anti": "the other gender",
    "neutral": "they",
    "mixed": "both genders",
    "none": "no pronoun",
}
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
) -> Any:
    """Stacked shares of each outcome: a bar per method, a panel for everyone and for each group of stereotype. The rule
    on a bar is the 95% interval of the share of the stereotypical gender.

    Args:
        estimates: the table.
        design: of the study.
        setting, split: which; the first of each unless given.
        methods: which; all unless given.
        columns: panels beside each other.

    Raises:
        InputError: no translations were audited.
    """
    import altair as alt

    rows = _shares(estimates)
    if rows.is_empty():
        raise InputError("there are no shares to draw: no translations were audited")
    rows, setting, split = choose(rows, design, setting, split)
    shown = [name for name in methods_of(rows, design, setting) if methods is None or name in methods]
    values = stacked(rows.filter(pl.col("method").is_in(shown)))
    x = alt.X("a:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%", values=[0, 0.5, 1]), title=None)
    y = alt.Y("m:N", sort=shown, title=None)
    legend = alt.Legend(title=None, columns=5, symbolType="square")
    colour = alt.Color(
        "o:N", scale=alt.Scale(domain=list(SAID.values()), range=[COLOURS[name] for name in OUTCOMES]), legend=legend
    )
    told = tooltips(*_TOLD)
    base = alt.Chart()
    bars = base.mark_bar(height={"band": 0.72}).encode(x=x, x2="b:Q", y=y, color=colour, tooltip=told)
    rule = base.transform_filter("isValid(datum.l)").mark_rule(color="black", strokeWidth=2)
    rule = rule.encode(x=alt.X("l:Q"), x2="h:Q", y=y)
    chart = alt.layer(bars, rule, data=rows_named()).properties(width=_PANEL, height=_STEP * len(shown))
    panels = in_order(value["g"] for value in values)
    chart = chart.facet(facet=alt.Facet("g:N", title=None, sort=panels), columns=min(columns, len(panels)), spacing=34)
    said = "black: 95% interval of the share with the stereotypical gender"
    about = f"Shares of pronouns in translations by method, {setting}, {split}"
    whole = chart.properties(title=heading_of("Which gender translations give", said))
    return finished(whole, {"rows": values}, about, panel=_PANEL, label=extent(shown))


def stacked(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """A row per place, method and outcome, from `a` to `b`; that of `pro` with its interval."""
    found = []
    for _, part in rows.group_by(["attribute", "group", "method"], maintain_order=True):
        by_name = {row["measure"].removesuffix("_share"): row for row in part.iter_rows(named=True)}
        start = 0.0
        for outcome in OUTCOMES:
            row = by_name.get(outcome)
            if row is None or row["value"] is None:
                continue
            group = row["group"]
            who = "everyone" if group is None else f"{group} by stereotype"
            value = {"g": row_key(group, who), "m": row["method"], "o": SAID[outcome], "v": short(row["value"])}
            value |= {"a": short(start), "b": short(start + row["value"])}
            found.append(value | (bounds(row) if outcome == "pro" else {}))
            start += row["value"]
    return found


def translation_grids(estimates: pl.DataFrame, design: Design) -> list[tuple[str, str, list[Grid]]]:
    """(setting, split, tables): every measure of translations by place, a column per method."""
    return estimate_grids(estimates.filter(pl.col("measure").is_in(of_kind("translations"))), design)


def _shares(estimates: pl.DataFrame) -> pl.DataFrame:
    names = [f"{outcome}_share" for outcome in OUTCOMES]
    return estimates.filter(pl.col("seed").is_null(), pl.col("measure").is_in(names)).drop_nulls("value")


_TOLD = (("m", "N", "method"), ("o", "N", "outcome"), ("v", "Q", "share"))
