"""The doorway refuses what does not fit, both ways."""

from __future__ import annotations

import polars as pl
import pytest

from evenhand import records
from evenhand.errors import InputError


def predictions(**changes) -> pl.DataFrame:
    columns = {
        "trial": ["a", "a"],
        "split": ["test", "test"],
        "example": ["1", "2"],
        "step": pl.Series([None, None], dtype=pl.Int64),
        "predicted": [0, 1],
        "logits": pl.Series([[0.0, 1.0], [1.0, 0.0]], dtype=pl.Array(pl.Float32, 2)),
        "probabilities": pl.Series([[0.4, 0.6], [1.0, 0.0]], dtype=pl.Array(pl.Float64, 2)),
    }
    return pl.DataFrame({**columns, **changes})


def test_a_table_comes_back_as_it_was_written(tmp_path):
    path = tmp_path / "predictions.parquet"
    records.write(predictions(), path, "predictions", {"split:test": "abc"})
    assert records.read(path, "predictions").equals(predictions())
    assert records.metadata(path) == {"split:test": "abc"}
    assert [p.name for p in tmp_path.iterdir()] == ["predictions.parquet"], "the temporary file was left behind"


def test_nullable_columns_that_are_absent_are_filled():
    frame = records.validate(predictions().drop("step", "logits"), "predictions")
    assert frame.columns == list(records.TABLES["predictions"].columns)
    assert frame["step"].null_count() == 2


def test_every_table_of_the_design_has_a_schema_that_accepts_its_empty_form():
    expected = (
        "examples trials predictions responses options harness tokens values members scores probes estimates verdicts"
    )
    assert list(records.TABLES) == [*expected.split(), "curves", "findings", "looks"]
    for name, table in records.TABLES.items():
        assert records.validate(table.empty(), name).is_empty()
        assert set(table.nullable) | set(table.key) | set(table.words) <= set(table.columns)


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        (predictions().drop("example"), 'lacks the column "example"'),
        (predictions().rename({"logits": "logit"}), 'no column "logit"; did you mean "logits"'),
        (predictions(example=["1", "1"]), "more than one row for trial a, split test, example 1"),
        (predictions(example=["1", None]), "column example holds 1 nulls"),
        (predictions(predicted=["0", "1"]), "column predicted is String, not Int64"),
        (predictions(logits=pl.Series([[0.0, float("nan")]] * 2, dtype=pl.Array(pl.Float32, 2))), "logits hold NaN"),
        (predictions(probabilities=pl.Series([[0.5, 0.5]] * 2, dtype=pl.Array(pl.Float32, 2))), "array of float64"),
        (predictions(logits=[[0.0, 1.0], [1.0]]), "not a fixed-size array of float32"),
    ],
)
def test_what_does_not_fit_is_refused(frame, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence.replace("(", r"\(")):
        records.write(frame, tmp_path / "p.parquet", "predictions")
    assert not list(tmp_path.iterdir())
    frame.write_parquet(tmp_path / "p.parquet")
    with pytest.raises(InputError, match=sentence):
        records.read(tmp_path / "p.parquet", "predictions")


def test_an_undefined_estimate_is_null_and_never_nan():
    row = {"setting": "main", "split": "test", "measure": "accuracy", "method": "full", "value": float("nan")}
    with pytest.raises(InputError, match="null with a note"):
        records.validate(pl.DataFrame([row]), "estimates")
    assert len(records.validate(pl.DataFrame([{**row, "value": None}]), "estimates")) == 1


def test_a_verdict_is_one_of_the_five_words_or_null():
    row = {"setting": "main", "split": "test", "measure": "accuracy", "method": "lora", "reference": "full"}
    assert len(records.validate(pl.DataFrame([{**row, "verdict": None}]), "verdicts")) == 1
    with pytest.raises(InputError, match="'fine', not one of worse, better"):
        records.validate(pl.DataFrame([{**row, "verdict": "fine"}]), "verdicts")


def verdict(**changes) -> dict:
    row = {"setting": "main", "split": "test", "measure": "accuracy", "method": "lora", "reference": "full"}
    return {**row, "contrast": 0.1, "verdict": "worse", "runs": 5, **changes}


def test_verdicts_of_an_older_folder_are_changes_with_the_scope_of_their_runs(tmp_path):
    rows = [verdict(), verdict(measure="ece", runs=1), verdict(setting=None, runs=1)]
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(tmp_path / "verdicts.parquet")
    frame = records.read(tmp_path / "verdicts.parquet", "verdicts")
    assert frame.columns == list(records.TABLES["verdicts"].columns)
    assert frame["comparison"].to_list() == ["change"] * 3
    # Means over settings count settings, not runs.
    assert frame["scope"].to_list() == ["the methods", "these models", "the methods"]
    assert frame["against"].null_count() == frame["disparity"].null_count() == 3
    with pytest.raises(InputError, match='lacks the column "scope"'):
        records.validate(pl.DataFrame([verdict(comparison="change")]), "verdicts")


def test_estimates_of_an_older_folder_are_levels(tmp_path):
    row = {"setting": "main", "split": "test", "measure": "accuracy", "method": "full", "seed": 0, "value": 0.5}
    pl.DataFrame([row]).write_parquet(tmp_path / "estimates.parquet")
    frame = records.read(tmp_path / "estimates.parquet", "estimates")
    assert frame.columns == list(records.TABLES["estimates"].columns)
    assert frame["comparison"].to_list() == frame["against"].to_list() == [None]


def test_attributes_are_lists_and_may_overlap():
    frame = pl.DataFrame(
        {
            "setting": ["main"] * 3,
            "example": ["1", "2", "3"],
            "label": [0, 1, 1],
            "weight": [1.0] * 3,
            "unit": ["1", "2", "2"],
            "attribute.religion": [["jewish", "muslim"], [], ["(missing)"]],
        }
    )
    read = records.validate(frame, "examples")
    assert records.attributes(read) == ["religion"]
    with pytest.raises(InputError, match=r"attribute\.religion is String"):
        records.validate(frame.with_columns(pl.lit("x").alias("attribute.religion")), "examples")


def test_a_file_that_is_no_table_is_refused(tmp_path):
    (tmp_path / "x.parquet").write_text("not parquet")
    with pytest.raises(InputError, match="not a readable Parquet file"):
        records.read(tmp_path / "x.parquet", "examples")
    with pytest.raises(InputError, match="is missing"):
        records.read(tmp_path / "y.parquet", "examples")


def test_repeated_rows_are_found_whatever_is_null():
    keys = pl.DataFrame({"name": ["a", "b", "a", None, None], "step": [1, 1, 1, None, 2]})
    assert records.repeated_rows(keys).to_list() == [True, False, True, False, False]
    assert records.repeated_rows(keys[1:]) is None
    assert records.repeated_rows(keys.clear()) is None
