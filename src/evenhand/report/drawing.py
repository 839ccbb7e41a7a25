"""What charts share: which rows they show, how they label groups, and dots with intervals by group and method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.errors import InputError, did_you_mean
from evenhand.report import theme
from evenhand.report.wording import main_split, settings_of

LABELS = 190
"""Pixels that the labels of groups may take."""

_LONGEST = 28
_PIXELS = 6.3
"""Of a letter at the size of labels, on average."""

_APART = "\u00a0"
"""Ends the label of a row that is no group (everyone, say), so that a group of that name stays another row."""


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
    rows = frame.filter(setting=setting)
    if split is None:
        split = main_split(rows["split"])
    return rows.filter(split=split), setting, str(split)


def short(value: float | None) -> float | None:
    """A number with the four digits that a chart can show: pages carry many of them."""
    return None if value is None else float(f"{value:.4g}")


def bounds(row: Mapping[str, Any]) -> dict[str, float | None]:
    """The interval of a row, where it has one."""
    return {} if row["low"] is None else {"l": short(row["low"]), "h": short(row["high"])}


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


def labels(width: int = 0) -> Any:
    """The axis of groups: rows that are no group in italics, long names shortened in the middle."""
    import altair as alt

    style = alt.condition(
        f"indexof(datum.label, '{_APART}') === length(datum.label) - 1", alt.value("italic"), alt.value("normal")
    )
    head, tail = _LONGEST // 2, _LONGEST // 2 - 1
    shortened = f"slice(datum.label, 0, {head}) + '…' + slice(datum.label, -{tail})"
    text = f"length(datum.label) > {_LONGEST} ? {shortened} : datum.label"
    return alt.Axis(labelFontStyle=style, labelExpr=text, labelLimit=LABELS, minExtent=width)


def by_method(methods: Sequence[str], explained: bool = True) -> tuple[Any, Any, Any]:
    """How methods stand beside each other in a row (`m`), and their colours and shapes, with a legend or without."""
    import altair as alt

    colours, shapes = theme.scale_of(methods)
    inside = alt.YOffset("m:N", sort=list(methods), scale=alt.Scale(domain=list(methods), paddingOuter=0.5))
    legend = alt.Legend(title=None, columns=min(len(methods), 5)) if explained else None
    colour = alt.Color("m:N", scale=alt.Scale(domain=list(methods), range=colours), legend=legend)
    shape = alt.Shape("m:N", scale=alt.Scale(domain=list(methods), range=shapes), legend=legend)
    return inside, colour, shape


def tooltips(*told: tuple[str, str, str]) -> list[Any]:
    """What is told of a mark: field, type (`N`, `Q`) and name of each."""
    import altair as alt

    return [alt.Tooltip(f"{field}:{kind}", title=name) for field, kind, name in told]


def heading_of(text: str, subtitle: str | list[str]) -> Any:
    """A title and what to see."""
    import altair as alt

    return alt.Title(text, subtitle=subtitle)


def rows_named(name: str = "rows") -> Any:
    """A reference to rows that `finished` puts into the chart: altair would copy inline rows at every step."""
    import altair as alt

    return alt.Data(name=name)


def finished(
    chart: Any, rows: Mapping[str, list[dict[str, Any]]], description: str, panel: int, label: int = LABELS
) -> Any:
    """The chart with its rows, the theme, a text for those who cannot see it, and the widths by which a page fits it.

    Args:
        chart: whose data are `rows_named`.
        rows: by name.
        description: what an image of the chart would have as its alternative text.
        panel, label: pixels of one panel and of its labels.
    """
    usermeta = {"panel": panel, "label": label}
    whole = chart.properties(description=description, usermeta=usermeta, config=theme.config())
    whole.datasets = dict(rows)
    return whole


def capital(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]
