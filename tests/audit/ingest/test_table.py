"""Claims about tables that somebody else made: what is read, what is refused, who is paired with whom."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from evenhand import records
from evenhand.audit.ingest.table import audit, read_table
from evenhand.audit.ingest.table_records import TableRequest, records_from_table
from evenhand.audit.ingest.trials import trial_hash
from evenhand.audit.results import Results
from evenhand.errors import InputError

N = 60


def rows(methods=("a", "b"), seeds=(0, 1, 2), n=N) -> pl.DataFrame:
    """Methods and seeds on one test set of n people; a quarter of the predictions is wrong."""
    rng = np.random.default_rng(0)
    label = np.arange(n) % 2
    frames = []
    for seed in seeds:
        for method in methods:
            predicted = np.where(rng.random(n) < 0.25, 1 - label, label)
            probability = np.clip(0.5 + (predicted - 0.5) * rng.random(n), 0, 1)
            frames.append(
                pl.DataFrame(
                    {
                        "id": [f"p{i}" for i in range(n)],
                        "method": method,
                        "seed": seed,
                        "y": label,
                        "yhat": predicted,
                        "p": probability,
                        "sex": ["f" if i % 3 else "m" for i in range(n)],
                        "age": np.arange(n) % 4,
                    },
                    strict=False,
                )
            )
    return pl.concat(frames)


FULL = {"label": "y", "prediction": "yhat", "groups": ["sex"], "method": "method", "seed": "seed", "reference": "a"}
ONE = {"label": "y", "prediction": "yhat", "groups": ["sex"]}


def recorded(frame, **options):
    """`examples`, `trials`, `predictions` and the design of a table."""
    found = records_from_table(frame, TableRequest(**options))
    return found.examples, found.trials, found.predictions, found.design


def alone(**columns) -> pl.DataFrame:
    """One method, one seed, with other columns."""
    return rows(methods=("a",), seeds=(0,)).with_columns(**columns)


def refused(frame, *words: str, **options) -> None:
    """Refused in one sentence that holds these words."""
    with pytest.raises(InputError) as caught:
        recorded(frame, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    for word in words:
        assert word in sentence, sentence


# What comes out


def test_a_row_becomes_a_prediction_a_run_a_trial_and_an_id_an_example():
    frame = rows()
    examples, trials, predictions, design = recorded(frame, **FULL, example="id", probability="p")
    assert len(predictions) == len(frame) == 6 * N
    assert examples["example"].to_list() == [f"p{i}" for i in range(N)]
    assert examples["label"].to_list() == [i % 2 for i in range(N)]
    assert examples["attribute.sex"].to_list() == [["f" if i % 3 else "m"] for i in range(N)]
    assert set(trials.select("method", "seed").iter_rows()) == {(m, s) for m in "ab" for s in range(3)}
    assert set(trials["trial"]) == {trial_hash(m, s) for m in "ab" for s in range(3)}
    assert (design.settings["table"].references, design.settings["table"].methods) == (("a",), ("a", "b"))
    assert design.paired == "example"
    for name, table in (("examples", examples), ("trials", trials), ("predictions", predictions)):
        assert records.validate(table, name).equals(table)


def given(predictions: pl.DataFrame) -> np.ndarray:
    return predictions["probabilities"].to_numpy()


def test_probabilities_are_kept_as_given():
    frame = alone(p=pl.Series([0.0, 1.0, 0.25, 0.6] * (N // 4)))
    _, _, predictions, _ = recorded(frame, label="y", probability="p", groups="sex")
    np.testing.assert_array_equal(given(predictions)[:4], [[1, 0], [0, 1], [0.75, 0.25], [0.4, 0.6]])
    assert predictions["predicted"][:4].to_list() == [0, 1, 0, 1]
    assert predictions["logits"].null_count() == N


@pytest.mark.parametrize("kind", [pl.Float32, pl.Float16])
def test_probabilities_of_few_bits_are_the_decimals_that_were_meant(kind):
    values = [0.0, 1.0, 0.6, 0.2] * (N // 4)
    _, _, predictions, _ = recorded(alone(p=pl.Series(values, dtype=kind)), label="y", probability="p", groups="sex")
    assert given(predictions)[:, 1].tolist() == values


def test_without_probabilities_there_are_none():
    _, _, predictions, _ = recorded(alone(), **ONE)
    assert predictions["probabilities"].null_count() == N


def test_the_more_probable_class_may_be_so_by_little():
    frame = alone(p=pl.Series([0.5 + 1e-12, 0.5 - 1e-12, 0.5] * (N // 3)))
    _, _, predictions, _ = recorded(frame, label="y", probability="p", groups="sex")
    assert predictions["predicted"][:3].to_list() == [1, 0, 0]


def test_the_same_records_come_from_pandas_polars_and_pyarrow():
    frame = rows()
    tables = [recorded(f, **FULL, example="id") for f in (frame, frame.to_pandas(), frame.to_arrow())]
    tables.append(recorded(frame.lazy(), **FULL, example="id"))
    for other in tables[1:]:
        assert all(one.equals(two) for one, two in zip(tables[0][:3], other[:3], strict=True))
        assert other[3] == tables[0][3]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".json", ".jsonl", ".ndjson"])
def test_every_kind_of_file_reads_as_the_same_table(tmp_path, suffix):
    path = tmp_path / f"table{suffix}"
    frame = rows(n=6)
    write = {
        ".csv": frame.write_csv,
        ".tsv": lambda p: frame.write_csv(p, separator="\t"),
        ".parquet": frame.write_parquet,
        ".json": frame.write_json,
    }.get(suffix, frame.write_ndjson)
    write(path)
    again = read_table(path)
    assert again.columns == frame.columns
    assert again.select(pl.exclude("p")).rows() == frame.select(pl.exclude("p")).rows()


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"there is no file .*no\.csv"):
        read_table(tmp_path / "no.csv")
    (tmp_path / "t.dat").write_text("x")
    with pytest.raises(InputError, match=r"t\.dat does not end in any of \.csv"):
        read_table(tmp_path / "t.dat")
    for name, text in (("t.parquet", "no parquet"), ("t.csv", ""), ("t.json", "{"), ("t.jsonl", "{")):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=rf"{name} cannot be read"):
            read_table(tmp_path / name)


def test_no_dataframe_and_no_rows_are_refused():
    refused({"y": [1]}, "dict", "dataframe", **ONE)
    refused(rows().head(0), "no rows", **ONE)


def test_a_column_that_nobody_asks_for_may_hold_anything():
    frame = rows().to_pandas().assign(odd=[object() for _ in range(6 * N)])
    assert len(recorded(frame, **FULL, example="id")[2]) == 6 * N


# Labels and predictions


def test_words_as_labels_need_the_positive_class():
    frame = alone(y=pl.Series(["no", "yes"] * (N // 2)), yhat=pl.Series(["yes", "no"] * (N // 2)))
    refused(frame, '"no" and "yes"', "positive", **ONE)
    refused(frame, "never", "yess", 'did you mean "yes"', **ONE, positive="yess")
    examples, _, predictions, design = recorded(frame, **ONE, positive="no")
    assert design.settings["table"].classes == ("yes", "no")
    assert examples["label"][:2].to_list() == [1, 0]
    assert predictions["predicted"][:2].to_list() == [0, 1]


@pytest.mark.parametrize(
    ("label", "prediction"),
    [([False, True], [0, 1]), ([0.0, 1.0], ["0", "1"]), (["False", "TRUE"], [False, True]), ([-1, 1], [-1.0, 1.0])],
)
def test_plain_pairs_of_labels_have_a_positive_one(label, prediction):
    frame = alone(y=pl.Series(label * (N // 2)), yhat=pl.Series(prediction * (N // 2)))
    examples, _, predictions, _ = recorded(frame, **ONE)
    assert examples["label"][:2].to_list() == predictions["predicted"][:2].to_list() == [0, 1]


def test_more_than_two_classes_need_no_positive_one_and_are_sorted_as_numbers():
    frame = alone(y=pl.Series([2, 10, 1] * (N // 3)), yhat=pl.Series([10, 10, 1] * (N // 3)))
    _, _, predictions, design = recorded(frame, **ONE)
    assert design.settings["table"].classes == ("1", "2", "10")
    assert predictions["predicted"][:3].to_list() == [2, 2, 0]
    _, _, _, design = recorded(frame, **ONE, positive=2)
    assert any("no effect" in note for note in design.settings["table"].notes)
    refused(frame, "never", '"5"', **ONE, positive=5)


def test_bad_labels_are_refused():
    refused(alone(), 'no column "yhatt"', 'did you mean "yhat"', **{**ONE, "label": "yhatt"})
    refused(alone(y=pl.lit(1)), '"1" in every row', **ONE)
    holes = pl.when(pl.int_range(pl.len()) % 20 == 7).then(None).otherwise(pl.col("y"))
    refused(alone(y=holes), "empty in 3 of 60 rows", "row 7", **ONE)
    refused(alone(y=holes.cast(pl.Float64).fill_null(float("nan"))), "empty in 3 of 60 rows", **ONE)
    refused(alone(y=pl.col("y") + 0.5), "fractions", **ONE)
    refused(alone(y=pl.concat_list("y")), "List", **ONE)
    mixed = alone().to_pandas().astype({"y": object})
    mixed.loc[3, "y"] = "one"
    refused(mixed, "not of one type", '"y"', **ONE)


def test_bad_predictions_are_refused():
    refused(alone(), "name the column of predictions", label="y", groups=["sex"])
    refused(alone(yhat=pl.lit(2)), '"2" in row 0', "0, 1", **ONE)
    refused(alone(yhat=pl.col("p")), "holds fractions, not classes", **ONE)
    refused(alone(yhat=pl.lit(None, dtype=pl.Int64)), "empty in 60 of 60 rows", **ONE)


def test_a_class_that_is_only_predicted_is_a_class_and_noted():
    frame = alone(y=pl.Series(["a", "b", "c"] * (N // 3)), yhat=pl.Series(["a", "b", "d"] * (N // 3)))
    _, _, _, design = recorded(frame, **ONE)
    assert design.settings["table"].classes == ("a", "b", "c", "d")
    assert any("nowhere the label: d" in note for note in design.settings["table"].notes)


@pytest.mark.parametrize(
    ("value", "said"), [(math.nan, "row 4"), (None, "row 4"), (1.5, "1.5 in row 4"), (-0.1, "-0.1 in row 4")]
)
def test_a_probability_that_is_none_is_refused_with_its_row(value, said):
    values = [0.5] * N
    values[4] = value
    refused(alone(p=pl.Series(values)), said, '"p"', **ONE, probability="p")


def test_a_probability_that_is_no_number_is_refused_with_its_row():
    refused(alone(p=pl.Series(["0.5", "half"] * (N // 2))), '"half" in row 1', **ONE, probability="p")
    refused(alone(p=pl.lit(True)), "Boolean", **ONE, probability="p")


def test_rounding_of_float32_is_no_reason_to_refuse():
    _, _, predictions, _ = recorded(alone(p=pl.lit(1 + 1e-7)), label="y", probability="p", groups="sex")
    assert given(predictions).max() == 1


def test_the_other_class_s_probability_is_refused():
    refused(alone(p=1 - pl.col("yhat") * 0.8), "other class", **ONE, probability="p")


def test_a_tie_is_no_disagreement():
    frame = alone(p=pl.when(pl.col("yhat") == 1).then(0.5).otherwise(0.5))
    notes = recorded(frame, **ONE, probability="p")[3].settings["table"].notes
    assert not any("not the more probable class" in note for note in notes)


def test_a_threshold_other_than_a_half_is_noted():
    frame = alone(yhat=(pl.col("p") > 0.8).cast(pl.Int64))
    _, _, predictions, design = recorded(frame, **ONE, probability="p")
    assert predictions["predicted"].to_list() == frame["yhat"].to_list()
    assert any("not the more probable class" in note for note in design.settings["table"].notes)


THREE = {"label": "y", "groups": ["sex"]}


def three(**more) -> pl.DataFrame:
    names = pl.Series(["low", "mid", "top"] * (N // 3))
    return alone(y=names, p_top=pl.lit(0.7), p_low=pl.lit(0.1), p_mid=pl.lit(0.2), **more)


def test_probabilities_of_several_classes_are_matched_by_name():
    _, _, predictions, design = recorded(three(), **THREE, probability=["p_top", "p_low", "p_mid"])
    assert design.settings["table"].classes == ("low", "mid", "top")
    np.testing.assert_allclose(given(predictions)[0], [0.1, 0.2, 0.7], rtol=1e-6)


def test_columns_called_true_and_false_are_those_classes():
    frame = alone(p_true=pl.lit(0.9), p_false=pl.lit(0.1), y=pl.col("y") == 1)
    _, _, predictions, _ = recorded(frame, **THREE, probability=["p_true", "p_false"])
    np.testing.assert_allclose(given(predictions)[0], [0.1, 0.9], rtol=1e-6)


def test_a_class_without_examples_may_have_probabilities():
    frame = three().rename({"p_low": "low", "p_mid": "mid", "p_top": "top"}).with_columns(void=pl.lit(0.0))
    _, _, predictions, design = recorded(frame, **THREE, probability=["low", "mid", "top", "void"])
    assert design.settings["table"].classes == ("low", "mid", "top", "void")
    assert predictions.schema["probabilities"] == pl.Array(pl.Float64, 4)


def test_bad_probabilities_of_several_classes_are_refused():
    refused(three(), "3 classes", "one per class", **THREE, probability="p_top")
    odd = three().rename({"p_top": "best"})
    refused(odd, "do not settle which is of which class", **THREE, probability=["best", "p_low", "p_mid"])
    refused(three(), "3 classes", "2 columns", **THREE, probability=["p_top", "p_low"])
    refused(three(), "named twice", **THREE, probability=["p_top", "p_low", "p_low"])
    wrong = three().with_columns(p_mid=pl.lit(0.3))
    refused(wrong, "sum to 1.1 in row 0", **THREE, probability=["p_top", "p_low", "p_mid"])


# Groups


def groups_of(frame: pl.DataFrame, *groups: str) -> pl.DataFrame:
    examples = recorded(frame, label="y", prediction="yhat", groups=groups)[0]
    return examples.select(pl.col("^attribute\\..*$").name.map(lambda name: name.removeprefix("attribute.")))


@pytest.mark.parametrize("hole", [None, ""])
def test_a_missing_group_value_is_the_group_missing(hole):
    frame = alone(sex=pl.Series(["f", hole, "m"] * (N // 3)))
    assert groups_of(frame, "sex")["sex"][:3].to_list() == [["f"], ["(missing)"], ["m"]]


def test_not_a_number_is_a_missing_group():
    frame = alone(age=pl.Series([1.0, math.nan, 3.0] * (N // 3)))
    assert groups_of(frame, "age")["age"][:3].to_list() == [["1"], ["(missing)"], ["3"]]
    frame = alone().to_pandas()
    frame["sex"] = pd.Series(["f", None, float("nan")] * (N // 3), dtype=object)
    assert groups_of(frame, "sex")["sex"][:3].to_list() == [["f"], ["(missing)"], ["(missing)"]]


def test_a_column_of_lists_gives_groups_that_overlap():
    lists = [["b", "a"], [], None, ["a", None, "a"]] * (N // 4)
    found = groups_of(alone(faith=pl.Series(lists)), "faith")["faith"]
    assert found[:4].to_list() == [["a", "b"], [], ["(missing)"], ["a"]]


def test_a_pattern_gives_one_attribute_with_a_group_per_column():
    frame = alone(
        faith_x=pl.Series([1, 0, None, 1] * (N // 4)),
        faith_y=pl.Series([True, False, None, None] * (N // 4)),
        faith_=pl.lit("not of the pattern"),
    )
    found = groups_of(frame, "religion=faith_*", "sex")
    assert found.columns == ["religion", "sex"]
    assert found["religion"][:4].to_list() == [["x", "y"], [], ["(missing)"], ["x"]]
    assert groups_of(frame, "faith_*").columns == ["faith"]


def test_columns_of_a_pattern_that_are_partly_missing_count_as_false_and_that_is_noted():
    some = np.arange(N) % 2 == 0
    flags = {"is_x": pl.Series([None if i < 6 else bool(one) for i, one in enumerate(some)]), "is_y": pl.Series(some)}
    examples, _, _, design = recorded(alone(**flags), **{**ONE, "groups": ["is=is_*"]})
    assert examples[records.ATTRIBUTE + "is"][:2].to_list() == [["y"], []]
    assert any(
        "Group of is: in 6 rows some columns of the pattern are empty" in note
        for note in design.settings["table"].notes
    )
    whole = alone(is_x=pl.Series(some), is_y=pl.Series(~some))
    assert not any(
        "pattern" in note for note in recorded(whole, **{**ONE, "groups": ["is=is_*"]})[3].settings["table"].notes
    )


def test_a_column_of_a_pattern_that_is_true_in_no_row_is_named():
    frame = alone(is_x=pl.Series(np.arange(N) % 2 == 0), is_y=pl.lit(False))
    examples, _, _, design = recorded(frame, **{**ONE, "groups": ["is=is_*"]})
    assert examples[records.ATTRIBUTE + "is"].explode().drop_nulls().unique().to_list() == ["x"]
    assert any("no row is true in is_y: no such group" in note for note in design.settings["table"].notes)


def test_empty_cells_and_cells_that_say_missing_are_not_one_group():
    values = pl.Series(["(missing)", None, "a", "b"] * (N // 4))
    with pytest.raises(InputError, match='has empty cells and cells that say "\\(missing\\)"'):
        groups_of(alone(place=values), "place")
    assert groups_of(alone(place=values.fill_null("c")), "place").columns == ["place"]


def test_an_attribute_may_be_renamed():
    assert groups_of(alone(), "gender=sex").columns == ["gender"]
    assert groups_of(alone(**{"a=b": pl.lit("x")}), "a=b").columns == ["a=b"]


def test_a_number_is_the_same_group_whether_it_is_kept_as_one_or_as_text():
    for values in ([1, 2], [1.0, 2.0], ["1", "2"]):
        assert groups_of(alone(age=pl.Series(values * (N // 2))), "age")["age"][:2].to_list() == [["1"], ["2"]]


def test_bad_groups_are_refused():
    def bad(*words, groups, **columns):
        refused(alone(**columns), *words, label="y", prediction="yhat", groups=groups)

    bad('no column "sx"', 'did you mean "sex"', groups="sx")
    bad("empty in every row", groups="sex", sex=pl.lit(None, dtype=pl.String))
    bad("empty in every row", groups="sex", sex=pl.Series([[], None] * (N // 2), dtype=pl.List(pl.String)))
    bad("60 different numbers", "ranges", groups="age", age=pl.int_range(pl.len()))
    bad("named twice", groups=["sex", "sex=age"])
    bad('no column like "faith_*"', groups="religion=faith_*")
    bad("more than one star", groups="faith=f*_*")
    bad('"maybe" in row 0', groups="faith_*", faith_x=pl.lit("maybe"))
    bad("true in no row", groups="faith_*", faith_x=pl.lit(0))
    bad("at least one column of groups", groups=[])


# Methods and seeds


def test_one_method_is_compared_with_nobody():
    for options in ({}, {"seed": "seed"}, {"method": "method", "reference": "a"}):
        _, trials, _, design = recorded(alone(), **ONE, **options)
        assert design.settings["table"].references == ()
        assert trials["seed"].to_list() == [0]
    assert recorded(alone(), **ONE)[1]["method"].to_list() == ["model"]


def test_several_methods_need_a_reference():
    options = {key: value for key, value in FULL.items() if key != "reference"}
    refused(rows(), "methods a, b", "reference", **options)
    refused(rows(), '"c"', "a, b", **{**FULL, "reference": "c"})
    refused(rows(), "needs the column of methods", **ONE, reference="a")


def test_several_references_come_first_in_the_order_given():
    design = recorded(rows(methods=("a", "b", "c")), **{**FULL, "reference": ["c", "a"]}, example="id")[3]
    assert design.settings["table"].references == ("c", "a")
    assert design.settings["table"].methods == ("c", "a", "b")


def test_runs_with_names_are_numbered_and_noted():
    frame = rows().with_columns(seed=pl.format("fold {}", pl.col("seed") + 5))
    _, trials, _, design = recorded(frame, **FULL, example="id")
    assert sorted(trials["seed"].unique()) == [0, 1, 2]
    assert any("fold 5, fold 6, fold 7" in note for note in design.settings["table"].notes)


def test_a_trial_is_a_hash_of_its_method_and_seed_only():
    shuffled = rows().sample(fraction=1, shuffle=True, seed=1).with_columns(yhat=1 - pl.col("yhat"))
    ours, theirs = (recorded(f, **FULL, example="id")[1] for f in (rows(), shuffled))
    assert set(ours["trial"]) == set(theirs["trial"])


# Pairing and splits


def test_ids_make_the_order_of_rows_irrelevant():
    shuffled = rows().sample(fraction=1, shuffle=True, seed=1)
    one, two = (recorded(frame, **FULL, example="id", probability="p") for frame in (rows(), shuffled))
    assert one[0].sort("example").equals(two[0].sort("example"))
    assert one[2].sort("trial", "example").equals(two[2].sort("trial", "example"))


def test_seeds_with_the_same_examples_are_one_fixed_split_and_that_is_noted():
    setting = recorded(rows(), **FULL, example="id")[3].settings["table"]
    assert (setting.vary, setting.test_share) == (False, None)
    assert any("one fixed split" in note for note in setting.notes)


def splits(n=N) -> pl.DataFrame:
    """Each seed tests another third of the examples."""
    return rows(n=n).filter(pl.col("id").str.slice(1).cast(pl.Int64) % 3 == pl.col("seed"))


def test_seeds_with_different_examples_are_a_split_each_with_a_share():
    examples, _, _, design = recorded(splits(), **FULL, example="id")
    setting = design.settings["table"]
    assert len(examples) == N
    assert setting.vary and setting.test_share == pytest.approx(1 / 3)
    assert any("a split per seed" in note for note in setting.notes)
    assert recorded(splits(), **FULL, example="id", test_share=0.2)[3].settings["table"].test_share == 0.2


def test_what_is_said_of_the_split_goes_before_what_is_inferred():
    setting = recorded(splits(), **FULL, example="id", split="fixed")[3].settings["table"]
    assert not setting.vary and any("said to be fixed" in note for note in setting.notes)
    refused(rows(), "all 3 seeds have the same 60 examples", **FULL, example="id", split="varying")
    refused(splits(), "share between 0 and 1", **FULL, example="id", test_share=20)


def test_an_id_that_repeats_in_a_run_is_refused():
    refused(rows(), "p0 more than once for the method model and the seed 0", **ONE, example="id")
    doubled = pl.concat([rows(), rows().head(1)])
    refused(doubled, "p0 more than once for the method a and the seed 0", **FULL, example="id")


@pytest.mark.parametrize(("column", "fact"), [("y", "label"), ("sex", "group of sex"), ("u", "unit"), ("w", "weight")])
def test_an_example_that_differs_between_rows_is_refused_by_name(column, fact):
    frame = rows().with_columns(u=pl.col("id"), w=pl.lit("1.5"))
    other = {"y": "1", "sex": "x", "u": "x", "w": "2"}[column]
    last = pl.int_range(pl.len()) == pl.len() - 2
    frame = frame.with_columns(
        pl.when(last).then(pl.lit(other)).otherwise(pl.col(column).cast(pl.String)).alias(column)
    )
    refused(frame, "p58", f"has the {fact}", "row 358", "row 58", **FULL, example="id", unit="u", weight="w")


def test_without_ids_rows_are_paired_by_order_where_labels_and_groups_agree():
    examples, _, predictions, design = recorded(rows(), **FULL)
    assert design.paired == "order" and not design.settings["table"].vary
    assert len(examples) == N and predictions["example"].n_unique() == N
    assert any("matched by their order" in note for note in design.settings["table"].notes)


def test_order_and_ids_give_the_same_verdicts():
    by_id, by_order = (audit(rows(), **FULL, **more).verdicts for more in ({"example": "id"}, {}))
    assert by_id.equals(by_order)


def test_a_split_per_seed_is_paired_by_order_within_seeds():
    frame = rows().filter(pl.col("id").str.slice(1).cast(pl.Int64) % 7 != pl.col("seed"))
    examples, _, _, design = recorded(frame, **FULL)
    setting = design.settings["table"]
    assert design.paired == "order" and setting.vary and setting.test_share is None
    assert len(examples) == len(frame) // 2
    assert any("count as different" in note for note in setting.notes)
    refused(frame, "said to be fixed", **FULL, split="fixed")


def test_rows_in_another_order_for_each_method_are_not_paired_and_that_is_said():
    frame = pl.concat([rows(("a",)).sample(fraction=1, shuffle=True, seed=1), rows(("b",))])
    examples, _, _, design = recorded(frame, **FULL)
    assert design.paired == "none"
    assert any("unpaired" in note for note in design.settings["table"].notes)
    verdicts = audit(frame, **FULL).verdicts.filter(measure="accuracy")
    assert verdicts["note"].str.contains("unpaired").all()
    assert len(examples) == 6 * N, "method a's seeds differ among each other too"


def test_sorted_rows_agree_without_being_the_same_and_that_is_said():
    notes = [recorded(f, **FULL)[3].settings["table"].notes for f in (rows(), rows().sort("y", "sex"))]
    assert [any("sorted by label and group" in note for note in own) for own in notes] == [False, True]


def test_methods_that_agree_with_themselves_only_share_examples_among_their_seeds():
    frame = pl.concat([rows(("a",)), rows(("b",)).sort("seed", "y", "id")])
    examples, _, _, design = recorded(frame, **FULL)
    assert design.paired == "none" and len(examples) == 2 * N
    assert not design.settings["table"].vary
    assert recorded(frame, **FULL, split="fixed")[3] == design


def test_a_split_that_is_said_to_vary_is_not_matched_across_seeds():
    frame = rows().filter(pl.col("id").str.slice(1).cast(pl.Int64) % 7 != pl.col("seed"))
    examples, _, _, design = recorded(frame, **FULL, split="varying", test_share=0.25)
    assert len(examples) == len(frame) // 2 and design.paired == "order"
    assert design.settings["table"].test_share == 0.25


def test_one_test_set_in_all_seeds_is_no_new_split_whatever_is_said():
    refused(rows(), "said to vary", "agree in label and groups, in order", **FULL, split="varying")
    renamed = rows().with_columns(id=pl.format("seed{}-{}", "seed", "id"))
    for split in (None, "varying", "fixed"):
        refused(renamed, "no id stands in two seeds", "the same ids in every seed", **FULL, example="id", split=split)
    one_each = rows().filter((pl.col("method") == "a") == (pl.col("seed") == 0))
    assert recorded(one_each.filter(pl.col("seed") < 2), **FULL, split="varying")[3].settings["table"].vary


def test_test_sets_that_agree_because_they_are_sorted_may_be_different_ones():
    renamed = rows().sort("method", "seed", "y", "sex").with_columns(id=pl.format("seed{}-{}", "seed", "id"))
    assert recorded(renamed, **FULL, example="id")[3].settings["table"].vary


@pytest.mark.parametrize("lost", [1, 6])
def test_a_fixed_split_that_lacks_rows_in_a_seed_stays_fixed(lost):
    frame = rows().filter(~((pl.col("seed") == 1) & pl.col("id").is_in([f"p{i}" for i in range(lost)])))
    setting = recorded(frame, **FULL, example="id")[3].settings["table"]
    assert (setting.vary, setting.test_share) == (False, None)
    said = " ".join(setting.notes)
    assert "one fixed split, since any two seeds share at least 100%" in said and f"seed 1 {lost}." in said
    refused(frame, "said to vary", "at least 100%", **FULL, example="id", split="varying")


def test_units_and_weights_reach_the_examples():
    frame = rows().with_columns(u=pl.col("id").str.slice(0, 2), w=pl.lit(2))
    examples = recorded(frame, **FULL, example="id", unit="u", weight="w")[0]
    assert examples["unit"].n_unique() == 10 and set(examples["weight"]) == {2.0}
    refused(rows().with_columns(w=pl.lit(0)), "weights are above 0", **FULL, weight="w")


# Margins, measures, the audit itself


def test_margins_and_measures_are_checked_before_anything_is_computed():
    refused(rows(), "acuracy", 'did you mean "accuracy"', **FULL, margins={"acuracy": 0.1})
    refused(rows(), "above 0", **FULL, margins={"default": 0})
    refused(rows(), "above 0", **FULL, margins={"default": math.nan})
    refused(rows(), "acuracy", **FULL, measures=["acuracy"])
    refused(rows(), "acc", "benchmarks", 'did you mean "accuracy"', **FULL, measures=["acc"])
    refused(rows(), "measures", "mean_absolute_error", "regression", **FULL, measures=["mean_absolute_error"])
    refused(rows(), "margins", "acc", 'did you mean "accuracy"', **FULL, margins={"acc": 0.1})
    numbers = {"label": "id", "prediction": "p", "groups": ["sex"], "task": "regression"}
    refused(alone(id=np.arange(N)), "accuracy", "regression", **numbers, margins={"accuracy": 0.1})
    for margins in (0.02, {"default": "0.02"}, {"default": None}, {"default": True}):
        refused(rows(), "margins", **FULL, margins=margins)
    design = recorded(rows(), **FULL, measures=["accuracy"], margins={"default": 0.1})[3]
    assert (design.measures, design.margins) == (("accuracy",), {"default": 0.1})


def test_a_split_that_is_none_and_a_share_that_is_no_number_are_refused():
    refused(rows(), "split", 'did you mean "fixed"', **FULL, split="fix")
    for share in ("0.2", True):
        refused(rows(), "test_share", **FULL, test_share=share)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"groups": ["yhat"]}, '"yhat" (prediction) is used as group too'),
        ({"groups": ["sex", "other=yhat"]}, '"yhat" (prediction) is used as group too'),
        ({"probability": "yhat"}, "is used as probability too"),
        ({"probability": "p", "weight": "p"}, "is used as probability too"),
        ({"groups": ["y"]}, '"y" (label) is used as group too'),
        ({"value": "age", "groups": ["age"]}, "is used as group too"),
    ],
)
def test_a_column_has_one_role(options, said):
    refused(alone(), said, **{**ONE, **options})


def test_a_folder_without_a_name_is_refused():
    with pytest.raises(InputError, match="has no name"):
        audit(rows(), **FULL, out="")


def test_an_audit_with_a_folder_leaves_a_report_and_remembers_earlier_margins(tmp_path):
    out = tmp_path / "out"
    audit(rows(), **FULL, example="id", margins={"default": 0.1}, out=out)
    audit(rows(), **FULL, example="id", margins={"default": 0.1}, out=out)
    results = audit(rows(), **FULL, example="id", margins={"default": 0.2}, out=out)
    assert [change.margins["default"] for change in results.design.margin_history] == [0.1, 0.2]
    assert "Margins were changed" in (out / "report.html").read_text()
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.yaml").touch()
    with pytest.raises(InputError, match="holds a study"):
        audit(rows(), **FULL, out=tmp_path / "study")


def test_the_command_remembers_earlier_margins_and_leaves_studies_alone(evenhand, tmp_path):
    rows().write_csv(tmp_path / "table.csv")
    columns = [f"--{name}={column}" for name, column in {**FULL, "groups": "sex"}.items()]
    columns = [each.replace("--groups", "--group") for each in columns]
    asked = ["audit", tmp_path / "table.csv", *columns, "--example=id"]
    for margin in (0.1, 0.2):
        ran = evenhand(*asked, f"--margin=default={margin}", "--out", tmp_path / "out")
        assert ran.returncode == 0, ran.stderr
    history = Results.load(tmp_path / "out").design.margin_history
    assert [change.margins["default"] for change in history] == [0.1, 0.2]
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.yaml").touch()
    ran = evenhand(*asked, "--out", tmp_path / "study")
    assert ran.returncode == 2 and "holds a study" in ran.stderr
    assert [path.name for path in (tmp_path / "study").iterdir()] == ["study.yaml"]


def test_the_audit_says_how_it_was_asked():
    results = audit(rows(), **FULL, example="id", margins={"default": 0.1}, source="mine.csv")
    assert "prediction: yhat" in results.provenance["study"]
    assert '"polars"' in results.provenance["environment"]
    assert results.design.source == "mine.csv"


def test_a_harm_planted_in_one_group_is_found_there_and_nowhere_else():
    rng = np.random.default_rng(3)
    frame = rows(n=900, seeds=range(5))
    hit = (frame["method"] == "b").to_numpy() & (frame["sex"] == "m").to_numpy() & (rng.random(len(frame)) < 0.4)
    frame = frame.with_columns(yhat=pl.when(pl.Series(hit)).then(1 - pl.col("y")).otherwise(pl.col("yhat")))
    verdicts = audit(frame, **FULL, example="id", margins={"default": 0.05}, measures=["accuracy"]).verdicts
    by_group = dict(verdicts.drop_nulls("group").select("group", "verdict").iter_rows())
    assert by_group["m"] == "worse" and by_group["f"] != "worse"


def test_the_tutorial_s_predictions_on_adult_can_be_audited(tmp_path, shared_data):
    root = Path(__file__).parents[3]
    table = tmp_path / "predictions.csv"
    command = [sys.executable, str(root / "examples" / "adult.py"), str(shared_data / "adult"), str(table)]
    subprocess.run([*command, "--seeds", "2"], check=True, capture_output=True)
    options = {"label": "label", "prediction": "prediction", "probability": "probability", "positive": ">50K"}
    results = audit(
        read_table(table),
        **options,
        groups=["sex", "race"],
        method="method",
        seed="seed",
        example="example",
        reference="logistic",
        measures=["accuracy", "selection_rate"],
    )
    over = results.estimates.filter(pl.col("seed").is_null())
    accuracy = over.filter(pl.col("group").is_null(), measure="accuracy")
    assert (accuracy["value"] > 0.8).all(), "the majority class has .76"
    rates = dict(over.filter(measure="selection_rate", method="logistic").drop_nulls("group")["group", "value"].rows())
    assert rates["Male"] > 2 * rates["Female"]
    assert set(rates) == {"Male", "Female", "White", "Black", "Asian-Pac-Islander", "Amer-Indian-Eskimo", "Other"}


def test_the_function_is_reached_by_its_public_name_whatever_was_imported_before():
    code = (
        "import evenhand as eh, polars as pl\n"
        "{before}\n"
        "frame = pl.DataFrame({{'y': [0, 1] * 20, 'yhat': [0, 1, 1, 0] * 10, 'g': list('aabb') * 10}})\n"
        "for _ in range(2):\n"
        "    assert len(eh.audit(frame, label='y', prediction='yhat', groups=['g']).estimates)\n"
        "import evenhand.audit.design as design\n"
        "assert design.Design and eh.Results\n"
    )
    for before in ("", "from evenhand.audit.design import Design"):
        subprocess.run([sys.executable, "-c", code.format(before=before)], check=True)
