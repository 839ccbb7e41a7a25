"""Times trials on a quiet machine and beside a process that keeps one core busy, with and without our threads.

    python benchmarks/busy.py

Trials train the tiny BERT on the built-in posts, fully or with LoRA, and each variant runs in its own process. "As
torch has it" is one thread per core, which spins while it waits. "As Evenhand has it" is the number of threads that
`evenhand.training.threads` chooses, which sleep while they wait. The variants take turns, `--rounds` times, because
the speed of machines drifts; ratios are of medians. Beside one busy core, a trial should take at most 3 times as long
as on a quiet machine.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

BOUND = 3.0
"""How many times as long a trial may take beside one busy core."""

TRIALS = """
import json, sys
from pathlib import Path
out, way = Path(sys.argv[1]), sys.argv[2]
if way == "torch":
    import torch  # before Evenhand, whose threads would sleep
from evenhand import Study
from evenhand.study.execution import train
from evenhand.study.plan import make_plan
from evenhand.study.store import Store
from evenhand.study.watcher import SilentWatcher
plan = make_plan(Study(
    task={"name": "synthetic/posts", "n": 600}, model="tiny-bert", reference="full", seeds=3,
    methods={"full": {"kind": "full", "epochs": 1}, "lora": {"kind": "lora", "rank": 8, "epochs": 1}},
    train={"replicas": 1},
), None)
if way == "torch":
    out.mkdir()
    base = plan.trials[0].setting.base.fingerprint
    (out / "threads.json").write_text(json.dumps({base: torch.get_num_threads()}))
train(plan, Store(out), SilentWatcher())
seconds = [json.loads(path.read_text())["seconds"] for path in out.glob("trials/*/trial.json")]
print(sum(seconds) / len(seconds))
"""
"""Code that trains the trials of a study, in the folder and variant given by the arguments, and prints the mean
seconds."""

OURS = "as Evenhand has it"
WAYS = {"as torch has it": "torch", OURS: "ours"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    seconds: dict[tuple[str, bool], list[float]] = {(name, busy): [] for name in WAYS for busy in (False, True)}
    for _ in range(options.rounds):
        for (name, busy), taken in seconds.items():
            with busy_core() if busy else quiet():
                taken.append(seconds_per_trial(WAYS[name]))
    medians = {way: statistics.median(taken) for way, taken in seconds.items()}
    for (name, busy), taken in seconds.items():
        beside = "beside one busy core" if busy else "on a quiet machine"
        shown = ", ".join(f"{one:.2f}" for one in taken)
        print(f"{name}, {beside}: {medians[name, busy]:.2f} s a trial ({shown})")
    for name in WAYS:
        print(f"{name}: {medians[name, True] / medians[name, False]:.2f} times as long beside one busy core")
    ours = medians[OURS, True] / medians[OURS, False]
    print("within the bound" if ours <= BOUND else f"above the bound of {BOUND}")


def seconds_per_trial(way: str) -> float:
    """Return the mean seconds of training and prediction of a trial, in a process of its own."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OMP_")}
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-c", TRIALS, str(Path(folder) / "study"), way]
        ended = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        return float(ended.stdout)


@contextmanager
def busy_core() -> Iterator[None]:
    """Context manager that keeps one core busy with another process."""
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    time.sleep(0.2)
    try:
        yield
    finally:
        other.kill()
        other.wait()


@contextmanager
def quiet() -> Iterator[None]:
    """Context manager that leaves the machine as it is."""
    yield


if __name__ == "__main__":
    main()
