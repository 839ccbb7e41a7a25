"""What charts share: the rows that they show, labels of groups, and Vega-Lite specifications as plain dictionaries.

A specification is built directly, without altair's objects, whose construction took most of the time of a page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.errors import InputError, did_you_mean
from evenhand.report import theme
from evenhand.report.wording import main_split, measure_named, settings_of

Spec = dict[str, Any]
"""A Vega-Lite specification, or a part of one."""

LABELS = 190
"""Pixels that the labels of groups may take."""

NOWHERE: Spec = {"values": [{}]}
"""Data of a mark that is drawn once."""

_LONGEST = 28
_PIXELS = 6.3
"""Of a letter at the size of labels, on average."""

_APART = "\u00a0"
"""Ends the label of a row that is no group (everyone, say), so that a group of that name stays another row."""

_TYPES = {"Q": "quantitative", "N": "nominal", "O": "ordinal"}


@dataclass(frozen=True, eq=False)
class Chart:
    """A Vega-Lite chart, which notebooks draw; `altair.Chart.from_dict(chart.to_dict())` makes it one of altair's."""

    spec: Spec

    def to_dict(self) -> Spec:
        """The specification with data and theme."""
        return self.spec

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"application/vnd.vegalite.v5+json": self.spec}


def choose(
    frame: pl.DataFrame, design: Design, setting: str | None, split: str | None
) -> tuple[pl.DataFrame, str, str]:
    """The rows of one setting and split: the first setting and `test` unless named.

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
    """The rows about everyone and about one attribute: the first unless named, None where there are no groups."""
    if attribute is None:
        attribute = next(iter(rows["attribute"].drop_nulls()), None)
    return rows.filter(pl.col("attribute").is_null() | is_value("attribute", attribute)), attribute


def is_value(column: str, value: str | None) -> pl.Expr:
    """Whether a column of text has a value; null is one."""
    return pl.col(column).eq_missing(pl.lit(value, pl.String))


def verdict_margin(measure: str, design: Design) -> float | None:
    """The margin of a measure's verdicts; None where it has none, or no verdicts."""
    named = measure_named(measure)
    return named.margin(design.margins) if named.direction else None


def short(value: float | None) -> float | None:
    """A number with the four digits that a chart can show: pages carry many of them."""
    return None if value is None else float(f"{value:.4g}")


def bounds(row: Mapping[str, Any]) -> dict[str, float | None]:
    """The interval of a row, where it has one."""
    return {} if row["low"] is None else {"l": short(row["low"]), "h": short(row["high"])}


def around(value: float, margin: float, measure: str) -> tuple[float | None, float | None]:
    """The value ± a margin, within what the measure can be."""
    low, high = measure_named(measure).within((value - margin, value + margin))
    return short(low), short(high)


def row_key(group: str | None, label: str) -> str:
    """The value of a row on a chart's axis of groups."""
    return label if group is not None else label + _APART


def extent(keys: Iterable[str]) -> int:
    """Pixels that labels take: the same for charts that stand above each other."""
    longest = max((min(len(key), _LONGEST) for key in keys), default=0)
    return min(int(longest * _PIXELS) + 10, LABELS)


def in_order(keys: Iterable[str]) -> list[str]:
    """Each key once: first the rows that are no group, then the groups as they came."""
    return sorted(dict.fromkeys(keys), key=lambda key: not key.endswith(_APART))


def labels(width: int = 0) -> Spec:
    """The axis of groups: rows that are no group in italics, long names shortened in the middle."""
    aside = f"indexof(datum.label, '{_APART}') === length(datum.label) - 1"
    head, tail = _LONGEST // 2, _LONGEST // 2 - 1
    shortened = f"slice(datum.label, 0, {head}) + '…' + slice(datum.label, -{tail})"
    return {
        "labelFontStyle": {"condition": {"test": aside, "value": "italic"}, "value": "normal"},
        "labelExpr": f"length(datum.label) > {_LONGEST} ? {shortened} : datum.label",
        "labelLimit": LABELS,
        "minExtent": width,
    }


def field(name: str, kind: str = "Q", **more: Any) -> Spec:
    """An encoding by a field: quantitative (`Q`), nominal (`N`) or ordinal (`O`)."""
    return {"field": name, "type": _TYPES[kind], **more}


def mark(kind: str, encoding: Spec, *, where: str = "", data: Spec | None = None, **look: Any) -> Spec:
    """A layer: marks of one kind, of the rows for which an expression holds."""
    layer: Spec = {"mark": {"type": kind, **look}, "encoding": encoding}
    if where:
        layer["transform"] = [{"filter": where}]
    return layer if data is None else {"data": data, **layer}


def by_method(
    methods: Sequence[str], explained: bool = True, codes: tuple[list[str], list[str]] | None = None
) -> tuple[Spec, Spec, Spec]:
    """How methods stand beside each other in a row (`m`), and their colours and shapes, with a legend or without."""
    colours, shapes = codes or theme.scale_of(methods)
    names = list(methods)
    inside = field("m", "N", sort=names, scale={"domain": names, "paddingOuter": 0.5})
    legend = {"title": None, "columns": min(len(names), 5)} if explained else None
    colour = field("m", "N", scale={"domain": names, "range": colours}, legend=legend)
    return inside, colour, field("m", "N", scale={"domain": names, "range": shapes}, legend=legend)


def literal(name: str) -> Spec:
    """A colour or shape that the rows hold themselves."""
    return field(name, "N", scale=None)


def tooltips(*told: tuple[str, str, str]) -> list[Spec]:
    """What is told of a mark: field, type (`N`, `Q`) and name of each."""
    return [field(name, kind, title=title) for name, kind, title in told]


def heading_of(text: str, subtitle: str | list[str]) -> Spec:
    """A title and what to see."""
    return {"text": text, "subtitle": subtitle}


def faceted(
    layers: Sequence[Spec],
    panel: str,
    order: Sequence[str],
    columns: int,
    width: int,
    height: int | Spec,
    *,
    data: str = "rows",
    header: Spec | None = None,
    spacing: int = 26,
) -> Spec:
    """The layers once for each value of a field, so many panels beside each other."""
    facet = field(panel, "N", title=None, sort=list(order))
    return {
        "data": {"name": data},
        "facet": facet if header is None else {**facet, "header": header},
        "columns": min(columns, len(order)),
        "spacing": spacing,
        "spec": {"layer": list(layers), "width": width, "height": height},
    }


def finished(
    spec: Spec, rows: Mapping[str, list[dict[str, Any]]], description: str, panel: int, label: int = LABELS
) -> Chart:
    """The chart with its rows, the theme, a text for those who cannot see it, and the widths by which a page fits it.

    Args:
        spec: whose data are named.
        rows: by name.
        description: what an image of the chart would have as its alternative text.
        panel, label: pixels of one panel and of its labels.
    """
    return Chart(
        {
            "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
            "config": theme.config(),
            "description": description,
            "usermeta": {"panel": panel, "label": label},
            **spec,
            "datasets": dict(rows),
        }
    )


def capital(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]
