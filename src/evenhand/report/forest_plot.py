"""Contrasts across settings: whether they show a pattern, in a sentence, and the forest plot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from evenhand.audit.across_settings import DIFFER
from evenhand.audit.design import Design
from evenhand.audit.measures import measure_named
from evenhand.errors import InputError
from evenhand.report import theme
from evenhand.report.drawing import (
    bounds,
    capital,
    extent,
    finished,
    heading_of,
    labels,
    row_key,
    rows_named,
    short,
    tooltips,
)
from evenhand.report.verdict_chart import panel_of
from evenhand.report.wording import digits, interval, main_split, methods_of, number, place, settings_of, title

POOLED = row_key(None, "across settings")

_BETWEEN = {"worst_group_accuracy": "worst group", "accuracy_difference": "best − worst group"}
_PANEL = 230


def patterns(verdicts: pl.DataFrame, design: Design) -> list[str]:
    """Per method and reference of a study of several settings, whether one is worse wherever one looks, in a sentence.

    A pattern is consistent where the mean over settings is worse than 0 and so is the whole interval in which the
    contrast of a new setting would lie; two settings are too few to say so. The sentence has every measure that gets
    verdicts, of everyone and between groups: the mean over settings, its interval, and how settings differ. Of the
    main split; empty where nothing was pooled.
    """
    decided = verdicts.filter(pl.col("class").is_null(), pl.col("group").is_null()).drop_nulls(["verdict", "contrast"])
    pooled = decided.filter(
        pl.col("setting").is_null(), pl.col("split").eq_missing(pl.lit(main_split(decided["split"])))
    )
    return [
        _pattern(rows, method, str(reference), round(100 * (1 - 2 * design.alpha)))
        for method in methods_of(pooled, design)
        for (reference,), rows in pooled.filter(method=method).group_by("reference", maintain_order=True)
    ]


def _pattern(rows: pl.DataFrame, method: str, reference: str, level: int) -> str:
    counted = sorted(set(rows["runs"]))
    many = f"{counted[0]} settings" if len(counted) == 1 else f"{counted[0]} to {counted[-1]} settings"
    several = len(counted) > 1
    clauses = [_clause(row, several) for row in rows.iter_rows(named=True)]
    worse, everywhere = rows.filter(pl.col("low") > 0), rows.filter((pl.col("low") > 0) & (pl.col("predict_low") > 0))
    if len(everywhere):
        answer = f"{method} is consistently worse than {reference} in {len(everywhere)} of {len(rows)} comparisons"
    elif len(worse):
        answer = f"{method} is worse than {reference} on average in {len(worse)} of {len(rows)} comparisons, but in "
        answer += "none can it be said of a new setting"
    else:
        answer = f"there is no consistent pattern of {method} being worse than {reference}"
        undecided = len(rows.filter(verdict="inconclusive"))
        answer += f", though {undecided} of {len(rows)} comparisons are undecided" if undecided else ""
    differ = int(rows["note"].str.contains(DIFFER, literal=True).sum())
    said = f"{DIFFER} in {differ} of them" if differ else "in none is there a sign that settings differ"
    read = f"mean over settings, positive: {method} worse; simultaneous {level}% intervals"
    return f"Across {many} {answer} ({read}): {'; '.join(clauses)}; {said}."


def _clause(row: Mapping[str, Any], several: bool) -> str:
    """`accuracy −0.003 [−0.010, +0.004] (I² 12%, p .345)`; how settings differ is the first note of a pooled row."""
    decimals = digits(row["measure"])
    who = "" if row["attribute"] is None and measure_named(row["measure"]).kind != "benchmarks" else f", {place(row)}"
    found = (
        f"{number(row['contrast'], decimals, signed=True)} {interval(row['low'], row['high'], decimals, signed=True)}"
    )
    counted, _, differ = (row["note"] or "").partition("; ")[0].partition(": ")[0].partition(", ")
    parts = [*([counted] if several else []), differ.replace("p of Q", "p")]
    return f"{title(row['measure'])}{who} {found} ({', '.join(parts)})"


def across_chart(
    verdicts: pl.DataFrame,
    design: Design,
    *,
    split: str | None = None,
    method: str | None = None,
    reference: str | None = None,
    measures: Sequence[str] | None = None,
    columns: int = 3,
    legend: bool = True,
) -> Any:
    """The contrasts of each setting with their mean below: one panel for everyone, and for whom else it matters most.

    Further panels: between the groups of each attribute, and the group of each attribute whose mean contrast is
    largest. Single classes are not drawn.

    Args:
        verdicts: the table.
        design: of the study.
        split, method, reference: which; the first of each unless given (`test` before other splits).
        measures: which, as `evenhand.report.verdict_chart.panel_of` names them; all unless given. Several are stacked.
        columns: panels beside each other.
        legend: whether colours are explained below the chart.

    Raises:
        InputError: nothing was pooled over settings.
    """
    import altair as alt

    rows = verdicts.filter(pl.col("class").is_null())
    pooled = rows.filter(pl.col("setting").is_null()).drop_nulls(["verdict", "contrast"])
    if len(pooled):
        split = split or main_split(pooled["split"])
        method, reference = method or pooled["method"][0], reference or pooled["reference"][0]
        chosen = {"split": split, "method": method, "reference": reference}
        rows, pooled = rows.filter(**chosen), pooled.filter(**chosen)
    panels = list(dict.fromkeys(panel_of(measure) for measure in pooled["measure"]))
    if measures is not None:
        panels = [panel for panel in panels if panel in measures]
    if not panels:
        raise InputError("there is nothing to draw across settings: no contrast was pooled over two of them")
    settings = settings_of(rows, design)
    width = extent([*settings, POOLED])
    drawn, named = {}, {name: panel_of(name) for name in pooled["measure"]}
    for panel in panels:
        own = pooled.filter(pl.col("measure").replace_strict(named) == panel)
        drawn[panel] = [value for row, said in _places(own) for value in _values(rows, row, said, settings)]
    given = {value["v"] for values in drawn.values() for value in values}
    shown = [verdict for verdict in theme.COLOURS if verdict in given] if legend else None
    pair = f"{method} against {reference}"
    charts = []
    for panel, values in drawn.items():
        facets = _panels(values, panel, settings, str(reference), width, shown, columns)
        heading = f"{capital(title(panel))} across settings, {pair}"
        charts.append(facets.properties(title=heading_of(heading, _explained(values, design))))
    whole = charts[0] if len(charts) == 1 else alt.vconcat(*charts, spacing=28)
    return finished(whole, drawn, f"{capital(pair)} in each setting, and the mean", panel=_PANEL, label=width)


def _places(pooled: pl.DataFrame) -> Iterator[tuple[dict[str, Any], str]]:
    """The pooled rows that are drawn, and what their panels are called."""
    for row in pooled.filter(pl.col("group").is_null()).iter_rows(named=True):
        if measure_named(row["measure"]).kind == "benchmarks":
            yield row, place(row)
        elif row["attribute"] is None:
            yield row, "everyone"
        else:
            yield row, f"{row['attribute']}: {_BETWEEN.get(row['measure'], 'between groups')}"
    groups = pooled.drop_nulls("group")
    for attribute in groups["attribute"].unique(maintain_order=True):
        worst = groups.filter(attribute=attribute).sort("contrast", descending=True, maintain_order=True)
        row = worst.row(0, named=True)
        yield row, place(row) if len(worst) == 1 else f"{place(row)} (worst on average)"


def _values(rows: pl.DataFrame, pooled: Mapping[str, Any], panel: str, settings: Sequence[str]) -> list[dict[str, Any]]:
    """The settings' contrasts at the place of a pooled row, and that row."""
    keys = ("measure", "attribute", "group", "condition", "correction")
    same = [pl.col(key).eq_missing(pl.lit(pooled[key], pl.String)) for key in keys]
    own = rows.filter(*same, pl.col("setting").is_not_null())
    found = {row["setting"]: row for row in own.iter_rows(named=True)}
    absent = dict.fromkeys(("contrast", "low", "high", "verdict")) | {"margin": pooled["margin"]}
    values = [_value(found.get(setting, absent), panel, setting) for setting in settings]
    last = _value(pooled, panel, POOLED) | {"t": short(pooled["contrast"])}
    if pooled["predict_low"] is not None:
        last |= {"pl": short(pooled["predict_low"]), "ph": short(pooled["predict_high"])}
    return [*values, last]


def _value(row: Mapping[str, Any], panel: str, name: str) -> dict[str, Any]:
    value = {"y": name, "p": panel, "v": row["verdict"] or theme.UNDECIDED, "c": short(row["contrast"])}
    if row["margin"] is not None:
        value["k"] = row["margin"]
    return value | bounds(row)


def _explained(values: Sequence[Mapping[str, Any]], design: Design) -> list[str]:
    level = round(100 * (1 - 2 * design.alpha))
    parts = ["right of 0: worse", f"bars: simultaneous {level}% intervals"]
    if any("k" in value for value in values):
        parts.append("band: ± margin")
    below = "thick: the mean over settings"
    if any("pl" in value for value in values):
        below += "; thin: where a new setting would lie"
    return ["; ".join(parts), below]


def _panels(
    values: Sequence[Mapping[str, Any]],
    key: str,
    settings: Sequence[str],
    reference: str,
    width: int,
    legend: Sequence[str] | None,
    columns: int,
) -> Any:
    """One panel per place; `key` names the rows."""
    import altair as alt

    ordered = [*settings, POOLED]
    y = alt.Y("y:N", sort=ordered, title=None, axis=labels(width), scale=alt.Scale(type="band", padding=0))
    # Every chart knows every verdict: stacked charts share these scales, and parts of them would be mixed up.
    verdicts = list(theme.COLOURS)
    explained = None if legend is None else alt.Legend(title=None, columns=len(legend), values=list(legend))
    colour = alt.Color("v:N", scale=alt.Scale(domain=verdicts, range=list(theme.COLOURS.values())), legend=explained)
    shape = alt.Shape("v:N", scale=alt.Scale(domain=verdicts, range=list(theme.SHAPES.values())), legend=explained)
    tooltip = tooltips(*_TOOLTIP)
    x = alt.X("c:Q", title=f"worse than {reference} by", axis=alt.Axis(tickCount=4), scale=alt.Scale(padding=8))
    base = alt.Chart()
    pooled, own = (f"{sign}isValid(datum.t)" for sign in ("", "!"))
    layers: list[Any] = []
    # A layer that would be empty is left out: its scales would have no extent.
    if any("k" in value for value in values):
        margin = base.transform_filter("isValid(datum.k)").transform_calculate(n="-datum.k")
        layers.append(margin.mark_rect(color=theme.BAND).encode(x="n:Q", x2="k:Q", y=y))
    layers.append(base.mark_rule(color=theme.INK, strokeWidth=1).encode(x=alt.datum(0)))
    mean = base.transform_filter(pooled)
    layers.append(mean.mark_rule(color=theme.FAINT, strokeDash=[3, 3], strokeWidth=1).encode(x="t:Q"))
    if any("pl" in value for value in values):
        new = mean.transform_filter("isValid(datum.pl)")
        layers.append(new.mark_rule(strokeWidth=1.5, color=theme.INK).encode(x="pl:Q", x2="ph:Q", y=y))
        for end in ("pl", "ph"):
            layers.append(new.mark_tick(thickness=1.5, size=9, color=theme.INK).encode(x=f"{end}:Q", y=y))
    if any("l" in value and "t" not in value for value in values):
        judged = base.transform_filter(f"{own} && isValid(datum.l)")
        layers.append(judged.mark_rule(strokeWidth=2).encode(x="l:Q", x2="h:Q", y=y, color=colour))
        points = judged.mark_point(filled=True, size=65, opacity=1)
        layers.append(points.encode(x=x, y=y, color=colour, shape=shape, tooltip=tooltip))
    layers.append(mean.mark_rule(strokeWidth=6).encode(x="l:Q", x2="h:Q", y=y, color=colour))
    point = mean.mark_point(filled=True, size=150, opacity=1, stroke="white", strokeWidth=1)
    layers.append(point.encode(x=x, y=y, color=colour, shape=shape, tooltip=tooltip))
    if any("l" not in value and value["c"] is not None for value in values):
        hollow = base.transform_filter("isValid(datum.c) && !isValid(datum.l)").mark_point(size=60, opacity=1)
        layers.append(hollow.encode(x=x, y=y, color=colour, shape=shape, tooltip=tooltip))
    if any(value["c"] is None for value in values):
        absent = base.transform_filter("!isValid(datum.c)")
        absent = absent.mark_text(text="— not defined", align="left", dx=4, fontSize=10, color=theme.FAINT)
        layers.append(absent.encode(x=alt.datum(0), y=y))
    chart = alt.layer(*layers, data=rows_named(key)).properties(width=_PANEL, height=20 * len(ordered))
    places = list(dict.fromkeys(value["p"] for value in values))
    header = alt.Header(labelLimit=_PANEL + 20)
    return chart.facet(
        facet=alt.Facet("p:N", title=None, sort=places, header=header), columns=min(columns, len(places)), spacing=34
    )


_TOOLTIP = (
    ("y", "N", "setting"),
    ("v", "N", "verdict"),
    ("c", "Q", "worse by"),
    ("l", "Q", "low"),
    ("h", "Q", "high"),
    ("pl", "Q", "a new setting, low"),
    ("ph", "Q", "a new setting, high"),
    ("k", "Q", "margin"),
)
