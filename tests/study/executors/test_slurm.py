"""Jobs of Slurm, or of this machine without one, complete the study that one process completes."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from evenhand import InputError, Study
from evenhand.study.executors import slurm
from evenhand.study.executors.dispatch import Task
from evenhand.study.executors.request import Request
from evenhand.study.executors.requested import complete
from evenhand.study.resources import ResourcesSpec
from evenhand.study.watcher import SilentWatcher
from faults.same_results import assert_same_results

pytest.importorskip("submitit")

THERE = shutil.which("sbatch") is not None and subprocess.run(["squeue"], capture_output=True).returncode == 0
on_slurm = pytest.mark.skipif(not THERE, reason="there is no Slurm on this machine")


class Heard(SilentWatcher):
    """A watcher that remembers outcomes and sentences."""

    def __init__(self) -> None:
        for name in ("outcomes", "said"):
            object.__setattr__(self, name, [])

    def finish(self, trial, outcome, seconds) -> None:
        self.outcomes.append(outcome)

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def study(small_study):
    return Study(**small_study, resources={"cpus": 1, "minutes": 30}, train={"replicas": 1})


@pytest.fixture
def without_slurm(monkeypatch):
    """This machine, as if it had no `sbatch` on the path."""
    which = shutil.which
    monkeypatch.setattr(slurm.shutil, "which", lambda name: None if name == "sbatch" else which(name))


def same_trials(first: Path, second: Path) -> None:
    """Assert the same results, whatever an executor keeps beside them."""
    shutil.move(second / "slurm", second.parent / "slurm of another run")
    assert_same_results(first, second)


@pytest.mark.slow
def test_without_slurm_jobs_run_on_this_machine(study, tmp_path, without_slurm):
    heard = Heard()
    study.run(tmp_path / "slurm", executor="slurm", watcher=heard)
    assert "There is no sbatch on the path, so that jobs run on this machine" in heard.said
    assert [outcome.status for outcome in heard.outcomes] == ["trained"] * 4
    logs = sorted(path.name for path in (tmp_path / "slurm" / "slurm").glob("*.log"))
    assert [name.rpartition("-")[0] for name in logs] == [
        "full-seed-0",
        "full-seed-1",
        "lora-seed-0",
        "lora-seed-1",
    ]
    assert all((tmp_path / "slurm" / "slurm" / name).is_file() for name in logs), "they are links to logs"
    assert not list((tmp_path / "slurm" / "slurm").glob("*.pkl")), "what was passed on is removed"
    study.run(tmp_path / "serial")
    same_trials(tmp_path / "serial", tmp_path / "slurm")


@pytest.mark.slow
def test_an_unusable_study_is_refused_by_the_job_and_by_the_run(small_study, tmp_path, without_slurm, monkeypatch):
    monkeypatch.setattr("evenhand.study.expansion.RECIPE", 10**6)  # as another version of the package would have it
    with pytest.raises(InputError, match="does not follow from the study on this machine"):
        Study(**small_study).run(tmp_path, executor="slurm")


def test_unknown_options_are_refused(study, tmp_path):
    with pytest.raises(InputError, match='cluster has no key "partitions"; did you mean "partition"'):
        study.run(tmp_path, executor="slurm", cluster={"partitions": "gpu"})
    with pytest.raises(InputError, match="--cluster partition is for --executor ray or slurm"):
        study.run(tmp_path, cluster={"partition": "gpu"})
    with pytest.raises(InputError, match='there is no executor "slrum"; did you mean "slurm"'):
        study.run(tmp_path, executor="slrum")


def test_a_study_in_another_folder_never_waits_for_the_jobs_of_this_one(tmp_path, monkeypatch):
    from submitit import SlurmJob

    monkeypatch.setattr(slurm, "_queued", lambda: {"7"})  # what squeue would say
    here = Request("a study", None, str(tmp_path / "here"), str(tmp_path), "a run", ("a trial",))
    cluster = slurm.SlurmCluster(tmp_path, slurm.SlurmOptions(), local=False)
    cluster._remember([Task(complete, here, ResourcesSpec(), "a trial")], [SlurmJob(tmp_path, "7")])
    later, elsewhere = replace(here, run="a later run"), replace(here, out=str(tmp_path / "elsewhere"))
    assert slurm._key(later) in cluster._earlier() and slurm._key(elsewhere) not in cluster._earlier()


@on_slurm
@pytest.mark.slow
def test_an_array_of_jobs_completes_the_study_of_one_process(study, tmp_path):
    heard = Heard()
    study.run(tmp_path / "slurm", executor="slurm", watcher=heard)
    assert [outcome.status for outcome in heard.outcomes] == ["trained"] * 4
    (array,) = {
        name.partition("_")[0] for name in json.loads((tmp_path / "slurm/slurm/jobs.json").read_text()).values()
    }
    assert array.isdigit()
    study.run(tmp_path / "serial")
    same_trials(tmp_path / "serial", tmp_path / "slurm")


@on_slurm
@pytest.mark.slow
def test_a_partition_that_does_not_exist_is_refused(study, tmp_path):
    with pytest.raises(InputError, match=r"Slurm refuses the jobs: .*partition"):
        study.run(tmp_path, executor="slurm", cluster={"partition": "nowhere"})


@on_slurm
@pytest.mark.slow
def test_jobs_go_on_without_the_run_and_the_next_run_waits_for_them(study, tmp_path):
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study.model_dump(mode="json")))
    command = [sys.executable, "-m", "evenhand", "run", str(tmp_path / "study.yaml"), "--out", str(tmp_path / "out")]
    command += ["--executor", "slurm"]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    jobs = tmp_path / "out" / "slurm" / "jobs.json"
    while not jobs.is_file():
        assert run.poll() is None, run.stderr
        time.sleep(0.1)
    run.send_signal(signal.SIGTERM)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 143 and "the same command continues from there" in said
    before = json.loads(jobs.read_text())
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(jobs.read_text()) == before, "no job was queued twice"
    assert not list((tmp_path / "out" / "trials").glob(".*"))


@on_slurm
@pytest.mark.slow
def test_a_job_that_is_queued_again_starts_again_and_one_that_is_cancelled_fails_for_now(study, tmp_path, monkeypatch):
    monkeypatch.setattr(slurm, "ASK_AGAIN", 0.5)
    monkeypatch.setattr(slurm, "PATIENCE", 2.0)
    treated: dict[str, str] = {}

    class Treats(Heard):
        """Queues a job that runs again, and cancels one that waits."""

        def share(self, pack, share) -> None:
            asked = ["squeue", "--me", "--array", "--noheader", "--format=%i %T"]
            states = dict(line.split() for line in subprocess.check_output(asked, text=True).splitlines())
            for state, command in (("RUNNING", ["scontrol", "requeue"]), ("PENDING", ["scancel"])):
                jobs = [job for job, found in states.items() if found == state and job not in treated.values()]
                if jobs and state not in treated:
                    treated[state] = jobs[-1]
                    subprocess.run([*command, jobs[-1]], check=True)

    heard = Treats()
    study.run(tmp_path / "out", executor="slurm", watcher=heard)
    assert treated.keys() == {"RUNNING", "PENDING"}
    failed = [outcome for outcome in heard.outcomes if outcome.status == "failed"]
    assert len(heard.outcomes) == 4 and len(failed) == 1
    assert f"its job {treated['PENDING']} ended without a result, see " in str(failed[0].reason)
    again = Heard()
    study.run(tmp_path / "out", executor="slurm", watcher=again, repair=True)
    assert [outcome.status for outcome in again.outcomes] == ["trained"]
