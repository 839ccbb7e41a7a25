"""What the figures of papers share: the size of a page, a title that says what was found, a key, notes below."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl

from evenhand import records
from evenhand.audit.design import Design, Figure, Panel
from evenhand.report import theme
from evenhand.report.drawing import finished, rows_named
from evenhand.report.wording import counts

WIDE = 760
"""Pixels of a figure across a page of text: printed 17 cm wide, letters of 11 pixels have 7 points."""

SMALL = 10
"""Pixels of the smallest letters."""

_LETTER = 5.3
"""Pixels of a letter of 11 pixels, on average."""

_LINE = 16


class Figured(Protocol):
    """What a figure is drawn of: `evenhand.audit.results.Results`."""

    @property
    def examples(self) -> pl.DataFrame: ...
    @property
    def design(self) -> Design: ...
    @property
    def estimates(self) -> pl.DataFrame: ...
    @property
    def verdicts(self) -> pl.DataFrame: ...
    @property
    def curves(self) -> pl.DataFrame: ...


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
    """The first reference of a setting, and the methods that are compared with it, in order."""
    found = design.settings[setting]
    reference = next(iter(found.references), None)
    return reference, [method for method in found.methods if method not in found.references]


def palette(results: Figured, figure: Figure) -> dict[str, tuple[str, str]]:
    """Colour and shape of every method that a figure may show, the same in all its panels."""
    settings = [results.design.settings[panel.setting] for panel in figure.panels]
    methods = list(dict.fromkeys(method for one in settings for method in (*one.references, *one.methods)))
    return dict(zip(methods, zip(*theme.scale_of(methods), strict=True), strict=True))


def attribute_of(panel: Panel, estimates: pl.DataFrame) -> str | None:
    """The attribute whose groups a panel shows."""
    own = estimates.filter(setting=panel.setting)
    return panel.attribute or next(iter(own["attribute"].drop_nulls()), None)


def tested(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows of the split `test` that are about no single class, condition or correction."""
    given = [pl.col(name).is_null() for name in ("class", "condition", "correction") if name in frame.columns]
    return frame.filter(pl.col("split") == "test", *given)


def sizes(examples: pl.DataFrame, setting: str, attribute: str | None) -> dict[str | None, int]:
    """Examples of the setting in each group of an attribute, and in all under None."""
    own = examples.filter(setting=setting)
    found: dict[str | None, int] = {None: len(own)}
    column = f"{records.ATTRIBUTE}{attribute}"
    if attribute is not None and column in own.columns:
        found |= dict(own.select(group=column).explode("group").drop_nulls().group_by("group").len().iter_rows())
    return found


def span(values: Iterable[Mapping[str, Any]], zero: bool, most: float = 1.0) -> tuple[float, float]:
    """The axis of values that holds everything drawn: values, intervals, floors and margins; from 0 for disparities, to
    the most that a value can be."""
    drawn = ("c", "l", "h", "f", "a", "b")
    ends = [value[key] for value in values for key in drawn if value.get(key) is not None]
    if not ends:
        return 0.0, 1.0
    room = max(0.04 * (max(ends) - min(ends)), 0.005)
    return 0.0 if zero else max(min(ends) - room, 0.0), min(max(ends) + room, most)


def sized(label: str, size: int | None) -> str:
    """A group with its size in brackets, as the paper labels them."""
    return label if size is None else f"{label} ({size:,})"


def outcome(verdicts: pl.DataFrame) -> str:
    """How the comparisons that a figure shows came out: `worse in 1 of 24 comparisons, equivalent in 3, …`."""
    judged = verdicts.drop_nulls(["verdict", "contrast"])
    if judged.is_empty():
        return "nothing was compared"
    found = counts(judged)
    plural = "" if len(judged) == 1 else "s"
    parts = [f"worse in {found.get('worse', 0)} of {len(judged)} comparison{plural}"]
    parts += [
        f"{'undecided' if verdict == 'inconclusive' else verdict} in {count}"
        for verdict, count in found.items()
        if verdict != "worse"
    ]
    return ", ".join(parts)


def pair_of(design: Design, settings: Iterable[str]) -> str:
    """`lora against full`, of all settings that a figure shows."""
    pairs = {
        f"{' and '.join(others) if len(others) < 3 else f'{len(others)} methods'} against {reference}"
        for reference, others in (compared(design, setting) for setting in settings)
        if reference is not None and others
    }
    return "; ".join(sorted(pairs)) or "no comparison"


def verdict_signs(given: Iterable[str]) -> list[Sign]:
    """Entries of the key for the verdicts that occur."""
    present = set(given)
    return [Sign(name, theme.COLOURS[name], theme.SHAPES[name]) for name in theme.COLOURS if name in present]


def whole(
    parts: Sequence[Any],
    rows: Mapping[str, list[dict[str, Any]]],
    results: Figured,
    figure: Figure,
    heading: str,
    explained: str,
    signs: Sequence[Sign],
) -> Any:
    """The rows of panels under a title, over the key and a note on settings and source.

    Args:
        parts: charts, one above the other.
        rows: their data by name.
        results: for the note.
        figure: which.
        heading: what was found, in a sentence.
        explained: how to read it.
        signs: the key.
    """
    import altair as alt

    key, drawn = _key(signs)
    note, lines = _note(results, figure)
    title = alt.Title(
        text=_wrapped(heading, 13), subtitle=_wrapped(explained, 11), anchor="start", offset=10, subtitlePadding=4
    )
    chart = alt.vconcat(*parts, key, note, spacing=14).properties(title=title)
    return finished(chart, {**rows, "key": drawn, "note": lines}, heading, panel=WIDE)


def absent(text: str, width: int, height: int) -> Any:
    """A panel that has nothing to show, and why."""
    import altair as alt

    said = alt.Chart(alt.Data(values=[{}])).mark_text(
        text=textwrap.wrap(text, max(int(width / _LETTER), 12)), color=theme.FAINT, fontSize=SMALL, lineHeight=13
    )
    return said.encode(x=alt.value(width / 2), y=alt.value(height / 2)).properties(width=width, height=height)


def _wrapped(text: str, size: int) -> list[str]:
    return textwrap.wrap(text, int(WIDE / (_LETTER * size / 11))) or [""]


def _key(signs: Sequence[Sign]) -> tuple[Any, list[dict[str, Any]]]:
    """The signs with what they stand for, in lines."""
    import altair as alt

    rows, x, line = [], 0.0, 0
    for sign in signs:
        width = 26 + _LETTER * len(sign.text) + 16
        if x + width > WIDE and x:
            x, line = 0.0, line + 1
        rows.append({"x": x + 9, "x0": x + 2, "x1": x + 16, "t": x + 22, "y": line, "c": sign.colour, "s": sign.shape})
        rows[-1]["k"] = sign.text
        x += width
    span = alt.Scale(domain=[0, WIDE], nice=False, zero=False)
    place = alt.Y("y:O", axis=None, scale=alt.Scale(type="band", padding=0))
    colour = alt.Color("c:N", scale=None)
    base = alt.Chart(rows_named("key"))
    x = alt.X("x:Q", scale=span, axis=None)
    words = base.mark_text(align="left", fontSize=11, color=theme.INK)
    layers = [words.encode(x=alt.X("t:Q", scale=span, axis=None), y=place, text="k:N")]
    lines = {
        "tick": (2, [1, 0]),
        "rule": (1.5, [1, 0]),
        "dots": (1.5, [2, 2]),
        "band": (11, [1, 0]),
        "bar": (11, [1, 0]),
    }
    drawn = {sign.shape for sign in signs}
    for shape, (thickness, dash) in lines.items():
        if shape in drawn:
            rule = base.transform_filter(f"datum.s === '{shape}'").mark_rule(strokeWidth=thickness, strokeDash=dash)
            ends = {"x": alt.X("x0:Q", scale=span, axis=None), "x2": "x1:Q"}
            layers.append(rule.encode(y=place, color=colour, **ends))
    if drawn - lines.keys():
        named = ", ".join(f"'{shape}'" for shape in lines)
        point = base.transform_filter(f"indexof([{named}], datum.s) < 0").mark_point(filled=True, size=60, opacity=1)
        layers.append(point.encode(x=x, y=place, color=colour, shape=alt.Shape("s:N", scale=None)))
    height = _LINE * (line + 1)
    return alt.layer(*layers).properties(width=WIDE, height=height, view=alt.ViewBackground(stroke=None)), rows


def _note(results: Figured, figure: Figure) -> tuple[Any, list[dict[str, Any]]]:
    """What the settings are, and where the records came from."""
    import altair as alt

    design = results.design
    said = []
    for setting in dict.fromkeys(panel.setting for panel in figure.panels):
        found = design.settings[setting]
        said.append(f"{setting}: {found.task} on {found.model}, {'a new split per seed' * found.vary or 'one split'}.")
    if design.source:
        said.append(f"Source: {design.source}.")
    lines = textwrap.wrap(" ".join(said), int(WIDE / (_LETTER * SMALL / 11)))
    rows = [{"y": place, "k": line} for place, line in enumerate(lines)]
    words = alt.Chart(rows_named("note")).mark_text(align="left", fontSize=SMALL, color=theme.FAINT)
    chart = words.encode(x=alt.value(0), y=alt.Y("y:O", axis=None, scale=alt.Scale(type="band")), text="k:N")
    return chart.properties(width=WIDE, height=14 * len(lines), view=alt.ViewBackground(stroke=None)), rows
