"""A process knows from its environment whether a launcher started it, and whether it is alone."""

from __future__ import annotations

import pytest

from evenhand.training.launch import LaunchedProcess, single_process_sentence, this_process

STARTED = {
    "torchrun": {"TORCHELASTIC_RUN_ID": "none", "RANK": "0", "WORLD_SIZE": "1"},
    "accelerate": {"ACCELERATE_DYNAMO_BACKEND": "NO", "MASTER_ADDR": "127.0.0.1"},
}


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch):
    for names in STARTED.values():
        for name in names:
            monkeypatch.delenv(name, raising=False)


def test_a_process_that_no_launcher_started_is_alone_and_says_nothing():
    assert this_process() == LaunchedProcess(0, 1) and not this_process().shared
    assert single_process_sentence() is None


@pytest.mark.parametrize("launcher", STARTED)
def test_a_launch_of_one_process_says_how_to_start_several(launcher, monkeypatch):
    for name, value in STARTED[launcher].items():
        monkeypatch.setenv(name, value)
    said = single_process_sentence()
    assert said is not None and "torchrun --nproc-per-node 2" in said and "--multi_gpu" in said


@pytest.mark.parametrize("launcher", STARTED)
def test_one_of_several_processes_says_nothing(launcher, monkeypatch):
    for name, value in {**STARTED[launcher], "RANK": "1", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    assert this_process() == LaunchedProcess(1, 2) and single_process_sentence() is None
