"""Columns that look as if they had a role and were not named."""

from __future__ import annotations

import polars as pl
import pytest

import evenhand

ROWS = 40
TABLE = pl.DataFrame(
    {"y": [0, 1] * 20, "guess": [0, 1, 1, 1] * 10, "group": ["a", "a", "b", "b"] * 10},
)
ROLES = {"label": "y", "prediction": "guess", "groups": "group"}


def warned(frame: pl.DataFrame, **roles: str) -> str:
    results = evenhand.audit(frame, **ROLES, **roles)
    return " ".join(results.design.settings["table"].warnings)


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("Model", ["one", "two"] * 20, "The column Model (2 values) has no role, and all rows count as one model's"),
        ("seed", [1, 2, 3, 4] * 10, "all rows count as one run's; if it tells runs apart, give it as seed"),
        ("sample_weight", [1.0, 2.5] * 20, "all rows count alike; if it holds weights, give it as weight"),
        ("id", list(range(20)) * 2, "if they belong together, give it as unit"),
        ("user_id", ["u", "v", "w", "x"] * 10, "rows with the same value count as independent"),
    ],
)
def test_a_column_that_changes_the_answer_is_named(name, values, said):
    assert said in warned(TABLE.with_columns(pl.Series(name, values)))


@pytest.mark.parametrize(
    ("name", "values"),
    [("model", ["one"] * ROWS), ("id", list(range(ROWS))), ("weight", [2.0] * ROWS), ("note", ["p", "q"] * 20)],
)
def test_one_that_changes_nothing_is_not(name, values):
    assert "has no role" not in warned(TABLE.with_columns(pl.Series(name, values)))


def test_a_role_that_is_taken_is_not_asked_for():
    frame = TABLE.with_columns(model=pl.Series(["one", "two"] * 20), adapter=pl.Series(["p", "q"] * 20))
    assert "has no role" not in warned(frame, method="adapter", reference="p")
    assert "has no role" not in warned(TABLE.with_columns(user=pl.Series(["u", "v"] * 20), w=1), unit="user")


def test_units_are_asked_for_where_examples_share_them():
    two_runs = pl.concat([TABLE.with_columns(id=pl.int_range(ROWS), seed=pl.lit(seed)) for seed in (0, 1)])
    each = two_runs.with_columns(user="id")
    pairs = two_runs.with_columns(user=pl.col("id") // 2)
    assert "has no role" not in warned(each, seed="seed", example="id")
    assert "The column user (20 values)" in warned(pairs, seed="seed", example="id")
    assert "of the same example; if it holds ids, give it as example" in warned(two_runs, seed="seed", split="fixed")


def test_a_group_may_have_such_a_name():
    frame = TABLE.rename({"group": "user"})
    results = evenhand.audit(frame, label="y", prediction="guess", groups="user")
    assert "has no role" not in " ".join(results.design.settings["table"].warnings)
