"""A study in packs is the study without them, and continues where it was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field

import numpy as np
import pytest
import yaml

from evenhand import Study, records
from evenhand.study.run import Silent

pytestmark = pytest.mark.usefixtures("unreported")


@dataclass(frozen=True)
class Trained(Silent):
    """Remembers what was done for each trial, and how long it took."""

    done: list = field(default_factory=list)

    def finish(self, trial, done, seconds) -> None:
        self.done.append((trial.method, trial.seed, done.what, seconds))


@pytest.fixture
def study(small_study):
    small_study["methods"]["lora"]["dropout"] = 0.1
    small_study["methods"]["wide"] = {"kind": "lora", "rank": 16, "lr": 1e-3, "epochs": 2}
    return small_study


def logits(out) -> dict[str, np.ndarray]:
    return {
        path.parent.name: np.stack(records.read(path, "predictions")["logits"].to_list())
        for path in sorted((out / "trials").glob("*/predictions.parquet"))
    }


def test_a_study_in_packs_is_the_study_without_them(study, tmp_path):
    alone, packed = Trained(), Trained()
    Study(**{**study, "train": {"replicas": 1}}).run(tmp_path / "alone", watcher=alone)
    Study(**{**study, "train": {"replicas": 4}}).run(tmp_path / "packed", watcher=packed)
    ours, theirs = logits(tmp_path / "packed"), logits(tmp_path / "alone")
    assert ours.keys() == theirs.keys()
    assert len(ours) == 6
    for trial, found in ours.items():
        assert found == pytest.approx(theirs[trial], abs=1e-4)
    replicas = [json.loads(path.read_text())["replicas"] for path in (tmp_path / "packed").glob("trials/*/trial.json")]
    assert sorted(replicas) == [1, 1, 4, 4, 4, 4]
    assert sorted(one[:3] for one in alone.done) == sorted(one[:3] for one in packed.done)
    assert all(seconds > 0 for *_, seconds in packed.done)
    again = Trained()
    Study(**{**study, "train": {"replicas": 2}}).run(tmp_path / "packed", watcher=again)
    assert again.done == []


def test_a_replica_that_fails_fails_alone(study, tmp_path):
    study["methods"]["wild"] = {"kind": "lora", "lr": 1e30, "epochs": 4}
    results = Study(**{**study, "train": {"replicas": 6}}).run(tmp_path / "wild")
    status = dict(results.trials.select("method", "status").unique().iter_rows())
    assert status == {"full": "done", "lora": "done", "wide": "done", "wild": "failed"}


def test_a_pack_that_is_killed_loses_only_what_was_half_trained_and_ends_in_the_same_bits(study, tmp_path):
    study["train"] = {"replicas": 2}
    study["methods"] = {"lora": study["methods"]["lora"]}
    study |= {"reference": "lora", "seeds": 6}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "evenhand", "run", str(tmp_path / "study.yaml"), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not (len(list(out.glob("trials/[!.]*"))) >= 2 and len(list(out.glob("trials/.*"))) == 2):
        assert process.poll() is None, "the run ended before it could be killed in the middle"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    complete = {path: path.stat().st_mtime_ns for path in out.glob("trials/[!.]*/trial.json")}
    assert len(complete) in (2, 4)
    watcher = Trained()
    Study(**study).run(out, watcher=watcher)
    assert len(watcher.done) == 6 - len(complete)
    assert all(path.stat().st_mtime_ns == when for path, when in complete.items())
    assert not list(out.glob("trials/.*"))
    Study(**study).run(tmp_path / "undisturbed")
    ours, theirs = logits(out), logits(tmp_path / "undisturbed")
    assert len(ours) == 6
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(found, theirs[trial]) for trial, found in ours.items())
