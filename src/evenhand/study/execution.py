"""Runs the trials of a plan that are missing on disk: candidates of tuning first, then the study's own trials."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

from evenhand.study.executors.round import Executor, Round
from evenhand.study.expansion import Trial
from evenhand.study.plan import Plan
from evenhand.study.post_processing import post_process
from evenhand.study.selection import choice_line, select_hyperparameters
from evenhand.study.store import Store
from evenhand.training.threads import kept_threads


def tune(plan: Plan, execute: Executor, first: Round) -> Plan:
    """Train the candidates of tuned methods, select among them, and return the plan with the selected trials.

    Args:
        plan: of the study.
        execute: runs the trials.
        first: a round without trials, which says where they are kept and who watches.

    Raises:
        InputError: every candidate of a method failed, see `select_hyperparameters`.
    """
    if not plan.candidates:
        return plan
    store, watcher = first.store, first.watcher
    watcher.say("Choosing hyperparameters on validation examples")
    run_missing(plan.tried, execute, replace(first, study=plan.study, tried=True))
    plan = plan.decided(select_hyperparameters(plan, store))
    with store.lock(watcher.say):
        store.write_study(plan.study)
    for choice in plan.study.chosen:
        watcher.say(choice_line(choice))
    return plan


def train(plan: Plan, execute: Executor, first: Round) -> None:
    """Train the study's own trials, those that are matched to a reference after the reference; see `tune`.

    Then trained models are compressed, and at the end predictions by thresholds per group are made.
    """
    first = replace(first, study=plan.study)
    trained = [trial for trial in plan.distinct if trial.uncompressed is None]
    run_missing([trial for trial in trained if trial.match is None], execute, first)
    later = [trial for trial in trained if trial.match is not None]
    for trials in (later, [trial for trial in plan.distinct if trial.uncompressed is not None]):
        if trials:
            run_missing(trials, execute, first)
    post_process(plan.post_processed, first.store, first.watcher.say)


@kept_threads()
def run_missing(trials: Sequence[Trial], execute: Executor, first: Round) -> None:
    """Run those of the trials that are not complete on disk; this is how a study resumes."""
    store, watcher = first.store, first.watcher
    todo = [trial for trial in trials if not store.complete(trial)]
    watcher.start(len(todo), len(trials) - len(todo))
    began = time.monotonic()
    with closing(execute(replace(first, trials=tuple(todo)))) as outcomes:
        for trial, outcome in outcomes:
            watcher.finish(trial, outcome, time.monotonic() - began if outcome.seconds is None else outcome.seconds)
            began = time.monotonic()


def pending(plan: Plan, store: Store) -> list[Trial]:
    """Return the trials of a plan that are not complete on disk, each hash once, candidates of tuning first."""
    waiting = [trial for trial in (*plan.tried, *plan.distinct) if not store.complete(trial)]
    return list({trial.hash: trial for trial in waiting}.values())
