"""Runs a study from its data to its report; each step is a call of one function in another file.

The study must be resolved: `StudySpec` (`study/spec.py`) has written out every default.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from evenhand.audit.results import Results
from evenhand.study.accepted_study import accepted
from evenhand.study.collection import audited
from evenhand.study.damaged_trials import set_damaged_aside
from evenhand.study.execution import train, tune
from evenhand.study.executors import executor as executor_of
from evenhand.study.executors.launched import check_launch, check_processes
from evenhand.study.executors.round import Executor, Round
from evenhand.study.loading import load_settings
from evenhand.study.look_by_look import check_looks, train_until_decided
from evenhand.study.plan import Plan, plan_trials
from evenhand.study.remote_store import open_store
from evenhand.study.session import session
from evenhand.study.spec import StudySpec
from evenhand.study.stale_trials import stale_sentences
from evenhand.study.store import Store
from evenhand.study.trackers import Trackers
from evenhand.study.trackers_spec import check_installed
from evenhand.study.watcher import SilentWatcher, Watcher
from evenhand.tasks.workers import stop_workers, worker_loop
from evenhand.training import launch


def run(
    study: StudySpec,
    out: str | Path,
    data: Path | None = None,
    *,
    executor: str = "serial",
    cluster: Mapping[str, Any] | None = None,
    repair: bool = False,
    watcher: Watcher | None = None,
    source: str = "",
) -> Results:
    """Run a resolved study: keep complete trials, train the others, audit all of them, and write the report.

    Any number of machines that share the folder may run the same study at the same time: each trains trials that no
    other one has claimed. The main process of a launch runs the study, and its other processes train with it.

    Args:
        study: resolved.
        out: the folder of the study, or a URL that fsspec knows (`s3://BUCKET/NAME`). The results are also there:
            tables, `study.yaml`, `report.html` and `figures/`.
        data: the folder of `--data`, with one folder for each data set.
        executor: `serial`, `ray` or `slurm`.
        cluster: options of the executor, see `RayOptions` and `SlurmOptions`.
        repair: whether trials whose tables cannot be read are set aside and trained again.
        watcher: receives the progress.
        source: the study's name in the report.

    Raises:
        InputError: the study, its data, its model or the cluster cannot be used, `out` holds another study, or a trial
            in it is damaged.
    """
    process = launch.this_process()
    if not process.main:
        worker_loop()
        return Results.load(open_store(out).out)
    with executor_of(executor, cluster or {}) as execute:
        results = _run(study, open_store(out), data, execute, repair, watcher or SilentWatcher(), source)
    if process.shared:
        stop_workers()
    return results


def _run(
    study: StudySpec, store: Store, data: Path | None, execute: Executor, repair: bool, watcher: Watcher, source: str
) -> Results:
    """Run a study with an executor."""
    if alone := launch.single_process_sentence():
        watcher.say(alone)
    check_installed(study.trackers)
    watcher.say("Reading the data and the base models")
    settings = load_settings(study, data)
    plan = plan_trials(study, settings)
    if launch.this_process().shared:
        check_launch([*plan.tried, *plan.distinct])
    else:
        check_processes([*plan.tried, *plan.distinct])
    out = store.out
    with ExitStack() as stack:
        joined = stack.enter_context(session(store, study, watcher))
        with store.lock(watcher.say):
            check_looks(store, study)
            study = stack.enter_context(accepted(store, plan))
            for sentence in (*stale_sentences(plan, store), *set_damaged_aside(plan.tried, store, repair)):
                watcher.say(sentence)
        plan = replace(plan, study=study)
        trackers = Trackers(study, source, store, watcher)
        first = Round(study, data, store, trackers.watching(watcher))

        def trained(plan: Plan) -> Plan:
            plan = tune(plan, execute, first)
            with store.lock(watcher.say):
                for sentence in set_damaged_aside((*plan.distinct, *plan.post_processed), store, repair):
                    watcher.say(sentence)
            train(plan, execute, first)
            return plan

        results = None
        if study.until_decided is None:
            plan = trained(plan)
        else:
            plan, results = train_until_decided(plan, trained, store, watcher, source)
        trackers.send_trials([*plan.tried, *plan.distinct])
        with store.lock(watcher.say):
            if joined.audited:
                return Results.load(out)
            if results is None:
                watcher.say("Auditing the predictions")
                results = audited(plan, store, source)
            results.save(out)
            results.report(out / "report.html")
            results.figures(out / "figures")
            joined.mark_audited()
            stack.callback(trackers.send_results, results)  # without the lock, since it may take a while
            return results
