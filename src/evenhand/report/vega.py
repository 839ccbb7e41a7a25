"""Vega-Lite specifications as plain dictionaries.

They are built directly: the construction of altair's objects took most of the time of a page.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evenhand.report import theme

Spec = dict[str, Any]
"""A Vega-Lite specification, or a part of one."""

NOWHERE: Spec = {"values": [{}]}
"""The data of a mark that is drawn once: a single row."""

_TYPES = {"Q": "quantitative", "N": "nominal", "O": "ordinal"}


@dataclass(frozen=True, eq=False)
class Chart:
    """A Vega-Lite chart that notebooks display; `altair.Chart.from_dict(chart.to_dict())` converts it to altair."""

    spec: Spec

    def to_dict(self) -> Spec:
        """The specification with data and theme."""
        return self.spec

    def to_png(self) -> bytes:
        """The chart as a PNG picture at twice the screen's resolution; needs no browser."""
        import vl_convert

        return vl_convert.vegalite_to_png(self.spec, vl_version=vega_lite_version(), scale=2)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """The chart for notebooks: where they draw Vega-Lite, as JupyterLab does, interactive, elsewhere a picture."""
        return {
            "application/vnd.vegalite.v5+json": self.spec,
            "image/png": base64.b64encode(self.to_png()).decode(),
            "text/plain": f"<Chart: {self.spec.get('description', '')}>",
        }


def vega_lite_version() -> str:
    """The newest version of Vega-Lite that vl-convert can draw, as vl-convert names it."""
    import vl_convert

    return vl_convert.get_vegalite_versions()[-1]


def field(name: str, kind: str = "Q", **more: Any) -> Spec:
    """An encoding by a field: quantitative (`Q`), nominal (`N`) or ordinal (`O`)."""
    return {"field": name, "type": _TYPES[kind], **more}


def mark(kind: str, encoding: Spec, *, where: str = "", data: Spec | None = None, **look: Any) -> Spec:
    """A layer of marks of one kind, for the rows that satisfy an expression."""
    layer: Spec = {"mark": {"type": kind, **look}, "encoding": encoding}
    if where:
        layer["transform"] = [{"filter": where}]
    return layer if data is None else {"data": data, **layer}


def literal(name: str) -> Spec:
    """An encoding by a field that contains the colour or shape itself."""
    return field(name, "N", scale=None)


def tooltips(*told: tuple[str, str, str]) -> list[Spec]:
    """The tooltips of a mark, from (field, type `N` or `Q`, name)."""
    return [field(name, kind, title=title) for name, kind, title in told]


def heading(text: str, subtitle: str | list[str]) -> Spec:
    """A title with a subtitle that explains the chart."""
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
    """The layers as a facet: one panel for each value of a field, a given number of panels per line.

    Panels of a column share the axis below it. Where the last line is not full, it would stand below an empty place;
    then each panel has its own.
    """
    facet = field(panel, "N", title=None, sort=list(order))
    columns = min(columns, len(order))
    own_axes = {} if not order or len(order) % columns == 0 else {"resolve": {"axis": {"x": "independent"}}}
    return {
        "data": {"name": data},
        "facet": facet if header is None else {**facet, "header": header},
        "columns": columns,
        "spacing": spacing,
        **own_axes,
        "spec": {"layer": list(layers), "width": width, "height": height},
    }


def finished(
    spec: Spec, rows: Mapping[str, list[dict[str, Any]]], description: str, panel: int, label: int = 190
) -> Chart:
    """The complete chart: with data, theme, a text for those who cannot see it, and widths that fit the page.

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
