"""Studies that send curves and results to trackers, read back from what the trackers have on disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from evenhand import InputError, Study
from evenhand.report.wording import claims
from evenhand.study.plan import make_plan
from evenhand.study.session import fingerprint
from evenhand.study.trackers import POINTS, SENT, _curves, _plain, _quoted
from evenhand.study.watcher import SilentWatcher

TOKEN = "a-token-that-nobody-may-read"


@dataclass(frozen=True)
class Heard(SilentWatcher):
    """A watcher that remembers what was done and said."""

    done: list = field(default_factory=list)
    said: list = field(default_factory=list)

    def finish(self, trial, outcome, seconds) -> None:
        self.done.append((trial.method, trial.seed, outcome.status))

    def say(self, text: str) -> None:
        self.said.append(text)


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """The values of a run in TensorBoard's files, by name and step."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: {event.step: event.value for event in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


def runs(out: Path) -> dict[str, Path]:
    return {path.name: path for path in (out / "tensorboard").iterdir()}


def of_trial(out: Path, trial: str) -> dict[str, dict[int, float]]:
    (folder,) = (path for name, path in runs(out).items() if name.endswith(trial[:8]))
    return scalars(folder)


def logged(out: Path, trial: str) -> list[dict]:
    return [json.loads(line) for line in (out / "trials" / trial / "log.jsonl").read_text("utf-8").splitlines()]


needs_tensorboard = pytest.mark.skipif(find_spec("tensorboard") is None, reason="tensorboard is not installed")


@pytest.fixture
def study(small_study):
    small_study["methods"]["wild"] = {"kind": "full", "lr": 1e30, "epochs": 1}
    small_study["train"] = {"clip_norm": None, "replicas": 2}
    return small_study


@needs_tensorboard
@pytest.mark.slow
@pytest.mark.usefixtures("unreported")
def test_tensorboard_has_the_curves_of_every_trial_and_the_results(study, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", TOKEN)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", TOKEN)
    results = Study(**study, trackers="tensorboard").run(tmp_path / "out")
    trials = results.trials["trial"].to_list()
    assert len(trials) == 6 and len(runs(tmp_path / "out")) == 6 + 2
    for trial, status in results.trials.select("trial", "status").iter_rows():
        rows, curves = logged(tmp_path / "out", trial), of_trial(tmp_path / "out", trial)
        steps = {row["step"]: row["loss"] for row in rows if row.get("loss") is not None}
        assert curves.get("loss", {}) == pytest.approx(steps)
        if status == "done":
            (epoch,) = (row for row in rows if "train_loss" in row)
            assert curves["validation_loss"] == {epoch["step"]: pytest.approx(epoch["validation_loss"])}
    values = scalars(tmp_path / "out" / "tensorboard" / "results")
    judged = claims(results.verdicts).filter(split="test", method="lora").drop_nulls("verdict")
    found = {tag: points[0] for tag, points in values.items() if tag.startswith("verdicts/lora-against-full/")}
    assert found == {
        f"verdicts/lora-against-full/{_plain(verdict)}": count
        for verdict, count in judged.group_by("verdict").len().iter_rows()
    }
    (accuracy,) = results.estimates.filter(
        results.estimates["seed"].is_null() & results.estimates["attribute"].is_null(),
        measure="accuracy",
        method="lora",
    )["value"]
    assert values["estimates/lora/accuracy-everyone"][0] == pytest.approx(accuracy, abs=1e-4)
    for path in (path for path in (tmp_path / "out").rglob("*") if path.is_file()):
        assert TOKEN.encode() not in path.read_bytes(), path


@needs_tensorboard
@pytest.mark.usefixtures("unreported")
def test_trackers_that_are_added_later_are_sent_every_trial_once_and_nothing_is_trained_again(small_study, tmp_path):
    out, small_study["seeds"] = tmp_path / "out", 1
    Study(**small_study).run(out)
    assert not (out / "tensorboard").exists() and not (out / SENT).exists()
    for _ in range(2):
        heard = Heard()
        Study(**small_study, trackers=["tensorboard"]).run(out, watcher=heard)
        assert heard.done == []
        of_trials = [path for name, path in runs(out).items() if name not in ("study", "results")]
        assert len(of_trials) == 2
        assert all(len(list(path.glob("events*"))) == 1 for path in of_trials)
    assert len(json.loads((out / SENT).read_text("utf-8"))["tensorboard"]) == 2


@needs_tensorboard
@pytest.mark.usefixtures("unreported")
def test_a_tracker_that_fails_midway_costs_no_trial(small_study, tmp_path):
    out, heard = tmp_path / "out", Heard()
    planned = make_plan(Study(**small_study), None)
    (out / "tensorboard").mkdir(parents=True)
    for trial in planned.distinct:  # where a folder has to be made, there is a file
        (out / "tensorboard" / _plain(f"{trial.label} {trial.hash[:8]}")).write_text("in the way")
    results = Study(**small_study, trackers=["tensorboard"]).run(out, watcher=heard)
    assert results.trials["status"].to_list() == ["done"] * 4
    (note,) = (text for text in heard.said if "tracker" in text)
    assert note.startswith("The tracker tensorboard failed (") and note.endswith("the study goes on without it")


@needs_tensorboard
def test_a_tracker_that_cannot_start_is_refused_before_training(small_study, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "tensorboard").write_text("in the way")
    heard = Heard()
    with pytest.raises(InputError, match=r"^trackers: tensorboard could not start \(.*set it up, or leave it out$"):
        Study(**small_study, trackers=["tensorboard"]).run(tmp_path / "out", watcher=heard)
    assert heard.done == [] and not (tmp_path / "out" / "study.yaml").exists()


@pytest.mark.skipif(find_spec("mlflow") is not None, reason="mlflow is installed")
def test_a_tracker_that_is_not_installed_is_refused_before_the_data_are_read(small_study, tmp_path):
    heard = Heard()
    with pytest.raises(InputError, match="mlflow is not installed; pip install mlflow"):
        Study(**small_study, trackers=["mlflow"]).run(tmp_path / "out", watcher=heard)
    assert heard.said == []


def test_unknown_trackers_are_refused_by_name(small_study):
    with pytest.raises(InputError, match="no tracker 'tensorbord'; did you mean \"tensorboard\""):
        Study(**small_study, trackers=["tensorbord"])
    with pytest.raises(InputError, match="trackers should be a name or a list of names"):
        Study(**small_study, trackers={"wandb": "a key"})


def test_trackers_are_no_part_of_what_identifies_a_study_or_its_trials(small_study):
    without, with_one = Study(**small_study), Study(**small_study, trackers="tensorboard")
    assert [trial.hash for trial in make_plan(without, None).distinct] == [
        trial.hash for trial in make_plan(with_one, None).distinct
    ]
    assert fingerprint(without) == fingerprint(with_one)
    assert yaml.safe_load(with_one.to_yaml())["trackers"] == ["tensorboard"]


def test_errors_of_trackers_are_quoted_without_keys_and_passwords(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", TOKEN)
    said = _quoted(RuntimeError(f"no answer from https://me:{TOKEN}2@host/path with {TOKEN}\nTraceback"))
    assert said == "RuntimeError: no answer from https://…@host/path with …"


def test_long_curves_are_thinned_and_keep_the_ends_of_epochs():
    rows = [{"step": step, "loss": 0.5, "lr": None} for step in range(10 * POINTS)]
    rows.append({"step": 10 * POINTS, "train_loss": 0.4})
    sent = list(_curves(rows))
    assert len(sent) == POINTS + 1
    assert sent[0] == (0, {"loss": 0.5}) and sent[-1] == (10 * POINTS, {"train_loss": 0.4})


def offline(folder: Path) -> dict[str, str]:
    """An environment in which no tracker asks for an account or a server."""
    return {
        **os.environ,
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "MLFLOW_TRACKING_URI": f"file:{folder}/mlruns",
        "TRACKIO_DIR": str(folder / "trackio"),
        "WANDB_MODE": "offline",
    }


def run_command(study: dict, folder: Path, *launcher: str) -> dict:
    """Run a study by the command line, and return the one JSON object that it prints."""
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    command = [sys.executable, *launcher, "-m", "evenhand", "run", str(folder / "study.yaml")]
    command += ["--out", str(folder / "out"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=offline(folder), cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wandb", "mlflow", "trackio"])
def test_each_other_tracker_takes_a_study_offline(name, small_study, tmp_path):
    pytest.importorskip(name)
    run_command({**small_study, "seeds": 1, "trackers": [name]}, tmp_path)
    assert len(json.loads((tmp_path / "out" / SENT).read_text("utf-8"))[name]) == 2
    if name == "wandb":
        assert len(list((tmp_path / "out" / "wandb").glob("offline-run-*/run-*.wandb"))) == 4
    elif name == "mlflow":
        named = [path.read_text("utf-8") for path in (tmp_path / "mlruns").rglob("tags/mlflow.runName")]
        assert {"study", "results"} < set(named) and len(named) == 4
        assert any((tmp_path / "mlruns").rglob("metrics/validation_loss"))
    else:
        assert any((tmp_path / "trackio").rglob("*.db"))


@needs_tensorboard
@pytest.mark.slow
def test_of_a_launch_the_main_process_alone_sends_trials(small_study, tmp_path):
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    found = run_command({**small_study, "seeds": 1, "trackers": ["tensorboard"]}, tmp_path, *launcher)
    for row in found["trials"]:
        rows = logged(tmp_path / "out", row["trial"])
        steps = {entry["step"]: entry["loss"] for entry in rows if "loss" in entry}
        assert of_trial(tmp_path / "out", row["trial"])["loss"] == pytest.approx(steps)
    for name, path in runs(tmp_path / "out").items():
        assert len(list(path.glob("events*"))) == 1, name
