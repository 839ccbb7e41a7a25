"""Runs the trials of a plan that are missing on disk: candidates of tuning first, then the study's own trials."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence

from evenhand.study.executors.serial import execute
from evenhand.study.expansion import Trial
from evenhand.study.packs import group_into_packs
from evenhand.study.plan import Plan
from evenhand.study.selection import choice_line, select_hyperparameters
from evenhand.study.store import Store
from evenhand.study.watcher import Watcher
from evenhand.training.threads import kept_threads


def tune(plan: Plan, store: Store, watcher: Watcher) -> Plan:
    """Train the candidates of tuned methods, select among them, and return the plan with the selected trials.

    Raises:
        InputError: every candidate of a method failed, see `select_hyperparameters`.
    """
    if not plan.candidates:
        return plan
    watcher.say("Choosing hyperparameters on validation examples")
    run_missing(plan.tried, store, watcher)
    plan = plan.decided(select_hyperparameters(plan, store))
    store.write_study(plan.study)
    for choice in plan.study.chosen:
        watcher.say(choice_line(choice))
    return plan


def train(plan: Plan, store: Store, watcher: Watcher) -> None:
    """Train the study's own trials, those matched to a reference after the reference, and drop the cached features."""
    run_missing([trial for trial in plan.distinct if trial.match is None], store, watcher)
    matched = [trial for trial in plan.distinct if trial.match is not None]
    if matched:
        run_missing(matched, store, watcher)
    # Cached features are large, quick to compute again, and reveal as much as the examples themselves.
    shutil.rmtree(store.features, ignore_errors=True)


@kept_threads()
def run_missing(trials: Sequence[Trial], store: Store, watcher: Watcher) -> None:
    """Run those of the trials that are not complete on disk, pack by pack; this is how a study resumes."""
    todo = [trial for trial in trials if not store.complete(trial)]
    watcher.start(len(todo), len(trials) - len(todo))
    began = time.monotonic()
    for trial, outcome in execute(group_into_packs(todo, store, watcher.say), store, watcher.share):
        watcher.finish(trial, outcome, time.monotonic() - began if outcome.seconds is None else outcome.seconds)
        began = time.monotonic()


def pending(plan: Plan, store: Store) -> list[Trial]:
    """Return the trials of a plan that are not complete on disk, each hash once, candidates of tuning first."""
    waiting = [trial for trial in (*plan.tried, *plan.distinct) if not store.complete(trial)]
    return list({trial.hash: trial for trial in waiting}.values())
