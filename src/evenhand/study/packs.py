"""Groups trials into packs that are trained together, and chooses their threads: whatever is faster on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from evenhand.study.expansion import Trial
from evenhand.study.resources import ResourcesSpec
from evenhand.study.store import Store
from evenhand.study.trial_work import work_of
from evenhand.tasks import packing
from evenhand.training.threads import threads_that_pay


def group_into_packs(todo: Sequence[Trial], store: Store, say: Callable[[str], None]) -> Iterator[tuple[Trial, ...]]:
    """Yield the trials in packs, ordered by the first trial of each.

    A trial that was trained before is alone, because its weights may have been kept. A trial that is reset to a
    checkpoint is alone, too, and so is a language model. The store keeps the decision of `auto`, so that runs that
    continue the study make packs of the same size.

    Args:
        todo: trials with different hashes.
        store: where they are kept.
        say: called with a sentence on what was found.
    """
    for key, trials in _groups(todo, store):
        use_threads(trials[0], store)
        yield from _parts(trials, _replicas(key, trials, store, say))


def packs_without_timing(todo: Sequence[Trial], store: Store) -> list[tuple[Trial, ...]] | None:
    """Return the trials in packs where nothing has to be timed for it, else None; see `group_into_packs`."""
    packs: list[tuple[Trial, ...]] = []
    known = store.chosen("replicas")
    for key, trials in _groups(todo, store):
        wanted = 1 if len(trials) == 1 else trials[0].train.replicas
        count = known.get(key) if wanted == "auto" else wanted
        if count is None:
            return None
        packs += _parts(trials, count)
    return packs


def _groups(todo: Sequence[Trial], store: Store) -> Iterator[tuple[str, list[Trial]]]:
    """Yield the trials that could share packs, with the key under which the store keeps how many do."""
    groups: dict[tuple[str, ResourcesSpec], list[Trial]] = {}
    for trial in todo:
        alone = trial.kind != "classification" or trial.match is not None or store.read(trial.hash) is not None
        alone = alone or trial.resources.processes > 1
        key = None if alone else packing.pack_key(work_of(trial))
        together = trial.hash if key is None else f"{trial.train.replicas} {key}"
        groups.setdefault((together, trial.resources), []).append(trial)
    yield from ((key, trials) for (key, _), trials in groups.items())


def _parts(trials: Sequence[Trial], count: int) -> Iterator[tuple[Trial, ...]]:
    """Yield the trials in parts of at most `count`, as equal as can be."""
    for part in np.array_split(np.arange(len(trials)), -(-len(trials) // count)):
        yield tuple(trials[int(index)] for index in part)


def use_threads(trial: Trial, store: Store) -> None:
    """Set the fastest number of threads for a trial's base model, read from the store or timed and kept there.

    There are no more than the trial's `resources.cpus` for each of its processes.
    """
    import torch

    base = trial.setting.base.fingerprint
    count = store.chosen("threads").get(base)
    if count is None:
        count = threads_that_pay(trial.setting.base)
        store.keep_chosen("threads", base, count)
    most = trial.resources.cpus
    torch.set_num_threads(count if most is None else min(count, max(most // trial.resources.processes, 1)))


def _replicas(key: str, trials: Sequence[Trial], store: Store, say: Callable[[str], None]) -> int:
    """Return how many of these trials to train together, timed if `train.replicas` is `auto`."""
    wanted = trials[0].train.replicas
    if wanted != "auto":
        return wanted
    known = store.chosen("replicas").get(key)
    if known is not None or len(trials) == 1:
        return known or 1
    count = packing.replicas_that_pay([work_of(trial) for trial in trials])
    store.keep_chosen("replicas", key, count)
    if count > 1:
        say(f"{trials[0].method}: {count} trials at a time are trained together, since that is faster here")
    return count
