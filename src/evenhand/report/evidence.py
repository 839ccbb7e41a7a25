"""What stands behind each verdict of the page: the values run by run, noise floors, and the parts of its interval.

The page's scripts explain a verdict with these numbers when a reader opens it, so that they are not all written out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from evenhand.audit.measures import shown_in
from evenhand.report.chart_parts import short
from evenhand.report.detectable_harm import POWERS, losses
from evenhand.report.reportable import Reportable
from evenhand.report.verdict_tables import VerdictTable
from evenhand.report.wording import digits, measure_named, title

_PLACE = ("setting", "split", "measure", "class", "attribute", "group", "condition", "correction", "method")
"""The columns that say what an estimate is of, besides its comparison."""

_ESTIMAND = ("comparison", "against", *_PLACE[1:], "reference")
"""The columns that identify a verdict, besides its setting."""

_PLANTED = ("measure", "setting", "split", "attribute", "group", "method")
"""The columns that say where harm was planted."""

Key = tuple[str | None, ...]


@dataclass
class _Series:
    """Estimates of one quantity by run, each taken into the page once, in the order in which verdicts need them."""

    by_key: Mapping[Key, dict[str, Any]]
    taken: list[dict[str, Any]] = field(default_factory=list)
    index: dict[Key, int] = field(default_factory=dict)

    def take(self, key: Key) -> int | None:
        """The position of a quantity among those of the page; None if there are no estimates of it."""
        if key not in self.by_key:
            return None
        if key not in self.index:
            self.index[key] = len(self.taken)
            self.taken.append(self.by_key[key])
        return self.index[key]


def evidence(results: Reportable, tables: list[VerdictTable]) -> dict[str, Any]:
    """The numbers behind the rows of tables of verdicts, as plain values for the page.

    Returns:
        `rows`: for each row of the tables, in their order, a mapping of what is known of it: `a` and `b`, the positions
        in `series` of the method and of its reference (for a gap only `a`), and the numbers of the verdict under short
        names (see `_numbers`). `series`: a mapping each with `c`, `l` and `h` (the mean over runs and its interval),
        `f` (the noise floor), `n` (examples tested), `s` and `v` (seeds, and the value of each). `families`: their
        names. `measures`: title, digits and scale by name.
    """
    seeds: dict[tuple[int, ...], int] = {}
    series = _Series(_estimates(results.estimates, seeds))
    families: dict[str, int] = {}
    of_settings = _contrasts(results.verdicts) if results.verdicts["setting"].null_count() else {}
    detected = _detected(results.curves)
    rows = [
        _numbers(row, families) | _positions(row, series) | _settings(row, of_settings) | _losses(row, detected)
        for table in tables
        for row in table.records
    ]
    measures = {row["measure"] for table in tables for row in table.records}
    return {
        "rows": rows,
        "series": series.taken,
        "seeds": [list(each) for each in seeds],
        "families": list(families),
        "measures": {
            name: {"title": title(name), "digits": digits(name), "points": measure_named(name).in_points}
            for name in sorted(measures)
        },
    }


def _estimates(estimates: pl.DataFrame, of_seeds: dict[tuple[int, ...], int]) -> dict[Key, dict[str, Any]]:
    """Means and values by run of each quantity that has them, by comparison, whom it is compared with, and place.

    Distinct lists of seeds are added to `of_seeds`, with their position.
    """
    keys = ["comparison", "against", *_PLACE]
    runs: dict[Key, tuple[list[Any], list[Any]]] = {}
    by_run = estimates.drop_nulls("seed").select(*keys, "seed", "value").sort("seed", maintain_order=True)
    for *key, seed, value in by_run.iter_rows():
        seeds, values = runs.setdefault(tuple(key), ([], []))
        seeds.append(seed)
        values.append(None if value is None else float(f"{value:.3g}"))
    known = {}
    means = estimates.filter(pl.col("seed").is_null()).select(*keys, "value", "low", "high", "noise_high", "n")
    for *key, value, low, high, floor, n in means.iter_rows():
        seeds, values = runs.get(tuple(key), ([], []))
        quantity = {"c": short(value), "l": short(low), "h": short(high), "f": short(floor), "n": n}
        if len(seeds) > 1:
            quantity |= {"s": of_seeds.setdefault(tuple(seeds), len(of_seeds)), "v": values}
        known[tuple(key)] = {name: part for name, part in quantity.items() if part is not None}
    return known


def _positions(row: Mapping[str, Any], series: _Series) -> dict[str, int]:
    """The positions of the quantities that a verdict compares; those of a pooled one are none."""
    if row["setting"] is None:
        return {}
    comparison = None if row["comparison"] == "change" else "gap"
    against = None if comparison is None else row["against"]
    place = [row[column] for column in _PLACE[:-1]]
    sides = {"a": row["method"], "b": row["reference"]}
    found = {
        side: series.take((comparison, against, *place, method)) for side, method in sides.items() if method is not None
    }
    return {side: position for side, position in found.items() if position is not None}


def _contrasts(verdicts: pl.DataFrame) -> dict[Key, list[list[Any]]]:
    """Setting, contrast and interval of each estimand, by everything that identifies it but the setting."""
    contrasts: dict[Key, list[list[Any]]] = {}
    made = verdicts.drop_nulls(["setting", "contrast"]).select(*_ESTIMAND, "setting", "contrast", "low", "high")
    for *key, setting, contrast, low, high in made.iter_rows():
        contrasts.setdefault(tuple(key), []).append([setting, short(contrast), short(low), short(high)])
    return contrasts


def _settings(row: Mapping[str, Any], of_settings: Mapping[Key, list[list[Any]]]) -> dict[str, Any]:
    """The contrasts of the settings that a mean over settings sums up."""
    if row["setting"] is not None:
        return {}
    return {"z": of_settings.get(tuple(row[column] for column in _ESTIMAND), [])}


def _detected(curves: pl.DataFrame) -> dict[Key, list[float | None]]:
    """The losses detected with each of `POWERS`, by the columns of `_PLANTED`; harm is planted in accuracy."""
    (accuracy,) = shown_in("accuracy")
    planted = losses(curves).with_columns(measure=pl.lit(accuracy.name))
    return {
        tuple(row[column] for column in _PLANTED): [short(row[str(power)]) for power in POWERS]
        for row in planted.iter_rows(named=True)
    }


def _losses(row: Mapping[str, Any], detected: Mapping[Key, list[float | None]]) -> dict[str, Any]:
    """The losses that are detected where the row is about the measure in which harm was planted."""
    key = tuple(row[column] for column in _PLANTED)
    return {"e": detected[key]} if row["comparison"] == "change" and key in detected else {}


def _numbers(row: Mapping[str, Any], families: dict[str, int]) -> dict[str, Any]:
    """The numbers of a verdict under short names; those that are missing are left out."""
    numbers = {
        "c": short(row["contrast"]),
        "l": short(row["low"]),
        "h": short(row["high"]),
        "g": row["margin"],
        "d": short(row["detectable"]),
        "p": short(row["p"]),
        "q": short(row["p_adjusted"]),
        "r": row["runs"],
        "w": row["runs_needed"],
    }
    if row["family"] is not None:
        numbers["i"] = families.setdefault(row["family"], len(families))
    return {name: value for name, value in numbers.items() if value is not None}


def choices(results: Reportable, tables: list[VerdictTable]) -> dict[str, Any]:
    """What the page can be narrowed to: settings, splits, methods, attributes with their groups, and measures."""
    present = list(_present(results, tables))
    return {
        "settings": list(results.design.settings) if len(results.design.settings) > 1 else [],
        "splits": _distinct(row["split"] for row in present),
        "methods": _distinct(name for row in present for name in (row["method"], row.get("reference"))),
        "attributes": {
            attribute: _distinct(row["group"] for row in present if row["attribute"] == attribute)
            for attribute in _distinct(row["attribute"] for row in present)
        },
        "measures": {name: title(name) for name in _distinct(row["measure"] for row in present)},
    }


def _present(results: Reportable, tables: list[VerdictTable]) -> Iterator[Mapping[str, Any]]:
    for table in tables:
        yield from table.records
    shown = ["split", "method", "attribute", "group", "measure"]
    yield from results.estimates.select(shown).unique(maintain_order=True).iter_rows(named=True)


def _distinct(values: Any) -> list[str]:
    return list(dict.fromkeys(value for value in values if value is not None))
