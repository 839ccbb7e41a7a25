"""Defines what an executor gets: the trials of a round, which do not depend on each other."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from evenhand.study.expansion import Trial
from evenhand.study.spec import StudySpec
from evenhand.study.store import Store
from evenhand.study.trial_runner import TrialOutcome
from evenhand.study.watcher import Watcher


@dataclass(frozen=True)
class Round:
    """Trials to complete, and what it takes to complete them here or elsewhere.

    Attributes:
        study: the resolved study, with the hyperparameters that tuning chose so far.
        data: the folder of `--data`, or None.
        store: where trials are kept.
        watcher: receives the progress.
        trials: those that are not complete, each hash once.
        tried: whether they are candidates of tuning.
    """

    study: StudySpec
    data: Path | None
    store: Store
    watcher: Watcher
    trials: tuple[Trial, ...] = ()
    tried: bool = False


Executor = Callable[[Round], Generator[tuple[Trial, TrialOutcome]]]
"""Completes the trials of a round and yields each when its folder is complete, with its outcome."""
