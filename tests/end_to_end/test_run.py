"""A real study on the built-in posts: it resumes, it grows, it repeats itself to the bit."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest
import yaml

from evenhand import Study, records
from evenhand.errors import InputError
from evenhand.study.watcher import SilentWatcher

pytestmark = pytest.mark.usefixtures("unreported")


@dataclass(frozen=True)
class Trained(SilentWatcher):
    """Remembers what was done for each trial, and why."""

    done: dict = field(default_factory=dict)
    why: dict = field(default_factory=dict)

    def finish(self, trial, outcome, seconds) -> None:
        self.done[trial.method, trial.seed] = outcome.status
        self.why[trial.method, trial.seed] = outcome.reason


def predictions(out: Path) -> dict[str, pl.DataFrame]:
    paths = sorted((out / "trials").glob("*/predictions.parquet"))
    return {path.parent.name: records.read(path, "predictions") for path in paths}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished small study that tests may read."""
    out = tmp_path_factory.mktemp("finished")
    values = {
        "task": {"name": "synthetic/posts", "n": 300},
        "model": "tiny-bert",
        "methods": {
            "full": {"kind": "full", "lr": 1e-3, "epochs": 1},
            "lora": {"kind": "lora", "rank": 4, "alpha": 8, "lr": 5e-3, "epochs": 1},
        },
        "reference": "full",
        "seeds": 2,
        "margins": {"default": 0.05},
    }
    results = Study(**values).run(out)
    return out, values, results


def test_a_study_leaves_every_table_and_a_report(finished):
    out, _, results = finished
    for name in ("examples", "trials", "estimates", "verdicts", "curves"):
        assert len(records.read(out / f"{name}.parquet", name)) or name == "curves"
    assert results.trials["status"].to_list() == ["done"] * 4
    assert (out / "report.html").stat().st_size < 5_000_000
    assert not list((out / "trials").glob(".*")), "half-written folders were left behind"


def test_the_study_file_reads_back_as_the_same_study(finished):
    out, values, _ = finished
    again = Study(**yaml.safe_load((out / "study.yaml").read_text()))
    assert again.settings == Study(**values).settings
    assert again.declared[0].margins == {"default": 0.05}


def test_running_again_trains_nothing(finished):
    out, values, results = finished
    watcher = Trained()
    again = Study(**values).run(out, watcher=watcher)
    assert watcher.done == {}
    assert again.verdicts.equals(results.verdicts)


def test_the_same_study_twice_gives_bit_equal_predictions(finished, tmp_path):
    out, values, _ = finished
    Study(**values).run(tmp_path / "twin")
    ours, theirs = predictions(out), predictions(tmp_path / "twin")
    assert ours.keys() == theirs.keys()
    for trial, frame in ours.items():
        assert frame.equals(theirs[trial])


def test_names_order_and_folder_are_no_part_of_a_trial(finished):
    from evenhand.study.plan import make_plan

    _, values, _ = finished
    renamed = dict(reversed([(f"my {name}", method) for name, method in values["methods"].items()]))
    other = {"settings": {"elsewhere": {**values, "methods": renamed, "reference": "my full"}}}
    other["settings"]["elsewhere"].pop("margins")
    ours = {trial.hash for trial in make_plan(Study(**values), None).trials}
    theirs = {trial.hash for trial in make_plan(Study(**other), None).trials}
    assert ours == theirs


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": [0, 7]},
        {"train": {"batch_size": 16}},
        {"task": {"name": "synthetic/posts", "n": 301}},
        {"model": "tiny-bert", "methods": {"full": {"kind": "full", "lr": 2e-3, "epochs": 1}}},
        {"split": {"validation": 0.2}},
    ],
)
def test_what_training_depends_on_is_part_of_a_trial(finished, change):
    from evenhand.study.plan import make_plan

    _, values, _ = finished
    ours = {trial.hash for trial in make_plan(Study(**values), None).trials}
    theirs = {trial.hash for trial in make_plan(Study(**{**values, **change}), None).trials}
    assert theirs - ours


def test_a_study_grows_by_what_is_new(small_study, tmp_path):
    out = tmp_path / "grown"
    Study(**{**small_study, "measures": ["accuracy"]}).run(out)
    before = predictions(out)
    grown = {
        **small_study,
        "seeds": 4,
        "methods": {**small_study["methods"], "head": {"kind": "head", "lr": 1e-2, "epochs": 1}},
        "measures": ["accuracy", "demographic_parity_difference"],
    }
    watcher = Trained()
    results = Study(**grown).run(out, watcher=watcher)
    assert set(watcher.done) == {("full", 2), ("full", 3), ("lora", 2), ("lora", 3), *(("head", s) for s in range(4))}
    assert set(results.verdicts["measure"]) == {"accuracy", "demographic_parity_difference"}
    after = predictions(out)
    assert all(after[trial].equals(frame) for trial, frame in before.items())


def test_a_new_test_set_is_predicted_from_kept_weights(small_study, tmp_path):
    out = tmp_path / "more"
    Study(**{**small_study, "keep": "weights"}).run(out)
    watcher = Trained()
    more = {**small_study, "keep": "weights", "evaluate": {"others": {"name": "synthetic/posts", "n": 120, "seed": 9}}}
    results = Study(**more).run(out, watcher=watcher)
    assert set(watcher.done.values()) == {"predicted"}
    assert set(results.estimates["split"]) == {"test", "others"}


def test_a_new_test_set_trains_again_what_was_not_kept_and_says_so(small_study, tmp_path):
    out = tmp_path / "more"
    Study(**{**small_study, "seeds": 1}).run(out)
    before = predictions(out)
    watcher = Trained()
    more = {**small_study, "seeds": 1, "evaluate": {"others": {"name": "synthetic/posts", "n": 120, "seed": 9}}}
    Study(**more).run(out, watcher=watcher)
    assert watcher.done == {("full", 0): "trained", ("lora", 0): "predicted"}, "keep: adapters keeps no whole model"
    assert watcher.why == {("full", 0): "its weights were not kept", ("lora", 0): None}
    for trial, frame in predictions(out).items():
        assert frame.filter(pl.col("split") != "others").equals(before[trial]), "training again changes nothing"


INTERRUPTED = "evenhand: interrupted; what is complete is kept, and the same command continues from there"


@pytest.mark.parametrize(
    ("number", "status", "sentence"),
    [
        (signal.SIGKILL, -9, ""),
        pytest.param(signal.SIGINT, 130, INTERRUPTED, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 143, INTERRUPTED, marks=pytest.mark.slow),
    ],
)
def test_a_stopped_run_continues_to_the_same_result(finished, tmp_path, number, status, sentence):
    _out, values, results = finished
    study = tmp_path / "study.yaml"
    study.write_text(yaml.safe_dump(values))
    killed = tmp_path / "killed"
    command = [sys.executable, "-m", "evenhand", "run", str(study), "--out", str(killed)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list((killed / "trials").glob("[!.]*")) or not list((killed / "trials").glob(".*")):
        assert process.poll() is None, "the run ended before it could be killed in the middle"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(process.pid, number)
    _, said = process.communicate()
    assert process.returncode == status
    assert not sentence or said.splitlines()[-1] == sentence
    complete = {path: path.stat().st_mtime_ns for path in (killed / "trials").glob("[!.]*/trial.json")}
    assert 0 < len(complete) < 4
    watcher = Trained()
    again = Study(**values).run(killed, watcher=watcher)
    assert len(watcher.done) == 4 - len(complete)
    assert all(path.stat().st_mtime_ns == when for path, when in complete.items())
    assert again.verdicts.equals(results.verdicts)
    assert again.estimates.equals(results.estimates)


def test_a_disk_that_is_full_leaves_whole_trials_only_and_the_run_continues(small_study, tmp_path):
    methods = {name: small_study["methods"][name] for name in ("lora", "full")}
    study = Study(**{**small_study, "methods": methods, "seeds": 1, "keep": "weights"})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # room for an adapter, not for a whole model
    try:
        with pytest.raises(OSError, match="File too large"):
            study.run(tmp_path / "full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    (whole,) = (tmp_path / "full" / "trials").iterdir()
    assert (whole / "adapter").is_dir()
    watcher = Trained()
    study.run(tmp_path / "full", watcher=watcher)
    assert watcher.done == {("full", 0): "trained"}


def test_a_loss_that_is_not_a_number_fails_its_trial_only(small_study, tmp_path):
    small_study["methods"]["wild"] = {"kind": "full", "lr": 1e30, "epochs": 1}
    small_study["train"] = {"clip_norm": None}
    watcher = Trained()
    results = Study(**small_study).run(tmp_path / "wild", watcher=watcher)
    assert watcher.done["wild", 0] == "failed" and "loss" in watcher.why["wild", 0]
    status = dict(results.trials.select("method", "status").unique().iter_rows())
    assert status == {"full": "done", "lora": "done", "wild": "failed"}
    assert all("loss" in reason for reason in results.trials.filter(method="wild")["reason"])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"task": {"name": "synthetic/faces", "n": 200}, "model": "tiny-vit"}, "with the task synthetic/posts, not"),
        ({"model": "tiny-llama"}, "base model"),
        ({"methods": {"new": {"kind": "lora", "targets": ["nonsense"]}}, "reference": "new"}, "nonsense"),
        ({"margins": {"default": 0.2}, "methods": {"new": {"kind": "lora", "rank": 999}}, "reference": []}, "999"),
    ],
)
def test_a_run_that_is_refused_leaves_the_results_whole(finished, change, sentence):
    out, values, _ = finished
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=sentence):
        Study(**{**values, **change}).run(out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_changed_margin_is_kept_with_its_date(finished, tmp_path):
    first, values, _ = finished
    out = shutil.copytree(first, tmp_path / "margins")
    results = Study(**{**values, "margins": {"default": 0.1}}).run(out)
    assert [change.margins for change in results.design.margin_history] == [{"default": 0.05}, {"default": 0.1}]
