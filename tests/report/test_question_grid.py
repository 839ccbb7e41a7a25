"""The grid of methods × questions: each cell is the most serious verdict of the rows that it stands for."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from evenhand.audit.measures import known
from evenhand.audit.measures.display import QUESTIONS, Display
from evenhand.audit.measures.measure import EVERYWHERE, Measure
from evenhand.records import VERDICTS
from evenhand.report import terminal
from evenhand.report.markdown import markdown
from evenhand.report.question_grid import SERIOUS, GridCell, Target, question_grid
from evenhand.report.wording import BETWEEN

SETTINGS = ("faces", "posts")


def rows_of(verdicts: pl.DataFrame, target: Target) -> pl.DataFrame:
    """The rows that a cell says that it stands for, without those that cannot answer."""
    rows = verdicts.filter(
        pl.col("setting").eq_missing(pl.lit(target.setting, pl.String)),
        pl.col("reference").eq_missing(pl.lit(target.reference, pl.String)),
        pl.col("measure").is_in(target.measures),
        ~BETWEEN,
        split=target.split,
        method=target.method,
    ).drop_nulls("verdict")
    return rows.filter(~(pl.col("measure").str.ends_with("_spread") & (pl.col("verdict") == "inconclusive")))


@pytest.mark.parametrize(
    "how", [{}, {"settings": SETTINGS}, {"references": ()}, {"classes": 4}, {"failed": 5}, {"seeds": 1}]
)
def test_every_cell_counts_the_rows_that_it_stands_for(simulate, how):
    results = simulate(**how)
    grid = question_grid(results)
    assert grid is not None and len(grid.rows)
    judged = 0
    for row in grid.rows:
        assert len(row.cells) == len(grid.questions)
        for question, cell in zip(grid.questions, row.cells, strict=True):
            if cell is None:
                continue
            rows = rows_of(results.verdicts, cell.target)
            given = rows.drop_nulls("contrast")["verdict"].to_list()
            assert (cell.judged, cell.absent) == (len(given), len(rows) - len(given))
            assert {known()[name].question for name in cell.target.measures} == {question}
            if given:
                assert cell.verdict == next(word for word in SERIOUS if word in given)
                assert cell.count == given.count(cell.verdict)
            else:
                assert cell.verdict is None and cell.text == "not judged"
            judged += cell.judged
    whole = results.verdicts.filter(~BETWEEN).drop_nulls(["verdict", "contrast"])
    mute = whole.filter(pl.col("measure").str.ends_with("_spread"), verdict="inconclusive")
    assert judged == len(whole) - len(mute)


def test_the_order_of_seriousness_has_every_verdict_and_an_open_question_before_all_that_exclude_harm():
    assert set(SERIOUS) == set(VERDICTS)
    assert SERIOUS.index("worse") == 0
    assert SERIOUS.index("inconclusive") < min(SERIOUS.index(word) for word in ("not worse", "equivalent", "better"))


def test_the_harmed_method_is_worse_in_accuracy_and_nothing_is_said_where_nothing_is_compared(simulate):
    grid = question_grid(simulate())
    assert grid is not None
    assert grid.questions == ("accuracy", "parity", "error rates", "calibration")
    (row,) = grid.rows
    assert row.title == "lora against full" and row.cells[0] is not None and row.cells[0].verdict == "worse"
    assert question_grid(simulate(methods=("model",), references=(), groups=())) is None


def test_several_settings_have_a_row_each_and_means_come_first(simulate):
    grid = question_grid(simulate(settings=SETTINGS))
    assert grid is not None and grid.several
    assert [row.setting for row in grid.rows] == [None, *SETTINGS]
    assert grid.table()[0][:2] == ["setting", "method"] and grid.table()[1][0] == "across settings"


def test_what_was_asked_for_has_the_first_column(simulate):
    results = simulate()
    rows = results.verdicts.filter(measure="accuracy").with_columns(measure=pl.lit("membership_auc"))
    grid = question_grid(replace(results, verdicts=pl.concat([results.verdicts, rows])))
    assert grid is not None and grid.questions[:2] == ("privacy", "accuracy")


def test_only_the_main_split_is_summed_up(simulate):
    results = simulate()
    other = results.verdicts.with_columns(split=pl.lit("hatecheck"), verdict=pl.lit("worse"))
    both = replace(results, verdicts=pl.concat([other, results.verdicts]))
    assert question_grid(both) == question_grid(results)


def test_every_measure_answers_a_known_question_and_one_of_another_package_may_bring_its_own():
    assert {measure.question for measure in known().values()} <= set(QUESTIONS)
    assert all(known()[name].question == "parity" for name in ("selection_rate", "demographic_parity_difference"))
    assert all(known()[name].question == "error rates" for name in ("true_positive_rate", "equalized_odds_difference"))
    plain = Measure("mine", "predictions", "", -1, EVERYWHERE, lambda *records: None)
    assert plain.question == "other measures"
    assert replace(plain, kind="membership").question == "privacy"
    assert replace(plain, display=Display(question="energy")).question == "energy"


def test_markdown_and_a_terminal_show_symbol_and_words(small):
    grid = question_grid(small)
    assert grid is not None
    cells = [f"{cell.mark} {cell.text}" for cell in grid.rows[0].cells if cell is not None]
    assert cells[0].startswith("▶ worse in ")
    for text in (markdown(small), terminal.text(small)):
        assert all(cell in text for cell in cells)


def test_a_terminal_counts_the_rows_and_sentences_that_it_leaves_out(simulate):
    results = simulate(methods=("full", *(f"m{i}" for i in range(13)), "planted"), seeds=3)
    text = terminal.text(results)
    assert "and 2 more in the report" in text and "more sentences are under Details in the report." in text


def test_a_cell_says_what_was_not_judged():
    target = Target("faces", "test", "lora", "full", ("accuracy",))
    assert GridCell("equivalent", 3, 3, 2, target).text == "equivalent in 3 of 3, 2 not judged"
