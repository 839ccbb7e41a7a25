"""Charts and figures of answers: what is drawn of which rows, and what is said where nothing was asked."""

from __future__ import annotations

import polars as pl
import pytest

from evenhand import records
from evenhand.audit.figure_design import Figure, Panel
from evenhand.audit.results import Results
from evenhand.errors import InputError
from evenhand.report import page
from evenhand.report.answers import answers_chart
from evenhand.report.detail_sentences import verdict_lines
from evenhand.report.gap_sentences import excluded
from evenhand.report.markdown import markdown
from evenhand.report.paper import draw
from option_records import tables


@pytest.fixture(scope="module")
def results() -> Results:
    examples, trials, options, design = tables({"base": {}, "lover": {"letter": 6.0}, "male": {"content": 1.5}}, n=20)
    panels = (Panel(setting="main", measures=("guess_lean", "identifier_effect", "yes_effect")),)
    design = design.model_copy(update={"figure": (Figure(name="answers", kind="answers", panels=panels),)})
    predictions = records.TABLES["predictions"].empty()
    return Results.compute(examples, trials, predictions, design, options=options)


def drawn(chart) -> list[dict]:
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows]


def test_leans_stand_raw_beside_corrected_with_what_else_pulls(results):
    chart = answers_chart(results.estimates, results.design)
    titles = [part["title"]["text"] for part in chart.to_dict()["hconcat"]]
    leans = ["as answered", "after permutation", "after PriDe"]
    assert titles == [*leans, "how strongly", "pull of A, B, …", "pull of yes"]
    rows = drawn(chart)
    assert {row["m"] for row in rows} == {"base", "lover", "male"}
    assert any(row["y"].startswith("all questions") for row in rows)
    assert any(row["y"] == "mc1/letters/male-female" for row in rows)
    assert all(row["l"] <= row["c"] <= row["h"] for row in rows if "l" in row)


def test_nothing_is_drawn_where_nothing_was_asked(results):
    with pytest.raises(InputError, match="no answers to prompts were audited"):
        answers_chart(results.estimates.filter(pl.col("measure") == "flip_rate"), results.design)


def test_a_figure_shows_methods_with_single_questions_and_the_verdict_on_the_distance(results):
    rows = drawn(draw(results, *results.design.figure))
    single = [row for row in rows if "q" in row]
    assert len([row for row in single if row["m"] == "male"]) == 6 + 3 + 1
    worse = results.verdicts.filter(measure="distance_from_equal", method="male").filter(pl.col("condition").is_null())
    assert worse["verdict"].to_list() == ["worse"]
    signs = [row["s"] for row in rows if row.get("m") == "male" and "s" in row]
    assert "triangle-right" in signs


def test_the_headline_is_about_several_questions_and_the_page_has_each(results):
    said = " ".join(verdict_lines(results.verdicts, results.design))
    assert "mc1/letters" not in said and "all questions" in said
    html, text = page.html(results), markdown(results)
    for written in (html, text):
        assert "mc1/letters/male-female" in written and "multiple choice" in written
    assert "Answers to prompts" in html and "pull of A" in html


def test_questions_of_which_no_harm_is_excluded_are_named_as_questions():
    rows = [
        dict.fromkeys(("attribute", "group", "class", "correction", "note"))
        | {"measure": "distance_from_equal", "condition": question, "low": -0.1, "high": high}
        for question, high in (("cloze", 0.5), ("yes/no", 0.2))
    ]
    ending = excluded(pl.DataFrame(rows, schema_overrides={"group": pl.String}), "harms")
    assert ending.endswith("above 20 points are excluded for every comparison but cloze, for which none is")
