"""The report of a study until decided shows its looks, why it stopped, and that early estimates are too extreme."""

from __future__ import annotations

import json

import pytest

from evenhand.audit.design import LooksDesign
from evenhand.audit.results import Results
from evenhand.report.headline import details, headline
from evenhand.report.looks import look_grids, look_lines
from small_records import design, study

PLAN = LooksDesign(seeds=(3, 5, 8, 20), taken=2, measures=("accuracy",), comparisons=("everyone", "gap changes"))


def audited(looks: LooksDesign | None, **options) -> Results:
    values = {"measures": ("accuracy",), "margins": {"default": 0.04}, **options}
    return Results.compute(*study(n=900, seeds=5, harm={"a": 0.5}, seed=3), design(**values, looks=looks))


@pytest.fixture(scope="module")
def results() -> Results:
    return audited(PLAN)


def test_the_headline_says_where_the_study_stopped_and_that_estimates_are_extreme(results):
    (line,) = look_lines(results)
    assert line.startswith("The study added seeds look by look and stopped at 5 of 20 seeds: all 4 comparisons ")
    assert "its estimate, taken when it decided, is too extreme on average" in line
    assert any(line in each for each in (*headline(results), *details(results)))


def test_each_planned_look_has_a_row_with_its_level_and_what_followed(results):
    ((setting, split, (looks, paths)),) = look_grids(results)
    assert (setting, split) == ("s", "test")
    assert [row[:2] for row in looks.rows] == [["1", "3"], ["2", "5"], ["3", "8"], ["4", "20"]]
    assert [row[2] for row in looks.rows[:2]] == ["0.0075", "0.0050"]
    assert looks.rows[0][3:] == ["1 worse", "3 open", "went on: 3 of 4 comparisons have no verdict yet"]
    assert looks.rows[1][3:5] == ["1 worse, 2 better", "none"]
    assert looks.rows[1][5] == "stopped: all 4 comparisons have a verdict"
    assert [row[5] for row in looks.rows[2:]] == ["not taken"] * 2
    assert len(paths.rows) == 4
    stars = [cell for row in paths.rows for cell in row if cell.endswith("*")]
    assert len(stars) == 4


def test_every_form_of_the_report_shows_the_looks(results, tmp_path):
    for suffix in ("html", "md", "tex", "json"):
        results.report(tmp_path / f"report.{suffix}")
        text = (tmp_path / f"report.{suffix}").read_text()
        assert "too extreme on average" in text, suffix
    assert len(json.loads((tmp_path / "report.json").read_text())["looks"]) == len(results.looks)
    assert "went on: 3 of 4 comparisons have no verdict yet" in (tmp_path / "report.md").read_text()
    assert 'id="looks"' in (tmp_path / "report.html").read_text()


def test_other_studies_have_no_looks_to_show():
    plain = audited(None)
    assert look_lines(plain) == [] and look_grids(plain) == []
    assert "looks" not in plain.to_json()


def test_a_study_that_needed_all_its_seeds_says_so():
    found = audited(LooksDesign(seeds=(5,), taken=1, measures=("accuracy",), comparisons=("everyone",)))
    assert look_lines(found) == [
        "The study added seeds look by look and trained all 5 seeds: the comparison has a verdict."
    ]


def test_the_strict_gate_counts_the_looks(results):
    """An adjusted p-value over the looks is below .05 exactly where its look's bound lies above 0."""
    plain = results.gate(strict=False)
    strict = results.gate(strict=True)
    worse = {finding.row["group"] for finding in plain.findings if finding.outcome == "failed"}
    assert {finding.row["group"] for finding in strict.findings if finding.outcome == "failed"} <= worse
