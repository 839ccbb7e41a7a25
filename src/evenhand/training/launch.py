"""Whether this process is one of several that train together, as `accelerate launch` and `torchrun` tell each of them.
Light: nobody else has to import what they need."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A process among those of its launch.

    Attributes:
        rank: from 0.
        processes: how many there are.
    """

    rank: int = 0
    processes: int = 1

    @property
    def shared(self) -> bool:
        """Whether there are others."""
        return self.processes > 1

    @property
    def main(self) -> bool:
        """Whether it is the one that reads the study and writes its folder; the others follow it."""
        return self.rank == 0


def place() -> Place:
    """Where this process stands."""
    return Place(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))
