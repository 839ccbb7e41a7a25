"""A study that several processes run together is the study that one runs; what they cannot train is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from evenhand import InputError, QLoRA, Study, records
from evenhand.study.executors.launched import check_launch
from evenhand.study.plan import make_plan
from evenhand.tasks.harness import stand_ins

TESTS = Path(__file__).parents[1]
COMMAND = ("-m", "evenhand")
COMMANDS = {"data parallel": COMMAND, "sharded": (str(TESTS / "sharded_launch.py"),)}
SHORT = """
import sys

import torch

from evenhand.cli import main
from evenhand.training import loop
from evenhand.training.launch import this_process


def take_step(*arguments):
    raise torch.OutOfMemoryError("made up")


if this_process().rank == int(sys.argv.pop()):
    loop.take_step = take_step
main()
"""
"""The command line in a launch, where the process whose rank comes last runs out of memory."""

LANGUAGE: dict[str, Any] = {
    "methods": {
        "base": {"kind": "base"},
        "full": {"kind": "full", "lr": 1e-3, "epochs": 1},
        "lora": {"kind": "lora", "rank": 4, "lr": 5e-3, "epochs": 1, "dropout": 0.1},
    },
    "reference": "base",
    "seeds": 1,
    "split": {"test": 0.2, "validation": 0.1},
    "train": {"batch_size": 8},
    "margins": {"default": 0.1},
    "keep": "weights",
    "settings": {
        "posts": {"task": {"name": "synthetic/posts", "n": 150}, "model": "tiny-bert", "probing": ["label"]},
        "translation": {
            "task": {"name": "synthetic/translation", "n": 48},
            "model": "tiny-llama",
            "methods": {
                "full": {"train": {"packing": True}},
                "failing": {"kind": "full", "lr": 1e30, "epochs": 1},
            },
            "probing": ["stereotype"],
        },
        "reviews": {
            "task": {"name": "synthetic/reviews", "n": 61},
            "model": "tiny-mistral",
            "methods": {"full": {"train": {"tokens_per_pass": 300}}},
            "prompts": {
                "reviews": 7,
                "templates": ["cloze1", "mc1"],
                "words": ["male-female", "female-male-neutral"],
                "score": "sequence_loss",
                "content_free": ["N/A"],
            },
            "harness": {"tasks": ["winogender_all"], "limit": 20},
        },
    },
}
"""All that a launch trains: classifiers and language models, what they are asked, probes, benchmarks, a failure."""


def launch(folder, *arguments: str, command: tuple[str, ...] = COMMAND) -> subprocess.CompletedProcess[str]:
    """Two processes of the command line on the CPU, as torchrun starts them."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    known = {**os.environ, "PYTHONPATH": search_path(), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    called = [*torchrun, *command, *arguments]
    return subprocess.run(called, cwd=folder, env=known, capture_output=True, text=True, timeout=600)


def search_path() -> str:
    """The folders of Python's files, those of the tests first."""
    return os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])


def tables(out: Path, name: str) -> dict[str, pl.DataFrame]:
    """One table of every trial that has it."""
    return {path.parent.name: records.read(path, name) for path in sorted(out.glob(f"trials/*/{name}.parquet"))}


def logits(out: Path) -> dict[str, np.ndarray]:
    return {trial: np.stack(rows["logits"].to_list()) for trial, rows in tables(out, "predictions").items()}


def kept(out: Path) -> dict[str, dict[str, Any]]:
    """The file `trial.json` of every trial."""
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(out.glob("trials/*/trial.json"))}


@pytest.mark.slow
def test_a_study_of_two_processes_is_the_study_of_one(small_study, tmp_path):
    small_study["methods"]["lora"]["dropout"] = 0.1
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(small_study))
    done = launch(tmp_path, "run", "study.yaml", "--out", "together", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdicts"] is not None  # one object: the main process alone speaks
    Study(**small_study).run(tmp_path / "alone")
    ours, theirs = logits(tmp_path / "together"), logits(tmp_path / "alone")
    assert ours.keys() == theirs.keys()
    for trial, found in ours.items():
        assert found == pytest.approx(theirs[trial], abs=1e-5)
    for path in (tmp_path / "together" / "trials").iterdir():
        assert kept(tmp_path / "together")[path.name]["environment"]["processes"] == "2"
        steps = (path / "log.jsonl").read_text().splitlines()
        assert len(steps) == len((tmp_path / "alone" / "trials" / path.name / "log.jsonl").read_text().splitlines())


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    pytest.importorskip("lm_eval")
    folder = tmp_path_factory.mktemp("data")
    stand_ins.write_stand_ins(folder)
    return folder


@pytest.fixture(scope="module")
def alone(data, tmp_path_factory) -> Path:
    """The folder of the study that one process ran."""
    out = tmp_path_factory.mktemp("alone")
    Study(**LANGUAGE).run(out, data)
    return out


@pytest.fixture(scope="module", params=COMMANDS)
def together(request, data, tmp_path_factory) -> Path:
    """The folder of the study that two processes ran."""
    folder = tmp_path_factory.mktemp("together")
    (folder / "study.yaml").write_text(yaml.safe_dump(LANGUAGE))
    done = launch(folder, "run", "study.yaml", "--out", "out", "--data", str(data), command=COMMANDS[request.param])
    assert done.returncode == 0, done.stderr
    return folder / "out"


@pytest.mark.slow
def test_every_trial_of_two_processes_is_recorded_as_that_of_one(together, alone):
    ours, theirs = kept(together), kept(alone)
    assert ours.keys() == theirs.keys() and len(ours) == 10
    for trial, one in theirs.items():
        assert {key: ours[trial].get(key) for key in ("status", "parameters", "parameters_total")} == {
            key: one.get(key) for key in ("status", "parameters", "parameters_total")
        }
        for loss in ("train_loss", "validation_loss"):
            assert ours[trial].get(loss) == (one.get(loss) and pytest.approx(one[loss], abs=1e-5))
    (failure,) = (one for one in ours.values() if one["status"] == "failed")
    assert "the loss was nan" in failure["reason"]


@pytest.mark.slow
def test_two_processes_log_the_losses_and_norms_of_one(together, alone):
    done = [trial for trial, one in kept(alone).items() if one["status"] == "done"]
    for path in (alone / "trials" / trial / "log.jsonl" for trial in done):
        ours = (together / "trials" / path.parent.name / "log.jsonl").read_text().splitlines()
        for line, other in zip(map(json.loads, ours), map(json.loads, path.read_text().splitlines()), strict=True):
            assert line.keys() == other.keys()
            for key in line.keys() - {"seconds"}:
                assert line[key] == (other[key] and pytest.approx(other[key], rel=1e-3, abs=1e-5)), (path, key)


@pytest.mark.slow
def test_two_processes_predict_and_write_what_one_does(together, alone):
    ours, theirs = logits(together), logits(alone)
    assert ours.keys() == theirs.keys() and len(ours) == 3
    for trial, found in ours.items():
        assert found == pytest.approx(theirs[trial], abs=1e-5)
    texts = tables(together, "responses")
    assert len(texts) == 3 and len(set(pl.concat(texts.values())["text"])) > 3
    for trial, rows in tables(alone, "responses").items():
        assert texts[trial].equals(rows)


@pytest.mark.slow
def test_two_processes_score_options_as_one_does(together, alone):
    ours, theirs = tables(together, "options"), tables(alone, "options")
    assert ours.keys() == theirs.keys() and len(ours) == 3
    for trial, rows in ours.items():
        numbers = ["log_prob", "sequence_loss"]
        assert rows.drop(numbers).equals(theirs[trial].drop(numbers))
        for name in numbers:
            assert rows[name].to_numpy() == pytest.approx(theirs[trial][name].to_numpy(), rel=1e-6, abs=1e-5)


@pytest.mark.slow
def test_the_main_process_probes_and_scores_benchmarks_as_one_does(together, alone):
    probed, scored = tables(together, "probes"), tables(together, "harness")
    assert len(probed) == 6 and len(scored) == 3
    for trial, rows in tables(alone, "probes").items():
        assert rows.drop("correct").equals(probed[trial].drop("correct"))
        assert (rows["correct"] == probed[trial]["correct"]).mean() > 0.99
    for trial, rows in tables(alone, "harness").items():
        assert rows.drop("value").equals(scored[trial].drop("value"))
        assert scored[trial]["value"].to_numpy() == pytest.approx(rows["value"].to_numpy(), abs=1e-4, nan_ok=True)


@pytest.mark.slow
def test_a_launch_makes_missing_records_from_kept_weights(together, data):
    more = json.loads(json.dumps(LANGUAGE))
    more["settings"]["posts"]["probing"] = ["topic"]
    more["settings"]["reviews"]["prompts"]["reviews"] = 5
    (together.parent / "more.yaml").write_text(yaml.safe_dump(more))
    logs = {path: path.stat().st_mtime_ns for path in together.glob("trials/*/log.jsonl")}
    done = launch(together.parent, "run", "more.yaml", "--out", "out", "--data", str(data))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("predicted from kept weights") == 6 and ": trained" not in done.stderr
    assert {path: path.stat().st_mtime_ns for path in logs} == logs


@pytest.mark.slow
@pytest.mark.parametrize("rank", range(2))
def test_a_process_without_memory_ends_the_launch_with_a_sentence(rank, small_study, tmp_path):
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(small_study))
    (tmp_path / "short.py").write_text(SHORT)
    done = launch(tmp_path, "run", "study.yaml", "--out", "out", str(rank), command=("short.py",))
    assert done.returncode and f"the memory of process {rank + 1} of 2 ran out" in done.stderr
    assert not list(tmp_path.glob("out/trials/*/trial.json"))


@pytest.mark.slow
def test_a_launch_that_ends_in_one_process_says_so_once(small_study, tmp_path):
    few = {**small_study, "methods": {"base": {"kind": "base"}}, "reference": [], "seeds": 1}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(few))
    accelerate = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"]
    called = [*accelerate, "-m", "evenhand", "run", "study.yaml", "--out", "out"]
    done = subprocess.run(called, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("The launcher started a single process") == 1
    assert "torchrun --nproc-per-node 2 -m evenhand" in done.stderr and "--multi_gpu" in done.stderr


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train": {"base_dropout": 0.1}}, "base_dropout"),
        ({"train": {"replicas": 4}}, "one trial at a time"),
        ({"train": {"compile": True}}, "train.compile"),
        ({"resources": {"minutes": 5}}, "resources.minutes"),
        ({"methods": {"private": {"kind": "dp_lora"}}, "reference": []}, "its noise for one process"),
    ],
)
def test_what_several_processes_would_train_otherwise_is_refused(small_study, changes, said, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    planned = make_plan(Study(**{**small_study, **changes}), None)
    with pytest.raises(InputError, match=said):
        check_launch(planned.distinct)


def test_rounded_weights_are_refused(small_study):
    trial = replace(make_plan(Study(**small_study), None).distinct[0], spec=QLoRA())
    with pytest.raises(InputError, match="to 4 bits, which has not been shown to work"):
        check_launch([trial])


def test_a_way_of_sharding_that_was_not_checked_is_refused(small_study, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    with pytest.raises(InputError, match="DEEPSPEED, which has not been tested with Evenhand"):
        check_launch(make_plan(Study(**small_study), None).distinct)
