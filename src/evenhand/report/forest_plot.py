"""The forest plot: contrasts across settings, and their mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from evenhand.audit.design import Design
from evenhand.errors import InputError
from evenhand.report import theme, vega
from evenhand.report.blocks import Block, Figure
from evenhand.report.chart_parts import capital, extent, is_value, row_key, short
from evenhand.report.contrast_panels import contrast_layers, contrast_value, explained, positive_is
from evenhand.report.verdict_chart import drawn, panels_of
from evenhand.report.wording import by_pair, changes, main_split, measure_named, place, settings_of, splits_of, title

POOLED = row_key(None, "across settings")

_PANEL = 230


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
) -> vega.Chart:
    """Chart the contrasts of each setting above their mean: a panel for everyone, and for the groups that matter most.

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
    rows = changes(verdicts).filter(pl.col("class").is_null())
    pooled = rows.filter(pl.col("setting").is_null()).drop_nulls(["verdict", "contrast"])
    if len(pooled):
        split = split or main_split(pooled["split"])
        method, reference = method or pooled["method"][0], reference or pooled["reference"][0]
        chosen = {"split": split, "method": method, "reference": reference}
        rows, pooled = rows.filter(**chosen), pooled.filter(**chosen)
    pooled = pooled.with_columns(panels_of(pooled["measure"]).alias("panel"))
    panels = [panel for panel in dict.fromkeys(pooled["panel"]) if measures is None or panel in measures]
    if not panels:
        raise InputError("there is nothing to draw across settings: no contrast was pooled over two of them")
    settings = settings_of(rows, design)
    width = extent([*settings, POOLED])
    data: dict[str, list[dict[str, Any]]] = {
        panel: [
            value for row, name in _places(pooled.filter(panel=panel)) for value in _values(rows, row, name, settings)
        ]
        for panel in panels
    }
    given = {value["v"] for values in data.values() for value in values}
    shown = [verdict for verdict in theme.COLOURS if verdict in given] if legend else None
    pair = f"{method} against {reference}"
    charts = []
    for panel, values in data.items():
        sign = positive_is(pooled.filter(panel=panel)["measure"][0], design, *settings)
        spec = _panels(values, panel, settings, str(reference), width, shown, columns, sign)
        below = "thick: the mean over settings"
        below += "; thin: where a new setting would lie" if any("pl" in value for value in values) else ""
        heading = f"{capital(title(panel))} across settings, {pair}"
        charts.append(spec | {"title": vega.heading(heading, [*explained(values, design, sign), below])})
    whole = charts[0] if len(charts) == 1 else {"vconcat": charts, "spacing": 28}
    return vega.finished(whole, data, f"{capital(pair)} in each setting, and the mean", panel=_PANEL, label=width)


def _places(pooled: pl.DataFrame) -> Iterator[tuple[dict[str, Any], str]]:
    """The pooled rows that are drawn, with the titles of their panels."""
    for row in pooled.filter(pl.col("group").is_null()).iter_rows(named=True):
        between = f"{row['attribute']}: {measure_named(row['measure']).display.row}"
        yield row, place(row) if row["attribute"] is None else between
    groups = pooled.drop_nulls("group")
    for part in groups.partition_by("attribute", maintain_order=True):
        row = part.sort("contrast", descending=True, maintain_order=True).row(0, named=True)
        yield row, place(row) if len(part) == 1 else f"{place(row)} (worst on average)"


def _values(rows: pl.DataFrame, pooled: Mapping[str, Any], panel: str, settings: Sequence[str]) -> list[dict[str, Any]]:
    """The contrasts of the settings for the estimand of a pooled row, then that row."""
    same = [is_value(key, pooled[key]) for key in ("measure", "attribute", "group", "condition", "correction")]
    matching = rows.filter(*same, pl.col("setting").is_not_null())
    by_setting = {row["setting"]: row for row in matching.iter_rows(named=True)}
    absent = dict.fromkeys(("contrast", "low", "high", "verdict")) | {"margin": pooled["margin"]}
    values = [contrast_value(by_setting.get(setting, absent), setting) for setting in settings]
    mean = contrast_value(pooled, POOLED) | {"t": short(pooled["contrast"])}
    if pooled["predict_low"] is not None:
        mean |= {"pl": short(pooled["predict_low"]), "ph": short(pooled["predict_high"])}
    return [value | {"p": panel} for value in (*values, mean)]


def _panels(
    values: Sequence[Mapping[str, Any]],
    key: str,
    settings: Sequence[str],
    reference: str,
    width: int,
    legend: Sequence[str] | None,
    columns: int,
    sign: str,
) -> vega.Spec:
    """One panel for each pooled row; `key` names the data."""
    order = [*settings, POOLED]
    told = (("y", "N", "setting"), ("pl", "Q", "a new setting, low"), ("ph", "Q", "a new setting, high"))
    layers = contrast_layers(values, order, reference, width, legend, *told, sign=sign)
    places = list(dict.fromkeys(value["p"] for value in values))
    header = {"labelLimit": _PANEL + 20}
    return vega.faceted(layers, "p", places, columns, _PANEL, 20 * len(order), data=key, header=header, spacing=34)


def across_blocks(verdicts: pl.DataFrame, design: Design) -> list[Block]:
    """A block for each pooled split, method and reference, with a figure for each measure."""
    decided = drawn(changes(verdicts).filter(pl.col("class").is_null()))
    pooled = decided.filter(pl.col("setting").is_null()).drop_nulls("contrast")
    blocks = []
    for split in splits_of(pooled):
        for method, reference, rows in by_pair(pooled.filter(split=split), design):
            pair = f"{method} against {reference}"
            figures = []
            for measure in dict.fromkeys(panels_of(rows["measure"])):
                where: dict[str, Any] = {"split": split, "method": method, "reference": reference}
                chart = across_chart(decided, design, measures=[measure], legend=False, **where)
                about = f"{title(measure)}: {pair} in each setting, and the mean. The tables have the numbers."
                figures.append(Figure(chart, about, measure=measure))
            blocks.append(Block(pair if split == "test" else f"{pair}, split {split}", figures, split=split))
    return blocks
