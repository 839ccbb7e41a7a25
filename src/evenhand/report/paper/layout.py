"""The layout that figures of papers share: page size, a title with the result, a key, and notes below."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand import records
from evenhand.audit.design import Design
from evenhand.audit.figure_design import Figure, Panel
from evenhand.audit.measures.influence import GapOf
from evenhand.report import theme, vega
from evenhand.report.reportable import Reportable
from evenhand.report.wording import GAP_WORDS, measure_named, tally

WIDE = 760
"""Pixels of a figure across a page of text: printed 17 cm wide, letters of 11 pixels have 7 points."""

SMALL = 10
"""Pixels of the smallest letters."""

_LETTER = 5.3
"""Pixels of a letter of 11 pixels, on average."""

_LINE = 16

_BELOW = WIDE - 60
"""Pixels of the key and the note: they begin where the panels do, to the right of the axis."""


@dataclass(frozen=True)
class Sign:
    """An entry of the key.

    Attributes:
        text: what the sign stands for.
        colour: of the sign.
        shape: a symbol of Vega, or `tick`, `rule`, `dots`, `band`, `bar`.
    """

    text: str
    colour: str
    shape: str


def compared(design: Design, setting: str) -> tuple[str | None, list[str]]:
    """The first reference of a setting, then the methods that are compared with it, in order."""
    named = design.settings[setting]
    reference = next(iter(named.references), None)
    return reference, [method for method in named.methods if method not in named.references]


def palette(results: Reportable, figure: Figure) -> dict[str, tuple[str, str]]:
    """The colour and shape of every method that a figure may show, the same in all panels."""
    settings = [results.design.settings[panel.setting] for panel in figure.panels]
    methods = list(dict.fromkeys(method for each in settings for method in (*each.references, *each.methods)))
    return dict(zip(methods, zip(*theme.scale_of(methods), strict=True), strict=True))


def attribute_of(panel: Panel, estimates: pl.DataFrame) -> str | None:
    """The attribute whose groups a panel shows."""
    rows = estimates.filter(setting=panel.setting)
    return panel.attribute or next(iter(rows["attribute"].drop_nulls()), None)


def tested(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows of the split `test` about no single class, condition or correction: values, or changes of methods."""
    given = [pl.col(name).is_null() for name in ("class", "condition", "correction") if name in frame.columns]
    if "comparison" in frame.columns:
        comparison = pl.col("comparison")
        given.append(comparison == "change" if "contrast" in frame.columns else comparison.is_null())
    return frame.filter(pl.col("split") == "test", *given)


def sizes(examples: pl.DataFrame, setting: str, attribute: str | None) -> dict[str | None, int]:
    """The number of examples of a setting in each group of an attribute; None is the key of the total."""
    rows = examples.filter(setting=setting)
    size: dict[str | None, int] = {None: len(rows)}
    column = f"{records.ATTRIBUTE}{attribute}"
    if attribute is not None and column in rows.columns:
        size |= dict(rows.select(group=column).explode("group").drop_nulls().group_by("group").len().iter_rows())
    return size


def value_span(values: Iterable[Mapping[str, Any]], measure: str) -> tuple[float, float]:
    """The range of a measure's axis that includes everything drawn: values, intervals, floors and margins.

    It begins at 0, but near the smallest value where the measure is shown so, and ends at the measure's limits.
    """
    ends = [value[key] for value in values for key in ("c", "l", "h", "f", "a", "b") if value.get(key) is not None]
    if not ends:
        return 0.0, 1.0
    named, room = measure_named(measure), max(0.04 * (max(ends) - min(ends)), 0.005)
    low, high = named.within((min(ends) - room, max(ends) + room))
    return (low, high) if named.display.fitted or min(ends) < 0 else (0.0, high)


def sized(label: str, size: int | None) -> str:
    """The label of a group: its name with its size in brackets, as in the paper."""
    return label if size is None else f"{label} ({size:,})"


def outcome(verdicts: pl.DataFrame) -> str:
    """The counts of a figure's verdicts in words: `worse in 1 of 24 comparisons, equivalent in 3, …`."""
    judged = verdicts.drop_nulls(["verdict", "contrast"])
    return tally(judged) if len(judged) else "nothing was compared"


def pair_of(design: Design, settings: Iterable[str]) -> str:
    """The compared methods of all settings that a figure shows, in words: `lora against full`."""
    pairs = {
        f"{' and '.join(others) if len(others) < 3 else f'{len(others)} methods'} against {reference}"
        for reference, others in (compared(design, setting) for setting in settings)
        if reference is not None and others
    }
    return "; ".join(sorted(pairs)) or "no comparison"


VERDICT_SIGNS = {
    name: Sign(name, colour, {**theme.SHAPES, **theme.GAP_SHAPES}[name])
    for name, colour in {**theme.COLOURS, **theme.GAP_COLOURS}.items()
}
"""Of verdicts, and of what becomes of gaps."""


def verdict_signs(given: Iterable[str]) -> list[Sign]:
    """Entries of the key for the verdicts that occur."""
    present = set(given)
    return [sign for name, sign in VERDICT_SIGNS.items() if name in present]


def with_disparities(changes: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    """The changes, and as verdict of a gap between groups, which has none, what becomes of the gaps that decide.

    A gap widens (or is reversed) where that of any of its rates does, and narrows where those of all do.

    Args:
        changes: rows of `tested`.
        verdicts: the table that they are from.
    """
    gaps = verdicts.filter(pl.col("group").is_not_null(), pl.col("class").is_null(), comparison="gap change")
    words = []
    for row in changes.iter_rows(named=True):
        influence = measure_named(row["measure"]).influence
        if row["group"] is None or not isinstance(influence, GapOf):
            words.append(row["verdict"])
            continue
        same = {name: row[name] for name in ("setting", "split", "attribute", "method", "reference")}
        words.append(_disparity(gaps.filter(pl.col("measure").is_in(influence.rates), **same), row["group"]))
    return changes.with_columns(verdict=pl.Series(words, dtype=pl.String))


def _disparity(gaps: pl.DataFrame, group: str) -> str | None:
    """What becomes of a group's gaps, given the gap changes of its attribute; None where nothing is known."""
    present = []
    for rows in gaps.partition_by("measure"):
        # Of two groups, each of which is the other's rest, only one has a row.
        mine = rows if len(rows) == 1 else rows.filter(group=group)
        present += mine["disparity"].to_list()
    for word in ("widens", "reversed"):
        if word in present:
            return GAP_WORDS[word]
    if present and all(word == "narrows" for word in present):
        return GAP_WORDS["narrows"]
    return "inconclusive" if present else None


def in_lines(panels: Sequence[vega.Spec], columns: int, spacing: int = 10) -> list[vega.Spec]:
    """Arrange panels in lines of a given number."""
    return [
        {"hconcat": list(panels[start : start + columns]), "spacing": spacing}
        for start in range(0, len(panels), columns)
    ]


def panel_title(text: str, subtitle: str | Sequence[str], offset: int = 6, **look: Any) -> vega.Spec:
    """The title of a panel."""
    below = subtitle if isinstance(subtitle, str) else list(subtitle)
    return {"text": text, "subtitle": below, "fontSize": 11, "subtitleFontSize": SMALL, "anchor": "start"} | {
        "offset": offset,
        **look,
    }


def whole(
    parts: Sequence[vega.Spec],
    rows: Mapping[str, list[dict[str, Any]]],
    results: Reportable,
    figure: Figure,
    heading: str,
    explained: str,
    signs: Sequence[Sign],
) -> vega.Chart:
    """The whole figure: a title, rows of panels, the key, and a note on settings and source.

    Args:
        parts: panels, one above the other.
        rows: their data by name.
        results: for the note.
        figure: which.
        heading: what was found, in a sentence.
        explained: how to read it.
        signs: the key.
    """
    key, drawn = _key(signs)
    note, lines = _note(results, figure)
    title = {"text": wrapped(heading, 13), "subtitle": wrapped(explained, 11), "anchor": "start", "offset": 10}
    spec = {"vconcat": [*parts, key, note], "spacing": 14, "title": {**title, "subtitlePadding": 4}}
    return vega.finished(spec, {**rows, "key": drawn, "note": lines}, heading, panel=WIDE)


def absent(text: str, width: int, height: int) -> vega.Spec:
    """A panel without values that shows the reason instead."""
    lines = textwrap.wrap(text, max(int(width / _LETTER), 12))
    look = {"text": lines, "color": theme.FAINT, "fontSize": SMALL, "lineHeight": 13}
    middle = {"x": {"value": width / 2}, "y": {"value": height / 2}}
    return {"layer": [vega.mark("text", middle, data=vega.NOWHERE, **look)], "width": width, "height": height}


def wrapped(text: str, size: int, width: int = WIDE) -> list[str]:
    """The lines of a text in letters of a size."""
    return textwrap.wrap(text, int(width / (_LETTER * size / 11))) or [""]


_RULES: Mapping[str, vega.Spec] = {
    "tick": {"strokeWidth": 2},
    "rule": {"strokeWidth": 1.5},
    "dots": {"strokeWidth": 1.5, "strokeDash": [2, 2]},
    "band": {"strokeWidth": 11},
    "bar": {"strokeWidth": 11},
}
"""The signs that are drawn as lines."""


def _key(signs: Sequence[Sign]) -> tuple[vega.Spec, list[dict[str, Any]]]:
    """The key: signs with their meanings, in lines."""
    rows, x, line = [], 0.0, 0
    for sign in signs:
        width = 26 + _LETTER * len(sign.text) + 16
        if x + width > _BELOW and x:
            x, line = 0.0, line + 1
        rows.append({"x": x + 9, "x0": x + 2, "x1": x + 16, "t": x + 22, "y": line, "c": sign.colour, "s": sign.shape})
        rows[-1]["k"] = sign.text
        x += width
    across: vega.Spec = {"scale": {"domain": [0, _BELOW], "nice": False, "zero": False}, "axis": None}
    line_at = vega.field("y", "O", axis=None, scale={"type": "band", "padding": 0})
    text = {"x": vega.field("t", **across), "y": line_at, "text": {"field": "k"}}
    layers = [vega.mark("text", text, align="left", fontSize=11, color=theme.INK)]
    drawn = {sign.shape for sign in signs}
    ends = {"x": vega.field("x0", **across), "x2": {"field": "x1"}, "y": line_at, "color": vega.literal("c")}
    layers += [
        vega.mark("rule", ends, where=f"datum.s === '{shape}'", **look)
        for shape, look in _RULES.items()
        if shape in drawn
    ]
    if drawn - _RULES.keys():
        points = f"indexof({json.dumps(list(_RULES))}, datum.s) < 0"
        point = {"x": vega.field("x", **across), "y": line_at, "color": vega.literal("c"), "shape": vega.literal("s")}
        layers.append(vega.mark("point", point, where=points, filled=True, size=60, opacity=1))
    return _bare({"data": {"name": "key"}, "layer": layers}, _LINE * (line + 1)), rows


def _note(results: Reportable, figure: Figure) -> tuple[vega.Spec, list[dict[str, Any]]]:
    """The note on the settings and on the source of the records."""
    design = results.design
    sentences = []
    for name in dict.fromkeys(panel.setting for panel in figure.panels):
        setting = design.settings[name]
        splits = "a new split per seed" if setting.vary else "one split"
        model = f" on {setting.model}" if setting.model else ""
        sentences.append(f"{name}: {setting.task or 'records as given'}{model}, {splits}.")
    if design.source:
        sentences.append(f"Source: {design.source}.")
    lines = wrapped(" ".join(sentences), SMALL, _BELOW)
    rows = [{"y": rank, "k": line} for rank, line in enumerate(lines)]
    text = {"x": {"value": 0}, "y": vega.field("y", "O", axis=None, scale={"type": "band"}), "text": {"field": "k"}}
    words = vega.mark("text", text, data={"name": "note"}, align="left", fontSize=SMALL, color=theme.FAINT)
    return _bare(words, 14 * len(lines)), rows


def _bare(spec: vega.Spec, height: int) -> vega.Spec:
    """A specification as wide as the panels, without a frame."""
    return {**spec, "width": _BELOW, "height": height, "view": {"stroke": None}}
