"""Draws one chart of results by the name of its kind, for notebooks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from evenhand.errors import InputError, did_you_mean
from evenhand.report import charts, vega
from evenhand.report.reportable import Reportable, levels
from evenhand.report.visible_names import with_visible_names

Drawing = tuple[Callable[..., vega.Chart], Callable[[Reportable], Any]]
"""A chart's function, and the table that it draws."""

CHARTS: Mapping[str, Drawing] = {
    "verdicts": (charts.verdict_chart, lambda results: results.verdicts),
    "across": (charts.across_chart, lambda results: results.verdicts),
    "accuracy": (charts.group_accuracy_chart, levels),
    "disparities": (charts.disparity_chart, levels),
    "plane": (charts.plane_chart, levels),
    "harm": (charts.harm_chart, lambda results: results.curves),
    "reliability": (charts.reliability_chart, lambda results: results.curves),
    "thresholds": (charts.threshold_chart, lambda results: results.curves),
    "roc": (charts.roc_chart, lambda results: results.curves),
    "shares": (charts.shares_chart, levels),
    "answers": (charts.answers_chart, levels),
    "benchmarks": (charts.benchmarks_chart, levels),
    "probes": (charts.probes_chart, levels),
    "values": (charts.numbers_chart, levels),
    "mean_calibration": (charts.mean_calibration_chart, lambda results: results.curves),
    "subgroups": (charts.subgroup_chart, lambda results: results.findings),
    "sizes": (charts.group_size_chart, lambda results: results.examples),
}
"""The kinds of charts, with the functions of `evenhand.report.charts` that draw them."""


def plot(results: Reportable, kind: str, **which: Any) -> vega.Chart:
    """The chart of a kind.

    Args:
        results: of a run or an audit.
        kind: a key of `CHARTS`.
        which: keywords of the chart's function, such as `setting`, `split` and `attribute`.

    Raises:
        InputError: an unknown kind or keyword, or the results have nothing to draw.
    """
    if kind not in CHARTS:
        raise InputError(f'there is no chart "{kind}"; there are: {", ".join(CHARTS)}')
    draw, table = CHARTS[kind]
    parameters = inspect.signature(draw).parameters.items()
    known = [name for name, parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    for name in which:
        if name not in known:
            raise InputError(f'the chart "{kind}" has no keyword {name}; {did_you_mean(name, known)}')
    results = with_visible_names(results)
    return draw(table(results), results.design, **which)
