"""Finds trials whose tables cannot be read, and those that lacked memory or time, and sets them aside on request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evenhand import records
from evenhand.audit.record_tables import BY_TRIAL
from evenhand.errors import InputError, shortened
from evenhand.study.expansion import Trial
from evenhand.study.store import SHORTAGE, Store


def set_damaged_aside(trials: Sequence[Trial], store: Store, repair: bool) -> list[str]:
    """Move the damaged ones among some trials out of the way, and return sentences that say so.

    A table that was cut off is trained again without this, because its footer is missing; here every table is read.
    With `repair`, trials that failed for lack of memory or time are moved away, too.

    Args:
        trials: of a study.
        store: of its folder, which is locked.
        repair: whether to set damaged trials aside; otherwise the first one is refused.

    Raises:
        InputError: a damaged trial without `repair`; it names the folder.
    """
    said = []
    for hash_, why in _damaged(trials, store):
        folder = store.folder(hash_)
        if not repair:
            raise InputError(
                f"{folder} is damaged ({shortened(why)}); run again with --repair, which sets it aside and trains it "
                "again, or delete that folder"
            )
        said.append(f"{folder} is damaged and was set aside as {store.set_aside(hash_)}; it is trained again")
    for trial in trials if repair else ():
        kept = store.read(trial.hash)
        if kept is not None and kept.get(SHORTAGE):
            store.set_aside(trial.hash)
            said.append(f"{trial.label} is trained again; last time it failed: {kept['reason']}")
    return said


def _damaged(trials: Sequence[Trial], store: Store) -> Iterator[tuple[str, str]]:
    """The trials that are complete by their facts but have a table that cannot be read, and why."""
    for trial in trials:
        if not store.complete(trial):
            continue
        for name in BY_TRIAL:
            path = store.folder(trial.hash) / f"{name}.parquet"
            if not path.is_file():
                continue
            try:
                records.read(path, name)
            except InputError as error:
                yield trial.hash, str(error).removeprefix(f"{path} ")
                break
