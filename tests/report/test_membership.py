"""The report of membership scores: curves on logarithmic axes, rates with their counts, a page without empty parts."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from evenhand import records
from evenhand.audit.design import Design, SettingDesign
from evenhand.audit.ingest.table import audit
from evenhand.errors import InputError
from evenhand.report.figures import write
from evenhand.report.markdown import markdown
from evenhand.report.membership import membership_grids
from evenhand.report.number_text import NONE
from evenhand.report.page import html
from evenhand.report.roc import roc_chart

N = 900


@pytest.fixture(scope="module")
def results():
    """Two methods, two models each, two groups, the second too small for a rate at 1%."""
    rng = np.random.default_rng(0)
    race, half = np.where(np.arange(N) % 9 == 8, "b", "a"), rng.random(N) < 0.5
    frame = pl.concat(
        pl.DataFrame(
            {
                "id": [f"e{i}" for i in range(N)],
                "method": method,
                "seed": model,
                "race": race,
                "in": half == (model == 0),
                "s": rng.normal(size=N) + delta * (half == (model == 0)),
            }
        )
        for method, delta in (("full", 0.5), ("lora", 1.5))
        for model in range(2)
    )
    options = {"method": "method", "seed": "seed", "example": "id", "reference": "full", "groups": "race"}
    return audit(frame, member="in", score="s", **options)


def test_curves_have_a_panel_for_everyone_and_each_group_on_logarithmic_axes(results):
    chart = roc_chart(results.curves, results.design).to_dict()
    rows = chart["datasets"]["rows"]
    assert list(dict.fromkeys(row["g"].strip("\u00a0") for row in rows)) == ["everyone", "a", "b"]
    assert {row["m"] for row in rows} == {"full", "lora"}
    lowest = chart["spec"]["layer"][2]["encoding"]["y"]["scale"]["domain"][0]
    assert chart["spec"]["layer"][2]["encoding"]["x"]["scale"]["type"] == "log"
    assert 0 < lowest <= min(row["x"] for row in rows)
    assert all(row["y"] > 0 and row.get("l", lowest) >= lowest for row in rows)


def test_bands_begin_where_a_rate_can_be_given(results):
    rows = roc_chart(results.curves, results.design).to_dict()["datasets"]["rows"]
    banded = [row["x"] for row in rows if row["g"] == "b" and "l" in row]
    assert min(banded) >= 3 / 100 > min(row["x"] for row in rows if row["g"] == "b")


def test_tables_give_rates_with_their_counts_and_reasons(results):
    ((setting, split, grids),) = membership_grids(results.estimates, results.design)
    assert (setting, split) == ("table", "test")
    rare = grids[0]
    assert rare.caption == "membership TPR at 1% FPR" and rare.head[-1] == "counts"
    assert [row[:2] for row in rare.rows[:2]] == [["everyone", "full"], ["everyone", "lora"]]
    assert "members at a realised FPR of 0.01" in rare.rows[0][-1]
    refused = next(row for row in rare.rows if row[0] == "race = b · condition group threshold")
    assert refused[2:4] == [NONE, NONE] and "100 distinct non-members" in refused[-1]
    gap = next(grid for grid in grids if "largest − smallest" in grid.caption)
    assert "noise floor (95%)" in gap.head and any("permutations" in note for note in gap.notes)


def test_the_page_has_the_section_and_none_of_predictions(results):
    page = html(results)
    assert 'id="membership"' in page and "membership TPR at 1% FPR" in page
    assert 'id="accuracy"' not in page and 'href="#calibration"' not in page


def test_markdown_has_the_rates_with_their_counts(results):
    text = markdown(results)
    assert "## Membership TPR at 1% FPR (table, test)" in text and "members at a realised FPR of 0.01" in text


def test_a_page_of_predictions_has_no_section_on_membership(simulate):
    page = html(simulate())
    assert 'id="membership"' not in page and 'id="accuracy"' in page


def test_the_curves_are_written_as_a_picture(results, tmp_path):
    assert [path.name for path in write(results, tmp_path)] == ["verdicts-race.png", "membership-race.png"]


def test_without_scores_there_is_nothing_to_draw():
    design = Design(settings={"s": SettingDesign()})
    with pytest.raises(InputError, match="no membership scores were audited"):
        roc_chart(records.TABLES["curves"].empty(), design)
    assert membership_grids(records.TABLES["estimates"].empty(), design) == []
