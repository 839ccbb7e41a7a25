"""Benchmarks in a study: scored on every trial, kept, resumed, audited, reported; what is refused before training."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml

import evenhand as eh
from evenhand.audit.results import Results
from evenhand.errors import InputError
from evenhand.study.execution import pending
from evenhand.study.plan import make_plan
from evenhand.study.store import Store
from evenhand.tasks.harness import stand_ins

pytest.importorskip("lm_eval")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    stand_ins.write_stand_ins(folder)
    return folder


def study(**more) -> eh.Study:
    values = {
        "task": {"name": "synthetic/reviews", "n": 60},
        "model": "tiny-llama",
        "methods": {
            "base": {"kind": "base"},
            "lora": {"kind": "lora", "rank": 2, "epochs": 1, "lr": 3e-3},
        },
        "reference": "base",
        "seeds": 2,
        "split": {"test": 0.2, "validation": 0.0},
        "margins": {"default": 0.1},
        "prompts": {"reviews": 12, "templates": ["cloze1"], "words": ["male-female"]},
        "harness": {"tasks": ["crows_pairs_english", "winogender_all"], "limit": 40},
    }
    return eh.Study(**{**values, **more})


@pytest.fixture(scope="module")
def run(data, tmp_path_factory) -> tuple[Path, Results]:
    out = tmp_path_factory.mktemp("study")
    return out, study().run(out, data)


def test_every_trial_is_scored_and_judged_beside_the_rest(run):
    out, results = run
    assert len(results.harness["trial"].unique()) == 4
    verdicts = results.verdicts.drop_nulls("condition")
    assert {"crows_pairs_english", "winogender_all"} < set(verdicts["condition"])
    assert {"pct_stereotype_distance", "acc", "acc_gap", "distance_from_equal"} <= set(verdicts["measure"])
    base = results.estimates.filter(pl.col("group").is_null(), measure="pct_stereotype", method="base")
    assert len(base) == 3 and base["value"].n_unique() == 1  # whatever the seed, it is the same model
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Blodgett et al. 2021" in page and "crows_pairs_english" in page and "40 of 150 documents, drawn" in page
    assert (out / "figures" / "benchmarks.png").is_file()
    assert "lm-evaluation-harness" in results.provenance
    loaded = Results.load(out)
    assert loaded.harness.equals(results.harness) and len(loaded.options) and loaded.verdicts.equals(results.verdicts)


def test_what_is_scored_is_no_part_of_a_trial_and_part_of_what_it_must_hold(run, data):
    out, _ = run
    first, store = make_plan(study(), data), Store(out)
    assert pending(first, store) == []
    more = make_plan(study(harness={"tasks": ["crows_pairs_english", "winogender_all"], "limit": 41}), data)
    assert [trial.hash for trial in more.trials] == [trial.hash for trial in first.trials]
    assert len(pending(more, store)) == 4
    assert pending(make_plan(study(harness=None), data), store) == []


def test_other_benchmarks_are_asked_of_kept_weights(run, data, tmp_path):
    out, results = run
    trained = {path: path.stat().st_mtime_ns for path in out.glob("trials/*/log.jsonl")}
    options = {path: path.read_bytes() for path in out.glob("trials/*/options.parquet")}
    again = study(harness={"tasks": ["crows_pairs_english"], "limit": 40}).run(out, data)
    assert {path: path.stat().st_mtime_ns for path in trained} == trained
    assert {path: path.read_bytes() for path in options} == options
    assert set(again.harness["task"]) == {"crows_pairs_english"}
    key = ("trial", "example", "metric")
    same, own = (frame.filter(task="crows_pairs_english").sort(key) for frame in (results.harness, again.harness))
    assert own.drop("value").equals(same.drop("value"))
    # Requests are in other batches without the other benchmark, which rounds otherwise.
    assert (own["value"] - same["value"]).abs().max() < 1e-4


@pytest.mark.slow
def test_kept_weights_answer_as_the_trained_model_did(data, tmp_path):
    """Full fine-tuning, whose weights are kept, and a trial that lost the table."""
    full = {"methods": {"full": {"kind": "full", "epochs": 1, "lr": 1e-3}}, "reference": [], "seeds": 1}
    one = study(**full, keep="weights", harness={"tasks": "winogender_all", "limit": 30}, prompts=None)
    first = one.run(tmp_path, data)
    (table,) = tmp_path.glob("trials/*/harness.parquet")
    table.unlink()
    assert one.run(tmp_path, data).harness.equals(first.harness)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {
                "task": "synthetic/posts",
                "model": "tiny-bert",
                "prompts": None,
                "methods": {"full": {"kind": "full"}},
                "reference": [],
            },
            "trains a classifier",
        ),
        ({"harness": {"tasks": []}}, "tasks"),
        ({"harness": {"tasks": ["bbq"], "limits": 3}}, 'did you mean "limit"'),
        ({"margins": {"pct_stereotype_distanc": 0.1}}, 'did you mean "pct_stereotype_distance"'),
    ],
)
def test_what_means_nothing_is_refused_when_a_study_is_read(more, said):
    with pytest.raises(InputError) as refused:
        study(**more)
    assert said in str(refused.value)


def test_benchmarks_of_settings_that_share_a_trial_must_be_the_same(data):
    one = study().model_dump(mode="json")["settings"]["main"]
    other = {**one, "harness": {**one["harness"], "limit": 20}}
    with pytest.raises(InputError, match="benchmarks \\(harness:\\) differ"):
        make_plan(eh.Study(settings={"a": one, "b": other}), data)
    shared = make_plan(eh.Study(settings={"a": one, "b": {**one, "harness": None}}), data)
    assert all(trial.benchmarks is not None for trial in shared.distinct)


def test_a_bare_list_is_that_of_the_tasks_and_a_study_reads_back():
    whole = study(harness=["bbq", "stereoset"])
    assert whole.settings["main"].harness.tasks == ("bbq", "stereoset")
    assert eh.Study(**yaml.safe_load(whole.to_yaml())) == whole


@pytest.mark.slow
def test_documents_that_cannot_be_had_end_the_command_before_anything_is_trained(evenhand, tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(study(harness=["bbq"]).to_yaml(), encoding="utf-8")
    done = evenhand("run", file, "--out", tmp_path / "out")
    assert done.returncode == 2 and 'the documents of "bbq"' in done.stderr
    assert not list((tmp_path / "out").glob("trials/*"))


@pytest.mark.slow
def test_without_the_harness_the_command_says_how_to_get_it(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(study().to_yaml(), encoding="utf-8")
    code = "import sys; sys.modules['lm_eval'] = None; from evenhand.cli import main; main()"
    command = [sys.executable, "-c", code, "run", str(file), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "pip install 'evenhand[harness]'" in done.stderr, done.stderr
    assert not list((tmp_path / "out").glob("trials/*"))


@pytest.mark.slow
def test_a_data_set_of_the_hub_scores_as_the_harnesss_own_command_says(data, tmp_path):
    """A hub on this machine, asked by Evenhand and by `lm_eval` alike; with the base model, on all documents."""
    from evenhand.models.find import find_model

    sys.path.insert(0, str(Path(__file__).parent.parent / "data"))
    from hub import serving

    file = tmp_path / "study.yaml"
    values = {"methods": {"base": {"kind": "base"}}, "reference": [], "seeds": 1}
    file.write_text(
        study(**values, harness={"tasks": "crows_pairs_english", "limit": None}).to_yaml(), encoding="utf-8"
    )
    with serving("jannalu/crows_pairs_multilingual", data / "crows_pairs_multilingual") as address:
        own = {"HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "cache")}
        options = {"env": {**os.environ, **own}, "capture_output": True, "text": True, "timeout": 600}
        command = [sys.executable, "-m", "evenhand", "run", str(file), "--out", str(tmp_path / "out")]
        done = subprocess.run(command, **options)
        assert done.returncode == 0, done.stderr
        arguments = f"pretrained={find_model('tiny-llama').folder},dtype=float32"
        command = [sys.executable, "-m", "lm_eval", "--model", "hf", "--model_args", arguments]
        command += ["--tasks", "crows_pairs_english", "--device", "cpu", "--output_path", str(tmp_path / "theirs")]
        done = subprocess.run(command, **options)
        assert done.returncode == 0, done.stderr
    (found,) = (tmp_path / "theirs").rglob("results*.json")
    theirs = json.loads(found.read_text(encoding="utf-8"))["results"]["crows_pairs_english"]
    ours = Results.load(tmp_path / "out").estimates.filter(pl.col("seed").is_null(), pl.col("group").is_null())
    for metric in ("pct_stereotype", "likelihood_diff"):
        value = ours.filter(measure=metric)["value"].item()
        assert value == pytest.approx(theirs[f"{metric},none"], abs=1e-4)


@pytest.mark.slow
def test_tiny_needs_no_hub(evenhand, tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(
        study(harness=["crows_pairs_english", "bbq", "winogender_all", "stereoset"]).to_yaml(), encoding="utf-8"
    )
    done = evenhand("run", file, "--tiny", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "made-up documents stand in" in done.stderr
    assert set(Results.load(tmp_path / "out").harness["task"]) >= {"bbq", "stereoset_intrasentence"}
