"""The theme of charts: colours for colour-blind readers and grey printing, and shapes with the same meanings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

UNDECIDED = "no verdict"
"""Stands for the verdict of a measure that has none."""

COLOURS: Mapping[str, str] = {
    "worse": "#c44601",
    "better": "#0b62a8",
    "different": "#a8508a",
    "equivalent": "#007a5a",
    "not worse": "#4b9fc9",
    "inconclusive": "#6b6b6b",
    UNDECIDED: "#9a9a9a",
}
"""The colours of verdicts: those of Okabe and Ito (2008), darkened to be legible as text on white."""

SHAPES: Mapping[str, str] = {
    "worse": "triangle-right",
    "better": "triangle-left",
    "different": "triangle-up",
    "equivalent": "square",
    "not worse": "diamond",
    "inconclusive": "circle",
    UNDECIDED: "cross",
}

MARKS: Mapping[str, str] = {
    "worse": "▶",
    "better": "◀",
    "different": "▲",
    "equivalent": "■",
    "not worse": "◆",
    "inconclusive": "○",
    UNDECIDED: "✕",
}
"""The shapes of verdicts as text, for badges."""

GAP_COLOURS: Mapping[str, str] = {"gap widens": "#c44601", "gap reversed": "#c44601", "gap narrows": "#0b62a8"}
GAP_SHAPES: Mapping[str, str] = {
    "gap widens": "triangle-up",
    "gap reversed": "diamond",
    "gap narrows": "triangle-down",
}
"""Of what becomes of gaps between groups, where that stands for a verdict."""

METHOD_COLOURS = ("#0b62a8", "#d55e00", "#007a5a", "#a8508a", "#8a6d00", "#3f3f3f", "#56b4e9", "#e69f00")
METHOD_SHAPES = (
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "cross",
    "triangle-down",
    "triangle-right",
    "triangle-left",
)

BAND = "#dfe6ee"
"""The colour of the margin."""

INK = "#222222"
FAINT = "#5c5c5c"


DARK: Mapping[str, str] = {
    "white": "#14171c",
    INK: "#e6e8eb",
    FAINT: "#a3abb5",
    BAND: "#2b3440",
    "#d8d8d8": "#3a424c",
    "#ececec": "#272d35",
    "#b5b5b5": "#5a646f",
    "#c44601": "#ff8b4d",
    "#0b62a8": "#6fb3f2",
    "#a8508a": "#e08fc6",
    "#007a5a": "#45c39e",
    "#4b9fc9": "#7cc6e8",
    "#6b6b6b": "#a8a8a8",
    "#9a9a9a": "#8a8a8a",
    "#d55e00": "#ff8b3d",
    "#8a6d00": "#d4b34a",
    "#3f3f3f": "#d0d0d0",
}
"""The colours of charts on a dark page, by those on a white one; others serve on both."""


def scale_of(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The colours and shapes of methods, by their order; after eight methods, colours repeat with other shapes."""
    colours = [METHOD_COLOURS[i % len(METHOD_COLOURS)] for i in range(len(names))]
    rounds = len(METHOD_COLOURS)
    shapes = [METHOD_SHAPES[(i + i // rounds) % len(METHOD_SHAPES)] for i in range(len(names))]
    return colours, shapes


def config() -> dict[str, Any]:
    """The Vega-Lite configuration of every chart."""
    font = "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', 'DejaVu Sans', sans-serif"
    return {
        "font": font,
        "background": "white",
        # Vega-Lite describes each mark by an expression in which it does not escape titles: a backslash in the name of
        # a method would end the drawing. Charts have a description of their own, and tables beside them.
        "mark": {"aria": False},
        "view": {"stroke": "#d8d8d8"},
        "axis": {
            "labelColor": INK,
            "titleColor": INK,
            "labelFontSize": 11,
            "titleFontSize": 11,
            "titleFontWeight": "normal",
            "gridColor": "#ececec",
            "domainColor": "#b5b5b5",
            "tickColor": "#b5b5b5",
            "labelLimit": 190,
        },
        "axisX": {"labelFlush": False, "labelOverlap": "parity", "labelSeparation": 8, "tickCount": 6},
        "axisY": {"ticks": False, "domain": False, "labelPadding": 6},
        "header": {"labelColor": INK, "labelFontSize": 12, "labelFontWeight": "bold", "labelLimit": 260},
        "legend": {
            "orient": "bottom",
            "labelColor": INK,
            "titleColor": INK,
            "labelFontSize": 11,
            "titleFontSize": 11,
            "titleFontWeight": "normal",
            "labelLimit": 160,
            "columns": 3,
        },
        "title": {"anchor": "start", "fontSize": 13, "color": INK, "subtitleColor": FAINT, "subtitleFontSize": 11},
    }
