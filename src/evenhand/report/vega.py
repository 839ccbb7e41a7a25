"""Vega-Lite specifications as plain dictionaries.

They are built directly: the construction of altair's objects took most of the time of a page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evenhand.report import theme

Spec = dict[str, Any]
"""A Vega-Lite specification, or a part of one."""

NOWHERE: Spec = {"values": [{}]}
"""Data of a mark that is drawn once."""

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


def field(name: str, kind: str = "Q", **more: Any) -> Spec:
    """An encoding by a field: quantitative (`Q`), nominal (`N`) or ordinal (`O`)."""
    return {"field": name, "type": _TYPES[kind], **more}


def mark(kind: str, encoding: Spec, *, where: str = "", data: Spec | None = None, **look: Any) -> Spec:
    """A layer: marks of one kind, of the rows for which an expression holds."""
    layer: Spec = {"mark": {"type": kind, **look}, "encoding": encoding}
    if where:
        layer["transform"] = [{"filter": where}]
    return layer if data is None else {"data": data, **layer}


def literal(name: str) -> Spec:
    """A colour or shape that the rows hold themselves."""
    return field(name, "N", scale=None)


def tooltips(*told: tuple[str, str, str]) -> list[Spec]:
    """What is told of a mark: field, type (`N`, `Q`) and name of each."""
    return [field(name, kind, title=title) for name, kind, title in told]


def heading(text: str, subtitle: str | list[str]) -> Spec:
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
    spec: Spec, rows: Mapping[str, list[dict[str, Any]]], description: str, panel: int, label: int = 190
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
