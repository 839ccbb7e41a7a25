"""How a run is shown: a bar on a terminal, a line per trial elsewhere; always on standard error."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from evenhand.study.plan import Trial
from evenhand.study.trial import Done


class Terminal:
    """A watcher of `evenhand.study.run.run` for people."""

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
        self._task = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def start(self, todo: int, kept: int) -> None:
        self._todo = todo
        said = f"{kept} trials are complete, " if kept else ""
        self.say(f"{said}{todo} to train" if todo else f"all {kept} trials are complete")
        self._task = self._bar.add_task("training", total=max(todo, 1))

    def share(self, trial: Trial, share: float) -> None:
        if self._task is not None:
            self._bar.update(self._task, completed=self._finished + share, description=trial.label)

    def finish(self, trial: Trial, done: Done, seconds: float) -> None:
        self._finished += 1
        if self._task is not None:
            self._bar.update(self._task, completed=self._finished)
        self.say(f"[{self._finished}/{self._todo}] {trial.label}: {_SAID[done]} in {seconds:.1f} s")

    def say(self, text: str) -> None:
        self._console.print(text, markup=False)


_SAID = {
    "kept": "was complete",
    "predicted": "predicted from kept weights",
    "trained": "trained",
    "failed": "failed (see the report)",
}
