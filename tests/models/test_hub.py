"""Downloading a base model from a hub, over HTTP: what it leaves, and what to do about each way of failing."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from evenhand.models.find import ASSETS, find_model
from models.hub import COMMIT, Hub, serving

pytest.importorskip("huggingface_hub")

DOWNLOAD = """
import json, sys
from evenhand.errors import InputError
from evenhand.models.hub import download
try:
    print(json.dumps({"folder": str(download(sys.argv[1]))}))
except InputError as error:
    print(json.dumps({"refused": str(error)}))
"""

Downloader = Callable[..., dict]


@pytest.fixture
def hub(tmp_path):
    folder = shutil.copytree(ASSETS / "tiny-bert", tmp_path / "model")
    (folder / "modeling.py").write_text("raise SystemExit('code of a model was run')")
    (folder / "pytorch_model.bin").write_bytes(b"not to be downloaded")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.safetensors").write_bytes(b"nor this")
    with serving(Hub(folder)) as hub:
        yield hub


@pytest.fixture
def environment(hub, tmp_path) -> dict[str, str]:
    """A machine that has downloaded nothing yet, whose hub is ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    return {**kept, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_TELEMETRY": "1"}


@pytest.fixture
def downloaded(environment) -> Downloader:
    """What a process of its own downloads: what huggingface_hub knows of its surroundings it reads once."""

    def call(model: str = "org/name", **more: str) -> dict:
        process = subprocess.run(
            [sys.executable, "-c", DOWNLOAD, model], capture_output=True, text=True, timeout=120, env=environment | more
        )
        assert process.returncode == 0, process.stderr
        return json.loads(process.stdout)

    return call


def unfinished(environment: dict[str, str]) -> list[Path]:
    return list(Path(environment["HF_HOME"]).rglob("*.incomplete"))


def test_what_is_downloaded_is_the_model_and_no_code(hub, downloaded, environment):
    answer = downloaded()
    files = {path.name for path in Path(answer["folder"]).iterdir()}
    assert files == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert find_model(answer["folder"]).fingerprint == find_model("tiny-bert").fingerprint and not unfinished(
        environment
    )
    first = len(hub.asked)
    assert downloaded() == answer and len(hub.asked) == first


@pytest.mark.parametrize("revision", ["main", "v1", COMMIT])
def test_a_revision_is_a_branch_a_tag_or_a_commit_and_the_commit_is_told(downloaded, revision):
    assert Path(downloaded(f"org/name@{revision}")["folder"]).name == COMMIT


def test_what_was_downloaded_is_found_without_the_hub(hub, downloaded):
    answer = downloaded()
    assert downloaded(HF_HUB_OFFLINE="1") == answer
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert downloaded(HF_ENDPOINT=nobody) == answer
    hub.down = 503
    assert downloaded() == answer


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("xet", [False, True])
def test_a_gated_model_says_where_its_terms_are_accepted(hub, downloaded, environment, status, xet):
    hub.gated, hub.xet = status, xet
    said = downloaded()["refused"]
    assert said.startswith(f"org/name is gated: accept its terms at {hub.url}/org/name and log in with `hf auth login`")
    assert not unfinished(environment)
    hub.gated, hub.xet = None, False
    shutil.rmtree(environment["HF_HOME"])
    assert Path(downloaded()["folder"]).name == COMMIT


def test_a_missing_revision_says_where_there_are_others(hub, downloaded):
    said = 'org/name has no revision "{}"; its branches and tags are listed at ' + f"{hub.url}/org/name/tree/main"
    assert downloaded("org/name@v9")["refused"] == said.format("v9")
    assert downloaded("org/name@" + "f" * 40)["refused"] == said.format("f" * 40)


def test_a_missing_repository_may_be_private(hub, downloaded):
    said = 'there is no local folder and no hub model "org/nothing" (or it is private: run `hf auth login`)'
    assert downloaded("org/nothing")["refused"] == said
    hub.private = True
    assert downloaded()["refused"] == said.replace("nothing", "name")


def test_a_download_that_breaks_off_once_goes_on_near_where_it_stopped(hub, downloaded):
    weights = hub.folder / "model.safetensors"
    weights.write_bytes(os.urandom(24 * 2**20))
    hub.breaks = 1
    assert (Path(downloaded()["folder"]) / weights.name).read_bytes() == weights.read_bytes()
    *_, begin = [begin for name, begin in hub.asked if name == weights.name]
    assert begin is not None and 0 < int(begin.removeprefix("bytes=").rstrip("-")) <= 12 * 2**20


def test_a_download_that_keeps_breaking_off_is_to_be_run_again(hub, downloaded, environment):
    hub.breaks = None
    said = downloaded()["refused"]
    assert said.startswith("the download of org/name failed (") and "run the same command again" in said
    assert not unfinished(environment)
    # And no part of it is taken for a model meanwhile.
    assert "the hub cannot be reached (HF_HUB_OFFLINE is set)" in downloaded(HF_HUB_OFFLINE="1")["refused"]
    hub.asked.clear()
    hub.breaks = 0
    assert Path(downloaded()["folder"]).name == COMMIT
    assert {name for name, _ in hub.asked} == {"model.safetensors"}


def test_a_hub_that_cannot_be_reached_is_said(downloaded):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    said = downloaded(HF_ENDPOINT=nobody)["refused"]
    assert said.startswith('"org/name" is not a local folder and the hub cannot be reached (') and "refused" in said
    assert said.endswith("connect once to download it, or give a local folder")
    assert "(HF_HUB_OFFLINE is set)" in downloaded(HF_HUB_OFFLINE="1")["refused"]


def test_a_hub_that_is_down_is_to_be_asked_later(hub, downloaded):
    hub.down = 500
    said = downloaded()["refused"]
    assert said.startswith("the hub refuses org/name (") and "500" in said and "run the same command later" in said


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize(
    ("disposed", "model", "sentence"),
    [
        ({"gated": 403}, "org/name", "org/name is gated: accept its terms at "),
        ({}, "org/name@v9", 'org/name has no revision "v9"; its branches'),
        ({"old": True}, "org/name", f"its commit {COMMIT} has no model.safetensors"),
    ],
    ids=["gated", "revision", "old weights"],
)
def test_the_commands_refuse_with_one_sentence_and_write_nothing(
    command, disposed, model, sentence, hub, environment, small_study, evenhand_process, tmp_path
):
    if "old" in disposed:
        (hub.folder / "model.safetensors").unlink()
    vars(hub).update(disposed)
    study = tmp_path / "study.yaml"
    study.write_text(yaml.safe_dump({**small_study, "model": model}))
    process = evenhand_process(command, study, cwd=tmp_path, env=environment)
    assert process.returncode == 2 and process.stdout == ""
    *_, line = process.stderr.splitlines()
    assert line.startswith("evenhand: ") and sentence in line and "Traceback" not in process.stderr
    assert not (tmp_path / "runs").exists()


def test_a_study_runs_on_a_model_of_the_hub_and_keeps_its_commit(environment, small_study, evenhand_process, tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text(yaml.safe_dump({**small_study, "model": "org/name@v1"}))
    process = evenhand_process("run", study, "--out", "out", cwd=tmp_path, env=environment)
    assert process.returncode == 0, process.stderr
    (kept, *_) = (json.loads(path.read_text()) for path in (tmp_path / "out" / "trials").glob("*/trial.json"))
    assert kept["model"] == {"name": "org/name@v1", "commit": COMMIT}
    assert f"org/name@v1 is commit {COMMIT} of the hub" in (tmp_path / "out" / "report.html").read_text()
