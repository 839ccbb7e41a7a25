"""How much harm the study would have seen: sentence, table and chart, read off the curves of planted harm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.planted_harm import MEASURE
from evenhand.errors import InputError
from evenhand.report import theme
from evenhand.report.drawing import choose, extent, finished, heading_of, in_order, labels, row_key, rows_named, short
from evenhand.report.tables import Grid
from evenhand.report.wording import NONE, main_split, methods_of, number, settings_of

CHANCES = (0.5, 0.8, 0.9)
"""With which the harm is found, in the tables; the chart spans them."""
MOST_LINES = 6
EVERYONE = "everyone"


def losses(curves: pl.DataFrame) -> pl.DataFrame:
    """By setting, split, attribute, group and method, the loss of accuracy that is found with each of `CHANCES`.

    Columns `0.5`, `0.8`, `0.9`; null where no loss is large enough.
    """
    keys = ["setting", "split", "attribute", "group", "method"]
    rows = []
    for place, points in curves.filter(measure=MEASURE).group_by(keys, maintain_order=True):
        points = points.sort("x")
        x, y = points["x"].to_numpy(), points["y"].to_numpy()
        rows.append({**dict(zip(keys, place, strict=True)), **{str(chance): _at(x, y, chance) for chance in CHANCES}})
    schema: dict[str, Any] = {**dict.fromkeys(keys, pl.String), **{str(chance): pl.Float64 for chance in CHANCES}}
    return pl.DataFrame(rows, schema=schema)


def _at(x: np.ndarray, y: np.ndarray, chance: float) -> float | None:
    """Where a curve first reaches a chance, between its points."""
    reached = np.flatnonzero(y >= chance)
    if not len(reached):
        return None
    last = int(reached[0])
    if not last:
        return float(x[0])
    return float(np.interp(chance, y[last - 1 : last + 1], x[last - 1 : last + 1]))


def noticed(curves: pl.DataFrame, design: Design) -> list[str]:
    """Per setting and method, what it would have had to cost for this study to say so with probability .9.

    Of the main split. Nothing where there are no curves, or more lines than a summary can hold.
    """
    found = losses(curves)
    found = found.filter(pl.col("split").eq_missing(pl.lit(main_split(found["split"]), pl.String)))
    several = len(settings_of(found, design)) > 1
    lines = []
    for setting in settings_of(found, design):
        own = found.filter(setting=setting)
        for method in methods_of(own, design, setting):
            reference = design.settings[setting].references[0]
            said = _sentence(own.filter(method=method), method, reference)
            lines.append(f"{setting}: {said}" if several else said)
    return lines if len(lines) <= MOST_LINES else []


def _sentence(rows: pl.DataFrame, method: str, reference: str) -> str:
    whole = rows.filter(pl.col("group").is_null())["0.9"].to_list()
    groups = rows.drop_nulls("group")
    seen = groups.drop_nulls("0.9").sort("0.9")
    hidden = len(groups) - len(seen)
    parts = []
    if whole and whole[0] is not None:
        parts.append(
            f"Had {method} cost everyone {_points(whole[0])} of accuracy against {reference}, this study would have "
            "said so with probability .9"
        )
    else:
        parts.append(f"No loss of accuracy of {method} against {reference}, however large, would surely have been seen")
    if len(seen) == 1:
        parts.append(f"of {_who(seen.row(0, named=True))} it takes {_points(seen['0.9'][0])}")
    elif len(seen):
        least, most = seen.row(0, named=True), seen.row(-1, named=True)
        parts.append(
            f"of single groups it takes from {_points(least['0.9'])} ({_who(least)}) to {_points(most['0.9'])} "
            f"({_who(most)})"
        )
    if hidden:
        parts.append(f"in {hidden} group{'' if hidden == 1 else 's'} no loss would surely have been seen")
    return "; ".join(parts) + "."


def _who(row: dict[str, Any]) -> str:
    return f"{row['attribute']} = {row['group']}"


def _points(loss: float) -> str:
    """A loss in percentage points."""
    said = number(100 * loss, 1)
    return f"{said} point{'' if said == '1.0' else 's'}"


def loss_grids(curves: pl.DataFrame, design: Design) -> list[tuple[str, str, Grid]]:
    """(setting, split, table) of the losses of accuracy that are found with each of `CHANCES`."""
    found = losses(curves)
    grids = []
    for setting in settings_of(found, design):
        own = found.filter(setting=setting)
        for split in sorted(own["split"].unique(), key=lambda name: (name != "test", name)):
            head = ["method", "of", *(f"found with probability {str(chance).lstrip('0')}" for chance in CHANCES)]
            rows = [
                [
                    row["method"],
                    EVERYONE if row["group"] is None else _who(row),
                    *(NONE if row[str(chance)] is None else number(row[str(chance)], 3) for chance in CHANCES),
                ]
                for method in methods_of(own, design, setting)
                for row in own.filter(split=split, method=method).iter_rows(named=True)
            ]
            grids.append((setting, split, Grid("", head, rows)))
    return grids


def harm_chart(
    curves: pl.DataFrame,
    design: Design,
    *,
    setting: str | None = None,
    split: str | None = None,
    attribute: str | None = None,
    columns: int = 3,
) -> Any:
    """The loss of accuracy that the study would have seen, a panel per method: bars from an even chance to .9.

    Args:
        curves: the table.
        design: of the study.
        setting, split, attribute: which; the first of each unless given (`test` before other splits).
        columns: panels beside each other.

    Raises:
        InputError: there is no such curve: nothing was compared, or with a single run.
    """
    import altair as alt

    found = losses(curves)
    if found.is_empty():
        raise InputError("there is no curve of harm to draw: it takes a reference, and two runs of each method")
    rows, setting, split = choose(found, design, setting, split)
    if attribute is None:
        attribute = next(iter(rows["attribute"].drop_nulls()), None)
    rows = rows.filter(pl.col("attribute").is_null() | pl.col("attribute").eq_missing(pl.lit(attribute, pl.String)))
    methods = methods_of(rows, design, setting)
    keys, values = [], []
    for row in rows.iter_rows(named=True):
        key = row_key(row["group"], row["group"] or EVERYONE)
        keys.append(key)
        low, middle, high = (short(row[str(chance)]) for chance in CHANCES)
        if low is not None:
            values.append({"m": row["method"], "y": key, "l": low, "c": middle, "h": high})
    width = extent(keys)
    margin = design.margins.get("accuracy", design.margins.get("default"))
    largest = max([value for row in values for value in (row["l"], row["c"], row["h"]) if value is not None], default=1)
    scale = alt.Scale(domain=[0, 1.04 * largest], nice=False)
    x = alt.X("l:Q", title="accuracy lost", scale=scale, axis=alt.Axis(format=".2f"))
    y = alt.Y("y:N", title=None, sort=in_order(keys), axis=labels(width))
    base = alt.Chart()
    colour = theme.METHOD_COLOURS[0]
    told = [alt.Tooltip(f"{key}:Q", title=title) for key, title in _CURVE]
    bars = base.transform_filter("isValid(datum.h)").mark_rule(color=colour, strokeWidth=4, opacity=0.35)
    bars = bars.encode(x=x, x2="h:Q", y=y, tooltip=told)
    # Where .9 is never reached, the bar is open: it ends at .8, or at the even chance alone.
    opened = base.transform_filter("!isValid(datum.h) && isValid(datum.c)")
    opened = opened.mark_rule(color=colour, strokeWidth=2, opacity=0.35, strokeDash=[3, 3]).encode(x=x, x2="c:Q", y=y)
    dots = base.transform_filter("isValid(datum.c)").mark_point(color=colour, size=52, filled=True, opacity=1)
    dots = dots.encode(x="c:Q", y=y, tooltip=told)
    layers: list[Any] = []
    if margin is not None and margin < largest:
        band = alt.Chart().mark_rect(color=theme.BAND).encode(x=alt.datum(0), x2=alt.datum(margin))
        layers.append(band)
    chart = alt.layer(*layers, bars, opened, dots, data=rows_named())
    chart = chart.properties(width=230, height=alt.Step(20))
    chart = chart.facet(
        facet=alt.Facet("m:N", title=None, sort=methods), columns=min(columns, len(methods)), spacing=26
    )
    reference = design.settings[setting].references[0]
    said = ["dot: found by 8 of 10 studies like this one; bar: by 5 to 9 of 10"]
    if layers:
        said.append("band: within the margin, declared harmless")
    heading = heading_of(f"How much accuracy must be lost against {reference} before this study says so", said)
    whole = chart.properties(title=heading)
    about = f"The loss of accuracy that would have been seen, {setting}, {split}"
    return finished(whole, {"rows": values}, about, panel=230, label=width)


_CURVE: Sequence[tuple[str, str]] = (("l", "found by 5 of 10"), ("c", "by 8 of 10"), ("h", "by 9 of 10"))
