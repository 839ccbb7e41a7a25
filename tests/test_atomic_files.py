"""Processes of any number of machines and containers write to one folder, and none removes what another one writes."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
import torch

from evenhand import processes
from evenhand.atomic_files import FORGOTTEN, aside_of, remove_leftovers, replacing
from evenhand.study.store import Store
from evenhand.training.feature_cache import FeatureCache


@pytest.fixture
def become_another_container(monkeypatch):
    """From its call on, this process is that of another container, with the same number."""

    def become() -> None:
        monkeypatch.setattr(processes.socket, "gethostname", lambda: "another-container")
        processes._identity_of.cache_clear()

    yield become
    monkeypatch.undo()
    processes._identity_of.cache_clear()


def test_two_containers_whose_processes_have_one_number_write_the_same_file(tmp_path, become_another_container):
    with replacing(tmp_path / "a.txt") as first:
        first.write_text("first")
        become_another_container()
        with replacing(tmp_path / "a.txt") as second:
            second.write_text("second")
            assert first != second and first.read_text() == "first"
            remove_leftovers(tmp_path)
            assert first.is_file()
        assert (tmp_path / "a.txt").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_two_containers_write_features_and_trials_at_the_same_time(tmp_path, become_another_container):
    cache, store = FeatureCache(tmp_path / "shelf"), Store(tmp_path / "out")
    with cache.writing() as first, store.writing("abc") as trial:
        first.add(["a"], [torch.zeros(2, 3)])
        (trial / "first").write_text("first")
        become_another_container()
        with cache.writing() as second, store.writing("abc") as other:
            second.add(["b"], [torch.ones(2, 3)])
            second.commit()
            assert other != trial
        assert (trial / "first").read_text() == "first"
        first.commit()
    assert cache.read().keys() == {"a", "b"}


def killed_process(path) -> str:
    """Let a process die while it writes a file, and return the name that it wrote to."""
    code = "import os, sys\nfrom pathlib import Path\nfrom evenhand.atomic_files import replacing\n"
    code += "with replacing(Path(sys.argv[1])) as aside:\n    aside.write_text('half')\n    os._exit(9)"
    before = set(path.parent.iterdir())
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == 9
    (left,) = set(path.parent.iterdir()) - before
    return left.name


def test_what_a_killed_process_of_this_machine_left_is_removed_at_once(tmp_path):
    left = killed_process(tmp_path / "a.txt")
    aside_of(tmp_path / "b.txt").write_text("being written by this process")
    remove_leftovers(tmp_path)
    assert not (tmp_path / left).exists() and aside_of(tmp_path / "b.txt").is_file()


@pytest.mark.parametrize("name", [".0123456789ab-4194999-a.txt", ".4194999-a.txt"])
def test_what_another_machine_was_writing_is_removed_after_a_day_or_under_the_lock(name, tmp_path):
    assert not processes.process_runs(4194999)
    left = tmp_path / name
    left.write_text("half")
    remove_leftovers(tmp_path)
    assert left.is_file(), "its process may run elsewhere"
    os.utime(left, (time.time() - 2 * FORGOTTEN,) * 2)
    remove_leftovers(tmp_path)
    assert not left.exists()
    left.write_text("half")
    remove_leftovers(tmp_path, locked=True)
    assert not left.exists()
