"""Measures what a trial costs beyond its training on Ray, and how much faster two workers are, against serial.

    python benchmarks/executors.py

The same study (`--trials` trials of about a second: tiny-bert, one thread, packs of one) is run from nothing by serial,
by a Ray cluster of one core, and by one of two cores, in turns. The clock runs from the first look at what is missing
to the last trial, so that it includes the start of Ray's workers and their loading of the study. The overhead is the
difference to serial, by trial, and should be at most half a second. Two workers should be at least 1.7 times as fast
as serial.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from evenhand import Study
from evenhand.study.watcher import SilentWatcher

MOST_OVERHEAD, LEAST_GAIN = 0.5, 1.7


class Clock(SilentWatcher):
    """A watcher that measures the time from the first look at what is missing to the last trial."""

    began = 0.0
    seconds = 0.0
    training = 0.0

    def start(self, todo: int, kept: int) -> None:
        """Begin."""
        object.__setattr__(self, "began", time.perf_counter())

    def finish(self, trial: object, outcome: object, seconds: float) -> None:
        """End, so far."""
        object.__setattr__(self, "seconds", time.perf_counter() - self.began)
        object.__setattr__(self, "training", self.training + seconds)


def study(trials: int) -> Study:
    """Return the study of so many trials, two methods with half as many seeds each."""
    return Study(
        task={"name": "synthetic/posts", "n": 400},
        model="tiny-bert",
        methods={
            "full": {"kind": "full", "lr": 1e-3, "epochs": 2},
            "lora": {"kind": "lora", "rank": 4, "lr": 5e-3, "epochs": 2},
        },
        reference="full",
        seeds=trials // 2,
        measures=["accuracy"],
        keep="none",
        train={"replicas": 1},
        resources={"cpus": 1},
    )


@contextmanager
def cores(count: int):
    """Context manager in which this script's Ray cluster has so many cores; 0: there is none."""
    if not count:
        yield "serial"
        return
    import ray

    ray.init(num_cpus=count, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield "ray"
    finally:
        ray.shutdown()


def main() -> None:
    """Run the study in turns and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print(f"{options.trials} trials, load {os.getloadavg()[0]:.1f}")
    clocks = {}
    for count in (0, 1, 2):
        with TemporaryDirectory() as folder, cores(count) as executor:
            clocks[count] = Clock()
            study(options.trials).run(Path(folder) / "out", executor=executor, watcher=clocks[count])
        name = f"ray, {count} cores" if count else "serial"
        seconds = clocks[count].seconds
        print(f"{name:12} {seconds:7.1f} s, {clocks[count].training / options.trials:.2f} s of training a trial")
    overhead = (clocks[1].seconds - clocks[0].seconds) / options.trials
    gain = clocks[0].seconds / clocks[2].seconds
    print(f"overhead of Ray: {overhead:+.3f} s a trial (at most {MOST_OVERHEAD}): {overhead <= MOST_OVERHEAD}")
    print(f"two workers: {gain:.2f} times serial (at least {LEAST_GAIN}): {gain >= LEAST_GAIN}")


if __name__ == "__main__":
    main()
