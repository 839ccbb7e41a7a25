"""How many examples are in each group: a table and a chart."""

from __future__ import annotations

from typing import Any

import polars as pl

from evenhand import records
from evenhand.audit.design import Design
from evenhand.errors import InputError
from evenhand.report.drawing import finished, heading_of, labels, rows_named

_TWO = ["#0b62a8", "#f0b27a"]
"""Colours of two classes."""


def group_size_chart(
    examples: pl.DataFrame, design: Design, *, setting: str | None = None, attribute: str | None = None
) -> Any:
    """Examples in each group, by class. Groups may overlap, so that bars may add to more than all examples.

    Raises:
        InputError: the examples have no such attribute.
    """
    import altair as alt

    setting = setting if setting is not None else next(iter(design.settings))
    sizes = group_sizes(examples, design, setting)
    attribute = attribute if attribute is not None else next(iter(sizes["attribute"]), None)
    rows = sizes.filter(attribute=attribute)
    if rows.is_empty():
        raise InputError(f"{setting} has no groups to draw the sizes of")
    classes = rows["class"].unique(maintain_order=True).to_list()
    values = [
        {"y": row["group"], "k": row["class"], "i": classes.index(row["class"]), "n": row["n"]}
        for row in rows.iter_rows(named=True)
    ]
    scale = alt.Scale(domain=classes, range=_TWO) if len(classes) == 2 else alt.Scale(domain=classes, scheme="viridis")
    colour = alt.Color("k:N", sort=classes, title="class", scale=scale)
    chart = (
        alt.Chart(rows_named())
        .mark_bar(stroke="white", strokeWidth=0.5)
        .encode(
            x=alt.X("n:Q", title="examples"),
            y=alt.Y("y:N", sort=rows["group"].unique(maintain_order=True).to_list(), title=None, axis=labels()),
            color=colour,
            order="i:O",
            tooltip=[
                alt.Tooltip("y:N", title="group"),
                alt.Tooltip("k:N", title="class"),
                alt.Tooltip("n:Q", title="examples"),
            ],
        )
        .properties(width=460, height=alt.Step(20))
    )
    chart = chart.properties(
        title=heading_of(f"Sizes of groups by {attribute}", "all examples of the setting, by class")
    )
    return finished(chart, {"rows": values}, f"Sizes of the groups of {attribute} by class, {setting}", panel=460)


def group_sizes(examples: pl.DataFrame, design: Design, setting: str) -> pl.DataFrame:
    """Columns `attribute, group, class, n`: how many examples of a setting are in each group and class.

    An example in two groups counts in both. Classes are in order; `(no label)` is one where labels are null.
    """
    own = examples.filter(setting=setting)
    codes = sorted(own["label"].drop_nulls().unique().to_list())
    given = design.settings[setting].classes if setting in design.settings else ()
    names = {code: given[code] if code < len(given) else str(code) for code in codes}
    parts = []
    for attribute in records.attributes(own):
        column = records.ATTRIBUTE + attribute
        long = own.select("label", group=column).explode("group").drop_nulls("group")
        found = long.group_by("group", "label").len("n").sort("group", "label")
        named = pl.col("label").replace_strict(names, default="(no label)", return_dtype=pl.String)
        parts.append(
            found.select(
                pl.lit(attribute).alias("attribute"), "group", named.alias("class"), pl.col("n").cast(pl.Int64)
            )
        )
    if not parts:
        return pl.DataFrame(schema={"attribute": pl.String, "group": pl.String, "class": pl.String, "n": pl.Int64})
    return pl.concat(parts)
