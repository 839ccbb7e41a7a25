"""Sections exist once: page, Markdown and pictures loop over one list, and so does a measure that nobody knows."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from evenhand.report import figures, page, sections, terminal
from evenhand.report.blocks import Block, Figure
from evenhand.report.group_charts import group_accuracy_chart
from evenhand.report.headline import headline
from evenhand.report.markdown import markdown
from evenhand.report.sections import SECTIONS, Section, contents
from evenhand.report.tables import Grid

UNKNOWN = "worst_case_margin"


def test_every_section_has_an_id_of_its_own():
    assert len({section.id for section in SECTIONS}) == len(SECTIONS)


def test_what_was_not_audited_has_no_section(small):
    assert [content.section.id for content in contents(small)] == [
        *("accuracy", "disparities", "plane", "ratios", "calibration", "estimates", "sizes")
    ]


def test_one_entry_brings_charts_tables_and_pictures(small, tmp_path, monkeypatch):
    chart = group_accuracy_chart(small.estimates, small.design)
    entry = Section(
        "weather",
        "Weather",
        "The weather",
        "Rain is <em>wet</em>.",
        lambda results: [Block("today", [Figure(chart, "The weather of today.", "rain")], "faces")],
        lambda results: [("faces", "test", [Grid("rainfall", ["", "full"], [["circle", "12 mm"]])])],
        lambda results, setting, split: [f"It rained in {setting}."],
    )
    monkeypatch.setattr(sections, "SECTIONS", (entry, *SECTIONS))
    monkeypatch.setattr(figures, "SECTIONS", (entry,))
    html, text = page.html(small), markdown(small)
    for written in ('<section id="weather">', "Rain is <em>wet</em>.", 'href="#weather"', "The weather of today."):
        assert written in html
    for written in ("12 mm", "It rained in faces."):
        assert written in html and written in text
    assert "## Rainfall (faces, test)" in text
    assert "rain.png" in [path.name for path in figures.write(small, tmp_path)]


@pytest.fixture(scope="module")
def unknown(small):
    """Results of an older folder or a plug-in, whose accuracy has a name that nobody knows."""
    renamed = pl.col("measure").replace({"accuracy": UNKNOWN})
    return replace(
        small,
        estimates=small.estimates.with_columns(renamed),
        verdicts=small.verdicts.with_columns(renamed),
    )


def test_a_measure_that_nobody_knows_is_shown_by_its_name_with_three_digits(unknown, tmp_path):
    html, text = page.html(unknown), markdown(unknown)
    levels = unknown.estimates.filter(pl.col("comparison").is_null(), pl.col("seed").is_null())
    value = levels.filter(measure=UNKNOWN, method="full", group="circle")["value"]
    assert f"{value.item():.3f} [" in html
    for written in (html, text, terminal.text(unknown)):
        assert "worst case margin" in written
    assert "verdicts-shape.png" in [path.name for path in figures.write(unknown, tmp_path)]


def test_the_headline_is_the_same_in_every_form(small):
    lines = headline(small)
    for written in (page.html(small), markdown(small), terminal.text(small)):
        assert lines[0][:40] in written
