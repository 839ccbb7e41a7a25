"""Charts and tables of benchmarks, and the words that go with them."""

from __future__ import annotations

import polars as pl
import pytest

from evenhand import records
from evenhand.audit.measures.benchmarks import BENCHMARKS
from evenhand.audit.results import Results
from evenhand.errors import InputError
from evenhand.report import figures, page
from evenhand.report.benchmarks import benchmarks_chart
from evenhand.report.detail_sentences import pattern_lines, verdict_lines
from evenhand.report.forest_plot import across_chart
from evenhand.report.markdown import markdown
from evenhand.report.verdict_chart import verdict_blocks
from evenhand.report.wording import place, title
from harness_records import PAIRS, QUESTIONS, tables


@pytest.fixture(scope="module")
def results() -> Results:
    trials, harness, design = tables({"base": {}, "biased": {"share": 0.9, "others": 0.8}}, n=60)
    empty = {name: records.TABLES[name].empty() for name in ("examples", "predictions")}
    return Results.compute(empty["examples"], trials, empty["predictions"], design, harness=harness)


def test_a_panel_per_measure_with_benchmarks_and_their_groups(results):
    chart = benchmarks_chart(results.estimates, results.design).to_dict()
    assert [part["title"]["text"] for part in chart["concat"]] == ["stereotypes preferred", "accuracy"]
    rows = [row for rows in chart["datasets"].values() for row in rows]
    named = [row["y"].rstrip("\u00a0") for row in rows if row["m"] == "biased"]
    assert named == [PAIRS, "crows_pairs: age", "crows_pairs: gender", QUESTIONS] + [
        f"winogender: {gender}" for gender in ("female", "male", "neutral")
    ]
    assert all(row["l"] <= row["c"] <= row["h"] for row in rows)


def test_nothing_is_drawn_where_nothing_was_scored(results):
    with pytest.raises(InputError, match="no benchmarks were audited"):
        benchmarks_chart(results.estimates.clear(), results.design)


def test_charts_of_verdicts_and_the_headline_are_about_whole_benchmarks(results):
    said = " ".join(verdict_lines(results.verdicts, results.design))
    assert f"distance from preferring both equally (pct_stereotype), {PAIRS}" in said and "bias_type" not in said
    drawn = [
        figure.chart.to_dict() for block in verdict_blocks(results.verdicts, results.design) for figure in block.figures
    ]
    rows = [row for chart in drawn for rows in chart["datasets"].values() for row in rows]
    assert {row["y"].rstrip("\u00a0") for row in rows} == {PAIRS, QUESTIONS}


def test_the_page_has_every_group_and_says_what_benchmarks_are_worth(results, tmp_path):
    html, text = page.html(results), markdown(results)
    for written in (html, text.replace("\\", "")):
        assert "crows_pairs_english · bias_type = gender" in written
    assert "Blodgett et al. 2021" in html and "Benchmarks" in html and 'id="accuracy"' not in html
    written = figures.write(results, tmp_path)
    assert [path.name for path in written] == ["benchmarks.png"]


def test_places_and_titles():
    row = {
        "measure": "acc",
        "condition": QUESTIONS,
        "attribute": "gender",
        "group": "male",
        "class": None,
        "correction": None,
    }
    assert place(row) == "winogender_all · gender = male"
    assert place({**row, "attribute": None, "group": None}) == "winogender_all"
    # A reader finds the harness's own name in each title.
    for name, measure in BENCHMARKS.items():
        metric = name.removesuffix("_distance").removesuffix("_gap")
        assert metric in title(name) or metric.replace("_bias", "_bias_score") in title(name), measure
    assert pl.Series(list(BENCHMARKS)).n_unique() == len(BENCHMARKS)


def test_across_settings_each_benchmark_has_a_panel_and_rows_of_its_own():
    trials, harness, design = tables({"base": {}, "biased": {"share": 0.9, "gap": 0.3}}, n=60, settings=("a", "b"))
    # A second benchmark of the same measure, in which nothing is planted.
    other = harness.filter(task=PAIRS).with_columns(task=pl.lit("other"), value=pl.lit(0.5))
    empty = {name: records.TABLES[name].empty() for name in ("examples", "predictions")}
    both = pl.concat([harness, other])
    results = Results.compute(empty["examples"], trials, empty["predictions"], design, harness=both)
    rows = across_chart(results.verdicts, results.design, measures=["pct_stereotype_distance"]).to_dict()["datasets"]
    drawn = [row for part in rows.values() for row in part]
    where = {"setting": "a", "condition": PAIRS, "measure": "pct_stereotype_distance"}
    wanted = results.verdicts.filter(pl.col("group").is_null(), **where)["contrast"].item()
    assert [row["c"] for row in drawn if row["p"] == PAIRS and row["y"] == "a"] == [pytest.approx(wanted, abs=1e-4)]
    assert {row["p"] for row in drawn} == {PAIRS, "other", f"{PAIRS} · bias_type = gender (worst on average)"}
    said = " ".join(pattern_lines(results.verdicts, results.design))
    assert f"(pct_stereotype), {PAIRS} " in said and "everyone" not in said
