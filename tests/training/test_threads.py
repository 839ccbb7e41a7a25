"""The number of threads of a trial: timed for small base models, given for others, and given back afterwards."""

from __future__ import annotations

import json
import os

import pytest

from evenhand import Study
from evenhand.models.find import find_model
from evenhand.training import threads


@pytest.fixture
def two_threads(monkeypatch):
    """Let this process have two threads and no `OMP_NUM_THREADS`, as on an ordinary machine of two cores."""
    import torch

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with threads.kept_threads():
        torch.set_num_threads(2)
        yield torch


@pytest.mark.parametrize("model", ["tiny-bert", "tiny-vit", "tiny-llama"])
def test_a_small_base_model_is_timed_and_torch_keeps_its_threads(two_threads, model):
    assert threads.threads_that_pay(find_model(model)) in (1, 2)
    assert two_threads.get_num_threads() == 2


def test_more_threads_are_taken_while_they_pay(two_threads, monkeypatch):
    two_threads.set_num_threads(6)
    taken = {}

    def seconds(base, counts):
        taken["counts"] = counts
        return {1: 1.0, 2: 0.6, 4: 0.5, 6: 0.1}

    monkeypatch.setattr(threads, "_seconds_per_step", seconds)
    assert threads.threads_that_pay(find_model("tiny-bert")) == 2, "four are only 1.2 times as fast as two"
    assert taken["counts"] == [1, 2, 4, 6]


def test_a_large_base_model_takes_every_thread_untimed(two_threads, monkeypatch):
    monkeypatch.setattr(threads, "LARGE_BYTES", 1)
    monkeypatch.setattr(threads, "_seconds_per_step", lambda base, counts: pytest.fail("timed"))
    assert threads.threads_that_pay(find_model("tiny-bert")) == 2


def test_a_number_that_the_user_sets_is_taken(two_threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(threads, "_seconds_per_step", lambda base, counts: pytest.fail("timed"))
    assert threads.threads_that_pay(find_model("tiny-bert")) == 2


def test_a_study_keeps_the_number_for_the_runs_that_continue_it(two_threads, small_study, tmp_path, unreported):
    study = {**small_study, "task": {"name": "synthetic/posts", "n": 120}, "seeds": 1}
    (tmp_path / "threads.json").write_text(json.dumps({find_model("tiny-bert").fingerprint: 2}))
    Study(**study).run(tmp_path)
    two_threads.set_num_threads(1)
    Study(**{**study, "seeds": 2}).run(tmp_path)
    kept = [json.loads(path.read_text())["threads"] for path in tmp_path.glob("trials/*/trial.json")]
    assert kept == [2] * 4
    assert two_threads.get_num_threads() == 1


def test_threads_wait_passively():
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
