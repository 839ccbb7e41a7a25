"""Claims about values of tables: which texts are the same, which columns are meant, what is refused or noted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from evenhand.audit.ingest.table import audit, read_table
from evenhand.audit.ingest.table_records import TableRequest, records_from_table
from evenhand.data.dataset import Dataset
from evenhand.errors import InputError
from evenhand.tasks import parse_task

N = 60


def csv(path, **columns) -> pl.DataFrame:
    frame = {"y": [0, 1] * (N // 2), "yhat": [0, 1, 1] * (N // 3), "g": ["a", "b"] * (N // 2), **columns}
    pl.DataFrame(frame).write_csv(path / "t.csv")
    return read_table(path / "t.csv")


def recorded(frame, **options):
    return records_from_table(frame, TableRequest(**{"label": "y", "prediction": "yhat", "groups": "g", **options}))


def notes(frame, **options) -> str:
    return " ".join(recorded(frame, **options).design.settings["table"].notes)


def loaded(path, **options) -> Dataset:
    _, spec = parse_task({"name": "table", "path": str(path), "text": "x", "label": "y", **options})
    return spec.load(None)


def test_leading_zeros_tell_groups_and_ids_apart_in_both_wings(tmp_path):
    codes = ["01", "1", "2"] * (N // 3)
    frame = csv(tmp_path, g=codes, id=[f"{i:03}" if i % 2 else str(i) for i in range(N)], x=codes)
    found = recorded(frame, example="id").examples
    assert found["attribute.g"][:3].to_list() == [["01"], ["1"], ["2"]]
    assert found["example"][:4].to_list() == ["0", "001", "2", "003"]
    data = loaded(tmp_path / "t.csv", groups=["g"], example="id")
    assert data.attributes["g"].groups == ("01", "1", "2") and data.example[:2].tolist() == ["0", "001"]


def test_ids_of_zeros_are_three(tmp_path):
    frame = csv(tmp_path).head(3).with_columns(id=pl.Series(["000", "0", "1"]))
    frame.write_csv(tmp_path / "ids.csv")
    assert recorded(read_table(tmp_path / "ids.csv"), example="id").examples["example"].to_list() == ["000", "0", "1"]


def test_integers_and_point_zero_are_the_same(tmp_path):
    frame = csv(tmp_path, y=["1.0", "0"] * (N // 2), yhat=["0", "1"] * (N // 2), g=["1", "2.0"] * (N // 2))
    assert recorded(frame).examples["attribute.g"][:2].to_list() == [["1"], ["2"]]
    assert recorded(csv(tmp_path, g=["1.0", "1.5"] * (N // 2))).examples["attribute.g"][:2].to_list() == [
        ["1.0"],
        ["1.5"],
    ]


def test_large_groups_keep_their_value(tmp_path):
    frame = csv(tmp_path, g=["1e300", "2"] * (N // 2))
    assert recorded(frame).examples["attribute.g"][:2].to_list() == [["1e300"], ["2"]]
    floats = frame.with_columns(g=pl.Series([1e20, 2e20] * (N // 2)))
    assert {float(g[0]) for g in recorded(floats).examples["attribute.g"]} == {1e20, 2e20}


def test_many_numbers_are_no_groups_and_many_codes_are(tmp_path):
    ages = csv(tmp_path, g=[f"{20 + i}.5" for i in range(N)])
    with pytest.raises(InputError, match="60 different numbers"):
        recorded(ages)
    codes = csv(tmp_path, g=[f"{i:05}" for i in range(N)])
    assert len(set(map(tuple, recorded(codes).examples["attribute.g"].to_list()))) == N


def test_texts_are_trained_as_written(tmp_path):
    texts = ["007", "1e3", "0.50", "1.0", "12", "true"] * (N // 6)
    csv(tmp_path, x=texts)
    assert list(loaded(tmp_path / "t.csv").inputs[:6]) == texts[:6]
    csv(tmp_path, x=["7.0", "8.0"] * (N // 2))
    assert list(loaded(tmp_path / "t.csv").inputs[:2]) == ["7.0", "8.0"]


def test_a_repeated_header_that_is_asked_for_is_refused_in_both_wings(tmp_path):
    rows = "".join(f"{i % 2},{i % 2},{(i + 1) % 2},{'ab'[i % 2]},text {i}\n" for i in range(N))
    (tmp_path / "t.csv").write_text(f"y,yhat,yhat,g,x\n{rows}")
    with pytest.raises(InputError, match=r't has 2 columns "yhat" \(prediction\); .* "yhat \(1 of 2\)"'):
        recorded(read_table(tmp_path / "t.csv"), source="t")
    second = recorded(read_table(tmp_path / "t.csv"), prediction="yhat (2 of 2)")
    assert (second.predictions["predicted"] != second.examples["label"]).all()
    (tmp_path / "t.csv").write_text(f"y,yhat,g,x,x\n{rows}")
    with pytest.raises(InputError, match=r't.csv has 2 columns "x" for text:'):
        loaded(tmp_path / "t.csv")


@pytest.mark.parametrize("role", ["prediction", "probability", "groups", "seed", "member"])
def test_a_label_in_another_role_is_refused(tmp_path, role):
    more = {"score": "yhat"} if role == "member" else {}
    with pytest.raises(InputError, match=r'"y" \(label\) is used as'):
        recorded(csv(tmp_path), **{role: "y", **more})


def test_spellings_that_differ_little_are_noted_with_counts(tmp_path):
    frame = csv(tmp_path, g=["Male", "Male ", "male", "Zoë", "Zoe\u0308", "Male"] * (N // 6))
    said = notes(frame)
    assert '"Male" (20 rows), "Male " (10 rows) and "male" (10 rows) differ by case, spaces or Unicode form' in said
    assert "(10 rows) and" in said.partition("Zo")[2]
    csv(tmp_path, g=["Male", "male"] * (N // 2), x=["a"] * N)
    assert any("(30 rows)" in note for note in loaded(tmp_path / "t.csv", groups=["g"]).notes)


def warnings(frame, **options) -> str:
    return " ".join(recorded(frame, **options).design.settings["table"].warnings)


def test_labels_among_predictions_groups_and_scores_are_said_in_the_headline(tmp_path):
    assert "The prediction is the label in every row" in warnings(csv(tmp_path, yhat=[0, 1] * (N // 2)))
    assert "The groups of g tell the label in every row" in warnings(csv(tmp_path))
    given = csv(tmp_path, p=[0.0, 1.0] * (N // 2))
    assert "The probability of the label is 1 in every row" in warnings(given, prediction=None, probability="p")
    scored = csv(tmp_path, member=[0, 0, 1, 1] * (N // 4), s=[0, 0, 1, 1] * (N // 4))
    assert "The score is the membership in every row" in warnings(scored, member="member", score="s")
    scored = scored.with_columns(s=pl.col("y"))
    assert "The score is the label in every row" in warnings(scored, member="member", score="s")


def pandas() -> pd.DataFrame:
    frame = {"y": [0, 1] * (N // 2), "yhat": [0, 1, 1] * (N // 3), "g": ["a", "b", "a"] * (N // 3)}
    return pd.DataFrame(frame)


def test_intervals_and_periods_of_pandas_are_groups_by_their_text():
    cut = pandas().assign(g=pd.cut(np.arange(N), 2))
    assert recorded(cut).examples["attribute.g"][0].to_list() == [str(cut["g"][0])]
    periods = pandas().assign(g=pd.PeriodIndex(["2020", "2021"] * (N // 2), freq="Y"))
    assert recorded(periods).examples["attribute.g"][:2].to_list() == [["2020"], ["2021"]]


def test_columns_of_pandas_may_have_numbers_as_names():
    frame = pandas().rename(columns={"g": 3, "y": 0})
    assert len(recorded(frame, groups=[3], label=0).examples) == N


def test_columns_of_pandas_and_arrow_that_share_a_name_are_refused_when_asked_for():
    frame = pandas()
    twice = pd.concat([frame, frame[["yhat"]]], axis=1)
    for table in (twice, pl.from_pandas(frame).to_arrow().append_column("yhat", [frame["yhat"].to_numpy()])):
        with pytest.raises(InputError, match='2 columns "yhat"'):
            recorded(table)
        assert len(recorded(table, prediction="yhat (1 of 2)").predictions) == N


def test_types_that_are_no_groups_are_refused_in_a_sentence_and_spans_of_time_are_text():
    with pytest.raises(InputError, match='"g"'):
        recorded(pandas().assign(g=np.arange(N) * 1j))
    days = pandas().assign(g=pd.to_timedelta([1, 2] * (N // 2), unit="D"))
    assert recorded(days).examples["attribute.g"][:2].to_list() == [["86400 s"], ["172800 s"]]


def test_nullable_columns_of_pandas_are_read_as_plain_ones():
    frame = pandas().astype({"y": "Int64", "yhat": "boolean", "g": "string"})
    assert recorded(frame).predictions.equals(recorded(pandas()).predictions)
    frame["g"] = pd.array([1, None, 2] * (N // 3), dtype="Int64")
    assert recorded(frame).examples["attribute.g"][:3].to_list() == [["1"], ["(missing)"], ["2"]]


def test_a_seed_in_other_digits_is_refused_and_padded_ones_stay_apart():
    with pytest.raises(InputError, match="digits 0 to 9, such as 1"):
        recorded(pandas().assign(s="١"), seed="s")
    frame = pandas().assign(s=["01", "1"] * (N // 2))
    assert recorded(frame, seed="s").trials["seed"].to_list() == [0, 1]


@pytest.mark.parametrize(
    ("written", "refused"),
    [(["782", "1.718"], True), (["782", "1.718.301"], True), (["1.186", "2.329"], False), (["782", "1.5"], False)],
)
def test_points_that_may_separate_thousands_are_refused(written, refused):
    table = pl.DataFrame({"t": written * 20, "p": ["1", "2"] * 20, "g": ["a", "b"] * 20})
    options = {"label": "t", "prediction": "p", "task": "regression", "groups": "g"}
    if refused:
        with pytest.raises(InputError, match="whose point may separate thousands"):
            audit(table, **options)
    else:
        audit(table, **options)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("t.json", '{"y": 1}\n{"y": 0}\n', "which is JSONL; name it .jsonl"),
        ("t.json", '{"y": {"0": 1, "1": 0}, "p": {"0": 1, "1": 0}}', r'to_json\(orient="records"\)'),
        ("t.csv", "", "it is empty"),
    ],
)
def test_files_of_another_shape_are_refused_with_what_they_are(tmp_path, name, content, sentence):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=sentence):
        read_table(tmp_path / name)


def test_columns_that_are_named_in_one_option_are_told_apart():
    table = pl.DataFrame({"y": [0, 1] * 10, "p": [0, 1] * 10, "sex": ["f", "m"] * 10, "age": [1, 2] * 10})
    with pytest.raises(InputError, match="name sex and age one by one"):
        audit(table, label="y", prediction="p", groups="sex,age")
    with pytest.raises(InputError, match='did you mean "sex "'):
        audit(table.rename({"sex": "sex "}), label="y", prediction="p", groups="sex")
