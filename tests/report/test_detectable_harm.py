"""Detectable harm as sentence, table and chart, from curves whose crossings are known."""

from __future__ import annotations

import polars as pl
import pytest

from evenhand import records
from evenhand.audit.design import Design, SettingDesign
from evenhand.audit.planted_harm import MEASURE
from evenhand.errors import InputError
from evenhand.report.detectable_harm import detectable_lines, harm_chart, loss_grids, losses
from evenhand.report.number_text import NONE

DESIGN = Design(
    settings={"s": SettingDesign(references=("full",), methods=("full", "lora"))}, margins={"default": 0.02}
)


def curves(**ends: float) -> pl.DataFrame:
    """Straight lines from (0, 0) to (1, end), for everyone and groups of the attribute `who`."""
    rows = [
        {
            "setting": "s",
            "split": "test",
            "measure": MEASURE,
            "attribute": None if name == "everyone" else "who",
            "group": None if name == "everyone" else name,
            "method": "lora",
            "x": x,
            "y": x * end,
        }
        for name, end in ends.items()
        for x in (0.0, 0.5, 1.0)
    ]
    return records.validate(pl.DataFrame(rows, infer_schema_length=None), "curves")


def test_losses_are_where_the_curve_first_reaches_a_chance():
    row = losses(curves(everyone=1.0)).row(0, named=True)
    assert (row["0.5"], row["0.8"], row["0.9"]) == pytest.approx((0.5, 0.8, 0.9))


def test_a_chance_that_is_never_reached_is_null():
    row = losses(curves(a=0.85)).row(0, named=True)
    assert row["0.8"] == pytest.approx(0.8 / 0.85)
    assert row["0.9"] is None


def test_the_sentence_names_everyone_and_the_range_over_groups():
    (line,) = detectable_lines(curves(everyone=1.0, a=0.95, b=0.92), DESIGN)
    assert "lora against full that this study detects with 80% power is 80.0 points for everyone." in line
    assert "with 80% power ranges from 84.2 (who = a) to 87.0 points (who = b)." in line


def test_the_sentence_says_where_no_loss_is_large_enough():
    (line,) = detectable_lines(curves(everyone=0.5, a=0.5), DESIGN)
    assert line.startswith("No loss of accuracy of lora against full for everyone is reliably detectable.")
    assert line.endswith("In one group no loss is reliably detectable.")


def test_without_curves_nothing_is_said_and_nothing_drawn():
    none = records.TABLES["curves"].empty()
    assert detectable_lines(none, DESIGN) == []
    assert loss_grids(none, DESIGN) == []
    with pytest.raises(InputError, match="it takes a reference, and two runs"):
        harm_chart(none, DESIGN)


def test_the_table_has_a_row_per_group_and_a_dash_for_what_is_never_found():
    ((setting, split, (grid,)),) = loss_grids(curves(everyone=1.0, a=0.6), DESIGN)
    assert (setting, split) == ("s", "test")
    assert [row[1] for row in grid.rows] == ["everyone", "who = a"]
    assert grid.rows[1][2:] == ["0.833", NONE, NONE]


def test_the_chart_shows_each_group_and_the_margin():
    chart = harm_chart(curves(everyone=1.0, a=0.95, b=0.4), DESIGN).to_dict()
    rows = chart["datasets"]["rows"]
    assert [row["y"].strip() for row in rows] == ["everyone", "a"]
    assert "declared harmless" in " ".join(chart["title"]["subtitle"])
