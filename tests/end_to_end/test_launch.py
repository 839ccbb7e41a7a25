"""A study that several processes run together is the study that one runs; what they cannot train is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import yaml

from evenhand import InputError, Study, records
from evenhand.study.executors.launched import check_launch
from evenhand.study.plan import make_plan


def launch(folder, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Two processes of the command line on the CPU, as torchrun starts them."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "evenhand"]
    known = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run([*command, *arguments], cwd=folder, env=known, capture_output=True, text=True, timeout=600)


def logits(out) -> dict[str, np.ndarray]:
    return {
        path.parent.name: np.stack(records.read(path, "predictions")["logits"].to_list())
        for path in sorted((out / "trials").glob("*/predictions.parquet"))
    }


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
        kept = json.loads((path / "trial.json").read_text())
        assert kept["environment"]["processes"] == "2"
        steps = (path / "log.jsonl").read_text().splitlines()
        assert len(steps) == len((tmp_path / "alone" / "trials" / path.name / "log.jsonl").read_text().splitlines())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train": {"base_dropout": 0.1}}, "base_dropout"),
        ({"train": {"replicas": 4}}, "one trial at a time"),
        ({"methods": {"private": {"kind": "dp_lora"}}, "reference": []}, "its noise for one process"),
    ],
)
def test_what_several_processes_would_train_otherwise_is_refused(small_study, changes, said, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    planned = make_plan(Study(**{**small_study, **changes}), None)
    with pytest.raises(InputError, match=said):
        check_launch(planned.distinct)


def test_a_way_of_sharding_that_was_not_checked_is_refused(small_study, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    with pytest.raises(InputError, match="DEEPSPEED, which has not been tested with Evenhand"):
        check_launch(make_plan(Study(**small_study), None).distinct)
