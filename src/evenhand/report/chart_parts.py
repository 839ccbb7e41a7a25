"""Helpers that charts share: choosing rows, and naming groups, methods and margins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.errors import InputError, did_you_mean
from evenhand.report import theme, vega
from evenhand.report.wording import main_split, measure_named, settings_of

LABELS = 190
"""The most pixels that the labels of groups may take."""

_LONGEST = 28
_PIXELS = 6.3
"""Mean width in pixels of a letter at the size of labels."""

_APART = "\u00a0"
"""Ends the label of a row that is not a group (everyone, say), so that a group of the same name has a separate row."""


def choose(
    frame: pl.DataFrame, design: Design, setting: str | None, split: str | None
) -> tuple[pl.DataFrame, str, str]:
    """The rows of one setting and split; by default those of the first setting and of `test`.

    Raises:
        InputError: the table is empty or has no such setting.
    """
    present = settings_of(frame, design)
    if not present:
        raise InputError("there is nothing to draw: the table has no rows")
    if setting is None:
        setting = present[0]
    elif setting not in present:
        raise InputError(f'there is no setting "{setting}" to draw; {did_you_mean(setting, present)}')
    if split is None:
        split = main_split(frame.filter(setting=setting)["split"])
    return frame.filter(setting=setting, split=split), setting, str(split)


def choose_attribute(rows: pl.DataFrame, attribute: str | None) -> tuple[pl.DataFrame, str | None]:
    """The rows about everyone and about one attribute, by default the first; the attribute is None without groups."""
    if attribute is None:
        attribute = next(iter(rows["attribute"].drop_nulls()), None)
    return rows.filter(pl.col("attribute").is_null() | is_value("attribute", attribute)), attribute


def is_value(column: str, value: str | None) -> pl.Expr:
    """An expression that is true where a text column equals a value; null equals null."""
    return pl.col(column).eq_missing(pl.lit(value, pl.String))


def verdict_margin(measure: str, design: Design) -> float | None:
    """The margin of a measure's verdicts; None for a measure without a margin or without verdicts."""
    named = measure_named(measure)
    return named.margin(design.margins) if named.direction else None


def short(value: float | None) -> float | None:
    """A number rounded to the four digits that a chart can show, to keep pages small."""
    return None if value is None else float(f"{value:.4g}")


def bounds(row: Mapping[str, Any]) -> dict[str, float | None]:
    """The fields of a row's interval; empty for a row without one."""
    return {} if row["low"] is None else {"l": short(row["low"]), "h": short(row["high"])}


def around(value: float, margin: float, measure: str) -> tuple[float | None, float | None]:
    """The value ± a margin, cut at the measure's limits."""
    low, high = measure_named(measure).within((value - margin, value + margin))
    return short(low), short(high)


def row_key(group: str | None, label: str) -> str:
    """The value of a row on a chart's axis of groups."""
    return label if group is not None else label + _APART


def extent(keys: Iterable[str]) -> int:
    """Pixels that labels take, the same for charts that are stacked, so that their axes align."""
    longest = max((min(len(key), _LONGEST) for key in keys), default=0)
    return min(int(longest * _PIXELS) + 10, LABELS)


def in_order(keys: Iterable[str]) -> list[str]:
    """Each key once: first the rows that are not groups, then the groups in their order."""
    return sorted(dict.fromkeys(keys), key=lambda key: not key.endswith(_APART))


def labels(width: int = 0) -> vega.Spec:
    """The axis of groups, with other rows in italics and long names shortened in the middle."""
    aside = f"indexof(datum.label, '{_APART}') === length(datum.label) - 1"
    head, tail = _LONGEST // 2, _LONGEST // 2 - 1
    shortened = f"slice(datum.label, 0, {head}) + '…' + slice(datum.label, -{tail})"
    return {
        "labelFontStyle": {"condition": {"test": aside, "value": "italic"}, "value": "normal"},
        "labelExpr": f"length(datum.label) > {_LONGEST} ? {shortened} : datum.label",
        "labelLimit": LABELS,
        "minExtent": width,
    }


def by_method(
    methods: Sequence[str], explained: bool = True, codes: tuple[list[str], list[str]] | None = None
) -> tuple[vega.Spec, vega.Spec, vega.Spec]:
    """The encodings of methods: their offsets within a row (`m`), colours and shapes, with or without a legend."""
    colours, shapes = codes or theme.scale_of(methods)
    names = list(methods)
    inside = vega.field("m", "N", sort=names, scale={"domain": names, "paddingOuter": 0.5})
    legend = {"title": None, "columns": min(len(names), 5)} if explained else None
    colour = vega.field("m", "N", scale={"domain": names, "range": colours}, legend=legend)
    return inside, colour, vega.field("m", "N", scale={"domain": names, "range": shapes}, legend=legend)


def capital(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]
