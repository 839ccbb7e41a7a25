"""Membership inference: ROC curves on logarithmic axes, and the table of rates with what they were counted from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.kinds.membership import ALPHAS, AREA, BALANCED, GAPS, ROC
from evenhand.audit.membership.losses import LOSSES
from evenhand.errors import InputError
from evenhand.report import theme
from evenhand.report.drawing import choose, finished, heading_of, in_order, row_key, rows_named, short, tooltips
from evenhand.report.tables import Footnotes, Grid, splits_of
from evenhand.report.wording import NONE, digits, interval, methods_of, number, place, settings_of, title

EVERYONE = "everyone"
MEASURES = (*ALPHAS, AREA, BALANCED, *GAPS)
"""In the order of their tables."""
_PANEL = 240


def roc_chart(
    curves: pl.DataFrame,
    design: Design,
    *,
    setting: str | None = None,
    split: str | None = None,
    attribute: str | None = None,
    columns: int = 3,
) -> Any:
    """ROC curves with 95% bands on logarithmic axes: a panel for everyone and for each group, a line per method.

    Points without a true positive have no place on a logarithmic axis; a band that reaches 0 ends at the axis.

    Args:
        curves: the table.
        design: of the study.
        setting, split, attribute: which; the first of each unless given. Without groups, everyone alone.
        columns: panels beside each other.

    Raises:
        InputError: there is no such curve, since no membership scores were audited.
    """
    import altair as alt

    rows = curves.filter(measure=ROC)
    if rows.is_empty():
        raise InputError("there is no ROC curve to draw: no membership scores were audited")
    rows, setting, split = choose(rows, design, setting, split)
    if attribute is None:
        attribute = next(iter(rows["attribute"].drop_nulls()), None)
    rows = rows.filter(pl.col("attribute").is_null() | pl.col("attribute").eq_missing(pl.lit(attribute, pl.String)))
    rows = rows.filter(pl.col("y") > 0)
    methods = methods_of(rows, design, setting)
    least = 10 ** _decade(min(rows["x"].min(), rows["y"].min(), 0.01))  # pyright: ignore[reportArgumentType]
    values: list[dict[str, Any]] = [
        {
            "g": row_key(row["group"], row["group"] or EVERYONE),
            "m": row["method"],
            "x": short(row["x"]),
            "y": short(row["y"]),
        }
        | ({} if row["low"] is None else {"l": short(max(row["low"], least)), "h": short(row["high"])})
        for row in rows.iter_rows(named=True)
    ]
    colours, _ = theme.scale_of(methods)
    legend = alt.Legend(title=None, columns=min(len(methods), 5), symbolType="stroke", symbolOpacity=1)
    colour = alt.Color("m:N", scale=alt.Scale(domain=methods, range=colours), legend=legend)
    dash = alt.StrokeDash("m:N", scale=alt.Scale(domain=methods, range=_DASHES), legend=legend)
    scale = alt.Scale(type="log", domain=[least, 1], clamp=True)
    ticks = alt.Axis(values=[10.0**power for power in range(_decade(least), 1)], format="~g")
    x = alt.X("x:Q", scale=scale, axis=ticks, title="false positive rate")
    y = alt.Y("y:Q", scale=scale, axis=ticks, title="true positive rate")
    base = alt.Chart()
    chance = alt.Chart().mark_rule(color="#777777", strokeDash=[4, 3])
    chance = chance.encode(x=alt.datum(least), y=alt.datum(least), x2=alt.datum(1), y2=alt.datum(1))
    bands = base.transform_filter("isValid(datum.l)").mark_area(opacity=0.2)
    bands = bands.encode(x=x, y=alt.Y("l:Q", scale=scale, axis=ticks), y2="h:Q", color=colour)
    told = tooltips(*_CURVE)
    lines = base.mark_line(strokeWidth=1.8, point=alt.OverlayMarkDef(size=12, filled=True))
    lines = lines.encode(x=x, y=y, color=colour, strokeDash=dash, tooltip=told)
    chart = alt.layer(chance, bands, lines, data=rows_named()).properties(width=_PANEL, height=_PANEL)
    panels = in_order(value["g"] for value in values)
    chart = chart.facet(facet=alt.Facet("g:N", title=None, sort=panels), columns=min(columns, len(panels)), spacing=26)
    named = f" by {attribute}" if attribute is not None else ""
    said = ["grey diagonal: guessing", "bands: 95% intervals, from where there are non-members enough to give a rate"]
    about = f"ROC of membership inference{named} and method, {setting}, {split}"
    whole = chart.properties(title=heading_of(f"Who can be told to have been in training{named}", said))
    return finished(whole, {"rows": values}, about, panel=_PANEL, label=50)


def leak_grids(estimates: pl.DataFrame, design: Design) -> list[tuple[str, str, list[Grid]]]:
    """(setting, split, tables): rates at few false positives with their counts, losses on members and non-members after
    the first of them, areas and what else is known, by place and method."""
    over = estimates.filter(pl.col("seed").is_null() & pl.col("measure").is_in([*MEASURES, *LOSSES]))
    found = []
    for setting in settings_of(over, design):
        own = over.filter(setting=setting)
        for split in splits_of(own):
            here = own.filter(split=split)
            parts = [here.filter(measure=name) for name in MEASURES]
            grids = [_grid(part, design, setting) for part in parts if len(part)]
            losses = _losses(here.filter(pl.col("measure").is_in(LOSSES)), design, setting)
            found.append((setting, split, [*grids[:1], *([losses] if losses else []), *grids[1:]]))
    return found


def _losses(rows: pl.DataFrame, design: Design, setting: str) -> Grid | None:
    """Loss and accuracy on members and non-members with their gaps, by place and method; None where none are known."""
    if rows.is_empty():
        return None
    keys = ["attribute", "group", "method"]
    wide = {key: {row["measure"]: row for row in part.iter_rows(named=True)} for key, part in _parted(rows, keys)}
    order = methods_of(rows, design, setting)
    places = dict.fromkeys(key[:2] for key in wide)
    cells = []
    for at in places:
        for method in order:
            found = wide.get((*at, method))
            if found is None:
                continue
            row = next(iter(found.values()))
            values = [_measured(found.get(name), gap="gap" in name) for name in LOSSES]
            cells.append([place(row), method, *values, f"{max(one['n'] or 0 for one in found.values()):,}"])
    head = ["", "method", "train loss", "test loss", "gap", "train accuracy", "test accuracy", "gap", "examples"]
    return Grid("loss and accuracy on members (train) and non-members (test)", head, cells)


def _parted(rows: pl.DataFrame, keys: list[str]) -> Iterator[tuple[tuple[Any, ...], pl.DataFrame]]:
    return iter(rows.group_by(keys, maintain_order=True))


def _measured(row: Mapping[str, Any] | None, gap: bool) -> str:
    if row is None or row["value"] is None:
        return NONE
    value = number(row["value"], 3, signed=gap)
    return f"{value} {interval(row['low'], row['high'], 3, signed=gap)}" if gap else value


def _grid(rows: pl.DataFrame, design: Design, setting: str) -> Grid:
    """A row per place and method: the value, its interval, its noise floor where it has one, and what is behind it."""
    measure = rows["measure"][0]
    decimals, notes = digits(measure), Footnotes()
    counted = measure in ALPHAS
    floored = rows["noise_high"].null_count() < len(rows)
    cells = []
    for method, row in _ordered(rows, methods_of(rows, design, setting)):
        note = row["note"] or ""
        behind = [note.partition("; ")[0]] if counted else ["".join(f"({mark}) " for mark in notes.mark(note)).strip()]
        floor = [number(row["noise_high"], decimals)] if floored else []
        value = [number(row["value"], decimals), interval(row["low"], row["high"], decimals)]
        cells.append([place(row), method, *value, *floor, f"{row['n'] or 0:,}", *behind])
    last = "counts" if counted else "notes"
    floor = ["noise floor (95%)"] if floored else []
    head = ["", "method", title(measure), "95% interval", *floor, "examples", last]
    return Grid(title(measure), head, cells, notes.texts)


def _ordered(rows: pl.DataFrame, methods: list[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Rows place by place, in each the methods in the reader's order."""
    order = {method: at for at, method in enumerate(methods)}
    keys = ["attribute", "group", "condition"]
    for _, part in rows.group_by(keys, maintain_order=True):
        for row in sorted(part.iter_rows(named=True), key=lambda row: order[row["method"]]):
            yield row["method"], row


def _decade(value: float) -> int:
    """The power of ten at or below a number."""
    return math.floor(math.log10(value) + 1e-9)


_DASHES = ([1, 0], [6, 3], [2, 2], [8, 2, 2, 2], [4, 4], [1, 3], [10, 4], [3, 1])
_CURVE = (
    ("g", "N", "group"),
    ("m", "N", "method"),
    ("x", "Q", "false positive rate"),
    ("y", "Q", "true positive rate"),
    ("l", "Q", "low"),
    ("h", "Q", "high"),
)
