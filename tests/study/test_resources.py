"""What happens to trials that lack memory or time: smaller passes, or that trial fails and the others go on."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest

from evenhand import Study, records
from evenhand.errors import InputError, ShortageError
from evenhand.study.memory_retries import with_smaller_passes
from evenhand.study.plan import make_plan
from evenhand.study.store import Store
from evenhand.study.time_limit import time_limit
from evenhand.study.watcher import SilentWatcher

pytestmark = pytest.mark.usefixtures("unreported")


class Said(SilentWatcher):
    """Remembers how trials ended."""

    def __init__(self) -> None:
        self.ended = {}

    def finish(self, trial, outcome, seconds) -> None:
        self.ended[trial.method, trial.seed] = (outcome.status, outcome.reason)


def test_a_block_that_waits_is_ended_when_its_time_is_up():
    began = time.monotonic()
    with pytest.raises(ShortageError, match=r"longer than 0\.005 minutes, the limit that"), time_limit(0.005):
        time.sleep(60)
    assert time.monotonic() - began < 10
    with time_limit(0.005):
        pass
    time.sleep(0.5)  # the timer of a block that ended in time is off


def test_a_limit_outside_the_main_thread_is_refused():
    code = (
        "import threading\nfrom evenhand.study.time_limit import time_limit\n"
        "def block():\n    with time_limit(1): pass\n"
        "thread = threading.Thread(target=block)\nthread.start()\nthread.join()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "needs the main thread" in done.stderr


@pytest.mark.parametrize("value", [0, -1, "long", [1]])
def test_a_limit_that_is_no_time_is_refused(small_study, value):
    with pytest.raises(InputError, match=r"resources\.minutes"):
        Study(**small_study, resources={"minutes": value})


def test_smaller_passes_keep_the_steps_and_the_identity(small_study):
    trial = make_plan(Study(**small_study, train={"batch_size": 45}), None).trials[0]
    sizes = [45]
    while (smaller := with_smaller_passes(trial)) is not None:
        assert smaller.hash == trial.hash
        assert smaller.train.batch_size * smaller.train.accumulate == 45
        trial = smaller
        sizes.append(trial.train.batch_size)
    assert sizes == [45, 15, 5, 1]
    tokens = make_plan(Study(**small_study, train={"tokens_per_pass": 5}), None).trials[0]
    assert with_smaller_passes(tokens).train.tokens_per_pass == 2


@pytest.mark.slow
def test_a_trial_that_takes_too_long_fails_and_the_others_go_on(small_study, tmp_path):
    """A training of ten thousand epochs is longer than three seconds; the reference is not."""
    slow = {"kind": "lora", "rank": 4, "alpha": 8, "lr": 5e-3, "epochs": 10_000}
    study = {**small_study, "methods": {**small_study["methods"], "slow": slow}, "seeds": 1}
    study |= {"resources": {"minutes": 0.1}, "train": {"replicas": 1}}
    watcher = Said()
    results = Study(**study).run(tmp_path, watcher=watcher)
    assert watcher.ended["full", 0] == ("trained", None) and watcher.ended["lora", 0] == ("trained", None)
    status, reason = watcher.ended["slow", 0]
    assert status == "failed" and "longer than 0.1 minutes" in reason
    (row,) = results.trials.filter(method="slow").iter_rows(named=True)
    assert row["status"] == "failed" and "longer than 0.1 minutes" in row["reason"]

    again = Said()
    Study(**study).run(tmp_path, watcher=again)
    assert again.ended == {}, "a failed trial is not repeated unless that is asked for"
    Study(**{**study, "resources": {"minutes": 0.05}}).run(tmp_path, watcher=again, repair=True)
    assert list(again.ended) == [("slow", 0)] and "0.05 minutes" in again.ended["slow", 0][1]


def test_a_trial_that_fails_where_it_is_trained_again_keeps_what_it_had(small_study, tmp_path):
    study = {**small_study, "seeds": 1, "keep": "none"}
    before = Study(**study).run(tmp_path)
    more = {"evaluate": {"more": {"name": "synthetic/posts", "seed": 5}}, "resources": {"minutes": 0.0005}}
    with pytest.raises(InputError, match="was trained again for records that it lacks, and failed: it took longer"):
        Study(**study, **more).run(tmp_path)
    again = Said()
    assert Study(**study).run(tmp_path, watcher=again).verdicts.equals(before.verdicts)
    assert again.ended == {}


LIMITED = """
import json, resource, sys
import torch
from evenhand import Study
from evenhand.study.watcher import SilentWatcher

class Said(SilentWatcher):
    def finish(self, trial, outcome, seconds):
        print("ended", trial.method, outcome.status, outcome.reason)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))  # the first trial only is short of memory

study = json.loads(sys.argv[1])
Study(**{**study, "train": {**study["train"], "batch_size": 4}}).run(sys.argv[2] + "/warm")  # loads every library
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
_, hard = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[3]) * 2**20, hard))
Study(**study).run(sys.argv[2] + "/limited", watcher=Said())
"""


def run_limited(study, folder, megabytes):
    """Run a study in a process that may take only so many megabytes more than it has; return its output."""
    command = [sys.executable, "-c", LIMITED, json.dumps(study), str(folder), str(megabytes)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory as Linux does")
def test_a_trial_that_runs_out_of_memory_is_trained_in_smaller_passes(small_study, tmp_path):
    """The memory of the process is limited for real; a pass of 512 texts does not fit."""
    study = {**small_study, "task": {"name": "synthetic/posts", "n": 1000}, "seeds": 1}
    study |= {"train": {"batch_size": 512, "replicas": 1}, "margins": {"default": 0.05}}
    out = run_limited(study, tmp_path, 300)
    assert "ended full trained the memory ran out with" in out and "examples in a forward pass" in out
    (trial,) = [each for each in make_plan(Study(**study), None).trials if each.method == "full"]
    store = Store(tmp_path / "limited")
    kept = store.read(trial.hash)
    assert kept is not None and kept["batch_size"] < 512 and "shortage" not in kept
    Study(**study).run(tmp_path / "free")
    logits = [
        records.read(folder / "trials" / trial.hash / "predictions.parquet", "predictions")["logits"].to_numpy()
        for folder in (tmp_path / "free", tmp_path / "limited")
    ]
    assert np.allclose(*logits, atol=1e-4)
