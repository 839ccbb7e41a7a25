"""Identifies this process among those started by `accelerate launch` or `torchrun`.

It imports nothing heavy, so that light modules can use it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class LaunchedProcess:
    """One process of a launch.

    Attributes:
        rank: from 0.
        processes: how many there are.
    """

    rank: int = 0
    processes: int = 1

    @property
    def shared(self) -> bool:
        """Whether the launch has other processes."""
        return self.processes > 1

    @property
    def main(self) -> bool:
        """Whether this is the process that reads the study and writes its folder; the others follow it."""
        return self.rank == 0


_OF_LAUNCHERS = ("TORCHELASTIC_RUN_ID", "ACCELERATE_DYNAMO_BACKEND")
"""Environment variables that torchrun and `accelerate launch` set, however many processes they start."""


def this_process() -> LaunchedProcess:
    """Return this process, as the launcher's environment variables describe it."""
    return LaunchedProcess(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))


def single_process_sentence() -> str | None:
    """Return a sentence that says that a launcher started one process only; None unless it did.

    `accelerate launch --cpu --num_processes 2` does so.
    """
    if this_process().shared or not any(name in os.environ for name in _OF_LAUNCHERS):
        return None
    return (
        "The launcher started a single process, which trains alone; to start several, use torchrun --nproc-per-node 2 "
        "-m evenhand ... on CPUs, or accelerate launch --multi_gpu --num_processes 2 -m evenhand ... on GPUs"
    )
