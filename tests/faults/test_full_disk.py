"""A disk that fills up, or that cannot be written to, at random points of a run: one sentence, and nothing is lost."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from evenhand.audit.results import Results
from evenhand.errors import InputError
from faults.same_results import assert_same_results

pytestmark = [pytest.mark.slow, pytest.mark.fuzz]

DISKS = max(settings().max_examples // 25, 3)
"""Forty in a full fuzz."""

SIZE = 64 * 2**20
"""Bytes of a disk."""


@contextmanager
def mounted(folder: Path) -> Iterator[Path]:
    """A small disk in memory at a folder; skips the test where that is not allowed."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip(f"disks cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, free: int) -> Path:
    """Write a file that leaves so many bytes of a disk free, and return its path."""
    filler = disk / "filler"
    filler.write_bytes(bytes(max(shutil.disk_usage(disk).free - free, 0)))
    return filler


def one_sentence(text: str) -> str:
    """Return the last line of what a command said, which should be its sentence."""
    assert "Traceback" not in text, text
    last = text.strip().splitlines()[-1]
    assert last.startswith("evenhand: ") and len(last) <= 310, text
    return last


def taken(folder: Path) -> int:
    """Bytes of the files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_disk_that_fills_up_at_a_random_point_loses_nothing(commands, study, finished, tmp_path):
    whole, _ = finished
    rng = np.random.default_rng(2)
    need = taken(whole)
    stopped = 0
    for number in range(DISKS):
        with mounted(tmp_path / str(number)) as disk:
            out = disk / "out"
            filler = fill(disk, int(np.exp(rng.uniform(np.log(1000), np.log(1.3 * need)))))
            status, _ = commands("run", study, "--out", out)
            if status:
                stopped += 1
                assert status == 2, commands.stderr
                assert "No space left on device" in one_sentence(commands.stderr)
                assert not [path.name for path in out.rglob(".*") if path.name != ".lock"]
            filler.unlink()
            kept = {path: path.stat().st_mtime_ns for path in out.glob("trials/*/trial.json")}
            status, _ = commands("run", study, "--out", out)
            assert status == 0, commands.stderr
            assert kept.items() <= {path: path.stat().st_mtime_ns for path in kept}.items()
            assert_same_results(whole, out)
    assert stopped
    print(f"{DISKS} disks, of which {stopped} were too small; nothing was lost")


def test_earlier_results_survive_a_disk_that_fills_up_while_new_ones_are_written(commands, study, finished, tmp_path):
    whole, _ = finished
    rng = np.random.default_rng(3)
    stopped = 0
    for number in range(DISKS):
        with mounted(tmp_path / str(number)) as disk:
            out = disk / "out"
            shutil.copytree(whole, out)
            before = Results.load(out)
            filler = fill(disk, int(np.exp(rng.uniform(np.log(1000), np.log(2e6)))))
            status, _ = commands("run", study, "--out", out, "--set", "margins.default=0.06")
            if status:
                stopped += 1
                assert status == 2 and "No space left on device" in one_sentence(commands.stderr)
            try:
                found = Results.load(out)
            except InputError as error:
                raise AssertionError(f"the earlier results are lost: {error}") from error
            assert found.verdicts.equals(before.verdicts) or found.design.margins == {"default": 0.06}
            filler.unlink()
    assert stopped
    print(f"{DISKS} disks, of which {stopped} were too small; the earlier results or the new ones were whole")


def test_a_folder_that_cannot_be_written_to_is_one_sentence(commands, study, finished, tmp_path):
    whole, _ = finished
    with mounted(tmp_path / "disk") as disk:
        shutil.copytree(whole, disk / "out")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for command in (
            ("run", study, "--out", disk / "out"),
            ("run", study, "--out", disk / "new"),
            ("demo", "--out", disk / "demo"),
            ("report", disk / "out"),
            ("report", disk / "out", "--format", "png"),
        ):
            status, _ = commands(*command)
            assert status == 2, (command, commands.stderr)
            assert "Read-only file system" in one_sentence(commands.stderr), command
        for command in (("check", disk / "out"), ("verify", disk / "out"), ("report", disk / "out", "--json")):
            status, _ = commands(*command)
            assert status in (0, 1), (command, commands.stderr)
