"""Benchmarks through lm-evaluation-harness itself, on made-up documents in the formats of the hub's data sets."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from evenhand.errors import InputError
from evenhand.models.find import find_model
from evenhand.models.language import load_language_model
from evenhand.models.load import load_tokenizer
from evenhand.tasks.harness import stand_ins
from evenhand.tasks.harness.columns import DocumentColumns
from evenhand.tasks.harness.loading import load_benchmarks
from evenhand.tasks.harness.scoring import score_benchmarks

pytest.importorskip("lm_eval")

NAMES = ("crows_pairs_english", "bbq", "winogender_all", "stereoset")
CPU = torch.device("cpu")
TASK = """\
task: mill
dataset_path: json
dataset_kwargs: {data_files: {test: FILE}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_target: 0
doc_to_choice: "{{[right, wrong]}}"
metric_list: [{metric: acc}, {metric: acc_norm}]
metadata: {version: 2.0}
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    stand_ins.write_stand_ins(folder)
    return folder


@pytest.fixture(scope="module")
def model():
    base = find_model("tiny-llama")
    return load_language_model(base), load_tokenizer(base)


@pytest.fixture(scope="module")
def scored(data, model):
    benchmarks = load_benchmarks(NAMES, below=data)
    return benchmarks, score_benchmarks(*model, benchmarks, CPU)


@pytest.fixture
def own(tmp_path) -> Path:
    """A task of somebody's own: eight questions, four of each of two kinds, in two templates."""
    rows = [
        {
            "question": f"Where is the {word}?",
            "right": "here",
            "wrong": "there",
            "kind": "xy"[n % 2],
            "template": n // 4,
        }
        for n, word in enumerate(("mill", "lamp", "key", "letter", "baker", "guard", "cat", "horse"))
    ]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    (tmp_path / "mill.yaml").write_text(TASK.replace("FILE", str(tmp_path / "rows.jsonl")), encoding="utf-8")
    return tmp_path


def total(rows: pl.DataFrame, task: str, metric: str) -> float:
    return rows.filter(pl.col("example").is_null(), task=task, metric=metric)["value"].item()


def mean(rows: pl.DataFrame, task: str, metric: str, group: str | None = None) -> float:
    own = rows.drop_nulls("example").filter(task=task, metric=metric)
    own = own if group is None else own.filter(pl.col("groups").list.contains(group))
    return float(own["value"].to_numpy().mean())


def test_the_mean_over_documents_is_the_harnesss_number(scored):
    _, rows = scored
    whole = rows.filter(pl.col("example").is_null()).drop_nulls("value")
    checked = 0
    for row in whole.iter_rows(named=True):
        if len(rows.drop_nulls("example").filter(task=row["task"], metric=row["metric"])):
            assert mean(rows, row["task"], row["metric"]) == pytest.approx(row["value"], abs=1e-9), row
            checked += 1
    assert checked >= 20
    for condition, metric in (("ambig", "accuracy_amb"), ("disambig", "accuracy_disamb")):
        assert mean(rows, "bbq", "acc", f"context_condition={condition}") == total(rows, "bbq", metric)
    # BBQ's documents here are of two categories: the other nine have no number, and no row that says 0.
    empty = rows.filter(task="bbq", metric="amb_bias_score_Age")
    assert empty["value"].to_list() == [None] and empty["example"].to_list() == [None]


def test_documents_have_groups_and_units_and_no_text(scored, data):
    benchmarks, rows = scored
    units = rows.drop_nulls("example").group_by("task").agg(pl.col("unit").n_unique(), pl.col("example").n_unique())
    by_task = {task: (unit, n) for task, unit, n in units.iter_rows()}
    assert by_task["winogender_all"] == (16, 96)  # occupations
    assert by_task["bbq"] == (12, 96)  # templates: six of each of two categories
    assert by_task["crows_pairs_english"][1] == 150 and by_task["stereoset_intrasentence"][1] == 170
    groups = set(rows.drop_nulls("groups").explode("groups")["groups"])
    assert {"bias_type=gender", "category=Nationality", "context_condition=ambig", "gender=neutral"} <= groups
    said = json.dumps(rows.to_dicts())
    assert "because" not in said and "mill" not in said
    assert set(benchmarks.tasks) == {*NAMES[:3], "stereoset_intrasentence", "stereoset_intersentence"}


def test_copies_of_a_document_are_one_unit():
    columns, one, other = DocumentColumns(), {"a": "x", "b": 1}, {"b": 1, "a": "x"}
    assert columns.unit_of("d", one) == columns.unit_of("d", other) != columns.unit_of("d", {"a": "y", "b": 1})
    assert DocumentColumns(("a",)).groups_of({"a": None}) == ["a=(missing)"]


@pytest.mark.slow
def test_scores_are_those_of_the_harness_by_itself(model, data):
    """`simple_evaluate`, which also sets up the tasks, with its own loading of the model."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM

    benchmarks = load_benchmarks(("crows_pairs_english", "winogender_all"), below=data)
    rows = score_benchmarks(*model, benchmarks, CPU)
    spec = {
        "crows_pairs_english": data / "crows_pairs_multilingual",
        "winogender_all": data / "winogender",
    }
    group = {"group": "g", "task": [{"task": name, "dataset_path": str(path)} for name, path in spec.items()]}
    reader = HFLM(pretrained=str(find_model("tiny-llama").folder), dtype="float32", device="cpu", batch_size=1)
    found = lm_eval.simple_evaluate(reader, tasks=[group], bootstrap_iters=0, log_samples=True)
    assert found is not None
    for task, metric in (
        ("crows_pairs_english", "pct_stereotype"),
        ("crows_pairs_english", "likelihood_diff"),
        ("winogender_all", "acc"),
    ):
        assert total(rows, task, metric) == pytest.approx(found["results"][task][f"{metric},none"], abs=1e-4)
        each = [sample[metric] for sample in found["samples"][task]]
        ours = rows.drop_nulls("example").filter(task=task, metric=metric)["value"].to_list()
        assert np.abs(np.array(ours) - each).max() < 1e-3


def test_a_model_is_left_as_it_was(model, data):
    network, tokenizer = copy.deepcopy(model)
    network.train()
    before, pad = torch.random.get_rng_state(), tokenizer.pad_token
    numbers = np.random.get_state()[1].copy()  # noqa: NPY002
    one, many = (
        score_benchmarks(
            network, tokenizer, load_benchmarks(("winogender_all",), limit=24, batch_size=size, below=data), CPU
        )
        for size in (1, 8)
    )
    assert network.training and tokenizer.pad_token == pad
    assert (torch.random.get_rng_state() == before).all()
    assert (np.random.get_state()[1] == numbers).all()  # noqa: NPY002
    assert one.equals(many)


def test_a_limit_draws_documents_of_every_kind_and_the_same_ones_again(data):
    some = load_benchmarks(("crows_pairs_english",), limit=30, below=data)
    places = some.asked["crows_pairs_english"]
    assert places is not None and len(places) == 30 and list(places) == sorted(set(places))
    assert places[0] < 90 <= places[-1]  # in the file one kind follows the other
    assert load_benchmarks(("crows_pairs_english",), limit=30, below=data).asked == some.asked
    assert load_benchmarks(("crows_pairs_english",), limit=150, below=data).asked == {"crows_pairs_english": None}
    assert "30 of 150 documents, drawn" in some.notes[0]


def test_what_identifies_answers(data, tmp_path):
    def fingerprint(**more) -> str:
        return load_benchmarks(**{"names": ("winogender_all",), "below": data, **more}).fingerprint

    first = fingerprint()
    assert fingerprint(batch_size=2) == first
    moved = tmp_path / "moved"
    shutil.copytree(data / "winogender", moved / "winogender")
    assert fingerprint(below=moved) == first
    assert fingerprint(limit=10) != first and fingerprint(limit=11) != fingerprint(limit=10)
    assert fingerprint(names=("winogender_gotcha",)) != first
    assert fingerprint(columns={"winogender_all": DocumentColumns(("gender",), ("participant",))}) != first
    file = moved / "winogender" / "test.tsv"
    file.write_text(file.read_text(encoding="utf-8").replace("tired", "glad"), encoding="utf-8")
    assert fingerprint(below=moved) != first


def test_a_task_of_ones_own(model, own):
    benchmarks = load_benchmarks(("mill",), include=own, columns={"mill": DocumentColumns(("kind",), ("template",))})
    rows = score_benchmarks(*model, benchmarks, CPU)
    assert set(rows["metric"]) == {"acc", "acc_norm"}
    named = rows.drop_nulls("example").filter(metric="acc")
    assert named["unit"].n_unique() == 2 and set(named.explode("groups")["groups"]) == {"kind=x", "kind=y"}
    plain = (
        score_benchmarks(*model, load_benchmarks(("mill",), include=own), CPU)
        .drop_nulls("example")
        .filter(metric="acc")
    )
    assert plain["unit"].n_unique() == 8 and plain["groups"].list.len().max() == 0


def test_an_answer_that_the_model_has_no_room_for_is_refused_in_a_sentence(model, own):
    rows = own / "rows.jsonl"
    rows.write_text(rows.read_text(encoding="utf-8").replace('"here"', f'"{"here " * 400}"'), encoding="utf-8")
    with pytest.raises(
        InputError, match="a document of mill has an answer without tokens, or with more than the model's 256 positions"
    ):
        score_benchmarks(*model, load_benchmarks(("mill",), include=own), CPU)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        pytest.param(
            {"names": ("crows_pairs_english", "winogender_al")},
            'no task "winogender_al"; did you mean "winogender_all"',
            marks=pytest.mark.slow,  # thousands of tasks are read to know that it is none of them
        ),
        ({"names": ("mill",), "include": "no folder"}, "include_path: there is no folder"),
        (
            {"names": ("mill",), "columns": {"mill": DocumentColumns(("kinds",))}},
            'no column "kinds"; did you mean "kind"',
        ),
        (
            {"names": ("mill",), "columns": {"mil": DocumentColumns()}},
            '"mil" is not among harness.tasks; did you mean "mill"',
        ),
        (
            {"names": ("bbq",)},
            'the documents of "bbq", the data set oskarvanderwal/bbq, cannot be loaded: the hub cannot be reached',
        ),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(more, said, own):
    include = Path(more.get("include", own))
    with pytest.raises(InputError) as refused:
        load_benchmarks(**{**more, "include": include})
    assert said in str(refused.value)


def test_without_the_harness_it_is_said_how_to_get_it():
    code = "import sys\nsys.modules['lm_eval'] = None\n"
    code += "from evenhand.tasks.harness.loading import load_benchmarks\nload_benchmarks(('bbq',))\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'evenhand[harness]'" in done.stderr and "InputError" in done.stderr


def test_every_model_is_asked_with_the_same_examples_in_its_prompts(model, own):
    from evenhand.tasks.harness.scoring import evaluated

    rows = (own / "rows.jsonl").read_text(encoding="utf-8")
    (own / "learned.jsonl").write_text(rows.replace("Where is the", "Who has the"), encoding="utf-8")
    task = TASK.replace("FILE", str(own / "rows.jsonl")).replace(
        "test_split: test", "test_split: test\nfewshot_split: train\nnum_fewshot: 2"
    )
    task = task.replace("{data_files: {", f"{{data_files: {{train: {own / 'learned.jsonl'}, ")
    (own / "mill.yaml").write_text(task, encoding="utf-8")
    benchmarks = load_benchmarks(("mill",), include=own)
    asked = [
        [sample["arguments"] for sample in evaluated(*model, benchmarks, CPU)["samples"]["mill"]] for _ in range(2)
    ]
    assert "Who has the" in str(asked[0]) and asked[0] == asked[1]
    assert asked[0] == [
        sample["arguments"]
        for sample in evaluated(*model, load_benchmarks(("mill",), include=own), CPU)["samples"]["mill"]
    ]


SHUFFLED = """\
import random


def process_docs(dataset):
    def shuffled(document):
        options = [document["right"], document["wrong"]]
        random.shuffle(options)
        return {"options": options, "gold": options.index(document["right"])}

    return dataset.map(shuffled, load_from_cache_file=False)
"""


def test_documents_that_a_task_shuffles_are_the_same_in_every_process(own):
    (own / "shuffles.py").write_text(SHUFFLED, encoding="utf-8")
    task = TASK.replace("FILE", str(own / "rows.jsonl"))
    task = task.replace("test_split: test", "test_split: test\nprocess_docs: !function shuffles.process_docs")
    task = task.replace("doc_to_target: 0", "doc_to_target: gold").replace('"{{[right, wrong]}}"', "options")
    (own / "mill.yaml").write_text(task, encoding="utf-8")
    found = [load_benchmarks(("mill",), include=own) for _ in range(2)]
    golds = [[document["gold"] for document in each.tasks["mill"].eval_docs] for each in found for _ in range(2)]
    assert {0, 1} == set(golds[0]) and all(each == golds[0] for each in golds)
    assert found[0].fingerprint == found[1].fingerprint
