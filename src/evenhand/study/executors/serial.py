"""One trial after the other, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from evenhand.study import trial as trials
from evenhand.study.plan import Trial
from evenhand.study.store import Store
from evenhand.study.trial import Done


def execute(
    planned: Sequence[Trial], store: Store, progress: Callable[[Trial, float], None]
) -> Iterator[tuple[Trial, Done]]:
    """Yield each trial when its folder is complete, with what was done for it.

    Args:
        planned: trials with different hashes.
        store: where they are kept.
        progress: told of a trial which share of its training is done.
    """
    for trial in planned:
        yield trial, trials.run(trial, store, partial(progress, trial))
