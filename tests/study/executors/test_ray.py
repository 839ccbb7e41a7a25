"""Real Ray clusters complete the study that one process completes, and lose nothing when machines are lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

from evenhand import InputError, Study
from evenhand.study.executors.ray import RayOptions
from evenhand.study.store import Store
from evenhand.study.trial_runner import TrialOutcome
from evenhand.study.watcher import SilentWatcher
from faults.same_results import assert_same_results

ray = pytest.importorskip("ray")

# Ray starts processes of its own, which are worth several seconds.
pytestmark = pytest.mark.slow


class Watched(SilentWatcher):
    """A watcher that remembers outcomes, and calls a function at each."""

    def __init__(self, at_each=lambda trial: None) -> None:
        for name, value in {"outcomes": {}, "order": [], "at_each": at_each, "shares": []}.items():
            object.__setattr__(self, name, value)

    def finish(self, trial, outcome: TrialOutcome, seconds: float) -> None:
        self.outcomes[trial.label] = outcome
        self.order.append(trial.label)
        self.at_each(trial)

    def share(self, pack, share: float) -> None:
        self.shares.append(share)


@pytest.fixture
def one_core(small_study):
    """A study each of whose trials takes one core."""
    return Study(**small_study | {"seeds": 3}, resources={"cpus": 1}, train={"replicas": 1})


@pytest.fixture
def serial(one_core, tmp_path):
    one_core.run(tmp_path / "serial")
    return tmp_path / "serial"


@pytest.fixture
def two_nodes(monkeypatch):
    """A cluster of two machines with one core each."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def test_two_machines_complete_the_study_of_one_process(one_core, serial, two_nodes, tmp_path):
    watched = Watched()
    one_core.run(tmp_path / "ray", executor="ray", cluster={"address": two_nodes.address}, watcher=watched)
    assert_same_results(serial, tmp_path / "ray")
    assert {outcome.status for outcome in watched.outcomes.values()} == {"trained"} and len(watched.order) == 6
    assert not ray.is_initialized(), "the run leaves a cluster that it joined"
    again = Watched()
    one_core.run(tmp_path / "ray", executor="ray", cluster={"address": two_nodes.address}, watcher=again)
    assert again.order == []


def kill_a_worker(out: Path, killed: list[int]) -> None:
    """Kill a process that is training, once a trial is complete."""
    while not killed:
        held = Store(out).claims.held() if list(out.glob("trials/[!.]*/trial.json")) else {}
        for process in {one.facts.get("process") for name, one in held.items() if not name.startswith("run-")}:
            if process not in (None, os.getpid()):
                os.kill(process, signal.SIGKILL)
                killed.append(process)
                return
        time.sleep(0.01)


@pytest.mark.parametrize("lost", ["machine", "process"])
def test_a_machine_or_a_process_is_lost_and_nothing_else(one_core, serial, two_nodes, tmp_path, lost):
    out = tmp_path / "ray"
    first = two_nodes.worker_nodes.copy().pop()
    written: dict[str, int] = {}
    killed: list[int] = []

    def lose(trial) -> None:
        written[trial.hash] = (out / "trials" / trial.hash / "trial.json").stat().st_mtime_ns
        if lost == "machine" and not killed:
            two_nodes.remove_node(first, allow_graceful=False)
            killed.append(0)

    killer = threading.Thread(target=kill_a_worker, args=(out, killed), daemon=True)
    if lost == "process":
        killer.start()
    watched = Watched(lose)
    one_core.run(out, executor="ray", cluster={"address": two_nodes.address}, watcher=watched)
    assert killed
    assert_same_results(serial, out)
    # A process that is killed after its trial was complete is started again, and finds it.
    statuses = {outcome.status for outcome in watched.outcomes.values()}
    assert statuses <= {"trained", "elsewhere"} and len(watched.order) == 6
    for trial, when in written.items():
        assert (out / "trials" / trial / "trial.json").stat().st_mtime_ns == when, "trained twice"


def test_the_longest_trials_begin_first(small_study, tmp_path):
    small_study["methods"]["lora"]["epochs"] = 4
    watched = Watched()
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        Study(**small_study).run(tmp_path, executor="ray", watcher=watched)
        assert ray.is_initialized(), "the caller's cluster is left as it was"
    finally:
        ray.shutdown()
    methods = [label.split(" ")[0] for label in watched.order]
    assert methods == ["lora", "lora", "full", "full"]


def test_a_cluster_that_lasts_as_long_as_the_run_tunes_and_matches(small_study, tmp_path):
    """Candidates, then the reference, then what is matched to it: three rounds of one cluster."""
    small_study |= {"split": {"test": 0.3, "validation": 0.2}, "match": {"by": "train_loss"}}
    small_study |= {"tuning": {"grid": {"full": {"lr": [1e-3, 3e-3]}}}, "train": {"replicas": 1}}
    study = Study(**small_study, resources={"cpus": 1})
    study.run(tmp_path / "ray", executor="ray")
    study.run(tmp_path / "serial")
    assert_same_results(tmp_path / "serial", tmp_path / "ray")


@pytest.mark.parametrize(
    ("resources", "said"),
    [({"cpus": 4096}, "needs 4096 CPUs"), ({"gpus": 64}, "needs 64 GPUs"), ({"memory": 1e7}, "needs 1e+07 GB")],
)
def test_needs_that_no_machine_meets_are_refused(small_study, tmp_path, resources, said):
    with pytest.raises(InputError) as refused:
        Study(**small_study, resources=resources).run(tmp_path, executor="ray")
    assert said in str(refused.value) and "more than the whole Ray cluster has" in str(refused.value)


def test_machines_with_other_data_are_refused(small_study, tmp_path, monkeypatch):
    """The data are read again where trials are trained, and contents decide."""
    monkeypatch.setattr("evenhand.study.expansion.RECIPE", 10**6)  # as another version of the package would have it
    with pytest.raises(InputError, match="does not follow from the study on this machine"):
        Study(**small_study).run(tmp_path, executor="ray")


def test_an_address_without_a_cluster_is_refused(small_study, tmp_path):
    with pytest.raises(InputError, match=r"a Ray cluster does not answer at 127\.0\.0\.1:1: "):
        Study(**small_study).run(tmp_path, executor="ray", cluster={"address": "127.0.0.1:1"})


def test_unknown_options_are_refused(small_study, tmp_path):
    with pytest.raises(InputError, match='cluster has no key "adress"; did you mean "address"'):
        Study(**small_study).run(tmp_path, executor="ray", cluster={"adress": "auto"})
    with pytest.raises(InputError, match="runtime_env: there is no file"):
        Study(**small_study).run(tmp_path, executor="ray", cluster={"runtime_env": "none.yaml"})
    assert RayOptions.parse({"restarts": "2"}, "cluster").restarts == 2


def test_ctrl_c_cancels_what_runs_and_the_same_command_continues(small_study, tmp_path):
    small_study |= {"seeds": 6, "train": {"replicas": 1}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({**small_study, "resources": {"cpus": 1}}))
    command = [sys.executable, "-m", "evenhand", "run", str(tmp_path / "study.yaml"), "--out", str(tmp_path / "out")]
    command += ["--executor", "ray"]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("out/trials/*/trial.json")):
        assert run.poll() is None
        time.sleep(0.2)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 130 and "the same command continues from there" in said and "Traceback" not in said
    complete = {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/trials/[!.]*/trial.json")}
    assert 0 < len(complete) < 12
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"{len(complete)} of 12 trials are complete" in done.stderr
    assert all(path.stat().st_mtime_ns == when for path, when in complete.items())
    assert not list((tmp_path / "out" / "trials").glob(".*"))
