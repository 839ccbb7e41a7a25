"""Completes those trials of a pack that no other process is working on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from evenhand.study.executors.request import Request
from evenhand.study.executors.several_processes import complete_in_processes
from evenhand.study.expansion import Trial
from evenhand.study.packs import use_threads
from evenhand.study.store import Store
from evenhand.study.trial_runner import TrialOutcome, run_trials
from evenhand.training import launch


def run_claimed(
    pack: Sequence[Trial], store: Store, progress: Callable[[float], None], request: Request
) -> Iterator[tuple[Trial, TrialOutcome]]:
    """Claim the trials of a pack, complete them, and yield each when its folder is complete, with its outcome.

    Trials that another process has claimed are left out.

    Args:
        pack: trials that are trained together.
        store: where they are kept.
        progress: called with the share of their training that is done.
        request: the request to complete them, for trials that are trained in several processes.
    """
    with store.claims.claimed([trial.hash for trial in pack]) as claim:

        def shown(share: float) -> None:
            claim.share = share
            progress(share)

        mine = [trial for trial in pack if trial.hash in claim.names]
        left = [trial for trial in mine if not store.complete(trial)]
        yield from completed_elsewhere([trial for trial in mine if trial not in left], store)
        resources = pack[0].resources
        if left and resources.processes > 1 and not launch.this_process().shared:
            asked = replace(request, trials=tuple(trial.hash for trial in left))
            outcomes = complete_in_processes(asked, resources, shown)
            yield from ((trial, outcomes[trial.hash]) for trial in left)
        elif left:
            use_threads(left[0], store)
            yield from run_trials(left, store, shown)


def completed_elsewhere(trials: Sequence[Trial], store: Store) -> Iterator[tuple[Trial, TrialOutcome]]:
    """Yield those of the trials that another process has completed, with what it came to."""
    for trial in trials:
        if store.complete(trial):
            kept = store.read(trial.hash) or {}
            failed = kept.get("status") == "failed"
            yield trial, TrialOutcome("failed", kept["reason"]) if failed else TrialOutcome("elsewhere")
