"""Tables of membership inference: rates with the counts behind them, losses, and areas under ROC curves."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.measures import of_kind, shown_in
from evenhand.report.number_text import NONE, interval, number
from evenhand.report.tables import Footnotes, Grid
from evenhand.report.wording import Row, by_setting_and_split, digits, measure_named, methods_of, place, title

ACCURACY = "membership_train_accuracy"


def membership_grids(estimates: pl.DataFrame, design: Design) -> list[tuple[str, str, list[Grid]]]:
    """Tables of membership inference by group and method, as (setting, split, tables).

    The first is about rates at few false positives with their counts. The table of losses on members and non-members
    comes after it, then areas and all other measures.
    """
    measures = [measure_named(name) for name in of_kind("membership")]
    tabled = [measure for measure in measures if measure.display.tabled]
    rates = {measure.name for measure in shown_in("rates")}
    ordered = sorted(tabled, key=lambda measure: measure.name not in rates)
    losses = [measure.name for measure in shown_in("losses")]
    shown = [*(measure.name for measure in ordered), *losses]
    over = estimates.filter(pl.col("comparison").is_null(), pl.col("seed").is_null(), pl.col("measure").is_in(shown))
    grids = []
    for setting, split, here in by_setting_and_split(over, design):
        methods = methods_of(here, design, setting)
        parts = {part["measure"][0]: part for part in here.partition_by("measure", maintain_order=True)}
        tables = [
            _grid(parts[measure.name], methods, measure.name in rates) for measure in ordered if measure.name in parts
        ]
        besides = _losses(here.filter(pl.col("measure").is_in(losses)), methods)
        grids.append((setting, split, [*tables[:1], *besides, *tables[1:]]))
    return grids


def _losses(rows: pl.DataFrame, methods: list[str]) -> Iterator[Grid]:
    """The table of losses and accuracies on members and non-members, with their gaps.

    Texts have no accuracy, and its columns are left out. Yields nothing where no loss is known.
    """
    cells = []
    known_measures = set(rows["measure"])
    shown = [measure for measure in shown_in("losses") if measure.name in known_measures]
    for part in rows.partition_by("attribute", "group", maintain_order=True):
        by_method: dict[str, dict[str, Row]] = {}
        for row in part.iter_rows(named=True):
            by_method.setdefault(row["method"], {})[row["measure"]] = row
        for method in methods:
            known = by_method.get(method)
            if known is not None:
                values = [_measured(known.get(measure.name), measure.display.even is not None) for measure in shown]
                examples = max(row["n"] or 0 for row in known.values())
                cells.append([place(part.row(0, named=True)), method, *values, f"{examples:,}"])
    if cells:
        head = ["", "method", *(measure.display.heading for measure in shown), "examples"]
        what = "loss and accuracy" if ACCURACY in known_measures else "loss"
        yield Grid(f"{what} on members (train) and non-members (test)", head, cells)


def _measured(row: Row | None, signed: bool) -> str:
    if row is None or row["value"] is None:
        return NONE
    value = number(row["value"], 3, signed=signed)
    return f"{value} {interval(row['low'], row['high'], 3, signed=signed)}" if signed else value


def _grid(rows: pl.DataFrame, methods: list[str], counted: bool) -> Grid:
    """The table of one measure, a row per group and method: value, interval, any noise floor, and counts.

    Args:
        rows: of one measure.
        methods: in the reader's order.
        counted: whether notes begin with the counts that a rate was computed from.
    """
    measure = rows["measure"][0]
    decimals, notes = digits(measure), Footnotes()
    floored = rows["noise_high"].null_count() < len(rows)
    cells = []
    for row in _ordered(rows, methods):
        note = row["note"] or ""
        behind = note.partition("; ")[0] if counted else "".join(f"({mark}) " for mark in notes.mark(note)).strip()
        floor = [number(row["noise_high"], decimals)] if floored else []
        value = [number(row["value"], decimals), interval(row["low"], row["high"], decimals)]
        cells.append([place(row), row["method"], *value, *floor, f"{row['n'] or 0:,}", behind])
    floor = ["noise floor (95%)"] if floored else []
    last = "counts" if counted else "notes"
    head = ["", "method", title(measure), "95% interval", *floor, "examples", last]
    return Grid(title(measure), head, cells, notes.texts)


def _ordered(rows: pl.DataFrame, methods: list[str]) -> Iterator[Row]:
    """The rows sorted by group, then by method in the reader's order."""
    order = {method: rank for rank, method in enumerate(methods)}
    for part in rows.partition_by("attribute", "group", "condition", maintain_order=True):
        yield from sorted(part.iter_rows(named=True), key=lambda row: order[row["method"]])
