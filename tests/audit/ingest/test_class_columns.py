"""Claims about the names of columns of probabilities: which class each is of, and what is refused."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import polars as pl
import pytest

from evenhand.audit.ingest.class_columns import match
from evenhand.audit.ingest.table import audit
from evenhand.audit.ingest.table_records import TableRequest, records_from_table
from evenhand.errors import InputError

HIRED = ("not_hired", "hired")


def matched(classes: tuple[str, ...], columns: list[str], truthful: bool = False) -> dict[str, str]:
    """The column of each class, the same in whatever order the columns are named."""
    found = []
    for order in permutations(columns):
        names, taken = match("t", classes, order, truthful, [])
        found.append(dict(zip(names, taken, strict=True)))
    assert all(one == found[0] for one in found)
    return found[0]


@pytest.mark.parametrize("columns", [["hired", "not_hired"], ["p_hired", "p_not_hired"], ["hired_p", "not_hired_p"]])
def test_a_class_whose_name_ends_in_another_s_has_its_own_column(columns):
    plain = {name: next(c for c in columns if name in c and ("not" in c) == ("not" in name)) for name in HIRED}
    assert matched(HIRED, columns) == plain


def test_columns_named_exactly_as_the_classes_give_the_accuracy_of_the_right_ones():
    rng = np.random.default_rng(0)
    hired = rng.random(1000) < 0.5
    right = np.arange(1000) % 1000 < 855
    p = np.where(right == hired, 0.9, 0.1)
    frame = pl.DataFrame(
        {"y": np.where(hired, *reversed(HIRED)), "hired": p, "not_hired": 1 - p, "g": ["a", "b"] * 500}
    )
    frame = frame.with_columns(guess=pl.Series(np.where(p > 0.5, *reversed(HIRED))))
    options = {"label": "y", "groups": "g", "positive": "hired"}
    for more in ({}, {"prediction": "guess"}):
        for columns in (["hired", "not_hired"], ["not_hired", "hired"]):
            found = records_from_table(frame, TableRequest(**options, **more, probability=columns))
            assert (found.predictions["predicted"] == found.examples["label"]).mean() == pytest.approx(0.855)
    results = audit(frame, **options, probability=columns, measures=["accuracy"])
    rows = results.estimates.filter(pl.col("group").is_null(), pl.col("comparison").is_null(), seed=0)
    assert rows["value"].to_list() == pytest.approx([0.855])


@pytest.mark.parametrize(
    ("classes", "columns"),
    [
        (("low", "high"), ["p_low", "q_high"]),  # no common prefix
        (("good", "bad"), ["one", "two"]),  # of no class
        (("low", "high"), ["p_low", "rest"]),
        (("1", "2"), ["p0", "p1"]),  # p1 may be the second in order, or of class 1
    ],
)
def test_names_that_do_not_settle_the_classes_are_refused(classes, columns):
    with pytest.raises(InputError, match="name each after its class"):
        matched(classes, columns)


def test_names_that_hold_several_classes_count_where_one_reading_is_left():
    assert matched(("a", "b"), ["ab", "bb"]) == {"a": "ab", "b": "bb"}
    assert matched(("a", "b"), ["a b a", "a b b"]) == {"a": "a b a", "b": "a b b"}


def test_capital_letters_may_differ_where_one_reading_is_left():
    assert matched(("low", "high"), ["P_Low", "P_High"]) == {"low": "P_Low", "high": "P_High"}
    with pytest.raises(InputError):
        matched(("Low", "low"), ["P_LOW", "p_Low"])


def test_numbered_columns_follow_the_sorted_classes_and_that_is_noted():
    notes: list[str] = []
    assert match("t", ("good", "bad"), ["p_1", "p_0"], False, notes) == (("good", "bad"), ["p_1", "p_0"])
    assert "p_0 of bad, p_1 of good" in notes[0]


def test_truth_values_go_by_either_name():
    assert matched(("0", "1"), ["p_true", "p_false"], truthful=True) == {"0": "p_false", "1": "p_true"}
    assert matched(("0", "1"), ["p_0", "p_1"], truthful=True) == {"0": "p_0", "1": "p_1"}


def test_further_columns_are_classes_without_examples():
    assert matched(("a", "b", "c"), ["p_a", "p_b", "p_c", "p_d"])["d"] == "p_d"
    with pytest.raises(InputError, match="2 classes"):
        matched(("a", "b"), ["p_a", "p_b", "p_c"])
