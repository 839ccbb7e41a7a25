"""Lists all of the report's Vega-Lite charts in one place, and saves a chart as PNG, SVG or PDF.

A chart shows one setting (`across_chart` all) and one split (the first setting and `test` unless named) and reads
without its page: the title says what to see, colours are doubled by shapes, and axes that compare methods are shared
between them.
"""

from __future__ import annotations

from pathlib import Path

from evenhand.errors import InputError
from evenhand.report import vega
from evenhand.report.answers import answers_chart
from evenhand.report.benchmarks import benchmarks_chart
from evenhand.report.detectable_harm import harm_chart
from evenhand.report.forest_plot import across_chart
from evenhand.report.group_charts import disparity_chart, group_accuracy_chart
from evenhand.report.numbers import mean_calibration_chart, numbers_chart
from evenhand.report.plane import plane_chart
from evenhand.report.probes import probes_chart
from evenhand.report.reliability import reliability_chart
from evenhand.report.roc import roc_chart
from evenhand.report.sizes import group_size_chart
from evenhand.report.subgroups import subgroup_chart
from evenhand.report.thresholds import threshold_chart
from evenhand.report.translations import shares_chart
from evenhand.report.vega import vega_lite_version
from evenhand.report.verdict_chart import verdict_chart

__all__ = [
    "across_chart",
    "answers_chart",
    "benchmarks_chart",
    "disparity_chart",
    "group_accuracy_chart",
    "group_size_chart",
    "harm_chart",
    "mean_calibration_chart",
    "numbers_chart",
    "plane_chart",
    "probes_chart",
    "reliability_chart",
    "roc_chart",
    "save",
    "shares_chart",
    "subgroup_chart",
    "threshold_chart",
    "to_svg",
    "vega_lite_version",
    "verdict_chart",
]

_FORMATS = ("png", "svg", "pdf")


def save(chart: vega.Chart, path: Path | str) -> None:
    """Write a chart as PNG (at twice the screen's resolution), SVG or PDF, by the file's suffix; needs no browser.

    Raises:
        InputError: another ending.
    """
    import vl_convert

    path = Path(path)
    ending = path.suffix.removeprefix(".").lower()
    if ending not in _FORMATS:
        raise InputError(f"a chart is written as .png, .svg or .pdf, not as {path.name}")
    if ending == "svg":
        path.write_text(to_svg(chart), encoding="utf-8")
    elif ending == "png":
        path.write_bytes(chart.to_png())
    else:
        path.write_bytes(vl_convert.vegalite_to_pdf(chart.to_dict(), vl_version=vega_lite_version()))


def to_svg(chart: vega.Chart) -> str:
    """The chart as an SVG document; needs no browser."""
    import vl_convert

    return vl_convert.vegalite_to_svg(chart.to_dict(), vl_version=vega_lite_version())
