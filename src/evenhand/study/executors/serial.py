"""One trial after the other, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evenhand.study import trial as trials
from evenhand.study.plan import Trial
from evenhand.study.store import Store
from evenhand.study.trial import Done, Progress


def execute(planned: Sequence[Trial], store: Store, progress: Progress | None = None) -> Iterator[tuple[Trial, Done]]:
    """Yield each trial when its folder is complete, with what was done for it.

    Args:
        planned: trials with different hashes.
        store: where they are kept.
        progress: called with the share of the current trial that is done.
    """
    for trial in planned:
        yield trial, trials.run(trial, store, progress)
