"""The one command: train what is missing, gather the records, audit them, write the report."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from evenhand import records
from evenhand.audit.record_tables import BY_TRIAL
from evenhand.audit.results import Results
from evenhand.audit.results_folder import stacked
from evenhand.errors import InputError, did_you_mean
from evenhand.plugins import versions
from evenhand.study.choice import choose, is_chosen, report_line, score, sentences
from evenhand.study.environment import distinct
from evenhand.study.executors import launched
from evenhand.study.expansion import Trial
from evenhand.study.match import sentence
from evenhand.study.packs import packs
from evenhand.study.plan import Plan, plan
from evenhand.study.spec import StudySpec
from evenhand.study.store import HARNESS, Store
from evenhand.study.trial import Done, target_of
from evenhand.tasks import TABLE
from evenhand.tasks.following import finish, follow
from evenhand.training import launch

EXECUTORS = ("serial",)
_OUTCOME = (
    "train_loss",
    "validation_loss",
    "parameters",
    "parameters_total",
    "seconds",
    "peak_bytes",
    "epsilon",
    "step",
)


class Watcher(Protocol):
    """Who is told how a run goes: the command line draws a bar, a library user may log."""

    def start(self, todo: int, kept: int) -> None: ...

    def share(self, pack: Sequence[Trial], share: float) -> None: ...

    def finish(self, trial: Trial, done: Done, seconds: float) -> None: ...

    def say(self, text: str) -> None: ...


@dataclass(frozen=True)
class Silent:
    """Says nothing."""

    def start(self, todo: int, kept: int) -> None: ...

    def share(self, pack: Sequence[Trial], share: float) -> None: ...

    def finish(self, trial: Trial, done: Done, seconds: float) -> None: ...

    def say(self, text: str) -> None: ...


def run(
    study: StudySpec,
    out: Path,
    data: Path | None = None,
    *,
    executor: str = "serial",
    watcher: Watcher | None = None,
    source: str = "",
) -> Results:
    """Run a study: complete trials are kept, half-trained ones start again, new ones are trained.

    In a launch of several processes the main one does so, and the others train with it whatever it trains.

    Args:
        study: resolved.
        out: the folder that holds it; made if it does not exist.
        data: the folder of `--data`.
        executor: who runs the trials.
        watcher: told of progress.
        source: the study's name for the report.

    Returns:
        The results, which are also in `out` (tables, `study.yaml`, `report.html`, `figures/`).

    Raises:
        InputError: the study, its data or its model cannot be used, or `out` holds another study.
    """
    if executor not in EXECUTORS:
        raise InputError(f'there is no executor "{executor}"; {did_you_mean(executor, EXECUTORS)}')
    here = launch.place()
    if not here.main:
        follow()
        return Results.load(out)
    watcher = watcher or Silent()
    watcher.say("Reading the data and the base models")
    planned = plan(study, data)
    if here.shared:
        launched.check([*planned.tried, *planned.distinct])
    store = Store(out)
    with store.lock(), store.accepted(planned) as accepted:
        planned = replace(planned, study=accepted)
        if planned.candidates:
            watcher.say("Choosing hyperparameters on validation examples")
            _execute(planned.tried, store, watcher)
            planned = planned.decided(choose(planned, store))
            store.write_study(planned.study)
            for choice in planned.study.chosen:
                watcher.say(report_line(choice))
        # What is made equal to a reference comes after it.
        _execute([trial for trial in planned.distinct if trial.match is None], store, watcher)
        matched = [trial for trial in planned.distinct if trial.match is not None]
        if matched:
            _execute(matched, store, watcher)
        # Large, soon made again, and as telling as the examples themselves.
        shutil.rmtree(store.features, ignore_errors=True)
        watcher.say("Auditing the predictions")
        results = gather(planned, store, source)
        results.save(out)
        results.report(out / "report.html")
        results.figures(out / "figures")
    if here.shared:
        finish()
    return results


def pending(planned: Plan, store: Store) -> list[Trial]:
    """The trials of a plan that are not complete on disk, each hash once; the candidates that it needs come first."""
    waiting = [trial for trial in (*planned.tried, *planned.distinct) if not store.complete(trial)]
    return list({trial.hash: trial for trial in waiting}.values())


def gather(planned: Plan, store: Store, source: str = "") -> Results:
    """Read what the trials left on disk and audit it."""
    rows: list[dict[str, Any]] = []
    for trial in (*planned.candidates, *planned.trials):
        kept = store.read(trial.hash)
        if kept is None:
            raise InputError(f"{store.out} lacks the trial {trial.label}; run the study again")
        row = _trial_row(trial, kept)
        if trial.candidate is not None:
            row |= {"score": score(trial, store), "chosen": is_chosen(trial, planned.study.chosen)}
        target = target_of(trial, store) if kept["status"] == "done" else None
        if target is not None and trial.match is not None:
            row |= {"note": sentence(trial.match, kept["reached"], target.value, kept["step"])}
        rows.append(row)
    frames = trial_frames(planned, store)
    if not any(frames[table] for table in TABLE.values()):
        reasons = {row["reason"] for row in rows if row["role"] != "tuning"}
        raise InputError(f"every trial failed, so there is nothing to audit: {'; '.join(sorted(map(str, reasons)))}")
    tables = {
        "examples": records.validate(planned.examples(), "examples"),
        "trials": records.validate(pl.DataFrame(rows, infer_schema_length=None), "trials"),
        **{table: stacked(of_trials, table) for table, of_trials in frames.items()},
    }
    provenance = _provenance(planned, rows) | _harness_versions(planned, store)
    return Results.of_valid(tables, planned.design(source), provenance)


def trial_frames(planned: Plan, store: Store) -> dict[str, list[pl.DataFrame]]:
    """By record table, the rows that each trial left on disk of what the study asks of it."""
    frames: dict[str, list[pl.DataFrame]] = {table: [] for table in BY_TRIAL}
    for trial in planned.distinct:
        asked = {TABLE[trial.kind]: True, HARNESS: _is_scored(trial, store), "probes": trial.probing is not None}
        for table in BY_TRIAL:
            path = store.folder(trial.hash) / f"{table}.parquet"
            if not asked.get(table) or not path.is_file():
                continue
            frame = records.read(path, table)
            if "split" in frame.columns:
                frame = frame.filter(pl.col("split").is_in(list(trial.evaluations)))
            frames[table].append(frame)
    return frames


def _is_scored(trial: Trial, store: Store) -> bool:
    """Whether a trial was scored by benchmarks, and the study asks for them."""
    return trial.benchmarks is not None and store.scored(trial)


def _harness_versions(planned: Plan, store: Store) -> dict[str, str]:
    """Which versions of lm-evaluation-harness scored the trials, as provenance."""
    scored = [trial for trial in planned.distinct if _is_scored(trial, store)]
    versions = sorted({store.harness_version(trial.hash) for trial in scored})
    said = " and ".join(versions) + ("" if len(versions) < 2 else ": not every trial was scored by the same")
    return {"lm-evaluation-harness": said} if versions else {}


def _execute(trials: Sequence[Trial], store: Store, watcher: Watcher) -> None:
    from evenhand.study.executors.serial import execute

    todo = [trial for trial in trials if not store.complete(trial)]
    watcher.start(len(todo), len(trials) - len(todo))
    began = time.monotonic()
    for trial, done in execute(packs(todo, store, watcher.say), store, watcher.share):
        watcher.finish(trial, done, time.monotonic() - began if done.seconds is None else done.seconds)
        began = time.monotonic()


def _trial_row(trial: Trial, kept: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "setting": trial.setting.name,
        "method": trial.method,
        "seed": trial.seed,
        "role": trial.role,
        "candidate": None if trial.candidate is None else trial.candidate.json,
        "subset": trial.subset,
        "pair": trial.pair,
        "trial": trial.hash,
        "status": kept["status"],
        "reason": kept["reason"],
        **{name: kept.get(name) for name in _OUTCOME},
        "environment": json.dumps(kept["environment"]),
    }


def _provenance(planned: Plan, rows: list[dict[str, Any]]) -> dict[str, str]:
    different = distinct(json.loads(row["environment"]) for row in rows)
    environments = [json.dumps(environment) for environment in different]
    audited = json.dumps({**different[0], **versions("tasks", "measures")})
    bases = {name: f"{p.base.name} (contents {p.base.fingerprint})" for name, p in planned.settings.items()}
    provenance = {"study": planned.study.to_yaml(), "environment": audited, "bases": json.dumps(bases)}
    tuned = " ".join(sentences(planned))
    if tuned:
        provenance["tuning"] = tuned
    if len(environments) > 1:
        provenance["mixed"] = (
            f"The trials of this study were trained under {len(environments)} different environments: "
            + " · ".join(environments)
        )
    return provenance
