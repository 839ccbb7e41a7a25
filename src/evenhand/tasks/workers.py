"""Runs the training of the non-main processes of a distributed launch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from evenhand.tasks.classification import train_together
from evenhand.tasks.work import Job


def worker_loop() -> None:
    """Train with the main process until it calls `stop_workers`; the main process alone reads and writes."""
    from evenhand.training.distributed import receive_broadcast

    while (jobs := receive_broadcast()) is not None:
        _train_jobs(jobs)


def stop_workers() -> None:
    """End the loop of the other processes; called by the main process."""
    from evenhand.training.distributed import broadcast

    broadcast(None)


def _train_jobs(jobs: Sequence[Job]) -> None:
    """Train jobs of the main process, and discard the files that this process would write."""
    with ExitStack() as folders:
        local_jobs = [
            replace(job, folder=Path(folders.enter_context(TemporaryDirectory())), keep="none") for job in jobs
        ]
        for _ in train_together(local_jobs):
            pass
