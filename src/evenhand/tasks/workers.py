"""Trains in all processes of a launch: the main process sends each training to the others, which join it.

The main process alone runs the study, reads its folder and writes into it. What follows a training (probes,
benchmarks) it does alone, too, while the others wait for the next training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evenhand.errors import InputError
from evenhand.tasks import Kind, trainer
from evenhand.tasks.work import Job, do_nothing
from evenhand.training import launch


def train_in_all_processes(
    kind: Kind, jobs: Sequence[Job], progress: Callable[[float], None] | None, features: Path | None
) -> Iterator[Any]:
    """Train jobs in the main process, and in the other processes of a launch with it.

    Args:
        kind: of the trials.
        jobs, progress, features: see `evenhand.tasks.work.Trainer.train_together`.

    Yields:
        What `train_together` yields.

    Raises:
        InputError: as `train_together`; or a launch ran out of memory.
    """
    training = trainer(kind).train_together(jobs, progress, features)
    if not launch.this_process().shared:
        yield from training
        return
    from evenhand.training.distributed import broadcast

    # A function made for one job cannot be sent, and the main process calls it alone.
    sent = [replace(job, work=replace(job.work, probing=None), keep="none", afterwards=do_nothing) for job in jobs]
    broadcast((kind, sent))
    with _memory_errors_explained():
        yield from training


def worker_loop() -> None:
    """Train with the main process until it calls `stop_workers`; the main process alone reads and writes."""
    from evenhand.training.distributed import receive_broadcast

    while (received := receive_broadcast()) is not None:
        with _memory_errors_explained():
            _train_jobs(*received)


def stop_workers() -> None:
    """End the loop of the other processes; called by the main process."""
    from evenhand.training.distributed import broadcast

    broadcast(None)


def _train_jobs(kind: Kind, jobs: Sequence[Job]) -> None:
    """Train jobs of the main process, and discard the files that this process would write."""
    with ExitStack() as folders:
        local_jobs = [replace(job, folder=Path(folders.enter_context(TemporaryDirectory()))) for job in jobs]
        for _ in trainer(kind).train_together(local_jobs):
            pass


@contextmanager
def _memory_errors_explained() -> Iterator[None]:
    """Context manager in which a lack of memory is an InputError, since the other processes wait for this one."""
    from evenhand.training.memory import SHORT, out_of_memory

    try:
        yield
    except SHORT as error:
        if not out_of_memory(error):
            raise
        process = launch.this_process()
        raise InputError(
            f"the memory of process {process.rank + 1} of {process.processes} ran out, and the others cannot train "
            "without it; set train.tokens_per_pass or train.checkpointing, or a smaller train.batch_size with a larger "
            "train.accumulate, or start more processes, and run the same command again"
        ) from error
