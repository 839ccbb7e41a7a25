"""Runs a study from its data to its report; each step is a call of one function in another file.

The study must be resolved: `StudySpec` (`study/spec.py`) has written out every default.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evenhand.audit.results import Results
from evenhand.errors import InputError, did_you_mean
from evenhand.study.collection import collect_tables, provenance
from evenhand.study.damaged_trials import set_damaged_aside
from evenhand.study.execution import train, tune
from evenhand.study.executors.launched import check_launch
from evenhand.study.loading import load_settings
from evenhand.study.plan import plan_trials
from evenhand.study.spec import StudySpec
from evenhand.study.stale_trials import stale_sentences
from evenhand.study.store import Store
from evenhand.study.watcher import SilentWatcher, Watcher
from evenhand.tasks.workers import stop_workers, worker_loop
from evenhand.training import launch

EXECUTORS = ("serial",)


def run(
    study: StudySpec,
    out: Path,
    data: Path | None = None,
    *,
    executor: str = "serial",
    repair: bool = False,
    watcher: Watcher | None = None,
    source: str = "",
) -> Results:
    """Run a resolved study: keep complete trials, train the others, audit all of them, and write the report.

    The main process of a launch does so, and its other processes train with it. `out` is the folder of the study and
    `data` that of `--data`; `watcher` receives the progress, and `source` names the study in the report. The results
    are also in `out`: tables, `study.yaml`, `report.html` and `figures/`. With `repair`, trials whose tables cannot be
    read are set aside and trained again.

    Raises:
        InputError: the study, its data or its model cannot be used, `out` holds another study, or a trial in it is
            damaged.
    """
    if executor not in EXECUTORS:
        raise InputError(f'there is no executor "{executor}"; {did_you_mean(executor, EXECUTORS)}')
    process = launch.this_process()
    if not process.main:
        worker_loop()
        return Results.load(out)
    watcher = watcher or SilentWatcher()
    if alone := launch.single_process_sentence():
        watcher.say(alone)
    watcher.say("Reading the data and the base models")
    settings = load_settings(study, data)
    plan = plan_trials(study, settings)
    if process.shared:
        check_launch([*plan.tried, *plan.distinct])
    store = Store(out)
    with store.lock(), store.accepted(plan) as accepted:
        for sentence in (*stale_sentences(plan, store), *set_damaged_aside(plan.tried, store, repair)):
            watcher.say(sentence)
        plan = tune(replace(plan, study=accepted), store, watcher)
        for sentence in set_damaged_aside(plan.distinct, store, repair):
            watcher.say(sentence)
        train(plan, store, watcher)
        watcher.say("Auditing the predictions")
        tables = collect_tables(plan, store)
        results = Results.of_valid(tables, plan.design(source), provenance(plan, tables["trials"], store))
        results.save(out)
        results.report(out / "report.html")
        results.figures(out / "figures")
    if process.shared:
        stop_workers()
    return results
