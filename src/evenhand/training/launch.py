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


def this_process() -> LaunchedProcess:
    """Return this process, as the launcher's environment variables describe it."""
    return LaunchedProcess(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))
