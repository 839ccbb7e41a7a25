"""A paper's figure of probes over the layers of models: a panel per setting, target and measure.

The figures of Ding et al. (2024) have no probes; this one shows what theirs ask for, what a model has in it whatever it
answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from evenhand.audit.figure_design import Figure, Panel
from evenhand.records.probes import UNTRAINED, named
from evenhand.report import vega
from evenhand.report.paper import layout
from evenhand.report.probes import extent_of, lines, method_codes, of_target, points, probed_for, probes_of, signed
from evenhand.report.reportable import Reportable, levels
from evenhand.report.wording import layer_name, measure_named, methods_of, title

_HEIGHT, _AXIS = 150, 40
_NOTHING = "\u00a0"
_EXPLAINED = (
    "lines: mean over seeds; bars or bands: 95% intervals, which include the variation of seeds, tested examples and "
    "control tasks; layer 0: the embeddings; above a panel: verdicts against the first reference at the judged layers"
)


@dataclass(frozen=True)
class _Shown:
    """The content of a panel: one measure of one target in one setting."""

    panel: Panel
    target: str
    measure: str
    values: list[dict[str, Any]]
    methods: list[str]
    contrasts: pl.DataFrame

    @property
    def own_axis(self) -> bool:
        """Whether the panel has a separate axis, which includes 0; all other panels share one."""
        return signed(measure_named(self.measure))


def probes_figure(results: Reportable, figure: Figure) -> vega.Chart:
    """Draw the figure; panels of one measure share their axis of values, and both accuracies share one."""
    shown = [each for panel in figure.panels for each in _shown(results, panel)]
    width = layout.WIDE // figure.columns - _AXIS
    tall = 1 + max(each.contrasts.drop_nulls("verdict")["condition"].n_unique() for each in shown)
    domains = {
        alone: extent_of([value for each in shown if each.own_axis is alone for value in each.values], zero=alone)
        or (0.0, 1.0)
        for alone in (False, True)
    }
    data = {f"rows {rank}": each.values for rank, each in enumerate(shown)}
    panels = [_panel(each, f"rows {rank}", width, domains[each.own_axis], tall) for rank, each in enumerate(shown)]
    decided = pl.concat([each.contrasts for each in shown]).unique(maintain_order=True)
    heading = f"What representations say: {layout.outcome(decided)}"
    return layout.whole(
        layout.in_lines(panels, figure.columns), data, results, figure, heading, _EXPLAINED, _methods(shown)
    )


def _shown(results: Reportable, panel: Panel) -> list[_Shown]:
    probed = probes_of(levels(results).filter(setting=panel.setting))
    reference, _ = layout.compared(results.design, panel.setting)
    methods = methods_of(probed, results.design, panel.setting)
    methods = [name for name in methods if not panel.methods or name in (*panel.methods, UNTRAINED)]
    shown = []
    for target in probed_for(probed) or [""]:
        for measure in panel.measures:
            rows = probed.filter(of_target(target), pl.col("method").is_in(methods), measure=measure)
            contrasts = results.verdicts.filter(
                of_target(target),
                pl.col("reference") == (reference or ""),
                pl.col("method").is_in(methods),
                setting=panel.setting,
                measure=measure,
            )
            shown.append(_Shown(panel, target, measure, points(rows, methods), methods, contrasts))
    return shown


def _panel(shown: _Shown, key: str, width: int, domain: tuple[float, float], tall: int) -> vega.Spec:
    """Draw one panel; `tall` is the number of lines below its name, equal in all panels so that they align."""
    name = shown.panel.title or shown.panel.setting
    name = f"{name}: {shown.target}" if shown.target else name
    below = [title(shown.measure)]
    judged = shown.contrasts.drop_nulls("verdict")
    for condition in judged["condition"].unique(maintain_order=True):
        rows = judged.filter(condition=condition).iter_rows(named=True)
        verdicts = ", ".join(f"{row['method']} {row['verdict']}" for row in rows)
        below.append(f"{layer_name(named(condition)[1])}: {verdicts}")
    titled = layout.panel_title(name, [*below, *[_NOTHING] * (tall - len(below))])
    if not shown.values:
        return {**layout.absent("nothing was probed: the report says why", width, _HEIGHT), "title": titled}
    panel = lines(key, shown.methods, domain, shown.values, legend=False)
    independent = {"scale": {"color": "independent", "shape": "independent"}}
    return {**panel, "resolve": independent, "width": width, "height": _HEIGHT, "title": titled}


def _methods(shown: list[_Shown]) -> list[layout.Sign]:
    """Entries of the key for methods; a method's colour follows its position in its setting."""
    signs: dict[str, layout.Sign] = {}
    for each in shown:
        for name, colour, shape in zip(each.methods, *method_codes(each.methods), strict=True):
            signs.setdefault(name, layout.Sign("an untrained model" if name == UNTRAINED else name, colour, shape))
    return list(signs.values())
