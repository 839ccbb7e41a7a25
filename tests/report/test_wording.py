"""How numbers, places and headlines read."""

from __future__ import annotations

import polars as pl
import pytest

from evenhand import records
from evenhand.audit.design import Design, SettingDesign
from evenhand.report.detail_sentences import smallest_harm, verdict_lines
from evenhand.report.number_text import interval, number, span
from evenhand.report.wording import place, title

DESIGN = Design(
    settings={"faces": SettingDesign(references=("full",), methods=("full", "lora", "head"))},
    margins={"default": 0.05},
    alpha=0.05,
)


def contrasts(*rows: dict) -> pl.DataFrame:
    base = {
        "setting": "faces",
        "split": "test",
        "measure": "accuracy",
        "method": "lora",
        "reference": "full",
        "contrast": 0.01,
    }
    return records.validate(pl.DataFrame([base | row for row in rows], infer_schema_length=None), "verdicts")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.25, "0.250"), (-0.25, "−0.250"), (None, "—"), (-0.0001, "0.000"), (1.0, "1.000")],
)
def test_a_number_has_a_true_minus_sign_no_negative_zero_and_a_dash_for_null(value, text):
    assert number(value) == text


def test_a_contrast_shows_its_sign_and_an_interval_without_bounds_is_a_dash():
    assert number(0.03, signed=True) == "+0.030"
    assert interval(-0.1, 0.2, 2, signed=True) == "[−0.10, +0.20]"
    assert interval(None, None) == "—"


def test_an_end_of_a_signed_interval_shows_on_which_side_of_zero_it_lies():
    assert interval(0.0004, 0.0312, signed=True) == "[+0.0004, +0.031]"
    assert interval(-0.1, -0.00003, 2, signed=True) == "[−0.10, −0.00003]"
    assert interval(-1e-17, 0.0, signed=True) == "[0.000, 0.000]"
    assert interval(0.0004, 0.5) == "[0.000, 0.500]"  # a level: no verdict depends on it


def test_a_place_of_answers_is_a_question_or_several():
    row = dict.fromkeys(("attribute", "group", "class", "condition", "correction")) | {"measure": "flip_rate"}
    assert place(row) == "all questions" and place(row | {"condition": "yes_no"}) == "yes/no"
    one = {"condition": "mc1/letters/male-female", "correction": "PriDe"}
    assert place(row | one) == "mc1/letters/male-female · correction PriDe"


def test_a_place_names_attribute_group_and_class():
    row = {"attribute": "race", "group": "black", "class": "age 3", "condition": None, "correction": None}
    row |= {"measure": "selection_rate"}
    assert place(row) == "race = black · class age 3"
    assert place({**row, "group": None, "class": None}) == "over the groups of race"
    assert place({**row, "attribute": None, "group": None, "class": None}) == "everyone"


def test_a_measure_without_a_title_of_its_own_is_its_name_in_words():
    assert title("bleu_gap") == "bleu gap"


def test_the_headline_counts_what_is_worse_and_says_what_is_detectable():
    verdicts = contrasts(
        {"attribute": "shape", "group": "square", "verdict": "worse", "detectable": 0.12},
        {"attribute": "shape", "group": "circle", "verdict": "equivalent", "detectable": 0.031},
        {"verdict": "inconclusive", "detectable": 0.2},
        {"measure": "expected_calibration_error", "verdict": None},
    )
    (line,) = verdict_lines(verdicts, DESIGN)
    assert line.startswith("lora against full: worse in 1 of 3 comparisons (accuracy, shape = square)")
    assert "equivalent in 1, inconclusive in 1" in line
    assert (
        "The smallest harm in the accuracy of a group that this study detects with 80% power is between 3.1 and 12.0 "
        "points." in line
    )


def test_a_headline_does_not_hide_that_there_is_no_reference_or_no_power():
    assert "a reference method" in verdict_lines(records.TABLES["verdicts"].empty(), DESIGN)[0]
    (line,) = verdict_lines(contrasts({"verdict": "inconclusive"}), DESIGN)
    assert "is unknown" in line


def test_the_headline_is_about_the_test_split_and_follows_the_order_of_methods():
    verdicts = contrasts(
        {"method": "head", "verdict": "better"},
        {"verdict": "worse"},
        {"split": "others", "verdict": "worse"},
    )
    assert [line.split(":")[0] for line in verdict_lines(verdicts, DESIGN)] == [
        "lora against full",
        "head against full",
    ]


def test_small_numbers_keep_their_digits_in_a_range():
    assert span([0.0012, 0.0301]) == "between 0.001 and 0.03"
    assert span([0.05]) == "0.05"


def test_many_comparisons_say_once_what_is_detectable():
    methods = [f"method {i}" for i in range(5)]
    verdicts = contrasts(*({"method": name, "verdict": "inconclusive", "detectable": 0.1} for name in methods))
    lines = verdict_lines(verdicts, DESIGN)
    assert len(lines) == 6
    assert [line for line in lines if "smallest harm" in line] == lines[-1:]


def test_what_could_not_be_compared_is_not_counted_as_inconclusive():
    absent = {"contrast": None, "verdict": "inconclusive", "note": "lora: 5 of 5 seeds have no predictions"}
    (line,) = verdict_lines(contrasts({"verdict": "equivalent"}, {**absent, "attribute": "shape"}), DESIGN)
    assert "worse in 0 of 1 comparison, equivalent in 1, and 1 more could not be made" in line
    (line,) = verdict_lines(contrasts(absent), DESIGN)
    assert "no comparison could be made (lora: 5 of 5 seeds have no predictions)" in line
    assert "inconclusive" not in line


def test_a_harm_that_no_accuracy_can_suffer_is_not_called_the_smallest_detectable():
    groups = {"measure": "accuracy", "attribute": "shape", "verdict": "inconclusive"}
    found = contrasts(
        {**groups, "group": "circle", "detectable": 0.2}, {**groups, "group": "square", "detectable": 1.4}
    )
    assert smallest_harm(found).endswith("80% power is 20.0 points; in some groups no harm is reliably detectable.")
    assert "no harm in the accuracy of a group, however large" in smallest_harm(found.filter(group="square"))
