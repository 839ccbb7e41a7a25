"""Defines `Watcher`, the interface through which a run reports its progress."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from evenhand.study.expansion import Trial
from evenhand.study.trial_runner import TrialOutcome


class Watcher(Protocol):
    """Receives the progress of a run: the command line draws a bar, a library user may log."""

    def start(self, todo: int, kept: int) -> None:
        """Called before a round of trials, with how many will run and how many are complete already."""
        ...

    def share(self, pack: Sequence[Trial], share: float) -> None:
        """Called while a pack trains, with the share of its training that is done."""
        ...

    def finish(self, trial: Trial, outcome: TrialOutcome, seconds: float) -> None:
        """Called when a trial is complete."""
        ...

    def say(self, text: str) -> None:
        """Called with a sentence about the current step of the run."""
        ...


@dataclass(frozen=True)
class SilentWatcher:
    """A watcher that reports nothing."""

    def start(self, todo: int, kept: int) -> None: ...

    def share(self, pack: Sequence[Trial], share: float) -> None: ...

    def finish(self, trial: Trial, outcome: TrialOutcome, seconds: float) -> None: ...

    def say(self, text: str) -> None: ...
