"""Runs packs one after the other, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from evenhand.study.expansion import Trial
from evenhand.study.store import Store
from evenhand.study.trial_runner import TrialOutcome, run_trials


def execute(
    packs: Iterable[Sequence[Trial]], store: Store, progress: Callable[[Sequence[Trial], float], None]
) -> Iterator[tuple[Trial, TrialOutcome]]:
    """Run packs and yield each trial when its folder is complete, with its outcome.

    Args:
        packs: groups of trials that are trained together; all trials have different hashes.
        store: where trials are kept.
        progress: called with a pack and the share of its training that is done.
    """
    for pack in packs:
        yield from run_trials(pack, store, partial(progress, pack))
