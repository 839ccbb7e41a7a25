"""The sizes of groups: a table and a chart."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from evenhand import records
from evenhand.audit.design import Design
from evenhand.errors import InputError
from evenhand.report import vega
from evenhand.report.blocks import Block, Figure
from evenhand.report.chart_parts import labels
from evenhand.report.reportable import Reportable
from evenhand.report.tables import Grid
from evenhand.report.wording import settings_of

_TWO = ["#0b62a8", "#f0b27a"]
"""The colours of two classes."""

_SCHEMA = {"attribute": pl.String, "group": pl.String, "class": pl.String, "n": pl.Int64}


def group_size_chart(
    examples: pl.DataFrame, design: Design, *, setting: str | None = None, attribute: str | None = None
) -> vega.Chart:
    """Chart the number of examples in each group, by class; overlapping groups may add up to more than all examples.

    Raises:
        InputError: the examples have no such attribute.
    """
    setting = setting if setting is not None else next(iter(design.settings))
    sizes = group_sizes(examples, design, setting)
    attribute = attribute if attribute is not None else next(iter(sizes["attribute"]), None)
    rows = sizes.filter(attribute=attribute)
    if rows.is_empty():
        raise InputError(f"{setting} has no groups to draw the sizes of")
    return _chart(rows, setting, str(attribute))


def _chart(rows: pl.DataFrame, setting: str, attribute: str) -> vega.Chart:
    classes = rows["class"].unique(maintain_order=True).to_list()
    rank = {name: rank for rank, name in enumerate(classes)}
    values = [
        {"y": row["group"], "k": row["class"], "i": rank[row["class"]], "n": row["n"]}
        for row in rows.iter_rows(named=True)
    ]
    coding = {"range": _TWO} if len(classes) == 2 else {"scheme": "viridis"}
    encoding = {
        "x": vega.field("n", title="examples"),
        "y": vega.field("y", "N", sort=list(dict.fromkeys(rows["group"])), title=None, axis=labels()),
        "color": vega.field("k", "N", sort=classes, title="class", scale={"domain": classes, **coding}),
        "order": vega.field("i", "O"),
        "tooltip": vega.tooltips(("y", "N", "group"), ("k", "N", "class"), ("n", "Q", "examples")),
    }
    spec = {"data": {"name": "rows"}, **vega.mark("bar", encoding, stroke="white", strokeWidth=0.5)}
    spec |= {"width": 460, "height": {"step": 20}}
    spec["title"] = vega.heading(f"Sizes of groups by {attribute}", "all examples of the setting, by class")
    about = f"Sizes of the groups of {attribute} by class, {setting}"
    return vega.finished(spec, {"rows": values}, about, panel=460)


def group_sizes(examples: pl.DataFrame, design: Design, setting: str) -> pl.DataFrame:
    """The number of examples of a setting in each group and class: columns `attribute, group, class, n`.

    An example in two groups counts in both. Classes are in order; `(no label)` is the class of null labels.
    """
    rows = examples.filter(setting=setting)
    codes = sorted(rows["label"].drop_nulls().unique().to_list())
    given = design.settings[setting].classes if setting in design.settings else ()
    names = {code: given[code] if code < len(given) else str(code) for code in codes}
    class_name = pl.col("label").replace_strict(names, default="(no label)", return_dtype=pl.String)
    parts = [pl.DataFrame(schema=_SCHEMA)]
    for attribute in records.attributes(rows):
        long = rows.select("label", group=records.ATTRIBUTE + attribute).explode("group").drop_nulls("group")
        sizes = long.group_by("group", "label").len("n").sort("group", "label")
        size = pl.col("n").cast(pl.Int64)
        parts.append(sizes.select(pl.lit(attribute).alias("attribute"), "group", class_name.alias("class"), size))
    return pl.concat(parts)


def size_grids(results: Reportable) -> list[tuple[str, str, list[Grid]]]:
    """Tables of examples by group and class, one per attribute, as (setting, no split, tables)."""
    grids = []
    for setting, sizes in _by_setting(results):
        tables = []
        for rows in sizes.partition_by("attribute", maintain_order=True):
            classes = rows["class"].unique(maintain_order=True).to_list()
            by_group: dict[str, dict[str, int]] = {}
            for row in rows.iter_rows(named=True):
                by_group.setdefault(row["group"], {})[row["class"]] = row["n"]
            cells = [
                [group, f"{sum(size.values()):,}", *(f"{size.get(name, 0):,}" for name in classes)]
                for group, size in by_group.items()
            ]
            attribute = rows["attribute"][0]
            places = [(attribute, group) for group in by_group]
            tables.append(Grid(f"{setting}, {attribute}", [attribute, "all", *classes], cells, places=places))
        grids += [(setting, "", tables)] if tables else []
    return grids


def size_blocks(results: Reportable) -> list[Block]:
    """A chart of group sizes for each setting and attribute."""
    blocks = []
    for setting, sizes in _by_setting(results):
        for rows in sizes.partition_by("attribute", maintain_order=True):
            attribute = rows["attribute"][0]
            about = f"Examples in each group of {attribute} by class, {setting}."
            chart = Figure(_chart(rows, setting, attribute), about)
            blocks.append(Block(f"{setting}: {attribute}", [chart], setting, attribute=attribute))
    return blocks


def _by_setting(results: Reportable) -> Iterator[tuple[str, pl.DataFrame]]:
    for setting in settings_of(results.examples, results.design):
        yield setting, group_sizes(results.examples, results.design, setting)
