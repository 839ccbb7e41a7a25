"""Figures for papers, one file for each kind of figure (`evenhand.audit.figure_design.Figure`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from evenhand.audit.figure_design import Figure
from evenhand.report import vega
from evenhand.report.paper.answers import answers_figure
from evenhand.report.paper.calibration import calibration_figure
from evenhand.report.paper.groups import groups_figure
from evenhand.report.paper.probes import probes_figure
from evenhand.report.paper.ranks import ranks_figure
from evenhand.report.paper.roc import roc_figure
from evenhand.report.paper.shares import shares_figure
from evenhand.report.reportable import Reportable

__all__ = ["draw"]

_KINDS: Mapping[str, Callable[[Reportable, Figure], vega.Chart]] = {
    "answers": answers_figure,
    "groups": groups_figure,
    "calibration": calibration_figure,
    "probes": probes_figure,
    "ranks": ranks_figure,
    "roc": roc_figure,
    "shares": shares_figure,
}


def draw(results: Reportable, figure: Figure) -> vega.Chart:
    """The chart of a figure; a panel whose values could not be computed shows the reason."""
    return _KINDS[figure.kind](results, figure)
