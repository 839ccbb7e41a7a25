"""Completes the trials of a request in this process."""

from __future__ import annotations

from evenhand.study.executors.claimed import run_claimed
from evenhand.study.executors.request import Request
from evenhand.study.executors.requested_trials import trials_of
from evenhand.study.packs import group_into_packs
from evenhand.study.remote_store import open_store
from evenhand.study.trial_runner import TrialOutcome


def complete(request: Request) -> dict[str, TrialOutcome]:
    """Complete the trials of a request together, and return their outcomes by hash.

    Trials that another run is working on are left out.

    Raises:
        InputError: this machine reads other data or another base model than the one that asks.
    """
    trials, store = trials_of(request), open_store(request.out, request.run)
    return {trial.hash: outcome for trial, outcome in run_claimed(trials, store, lambda share: None, request)}


def group(request: Request) -> list[tuple[str, ...]]:
    """Return the trials of a request in packs: those that are faster together, by what is timed on this machine."""
    store = open_store(request.out, request.run)
    packs = group_into_packs(trials_of(request), store, lambda sentence: None)
    return [tuple(trial.hash for trial in pack) for pack in packs]
