"""Finds trials whose tables cannot be read, and refuses them or sets them aside to be trained again."""

from __future__ import annotations

from collections.abc import Iterator

from evenhand import records
from evenhand.audit.record_tables import BY_TRIAL
from evenhand.errors import InputError, shortened
from evenhand.study.plan import Plan
from evenhand.study.store import Store

ASIDE = "damaged"
"""The folder of a study that damaged trials are moved to."""


def set_damaged_aside(plan: Plan, store: Store, repair: bool) -> list[str]:
    """Move the damaged trials of a plan out of the way, and return sentences that say so.

    A table that was cut off is trained again without this, because its footer is missing; here every table is read.

    Args:
        plan: of the study.
        store: of its folder, which is locked.
        repair: whether to set damaged trials aside; otherwise the first one is refused.

    Raises:
        InputError: a damaged trial without `repair`; it names the folder.
    """
    said = []
    for hash_, why in _damaged(plan, store):
        folder = store.folder(hash_)
        if not repair:
            raise InputError(
                f"{folder} is damaged ({shortened(why)}); run again with --repair, which sets it aside and trains it "
                "again, or delete that folder"
            )
        aside = store.out / ASIDE / hash_
        number = 1
        while aside.exists():
            number += 1
            aside = store.out / ASIDE / f"{hash_}-{number}"
        aside.parent.mkdir(exist_ok=True)
        folder.rename(aside)
        said.append(f"{folder} is damaged and was set aside as {aside}; it is trained again")
    return said


def _damaged(plan: Plan, store: Store) -> Iterator[tuple[str, str]]:
    """The trials that are complete by their facts but have a table that cannot be read, and why."""
    for trial in [*plan.tried, *plan.distinct]:
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
