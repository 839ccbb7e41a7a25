"""Five hundred trials in one process: its memory and its open files stay where they were."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from evenhand import Study
from evenhand.study.watcher import SilentWatcher

pytestmark = [
    pytest.mark.slow,
    pytest.mark.fuzz,
    pytest.mark.usefixtures("unreported"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

SEEDS = max(settings().max_examples // 4, 20)
"""250 in a full fuzz, of two methods each."""


class Measured(SilentWatcher):
    """Measures the process after each trial: its memory in MiB, and how many files it has open."""

    def __init__(self) -> None:
        self.memory, self.files = [], []

    def finish(self, trial, outcome, seconds) -> None:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self.memory.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
        self.files.append(len(list(Path("/proc/self/fd").iterdir())))


def test_memory_and_open_files_stay_flat_over_many_trials(small_study, tmp_path):
    """After a tenth of the trials, when every library has been loaded, memory grows by less than 10 KiB a trial."""
    study = {**small_study, "seeds": SEEDS, "task": {"name": "synthetic/posts", "n": 100}, "measures": ["accuracy"]}
    study |= {"train": {"replicas": 1}, "keep": "none", "split": {"test": 0.2, "validation": 0.1}}
    watcher = Measured()
    Study(**study).run(tmp_path, watcher=watcher)
    trials = len(watcher.memory)
    assert trials == 2 * SEEDS
    settled = np.array(watcher.memory[trials // 10 :])
    growth = np.polyfit(np.arange(len(settled)), settled, 1)[0]
    print(
        f"{trials} trials: {settled[0]:.0f} MiB after a tenth of them, {settled[-1]:.0f} MiB at the end, "
        f"{1024 * growth:.2f} KiB a trial; {watcher.files[0]} to {watcher.files[-1]} open files"
    )
    assert growth * 1024 < 10 or settled[-1] - settled[0] < 10
    assert max(watcher.files[trials // 10 :]) <= watcher.files[trials // 10] + 1
