"""A trial that several processes train is the trial of one, and ends with its run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from evenhand import InputError, Study, records
from evenhand.study.executors import several_processes


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["serial", "ray", "sharded"])
def test_two_processes_train_the_trials_of_one(small_study, tmp_path, executor, monkeypatch):
    if executor == "ray":
        pytest.importorskip("ray")
    sharded = executor == "sharded"
    if sharded:
        program = Path(__file__).parents[2] / "sharded_processes.py"
        monkeypatch.setattr(several_processes, "_PROGRAM", (str(program),))
        monkeypatch.setenv("PYTHONPATH", str(program.parent), prepend=os.pathsep)
    small_study |= {"seeds": 1}
    two = Study(**small_study, resources={"processes": 2, "cpus": 2, "sharded": sharded})
    two.run(tmp_path / "two", executor="serial" if sharded else executor)
    Study(**small_study).run(tmp_path / "one")
    for path in sorted((tmp_path / "one" / "trials").iterdir()):
        kept = json.loads((tmp_path / "two" / "trials" / path.name / "trial.json").read_text())
        assert kept["environment"]["processes"] == "2" and kept["status"] == "done"
        ours, theirs = (
            np.stack(
                records.read(folder / "trials" / path.name / "predictions.parquet", "predictions")["logits"].to_list()
            )
            for folder in (tmp_path / "two", tmp_path / "one")
        )
        assert ours == pytest.approx(theirs, abs=1e-5)
    assert not list((tmp_path / "two").glob("claims/*"))


@pytest.mark.parametrize(
    ("resources", "train", "said"),
    [
        ({}, {"base_dropout": 0.1}, r"has train\.base_dropout, .*; leave out its resources\.processes, which is 2"),
        ({"minutes": 5}, {}, r"has resources\.minutes"),
        ({"gpus": 1}, {}, r"resources\.gpus: 1 and processes: 2; each process computes on an accelerator of its own"),
    ],
)
def test_what_several_processes_would_train_otherwise_is_refused(small_study, tmp_path, resources, train, said):
    study = Study(**small_study, resources={"processes": 2, **resources}, train=train)
    with pytest.raises(InputError, match=said):
        study.run(tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_processes_that_could_not_share_the_weights_are_refused(small_study, tmp_path):
    study = Study(**small_study | {"seeds": 1}, resources={"processes": 2, "sharded": True})
    with pytest.raises(InputError, match="which accelerate does on accelerators only"):
        study.run(tmp_path / "out")


def test_one_process_has_nobody_to_share_weights_with(small_study):
    with pytest.raises(InputError, match="sharded needs several processes"):
        Study(**small_study, resources={"sharded": True})


@pytest.mark.slow
def test_the_processes_end_with_their_run(small_study, tmp_path):
    small_study["methods"]["full"]["epochs"] = 10_000
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({**small_study, "resources": {"processes": 2, "cpus": 2}}))
    command = [sys.executable, "-m", "evenhand", "run", str(tmp_path / "study.yaml"), "--out", str(tmp_path / "out")]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("out/trials/.*/log.jsonl")):
        assert run.poll() is None
        time.sleep(0.2)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 130 and "Traceback" not in said
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert f"several_processes {os.fspath(tmp_path)}" not in running
    assert "evenhand.study.executors.several_processes" not in running
