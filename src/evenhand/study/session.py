"""Joins the processes that run one study in one folder, on this and on other machines."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from evenhand.errors import InputError
from evenhand.study.claims import BEAT, PATIENCE, Held
from evenhand.study.spec import StudySpec
from evenhand.study.store import Store
from evenhand.study.watcher import Watcher

RUN = "run-"
"""How the names of runs begin among the claims."""

_AUDITED = "audited"
"""The note that names the study that was audited since the first of the present runs joined."""


@dataclass(frozen=True)
class Session:
    """This run among those that share a folder.

    Attributes:
        store: the folder.
        study: identifies the study, apart from the dates of its margins and the hyperparameters that it chooses.
    """

    store: Store
    study: str

    @property
    def audited(self) -> bool:
        """Whether another run has audited this study, whose trials are complete, while this one ran, too."""
        return self.store.claims.note(_AUDITED) == self.study

    def mark_audited(self) -> None:
        """Tell the other runs that the results are in the folder."""
        if _others(self.store):
            self.store.claims.leave_note(_AUDITED, self.study)


@contextmanager
def session(store: Store, study: StudySpec, watcher: Watcher) -> Iterator[Session]:
    """Context manager in which this run belongs to those that share the folder; they must run the same study.

    The first one to join clears what killed processes left, and the last one to leave removes cached features.

    Raises:
        InputError: another process runs another study in this folder.
    """
    ours = fingerprint(study)
    with ExitStack() as leaving:
        with store.lock(watcher.say):
            _check_same_study(store, ours)
            others = _others(store)
            if others:
                owners = " and ".join(sorted(held.owner for held in others))
                watcher.say(f"This run helps {owners}, which also works on this study")
            else:
                store.claims.forget(_AUDITED)
                _clear(store)
            leaving.callback(_leave, store)
            leaving.enter_context(store.claims.claimed([f"{RUN}{store.claims.run}"], study=ours))
        yield Session(store, ours)


def _leave(store: Store) -> None:
    """Clear the folder, if this was the last run in it."""
    with store.lock():
        if _clear(store):
            # Cached features are large, quick to compute again, and reveal as much as the examples themselves.
            shutil.rmtree(store.features, ignore_errors=True)


def _clear(store: Store) -> bool:
    """Remove what lost processes left, unless some process works in the folder; return whether none does.

    Jobs of a cluster may work without a run.
    """
    if store.claims.held():
        return False
    store.claims.clear()
    store.clear_leftovers()
    return True


def fingerprint(study: StudySpec) -> str:
    """Return what identifies a study.

    Its dates, the hyperparameters that it chooses and its trackers are no part of it.
    """
    text = study.model_copy(update={"declared": (), "continued": (), "chosen": (), "trackers": ()}).to_yaml()
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _others(store: Store) -> list[Held]:
    """Return the other runs in the folder."""
    own = f"{RUN}{store.claims.run}"
    return [held for name, held in store.claims.held().items() if name.startswith(RUN) and name != own]


def _check_same_study(store: Store, ours: str) -> None:
    """Refuse a folder in which another study is being run; wait where its run may be dead."""
    first = {held.name: held for held in _others(store) if held.facts.get("study") != ours}
    waited = 0.0
    while strangers := {held.name: held for held in _others(store) if held.facts.get("study") != ours}:
        for name, held in strangers.items():
            alive = held.here or (name in first and held.facts.get("beat") != first[name].facts.get("beat"))
            if alive or waited > PATIENCE + BEAT:
                raise InputError(
                    f"{held.owner} is running another study in {store.address}; wait for it, or choose another --out"
                )
        time.sleep(1.0)
        waited += 1.0
