"""Runs packs one after the other, in this process."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from evenhand.errors import InputError
from evenhand.study.executors.claimed import completed_elsewhere, run_claimed
from evenhand.study.executors.request import request_for
from evenhand.study.executors.round import Executor, Round
from evenhand.study.expansion import Trial
from evenhand.study.packs import group_into_packs
from evenhand.study.trial_runner import TrialOutcome

LOOK_AGAIN = 1.0
"""Seconds between two looks at the trials that other processes are working on."""


@contextmanager
def executor(options: Mapping[str, Any]) -> Iterator[Executor]:
    """Context manager that yields the executor of this process.

    Raises:
        InputError: there are options, which are for clusters.
    """
    if options:
        raise InputError(f"--cluster {next(iter(options))} is for --executor ray or slurm; leave it out")
    yield execute


def execute(this: Round) -> Generator[tuple[Trial, TrialOutcome]]:
    """Complete the trials of a round, pack by pack; those that others work on come last. See `Executor`."""
    store, share, asked = this.store, this.watcher.share, request_for(this, this.trials)
    elsewhere: list[tuple[Trial, ...]] = []
    for pack in group_into_packs(this.trials, store, this.watcher.say):
        finished = set()
        for trial, outcome in run_claimed(pack, store, partial(share, pack), asked):
            finished.add(trial.hash)
            yield trial, outcome
        elsewhere.append(tuple(trial for trial in pack if trial.hash not in finished))
    while elsewhere := [pack for pack in elsewhere if pack]:
        shares = store.claims.shares()
        held = store.claims.held()
        for place, pack in enumerate(elsewhere):
            finished = set()
            for trial, outcome in completed_elsewhere(pack, store):
                finished.add(trial.hash)
                yield trial, outcome
            free = [trial for trial in pack if trial.hash not in finished and trial.hash not in held]
            if free:
                for trial, outcome in run_claimed(free, store, partial(share, free), asked):
                    finished.add(trial.hash)
                    yield trial, outcome
            elsewhere[place] = tuple(trial for trial in pack if trial.hash not in finished)
            if elsewhere[place]:
                share(elsewhere[place], shares.get(elsewhere[place][0].hash, 0.0))
        if any(elsewhere):
            time.sleep(LOOK_AGAIN)
