"""Builds charts of points with intervals: estimates by row (a group, a question) and method.

A row of data has `y` (its row), `m` (the method), `c` (the value) and, where they are known, `l` and `h` (the
interval), `a` and `b` (a band such as reference ± margin) and `f` (the noise floor).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evenhand.report import theme, vega
from evenhand.report.chart_parts import by_method, extent, labels

Points = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Axes:
    """The position of points, and the encodings that distinguish methods.

    Attributes:
        rows: encoding of the rows.
        values: title, scale and axis of the values.
        colour, shape: encodings of methods; None where all are ink.
        inside: encoding of methods beside each other in a row; None where a row has one.
        upright: whether values run upwards; else rows stand below each other.
        height: pixels of an upright panel.
    """

    rows: vega.Spec
    values: vega.Spec
    colour: vega.Spec | None
    shape: vega.Spec | None
    inside: vega.Spec | None = None
    upright: bool = False
    height: int = 0

    def at(self, low: str, high: str | None = None, beside: bool = True) -> vega.Spec:
        """The encoding of a mark at a value, or from one value to another, beside the marks of other methods."""
        value, end, row, offset = ("y", "y2", "x", "xOffset") if self.upright else ("x", "x2", "y", "yOffset")
        encoding = {value: vega.field(low, **self.values), row: self.rows}
        encoding |= {end: {"field": high}} if high else {}
        return encoding | ({offset: self.inside} if beside and self.inside is not None else {})

    def nowhere(self) -> vega.Spec:
        """The encoding of a mark for a missing value, at the foot of the axis of values."""
        encoding = self.at("c")
        encoding["y" if self.upright else "x"] = {"value": self.height if self.upright else 0}
        return encoding

    def line(self, value: float) -> vega.Spec:
        """The encoding of a line across all rows."""
        return {"y" if self.upright else "x": {"datum": value, "scale": self.values.get("scale", {})}}


def point_layers(
    values: Points,
    axes: Axes,
    *,
    size: int = 50,
    even: vega.Spec | None = None,
    told: Sequence[vega.Spec] = (),
    clip: bool = False,
) -> list[vega.Spec]:
    """Layers for bands, noise floors, intervals, points and missing values, without layers that would be empty.

    Args:
        values: the rows.
        axes: where they stand.
        size: of points, in square pixels.
        even: a layer with the line of no preference.
        told: tooltips.
        clip: whether intervals are cut at the frame.
    """
    colour = {"color": axes.colour} if axes.colour is not None else {}
    shape = {"shape": axes.shape} if axes.shape is not None else {}
    ink: vega.Spec = {} if colour else {"color": theme.INK}
    tooltip = {"tooltip": list(told)} if told else {}
    layers: list[vega.Spec] = []
    if _any(values, "a"):
        layers.append(vega.mark("rect", axes.at("a", "b", beside=False), where="isValid(datum.a)", color=theme.BAND))
    layers += [even] if even is not None else []
    if _any(values, "f"):
        orient = "horizontal" if axes.upright else "vertical"
        look: vega.Spec = {"color": theme.FAINT, "thickness": 2, "size": 8, "orient": orient}
        layers.append(vega.mark("tick", axes.at("f") | tooltip, where="isValid(datum.f)", **look))
    if _any(values, "l"):
        look = {"strokeWidth": 1.5, "clip": clip, **ink}
        layers.append(vega.mark("rule", axes.at("l", "h") | colour, where="isValid(datum.l)", **look))
    point = axes.at("c") | colour | shape | tooltip
    layers.append(vega.mark("point", point, where="isValid(datum.c)", filled=True, size=size, opacity=1, **ink))
    if any("c" in value and value["c"] is None for value in values):
        look = {"baseline": "bottom"} if axes.upright else {"align": "left", "dx": 3}
        where = "isValid(datum.m) && !isValid(datum.c)"
        layers.append(
            vega.mark(
                "text", axes.nowhere() | colour, where=where, text="—", fontSize=10, tooltip="not defined", **look
            )
        )
    return layers


def _any(values: Points, key: str) -> bool:
    return any(value.get(key) is not None for value in values)


def even_line(axes: Axes, value: float, **look: Any) -> vega.Spec:
    """The layer of a line at the value that means no preference."""
    drawn: vega.Spec = {"color": theme.INK, "strokeWidth": 1, **look}
    return vega.mark("rule", axes.line(value), data=vega.NOWHERE, **drawn)


def point_panel(
    values: Points,
    methods: Sequence[str],
    order: Sequence[str],
    *,
    data: str = "rows",
    width: int,
    row: str,
    value: str,
    title: str | None = None,
    scale: vega.Spec | None = None,
    ticks: int | None = None,
    even: float | None = None,
    legend: bool = True,
    named: bool = True,
    labels_width: int | None = None,
    clip: bool = False,
) -> vega.Spec:
    """A panel for a screen, with one line for each row and the methods side by side within it.

    Args:
        values: the rows of data.
        methods, order: of methods and of rows.
        data: name of the data.
        width: pixels of the panel.
        row, value: what tooltips call a row and a value.
        title, scale, ticks: of the axis of values.
        even: the value that means no preference.
        legend: whether methods are explained.
        named: whether rows are labelled.
        labels_width: pixels of the labels; as they need unless given.
        clip: whether intervals are cut at the frame.
    """
    inside, colour, shape = by_method(methods, legend)
    axis = labels(extent(order) if labels_width is None else labels_width) if named else None
    rows = vega.field(
        "y", "N", sort=list(order), title=None, axis=axis, scale={"type": "band", "domain": list(order), "padding": 0}
    )
    along: vega.Spec = {"title": title, "scale": scale or {}, "axis": {} if ticks is None else {"tickCount": ticks}}
    axes = Axes(rows, along, colour, shape, inside)
    told = vega.tooltips(
        (("y", "N", row)),
        ("m", "N", "method"),
        ("c", "Q", value),
        ("l", "Q", "low"),
        ("h", "Q", "high"),
        *([("f", "Q", "noise floor (95%)")] if _any(values, "f") else []),
        *([("n", "Q", "documents")] if _any(values, "n") else []),
    )
    line = even_line(axes, even) if even is not None else None
    return {
        "data": {"name": data},
        "layer": point_layers(values, axes, even=line, told=told, clip=clip),
        "width": width,
        "height": max(20, 8 * len(methods) + 6) * len(order),
    }
