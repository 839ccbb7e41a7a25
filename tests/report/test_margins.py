"""Bands and axes are those of the measure: the margin of its verdicts, within the values that it can have."""

from __future__ import annotations

import polars as pl
import pytest

from evenhand import records
from evenhand.audit.design import Design, SettingDesign
from evenhand.audit.figure_design import Figure, Panel, Rank
from evenhand.report.group_charts import disparity_chart
from evenhand.report.paper import draw

RANKS = {"lora": Rank(rank=8)}


class Tables:
    """What a figure is drawn of: two methods, everyone and two groups, a measure."""

    def __init__(self, measure: str, value: float, margins: dict[str, float], **setting) -> None:
        places = [(None, None), ("who", "a"), ("who", "b")]
        rows = [
            {"setting": "s", "split": "test", "method": method, "attribute": attribute, "group": group}
            | {"measure": measure, "value": value + step, "low": value - 0.1, "high": value + 0.1, "n": 40}
            for step, method in ((0.0, "full"), (0.01, "lora"))
            for attribute, group in places
        ]
        methods = SettingDesign(references=("full",), methods=("full", "lora"), **setting)
        self.design = Design(settings={"s": methods}, margins=margins)
        self.estimates = records.from_rows(rows, "estimates")
        self.verdicts, self.curves = records.TABLES["verdicts"].empty(), records.TABLES["curves"].empty()
        self.examples = pl.DataFrame({"setting": ["s"] * 4, "example": list("abcd")})


def figure(kind: str, measure: str) -> Figure:
    return Figure(name="x", kind=kind, panels=(Panel(setting="s", measures=(measure,)),))


def rows_of(chart) -> list[dict]:
    return [row for name, rows in chart.to_dict()["datasets"].items() if name.startswith("rows") for row in rows]


def scales(spec, channel: str) -> list[list[float]]:
    """The domains of an axis, wherever they stand in a specification."""
    if isinstance(spec, list):
        return [domain for part in spec for domain in scales(part, channel)]
    if not isinstance(spec, dict):
        return []
    own = spec.get(channel)
    domain = own.get("scale", {}).get("domain") if isinstance(own, dict) and own.get("type") == "quantitative" else None
    return [*([domain] if domain else []), *(found for part in spec.values() for found in scales(part, channel))]


@pytest.mark.parametrize(
    ("margins", "there"), [({"default": 0.05}, False), ({"calibration_error_squared": 0.05}, True)]
)
def test_a_measure_that_the_default_margin_does_not_serve_has_a_band_only_with_its_own(margins, there):
    tables = Tables("calibration_error_squared", 0.02, margins)
    charts = [
        disparity_chart(tables.estimates, tables.design, measure="calibration_error_squared"),
        draw(tables, figure("groups", "calibration_error_squared")),
    ]
    for chart in charts:
        assert any("a" in row for row in rows_of(chart)) is there


def test_the_band_of_an_error_that_may_lie_below_0_reaches_below_0():
    tables = Tables("calibration_error_squared", 0.02, {"calibration_error_squared": 0.05})
    for row in rows_of(disparity_chart(tables.estimates, tables.design, measure="calibration_error_squared")):
        assert row["m"] == "lora" or (row["a"], row["b"]) == pytest.approx((-0.03, 0.07))


def test_an_axis_from_0_to_100_is_not_cut_at_1():
    chart = draw(Tables("bleu", 40.0, {"bleu": 2.0}), figure("groups", "bleu"))
    assert {(row["a"], row["b"]) for row in rows_of(chart) if "a" in row} == {(38.0, 42.0)}
    domains = scales(chart.to_dict()["vconcat"][0], "y")
    assert domains and all(low < 38 and high > 42 for low, high in domains)


def test_an_axis_of_ranks_holds_a_band_on_both_sides_of_0():
    tables = Tables("stereotype_lean", 0.01, {"stereotype_lean": 0.05}, kind="translation", ranks=RANKS)
    chart = draw(tables, figure("ranks", "stereotype_lean"))
    (reference,) = (row for row in rows_of(chart) if "a" in row)
    assert (reference["a"], reference["b"]) == pytest.approx((-0.04, 0.06))
    assert all(low < -0.04 for low, _ in scales(chart.to_dict()["vconcat"][0], "y"))


def test_a_band_ends_where_the_measure_does():
    chart = draw(Tables("accuracy", 0.98, {"default": 0.05}), figure("groups", "accuracy"))
    assert {(row["a"], row["b"]) for row in rows_of(chart) if "a" in row} == {(0.93, 1.0)}


def test_a_measure_without_verdicts_has_no_band():
    chart = draw(Tables("selection_rate", 0.5, {"default": 0.05}), figure("groups", "selection_rate"))
    assert not any("a" in row for row in rows_of(chart))
