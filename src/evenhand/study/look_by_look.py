"""Trains a study look by look until its comparisons are decided, and keeps the looks that were taken.

A look at a study is the study with its first seeds: it is planned, tuned, trained and audited as any other. Everything
that is decided follows from the records, so a run that was killed takes the same looks again with the same answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from evenhand.atomic_files import write_text
from evenhand.audit.looks import outcome, planned_looks
from evenhand.audit.results import Results
from evenhand.audit.results_folder import DESIGN
from evenhand.errors import InputError
from evenhand.study.collection import audited
from evenhand.study.plan import Plan
from evenhand.study.spec import StudySpec
from evenhand.study.store import Store
from evenhand.study.until_decided import UntilDecided
from evenhand.study.watcher import Watcher


def train_until_decided(
    plan: Plan, train: Callable[[Plan], Plan], store: Store, watcher: Watcher, source: str
) -> tuple[Plan, Results]:
    """Train and audit look after look until the study stops; return the plan of the last look, and its audit.

    Args:
        plan: of a study until decided, with all its seeds.
        train: completes the trials of a plan, and returns it with the hyperparameters that tuning chose.
        store: of the study.
        watcher: receives what each look says.
        source: the study's name in the report.

    Raises:
        InputError: nothing could be trained or audited, or the study has no comparison of the sort that it waits for.
    """
    until = plan.study.until_decided
    assert until is not None
    look, results = plan, None
    for number, seeds in enumerate(until.looks, 1):
        look = replace(train(plan.with_seeds(seeds)), looks=number)
        with store.lock(watcher.say):
            _keep_taken(store, until, number)
        watcher.say(f"Look {number} of {len(until.looks)}: auditing {seeds} seeds")
        results = audited(look, store, source)
        design = results.design.looks
        assert design is not None
        if results.looks.is_empty():
            raise InputError(
                f"the study waits for {', '.join(until.comparisons)} of {', '.join(until.measures)}, and has no such "
                "comparison; name others in seeds.measures and seeds.comparisons"
            )
        found = outcome(results.looks, number, design)
        level = planned_looks(design, results.design.alpha)[number - 1].level
        watcher.say(
            f"At {seeds} seeds (level {level:.4f}), {found.reason}: the study {'stops' if found.stops else 'goes on'}"
        )
        if found.stops:
            break
    assert results is not None
    return look, results


def check_looks(store: Store, study: StudySpec) -> None:
    """Refuse to look at a folder's records in another way than was planned before they were seen.

    Raises:
        InputError: looks were taken that the study does not plan, or a study of fixed seeds was audited.
    """
    taken, until = _taken(store), study.until_decided
    if taken is None:
        if until is not None and (store.out / DESIGN).is_file():
            raise InputError(
                f"{store.address} was audited with a fixed number of seeds, which used up the level of error, so that "
                "none is left for looks: choose another --out, or keep a number of seeds"
            )
        return
    before = taken["looks"][: taken["taken"]]
    if until is not None and list(until.looks) == taken["looks"]:
        return
    asked = f"looks at {list(until.looks)} seeds" if until is not None else "a fixed number of seeds"
    raise InputError(
        f"{store.address} was looked at with {' and '.join(map(str, before))} seeds under the planned looks "
        f"{taken['looks']}, among which the level was divided; {asked} would divide it anew after verdicts were seen, "
        "and hold no error rate: restore looks and most, or choose another --out"
    )


def looks_file(store: Store) -> Path:
    """Return the file that records which looks were planned, and how many were taken."""
    return store.out / "looks.json"


def _keep_taken(store: Store, until: UntilDecided, number: int) -> None:
    """Record a look before its verdicts are computed, so that whoever sees them cannot plan other looks."""
    taken = _taken(store)
    if taken is None or taken["taken"] < number:
        write_text(looks_file(store), json.dumps({"looks": list(until.looks), "taken": number}) + "\n")


def _taken(store: Store) -> dict[str, Any] | None:
    """Return the looks that were planned and how many were taken; None before the first."""
    path = looks_file(store)
    if not path.is_file():
        return None
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        looks, taken = [int(look) for look in kept["looks"]], int(kept["taken"])
    except (ValueError, TypeError, KeyError):
        raise InputError(
            f"{path} should say which looks were planned and taken, and cannot be read; restore it, or choose another "
            "--out"
        ) from None
    return {"looks": looks, "taken": taken}
