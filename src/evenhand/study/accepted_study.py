"""Decides whether a folder may hold a study, and writes the study into it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

from evenhand import records
from evenhand.atomic_files import write_text
from evenhand.audit.design import MarginChange
from evenhand.errors import InputError
from evenhand.study.membership_models import pool_of_setting
from evenhand.study.plan import Plan
from evenhand.study.setting import Setting
from evenhand.study.spec import Continuation, StudySpec
from evenhand.study.store import Store
from evenhand.study.study_file import read_study_file


@contextmanager
def accepted(store: Store, plan: Plan) -> Iterator[StudySpec]:
    """Check that a folder may hold a study, and write the study out with the margins' history.

    If the study turns out to be unusable within the block, the earlier study file is restored, because the folder
    still contains that study.

    Yields:
        The study with `declared` as it now stands.

    Raises:
        InputError: a setting of the same name has another task or base model, or a pool of different examples; the
            earlier study cannot be read.
    """
    earlier = _earlier(store)
    pools = _pools(store, plan)
    declared: tuple[MarginChange, ...] = ()
    continued: tuple[Continuation, ...] = ()
    if earlier is not None:
        for name in plan.settings.keys() & earlier.settings.keys():
            _check_same(store, earlier.settings[name], plan.settings[name].spec, name, plan)
        declared, continued = earlier.declared, earlier.continued
    study = plan.study
    before = [each.seeds for each in continued]
    continued = (*continued, *(each for each in study.continued if each.seeds not in before))
    if study.margins and (not declared or declared[-1].margins != study.margins):
        declared = (*declared, MarginChange(date=date.today().isoformat(), margins=study.margins))
    study = study.model_copy(update={"declared": declared, "continued": continued, "chosen": ()})
    written = {store.study_file: study.to_yaml()}
    if pools:
        written[store.pools_file] = json.dumps(pools, indent=1)
    texts = {path: path.read_text(encoding="utf-8") if path.is_file() else None for path in written}
    for path, text in written.items():
        write_text(path, text)
    try:
        yield study
    except InputError:
        for path, text in texts.items():
            if text is None:
                path.unlink()
            else:
                write_text(path, text)
        raise


def _earlier(store: Store) -> StudySpec | None:
    """Return the study that this folder holds; None if there is none."""
    if not store.study_file.is_file():
        return None
    try:
        return StudySpec(**read_study_file(store.study_file))
    except InputError as error:
        raise InputError(
            f"{store.study_file} is from an earlier run and no longer a readable study ({error}); choose "
            "another --out, or move that file away (the dates of its margins go with it)"
        ) from None


def _pools(store: Store, plan: Plan) -> dict[str, Any]:
    """Return the pools of this folder and of the plan, by setting: the number of examples and a fingerprint.

    Raises:
        InputError: a setting's pool in this folder consists of other examples.
    """
    try:
        held = json.loads(store.pools_file.read_text(encoding="utf-8")) if store.pools_file.is_file() else {}
    except ValueError:  # cut off
        held = {}
    for name, prepared in plan.settings.items():
        pool = pool_of_setting(prepared)
        if pool is None:
            continue
        now = {"examples": len(pool.index), "fingerprint": pool.fingerprint}
        before = held.setdefault(name, now)
        if before != now:
            raise InputError(
                f"{store.out} holds models of the pool of the setting {name}, whose examples or draw differ "
                f"from this study's ({before['examples']:,} examples then, {now['examples']:,} now); models of two "
                "pools cannot be compared: choose another --out, or give the setting another name"
            )
    return held


def _check_same(store: Store, before: Setting, now: Setting, name: str, plan: Plan) -> None:
    """Refuse a setting with another task or base model than the one of the same name in this folder.

    Only contents count: a moved file or another attribute does not change a setting's trials.
    """
    differ = {key: [each.task.get(key) for each in (before, now)] for key in {**before.task, **now.task}}
    differ["model"] = [before.model, now.model]
    differ = {key: values for key, values in differ.items() if values[0] != values[1]}
    if not differ or _shared(store, name, plan):
        return
    key, (held, given) = next(iter(differ.items()))
    task = f"task {before.task['name']}"
    what = {"name": f"{task}, not {given}", "model": f"base model {held}, not {given}"}
    raise InputError(
        f"{store.out} holds the setting {name} with the {what.get(key, f'{task} and {key}: {held}, not {given}')}; "
        "choose another --out, or give the setting another name"
    )


def _shared(store: Store, name: str, plan: Plan) -> bool:
    """Return whether the plan has one of the setting's recorded trials, or none is recorded yet."""
    path = store.out / "trials.parquet"
    held = set(records.read(path, "trials").filter(setting=name)["trial"]) if path.is_file() else set()
    return not held or any(trial.hash in held for trial in plan.trials if trial.setting.name == name)
