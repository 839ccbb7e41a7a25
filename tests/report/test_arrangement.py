"""Figures of many panels fit on a page: 7 × 9.5 inches, with letters that can be read."""

from __future__ import annotations

import re

import pytest
import vl_convert

from evenhand import Results
from evenhand.audit.figure_design import Figure, Panel
from evenhand.report import paper, vega
from evenhand.report.paper import layout
from evenhand.report.paper.arrangement import LOW, NARROW, TALL, Arrangement, Room, arrange
from pool_records import design, pool

ROOM = Room(axis=56, gap=10, line=40, block=78, rest=172)


def test_a_short_figure_is_arranged_as_its_design_asks():
    assert arrange([6], 3, ROOM) == Arrangement(1, 3, 224, 224)


def test_six_panels_of_four_settings_are_a_line_each():
    found = arrange([6, 6, 6, 6], 3, ROOM)
    assert (found.across, found.columns) == (1, 6) and found.width >= NARROW


def test_nine_panels_of_four_settings_are_settings_in_a_grid():
    found = arrange([9, 9, 9, 9], 5, ROOM)
    assert (found.across, found.columns) == (2, 3) and LOW <= found.height <= found.width


def test_what_no_page_holds_has_the_lowest_panels():
    found = arrange([20] * 8, 3, ROOM)
    assert found.height == LOW and found.width >= NARROW


@pytest.fixture(scope="module")
def eight() -> Results:
    """A pool of two methods with eight groups."""
    tables = pool({"full": 0.4, "lora": 1.0}, n=900, models=8, shares=(0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05))
    return Results.compute(*tables, design(margins={"default": 0.03}))


@pytest.mark.parametrize("settings", [1, 2, 4])
def test_figures_of_one_to_four_settings_of_nine_panels_fit_on_a_page(eight, settings):
    figure = Figure(name="f", kind="roc", columns=5, panels=(Panel(setting="s"),) * settings)
    chart = paper.draw(eight, figure)
    picture = vl_convert.vegalite_to_svg(chart.to_dict(), vl_version=vega.vega_lite_version())
    (size,) = re.findall(r'^<svg[^>]* width="([\d.]+)" height="([\d.]+)"', picture)
    width, height = map(float, size)
    assert width <= 1.03 * layout.WIDE and height / width <= 9.5 / 7 and height <= TALL
    letters = {float(points) for points in re.findall(r'font-size="([\d.]+)px"', picture)}
    assert min(letters) * 7 * 72 / width >= 6  # points, where the figure is printed 7 inches wide


def test_axes_are_labelled_at_the_left_and_at_the_bottom_only(eight):
    figure = Figure(name="f", kind="roc", columns=5, panels=(Panel(setting="s"),) * 4)
    lines = paper.draw(eight, figure).to_dict()["vconcat"][0]["hconcat"][0]["vconcat"]
    assert [len(line["hconcat"]) for line in lines] == [3, 3, 3]
    for rank, line in enumerate(lines):
        for column, panel in enumerate(line["hconcat"]):
            encoding = panel["layer"][2]["encoding"]
            assert (encoding["x"]["title"] is not None) == (rank == 2)
            assert (encoding["y"]["title"] is not None) == (column == 0)
