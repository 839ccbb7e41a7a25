"""What charts show, read from their specifications."""

from __future__ import annotations

import json
from dataclasses import replace

import polars as pl
import pytest

from evenhand.audit.design import Design, SettingDesign
from evenhand.errors import InputError
from evenhand.records import TABLES, VERDICTS
from evenhand.report import charts, theme
from evenhand.report.sizes import group_sizes

EVERYONE = "everyone\u00a0"


def rows_of(chart) -> list[dict]:
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows]


def test_every_verdict_has_a_colour_a_shape_and_a_mark_that_no_other_has():
    for coding in (theme.COLOURS, theme.SHAPES, theme.MARKS):
        assert set(coding) == {*VERDICTS, theme.UNDECIDED}
        assert len(set(coding.values())) == len(coding)


def test_method_codes_differ_up_to_sixty_four_methods():
    colours, shapes = theme.scale_of([str(i) for i in range(64)])
    assert len(set(zip(colours, shapes, strict=True))) == 64


def test_a_verdict_chart_holds_each_contrast_of_its_attribute_with_interval_and_margin(small):
    table = small.verdicts.filter(measure="true_positive_rate", comparison="change")
    chart = charts.verdict_chart(table, small.design, measures=["true_positive_rate"])
    shown = {row["y"].strip(): row for row in rows_of(chart)}
    assert set(shown) == {"everyone", "circle", "square", "triangle"}
    for row in table.iter_rows(named=True):
        found = shown[row["group"] or "everyone"]
        assert found["v"] == row["verdict"]
        assert [found[key] for key in "clhk"] == pytest.approx(
            [row[name] for name in ("contrast", "low", "high", "margin")], rel=1e-3
        )


def test_stacked_measures_share_one_coding_of_verdicts(small):
    spec = json.dumps(charts.verdict_chart(small.verdicts, small.design).to_dict(), ensure_ascii=False)
    domain = json.dumps({"domain": list(theme.COLOURS)}, ensure_ascii=False)[1:-1]
    assert spec.count(domain) == spec.count('"domain": ["worse"') > 0


def test_a_group_named_everyone_is_not_taken_for_everyone(simulate):
    results = simulate(groups=(("shape", ("circle", "everyone", "square")),))
    for chart in (
        charts.verdict_chart(results.verdicts, results.design, measures=["accuracy"]),
        charts.group_accuracy_chart(results.estimates, results.design),
    ):
        labels = {row["y"].split(" (")[0] for row in rows_of(chart)}
        assert "everyone" in labels
        assert any(row["y"].startswith("everyone") and row["y"].endswith("\u00a0") for row in rows_of(chart))


def test_group_sizes_stand_in_brackets(small):
    labels = {row["y"] for row in rows_of(charts.group_accuracy_chart(small.estimates, small.design))}
    tested = small.estimates.filter(pl.col("seed").is_null(), measure="accuracy", group="circle")["n"].max()
    assert f"circle ({tested})" in labels


def test_a_contrast_that_is_null_is_drawn_as_not_defined_and_one_without_interval_as_hollow(small):
    null = pl.lit(None, pl.Float64)
    circle, square = pl.col("group") == "circle", pl.col("group") == "square"
    verdicts = small.verdicts.with_columns(
        contrast=pl.when(circle).then(null).otherwise("contrast"),
        low=pl.when(circle | square).then(null).otherwise("low"),
        high=pl.when(circle | square).then(null).otherwise("high"),
    )
    chart = charts.verdict_chart(verdicts, small.design, measures=["accuracy"])
    text = json.dumps(chart.to_dict(), ensure_ascii=False)
    assert "not defined" in text
    assert "hollow: shown, not judged" in text
    assert {row["y"] for row in rows_of(chart) if row["c"] is None} == {"circle"}


def test_an_estimate_that_is_null_keeps_its_row(small):
    estimates = small.estimates.with_columns(
        pl.when(pl.col("group") == "circle").then(None).otherwise(column).alias(column)
        for column in ("value", "low", "high")
    )
    chart = charts.group_accuracy_chart(estimates, small.design)
    assert any(row["c"] is None for row in rows_of(chart))
    assert "—" in json.dumps(chart.to_dict(), ensure_ascii=False)


def test_a_disparity_without_a_verdict_has_no_band_of_a_margin(small):
    chart = charts.disparity_chart(small.estimates, small.design, measure="demographic_parity_difference")
    assert not [row for row in rows_of(chart) if "a" in row]


def test_without_a_margin_no_band_is_drawn(simulate):
    results = simulate(margins=())
    assert not any("k" in row for row in rows_of(charts.verdict_chart(results.verdicts, results.design)))
    assert not any("a" in row for row in rows_of(charts.disparity_chart(results.estimates, results.design)))


def test_the_noise_floor_is_drawn_where_there_is_one(small):
    estimates = small.estimates.with_columns(noise_high=pl.lit(0.08))
    assert all(row["f"] == 0.08 for row in rows_of(charts.disparity_chart(estimates, small.design)))


def test_reliability_has_a_point_per_bin_that_holds_predictions(small):
    rows = rows_of(charts.reliability_chart(small.curves, small.design))
    assert sum("b" in row for row in rows) == 2 * 15
    assert sum("y" in row for row in rows) == len(small.curves.filter(pl.col("group").is_null(), measure="reliability"))


def test_without_probabilities_there_is_no_reliability_curve_to_draw(simulate):
    results = simulate(logits=False)
    with pytest.raises(InputError):
        charts.reliability_chart(results.curves, results.design)


def test_group_sizes_count_an_example_in_each_of_its_groups():
    examples = pl.DataFrame(
        {
            "setting": "s",
            "example": ["a", "b", "c"],
            "label": [0, 1, 1],
            "weight": 1.0,
            "unit": ["a", "b", "c"],
            "attribute.religion": [["jew", "muslim"], ["muslim"], []],
        }
    )
    design = Design(settings={"s": SettingDesign(classes=("no", "yes"))}, alpha=0.05)
    found = group_sizes(examples, design, "s").rows()
    assert found == [("religion", "jew", "no", 1), ("religion", "muslim", "no", 1), ("religion", "muslim", "yes", 1)]


def test_sizes_are_drawn_with_nine_classes(simulate):
    results = simulate(classes=9, n=400, seeds=2)
    rows = rows_of(charts.group_size_chart(results.examples, results.design))
    assert sum(row["n"] for row in rows) == 400
    assert {row["k"] for row in rows} == {f"age {code}" for code in range(9)}


def test_an_unknown_setting_is_refused_with_the_nearest_name(small):
    with pytest.raises(InputError, match='did you mean "faces"'):
        charts.verdict_chart(small.verdicts, small.design, setting="facs")


def test_an_empty_table_is_refused(small):
    with pytest.raises(InputError, match="nothing to draw"):
        charts.verdict_chart(TABLES["verdicts"].empty(), small.design)


def test_charts_are_saved_by_their_ending(small, tmp_path):
    chart = charts.verdict_chart(small.verdicts, small.design)
    for ending, start in (("png", b"\x89PNG"), ("svg", b"<svg"), ("pdf", b"%PDF")):
        path = tmp_path / f"verdicts.{ending}"
        charts.save(chart, path)
        assert path.read_bytes().startswith(start)
    with pytest.raises(InputError, match=r"\.png, \.svg or \.pdf"):
        charts.save(chart, tmp_path / "verdicts.gif")


def test_every_chart_says_in_words_what_it_shows(small):
    for chart in (
        charts.verdict_chart(small.verdicts, small.design),
        charts.group_accuracy_chart(small.estimates, small.design),
        charts.disparity_chart(small.estimates, small.design),
        charts.reliability_chart(small.curves, small.design),
        charts.group_size_chart(small.examples, small.design),
    ):
        assert "faces" in chart.to_dict()["description"]


def test_a_quote_in_a_method_name_does_not_break_the_panel_titles(small, tmp_path):
    name = 'full\'s "own" \\ way'
    verdicts = small.verdicts.with_columns(reference=pl.lit(name))
    settings = {"faces": small.design.settings["faces"].model_copy(update={"references": (name,)})}
    results = replace(small, design=small.design.model_copy(update={"settings": settings}), verdicts=verdicts)
    charts.save(charts.verdict_chart(results.verdicts, results.design), tmp_path / "chart.svg")
    assert "own" in (tmp_path / "chart.svg").read_text()
