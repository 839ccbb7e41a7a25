"""What a run says of earlier trials that a change of the data, the base model or the recipe leaves unused."""

from __future__ import annotations

import json

import polars as pl
import pytest

from evenhand import Study
from evenhand.atomic_files import write_text
from evenhand.study.plan import make_plan
from evenhand.study.stale_trials import stale_sentences
from evenhand.study.store import Store
from finished_trials import finish


@pytest.fixture
def table():
    return pl.DataFrame(
        {
            "text": [f"a text of number {number}" for number in range(100)],
            "label": [number % 2 for number in range(100)],
            "who": ["a", "b"] * 50,
            "part": ["train"] * 60 + ["validation"] * 20 + ["test"] * 20,
        }
    )


def planned(small_study, path):
    task = {"name": "table", "path": str(path), "text": "text", "label": "label", "groups": ["who"]}
    return make_plan(Study(**{**small_study, "task": task, "split": {"column": "part"}}), None)


@pytest.fixture
def finished(small_study, table, tmp_path):
    """The folder of a finished study, and its plan."""
    table.write_csv(tmp_path / "t.csv")
    plan = planned(small_study, tmp_path / "t.csv")
    store = Store(tmp_path / "out")
    finish(store, plan)
    return store, plan


def with_text(table, row):
    return table.with_columns(
        pl.when(pl.int_range(pl.len()) == row).then(pl.lit("new")).otherwise("text").alias("text")
    )


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            0,
            ["The training examples changed since an earlier run: 4 trials (full · seed 0, lora · seed 0, "],
        ),
        (70, ["The validation examples changed since an earlier run: 4 trials ("]),
        (99, ["The test examples changed since an earlier run: 4 trials ("]),
    ],
)
def test_a_changed_row_is_named_by_what_it_was_for(finished, small_study, table, tmp_path, row, said):
    store, _ = finished
    with_text(table, row).write_csv(tmp_path / "t.csv")
    found = stale_sentences(planned(small_study, tmp_path / "t.csv"), store)
    assert len(found) == len(said)
    for sentence, start in zip(found, said, strict=True):
        assert sentence.startswith(start) and "and 1 more)" in sentence and len(sentence) <= 300


def test_a_finished_or_a_grown_study_gets_no_sentence(finished, small_study, tmp_path):
    store, plan = finished
    assert stale_sentences(plan, store) == []
    grown = planned({**small_study, "seeds": 3}, tmp_path / "t.csv")
    assert stale_sentences(grown, store) == []


def test_another_base_model_under_the_same_name_is_named(finished):
    """The earlier trials are written as if the model's weights had been others."""
    store, plan = finished
    for folder in list((store.out / "trials").iterdir()):
        kept = json.loads((folder / "trial.json").read_text())
        kept["identity"]["base"] = "other weights"
        write_text(folder / "trial.json", json.dumps(kept))
        folder.rename(folder.with_name(f"{folder.name[::-1]}"))
    (sentence,) = stale_sentences(plan, store)
    assert sentence.startswith("The base model changed since an earlier run: 4 trials")
