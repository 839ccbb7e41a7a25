"""What the other processes of a launch do: they train with the main one whatever it trains."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from evenhand.tasks.classification import train_together
from evenhand.tasks.work import Job


def worker_loop() -> None:
    """Train with the main process until it says that there is nothing more. It alone reads the study, and writes."""
    from evenhand.training.distributed import listen

    while (jobs := listen()) is not None:
        _join(jobs)


def stop_workers() -> None:
    """Let those who follow go; the main process says it."""
    from evenhand.training.distributed import announce

    announce(None)


def _join(jobs: Sequence[Job]) -> None:
    with ExitStack() as folders:
        own = [replace(job, folder=Path(folders.enter_context(TemporaryDirectory())), keep="none") for job in jobs]
        for _ in train_together(own):
            pass
