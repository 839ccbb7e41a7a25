"""The chart and the tables of rates over thresholds show the numbers of the table `curves`."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import evenhand as eh
from evenhand.errors import InputError
from evenhand.report.plot import plot
from evenhand.report.thresholds import threshold_blocks, threshold_chart, threshold_grids


@pytest.fixture(scope="module")
def results() -> eh.Results:
    rng = np.random.default_rng(0)
    n, parts = 400, []
    label, group = rng.integers(0, 2, n), np.repeat(list("abc"), [250, 144, 6])
    for method in ("full", "lora"):
        p = 1 / (1 + np.exp(-(1.5 * (2 * label - 1) + 2 * rng.normal(size=n))))
        parts.append(pl.DataFrame({"id": np.arange(n), "y": label, "p": p, "g": group}).with_columns(m=pl.lit(method)))
    return eh.audit(
        pl.concat(parts),
        label="y",
        probability="p",
        groups="g",
        method="m",
        example="id",
        reference="full",
        thresholds=True,
    )


def test_a_chart_has_a_panel_for_each_rate_and_a_line_for_each_group(results):
    altair = pytest.importorskip("altair")
    chart = plot(results, "thresholds", method="lora").to_dict()
    altair.Chart.from_dict(chart, validate=True)
    rows = [row for row in chart["datasets"]["rows"] if "y" in row]
    assert {row["p"] for row in rows} == {
        "Selection rate",
        "True positive rate",
        "False positive rate",
        "Positive predictive value",
        "Accuracy",
    }
    assert {row["g"].rstrip("\u00a0") for row in rows} == {"everyone", "a", "b", "c"}
    assert {row["t"] for row in chart["datasets"]["rows"] if "t" in row} == {0.5}
    curve = results.curves.filter(measure="accuracy_by_threshold", method="lora", group="a")
    drawn = {row["x"]: row["y"] for row in rows if row["p"] == "Accuracy" and row["g"] == "a"}
    for x, y in curve.select("x", "y").iter_rows():
        assert round(100 * x) % 2 or drawn[x] == pytest.approx(y, rel=1e-3)


def test_its_title_says_that_bands_are_pointwise(results):
    title = threshold_chart(results.curves, results.design).to_dict()["title"]
    assert "at each threshold by itself" in " ".join(title["subtitle"])


def test_each_method_has_a_chart_that_the_choice_of_a_method_finds(results):
    blocks = threshold_blocks(results)
    assert [(block.attribute, block.method) for block in blocks] == [("g", "full"), ("g", "lora")]
    assert all(block.figures[0].stem for block in blocks)


def test_a_table_names_the_groups_with_the_lowest_and_the_highest_rate(results):
    ((_, _, grids),) = threshold_grids(results)
    grid = next(grid for grid in grids if grid.method == "lora")
    curves = results.curves.filter(method="lora", measure="selection_rate_by_threshold")
    rates = {row["group"]: row["y"] for row in curves.filter(pl.col("x") == 0.3).iter_rows(named=True)}
    row = next(row for row in grid.rows if row[0] == "Selection rate" and row[1] == "0.30")
    two = {name: rates[name] for name in "ab"}
    lowest, highest = min(two, key=two.__getitem__), max(two, key=two.__getitem__)
    assert row[2] == f"{rates[None]:.3f}"
    assert row[3:5] == [f"{lowest} {two[lowest]:.3f}", f"{highest} {two[highest]:.3f}"]
    assert row[5] == f"{two[highest] - two[lowest]:.3f}"
    assert grid.notes == ["groups left out, with fewer than 10 examples: c"]
    assert [row[1] for row in grid.rows if "in use" in row[1]] == ["0.50 (in use)"] * 5


def test_many_groups_have_their_intervals_in_tooltips_only(simulate):
    rng = np.random.default_rng(0)
    n = 900
    frame = pl.DataFrame({"y": rng.integers(0, 2, n), "p": rng.random(n), "g": rng.integers(0, 9, n).astype(str)})
    chart = eh.audit(frame, label="y", probability="p", groups="g", thresholds=True).plot("thresholds").to_dict()
    assert not any("b" in row for row in chart["datasets"]["rows"])
    assert any("l" in row for row in chart["datasets"]["rows"])
    assert "point at a line" in " ".join(chart["title"]["subtitle"])


def test_an_unknown_method_is_refused_with_the_list(results):
    with pytest.raises(InputError, match='of "head"; there are those of full, lora'):
        plot(results, "thresholds", method="head")


def test_results_without_thresholds_have_no_such_section(small):
    assert threshold_blocks(small) == [] and threshold_grids(small) == []
    with pytest.raises(InputError, match="there are no rates over thresholds"):
        plot(small, "thresholds")


def test_forms_without_charts_have_the_tables(results, tmp_path):
    results.report(tmp_path / "report.md")
    text = (tmp_path / "report.md").read_text("utf-8")
    assert "Rates of lora at chosen thresholds, by g" in text
