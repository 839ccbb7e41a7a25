"""What probes find over the layers of models, in the form of a paper's figure: a panel per setting, target and measure.

The figures of Ding et al. (2024) have no probes; this one shows what theirs ask for, what a model has in it whatever it
answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand.audit.design import Figure, Panel
from evenhand.records.probes import UNTRAINED, named
from evenhand.report import theme
from evenhand.report.paper.layout import SMALL, WIDE, Figured, Sign, absent, compared, outcome, whole
from evenhand.report.probes import BARE, SELECTIVITY, extent_of, lines, points, probed_for, probes_of
from evenhand.report.wording import layer_name, methods_of, title

_HEIGHT, _AXIS = 150, 40
_NOTHING = "\u00a0"
_SAID = (
    "lines: mean over seeds; bars or bands: 95% intervals, which hold the luck of seeds, tested examples and control "
    "tasks; layer 0: the embeddings; above a panel: verdicts against the first reference at the layers that are judged"
)


@dataclass(frozen=True)
class _Shown:
    """A measure of a target in a setting."""

    panel: Panel
    target: str
    measure: str
    values: list[dict[str, Any]]
    methods: list[str]
    contrasts: pl.DataFrame


def probes_figure(results: Figured, figure: Figure) -> Any:
    """A panel per setting, target and measure. Panels of one measure share their axis of values, and accuracies one."""
    import altair as alt

    shown = [one for panel in figure.panels for one in _shown(results, panel)]
    width = WIDE // figure.columns - _AXIS
    rows, charts = {}, []
    tall = 1 + max(one.contrasts.drop_nulls("verdict")["condition"].n_unique() for one in shown)
    for place, one in enumerate(shown):
        rows[f"rows {place}"] = one.values
        domain = _domain([other for other in shown if _axis(other) == _axis(one)], _axis(one))
        charts.append(_panel(one, f"rows {place}", width, domain, tall))
    parts = [
        alt.hconcat(*charts[start : start + figure.columns], spacing=10)
        for start in range(0, len(charts), figure.columns)
    ]
    decided = pl.concat([one.contrasts for one in shown]).unique(maintain_order=True)
    return whole(parts, rows, results, figure, f"What representations say: {outcome(decided)}", _SAID, _methods(shown))


def _shown(results: Figured, panel: Panel) -> list[_Shown]:
    own = probes_of(results.estimates.filter(setting=panel.setting))
    reference, _ = compared(results.design, panel.setting)
    methods = methods_of(own, results.design, panel.setting)
    methods = [name for name in methods if not panel.methods or name in (*panel.methods, UNTRAINED)]
    found = []
    targets = probed_for(own) or [""]
    for target in targets:
        about = pl.col("condition").str.replace("/[^/]*$", "") == target
        for measure in panel.measures:
            values = points(own.filter(about, pl.col("method").is_in(methods), measure=measure), methods)
            contrasts = results.verdicts.filter(
                about,
                pl.col("reference") == (reference or ""),
                pl.col("method").is_in(methods),
                setting=panel.setting,
                measure=measure,
            )
            found.append(_Shown(panel, target, measure, values, methods, contrasts))
    return found


def _axis(one: _Shown) -> str:
    return SELECTIVITY if one.measure == SELECTIVITY else "accuracy"


def _domain(shown: list[_Shown], axis: str) -> tuple[float, float]:
    return extent_of([value for one in shown for value in one.values], zero=axis == SELECTIVITY) or (0.0, 1.0)


def _panel(one: _Shown, key: str, width: int, domain: tuple[float, float], tall: int) -> Any:
    """One panel; `tall` is how many lines stand below its name, the same in all, so that panels are level."""
    import altair as alt

    name = one.panel.title or one.panel.setting
    name = f"{name}: {one.target}" if one.target else name
    said = [title(one.measure)]
    judged = one.contrasts.drop_nulls("verdict")
    if len(judged):
        for condition in judged["condition"].unique(maintain_order=True):
            own = judged.filter(condition=condition).iter_rows(named=True)
            said += [
                f"{layer_name(named(condition)[1])}: " + ", ".join(f"{row['method']} {row['verdict']}" for row in own)
            ]
    said += [_NOTHING] * (tall - len(said))
    named_so = alt.Title(name, subtitle=said, fontSize=11, subtitleFontSize=SMALL, anchor="start", offset=6)
    if not one.values:
        text = "nothing was probed: the report says why"
        return absent(text, width, _HEIGHT).properties(title=named_so)
    chart = lines(key, one.methods, domain, one.values, legend=False)
    chart = chart.resolve_scale(color="independent", shape="independent")
    return chart.properties(width=width, height=_HEIGHT, title=named_so)


def _methods(shown: list[_Shown]) -> list[Sign]:
    """Entries of the key for methods. A method has the colour of its place in its own setting."""
    found: dict[str, Sign] = {}
    for one in shown:
        for name, colour, shape in zip(one.methods, *theme.scale_of(one.methods), strict=True):
            bare = name == UNTRAINED
            found.setdefault(name, Sign("an untrained model" if bare else name, BARE if bare else colour, shape))
    return list(found.values())
