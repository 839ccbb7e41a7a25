"""Shows the progress of a run on standard error: a bar on a terminal, a line per trial elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from evenhand.study.expansion import Trial
from evenhand.study.trial_runner import TrialOutcome


class Terminal:
    """A watcher that shows the progress of `evenhand.study.run.run` on a terminal."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, soft_wrap=True, highlight=False)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._todo = 0
        self._finished = 0
        self._began = 0.0
        self._shares: dict[str, float] = {}
        self._task = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def start(self, todo: int, kept: int) -> None:
        """Say how many trials are complete, and start the bar."""
        self._todo, self._finished, self._began, self._shares = todo, 0, time.monotonic(), {}
        if self._task is not None:  # a run that chooses hyperparameters starts twice
            self._bar.remove_task(self._task)
        if todo:
            self.say(f"{kept} of {kept + todo} trials are complete" if kept else f"trials to train: {todo}")
        else:
            self.say(f"all {kept} trials are complete")
        self._task = self._bar.add_task("training", total=max(todo, 1))

    def share(self, pack: Sequence[Trial], share: float) -> None:
        """Advance the bar by the share of a pack's training; several packs may be trained at a time."""
        if self._task is None:
            return
        self._shares |= dict.fromkeys((trial.hash for trial in pack), share)
        others = len(self._shares) - 1
        label = pack[0].label + (f" and {others} more" if others else "")
        self._bar.update(self._task, completed=self._finished + sum(self._shares.values()), description=label)

    def finish(self, trial: Trial, outcome: TrialOutcome, seconds: float) -> None:
        """Print the line of a complete trial, with the time that is left."""
        self._finished += 1
        self._shares.pop(trial.hash, None)
        if self._task is not None:
            self._bar.update(self._task, completed=self._finished + sum(self._shares.values()))
        left = (time.monotonic() - self._began) / self._finished * (self._todo - self._finished)
        # The bar has its own estimate; short runs need none.
        more = f" (about {duration(left)} left)" if self._bar.disable and left > 60 else ""
        self.say(f"[{self._finished}/{self._todo}] {trial.label}: {outcome_text(outcome, seconds)}{more}")

    def say(self, text: str) -> None:
        """Print a sentence."""
        self._console.print(text, markup=False)


def outcome_text(outcome: TrialOutcome, seconds: float) -> str:
    """Return what was done for a trial, and why, as the end of its line."""
    took = duration(seconds)
    if outcome.status == "failed":
        return f"failed after {took}: {outcome.reason}"
    if outcome.status == "trained":
        return f"trained in {took}" if outcome.reason is None else f"trained again in {took}, since {outcome.reason}"
    words = {"predicted": f"predicted from kept weights in {took}", "elsewhere": "completed by another process"}
    return words.get(outcome.status, "was complete")


def duration(seconds: float) -> str:
    """Return seconds as people read them: `2.3 s`, `12 min`, `3 h 20 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
