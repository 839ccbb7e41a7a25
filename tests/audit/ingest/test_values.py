"""Claims about columns of numbers in tables that somebody else made: what is read, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from evenhand.audit.ingest.table_records import TableRequest, records_from_table
from evenhand.errors import InputError

N = 40


def table(**columns: object) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    values = {"toxicity": rng.random(N), "latency": rng.lognormal(size=N), "sex": ["f", "m"] * (N // 2)}
    return pl.DataFrame({**values, **columns}, strict=False)


def read(frame: pl.DataFrame | None = None, **options: object):
    request = TableRequest(groups="sex", **options)  # pyright: ignore[reportArgumentType]
    return records_from_table(table() if frame is None else frame, request)


def declared(**options: object):
    return {measure.name: measure for measure in read(**options).design.declared}


def with_value(row: int, value: object) -> pl.DataFrame:
    toxicity: list[object] = table()["toxicity"].to_list()
    toxicity[row] = value
    return table(toxicity=toxicity if not isinstance(value, str) else list(map(str, toxicity)))


def test_a_column_of_values_needs_neither_label_nor_prediction():
    found = read(value="toxicity")
    assert found.values["value"].to_list() == table()["toxicity"].to_list()
    assert found.values["name"].unique().to_list() == ["toxicity"]
    assert found.predictions.is_empty() and found.examples["label"].null_count() == N
    assert found.design.settings["table"].task == "values as given"


def test_what_is_said_once_holds_for_all_columns_and_what_is_said_by_column_for_that_one():
    found = declared(value=["toxicity", "latency"], more_is="worse", range=(0, 100), scale={"latency": "log"})
    assert [measure.more_is for measure in found.values()] == ["worse", "worse"]
    assert [measure.scale for measure in found.values()] == ["identity", "log"]
    found = declared(value=["toxicity", "latency"], more_is={"latency": "better"}, range={"toxicity": (0, 1)})
    assert [measure.more_is for measure in found.values()] == ["neither", "better"]
    assert [measure.range for measure in found.values()] == [(0.0, 1.0), None]


def test_digits_follow_the_spread_of_the_values():
    for factor, digits in ((1e-4, 7), (1.0, 3), (30.0, 2), (1e4, 0)):
        frame = table(toxicity=factor * table()["toxicity"])
        assert read(frame, value="toxicity").design.declared[0].digits == digits


def test_a_column_of_0_and_1_is_a_share_unless_another_range_is_declared():
    flags = table(toxicity=[0, 1] * (N // 2))
    (share,) = read(flags, value="toxicity").design.declared
    assert share.shares and share.range == (0, 1)
    (grade,) = read(flags, value="toxicity", range=(0, 5)).design.declared
    assert not grade.shares and grade.range == (0, 5)
    truths = table(toxicity=[True, False] * (N // 2))
    assert read(truths, value="toxicity").values["value"].sum() == N / 2


@pytest.mark.parametrize("missing", [None, math.nan])
def test_missing_values_are_left_out_counted_and_named_by_group(missing):
    found = read(with_value(2, missing), value="toxicity")
    assert len(found.values) == N - 1 and len(found.examples) == N
    (warning,) = found.design.settings["table"].warnings
    assert warning == "toxicity is missing in 2.5% of the rows of model (1 of 40; sex = f 5.0%): they are left out."


@pytest.mark.parametrize(
    ("frame", "options", "sentence"),
    [
        (None, {"value": "toxcity"}, 'no column "toxcity".*did you mean "toxicity"'),
        (None, {"value": ["toxicity", "toxicity"]}, 'the column "toxicity" is named twice'),
        (with_value(3, "high"), {"value": "sex"}, 'the column "sex" .value. is used as group too'),
        (with_value(3, math.inf), {"value": "toxicity"}, "is inf in row 3; finite numbers are needed"),
        (table(toxicity=[None] * N), {"value": "toxicity"}, "is empty in every row"),
        (with_value(3, 1e200), {"value": "toxicity"}, "numbers of the size of 1e[+]200.*choose another unit"),
        (with_value(3, 1.5), {"value": "toxicity", "range": (0, 1)}, r"is 1.5 in row 3, outside of the declared range"),
        (with_value(3, 0.0), {"value": "toxicity", "scale": "log"}, "is 0 in row 3; only numbers above 0 have a logar"),
        (None, {"value": "toxicity", "range": (1, 0)}, "goes from a number to a larger one, not from 1 to 0"),
        (None, {"value": "toxicity", "range": (0, "x")}, "takes two numbers, such as 0 and 1"),
        (None, {"value": "toxicity", "more_is": "bad"}, "more_is should be worse, better or neither, not 'bad'"),
        (None, {"value": "toxicity", "scale": "sqrt"}, "scale should be identity, log or rank, not 'sqrt'"),
        (None, {"value": "toxicity", "more_is": {"toxicty": "worse"}}, '"toxicty" is no column of values'),
        (None, {"more_is": "worse"}, "more_is says what a column of values means; name that column"),
        (None, {}, r"name the column of labels \(label\), one of values \(value\)"),
        (None, {"value": "toxicity", "margins": {"latency": 0.1}}, 'no measure "latency"'),
        (None, {"value": "toxicity", "scale": "rank", "against": "f"}, "a group is ranked among its rest"),
        (table(accuracy=[0.5] * N), {"value": "accuracy"}, '"accuracy" is the name of another measure'),
    ],
)
def test_bad_values_are_refused_in_one_sentence(frame, options, sentence):
    with pytest.raises(InputError, match=sentence) as refused:
        read(frame, **options)
    assert "\n" not in str(refused.value)


def regression(**columns: object) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    price = rng.normal(50, 10, N)
    return table(**{"price": price, "guess": price + rng.normal(size=N), **columns})


ASKED = {"label": "price", "prediction": "guess", "task": "regression"}


def test_a_regression_keeps_labels_and_predictions_as_values():
    found = read(regression(), **ASKED)
    design = found.design.settings["table"].regression
    assert design is not None and (design.label, design.prediction, design.digits) == ("price", "guess", 2)
    assert found.values["name"].unique().sort().to_list() == ["guess", "price"]
    assert found.examples["label"].null_count() == N


@pytest.mark.parametrize(
    ("frame", "options", "sentence"),
    [
        (
            regression(),
            {**ASKED, "task": "classification"},
            "holds fractions, not classes.*predicted numbers, regression",
        ),
        (
            regression(price=[1, 2] * 20),
            {"label": "price", "prediction": "guess"},
            "task of predicted numbers, regression",
        ),
        (regression(), {"label": "price", "task": "regression"}, "name the column of predicted numbers"),
        (regression(), {"prediction": "guess", "task": "regression"}, r"name the column of true numbers \(label\)"),
        (regression(), {**ASKED, "favourable": "positive"}, "favourable is about classes; leave it out"),
        (regression(), {**ASKED, "task": "ranking"}, "task should be classification or regression, not 'ranking'"),
        (regression(), {**ASKED, "range": (0, 50)}, "outside of the declared range from 0 to 50"),
        (regression(guess=[None] * N), ASKED, "is empty in 40 of 40 rows"),
        (regression(), {**ASKED, "value": "price"}, "is used as value too"),
    ],
)
def test_bad_regressions_are_refused_in_one_sentence(frame, options, sentence):
    with pytest.raises(InputError, match=sentence) as refused:
        read(frame, **options)
    assert "\n" not in str(refused.value)


def test_whole_numbers_are_classes_unless_the_task_is_named():
    stars = table(stars=[1, 2, 3, 4] * (N // 4), guess=[1, 2, 4, 3] * (N // 4))
    asked = {"label": "stars", "prediction": "guess"}
    assert read(stars, **asked).design.settings["table"].classes == ("1", "2", "3", "4")
    assert read(stars, **asked, task="regression").design.settings["table"].classes == ()


def test_a_prediction_that_is_the_label_everywhere_is_noticed():
    (warning,) = read(regression(guess=regression()["price"]), **ASKED).design.settings["table"].warnings
    assert warning.startswith("The prediction is the label in every row")


def test_rows_of_one_example_need_one_label():
    frame = pl.concat([regression(id=range(N), m=["a"] * N), regression(id=range(N), m=["b"] * N)])
    options = {**ASKED, "method": "m", "reference": "a", "example": "id"}
    assert len(read(frame, **options).examples) == N
    changed = frame.with_columns(price=pl.when(pl.int_range(pl.len()) == 2 * N - 1).then(0.0).otherwise("price"))
    with pytest.raises(InputError, match=r"the example 39 has the label 0\.0 in row 79 and"):
        read(changed, **options)
