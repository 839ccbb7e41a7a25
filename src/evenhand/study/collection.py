"""Collects the records that trials left on disk into the record tables that the audit reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from evenhand import records
from evenhand.audit.record_tables import BY_TRIAL
from evenhand.audit.results import Results
from evenhand.audit.results_folder import stacked
from evenhand.errors import InputError
from evenhand.plugins import versions
from evenhand.study.environment import distinct_environments
from evenhand.study.expansion import Trial
from evenhand.study.loss_matching import matching_note
from evenhand.study.plan import Plan
from evenhand.study.post_processing import NOTE
from evenhand.study.selection import candidate_score, is_chosen, selection_notes
from evenhand.study.store import HARNESS, SHORTAGE, Store
from evenhand.study.trial_runner import matching_target
from evenhand.tasks import TABLE
from evenhand.tasks.generations.trial import VALUES
from evenhand.tasks.trial_tokens import TOKENS

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
"""Columns of the table `trials` that `trial.json` holds under the same names."""


def collect_tables(plan: Plan, store: Store) -> dict[str, pl.DataFrame]:
    """Return the validated record tables of a study by name: `examples`, `trials` and one for each kind of records.

    Args:
        plan: of the study, with the hyperparameters that tuning chose.
        store: where every trial of the plan is complete.

    Raises:
        InputError: a trial is not on disk, or every trial failed.
    """
    rows = [_trial_row(trial, plan, store) for trial in (*plan.candidates, *plan.trials)]
    frames = _frames_by_table(plan, store)
    if not any(frames[table] for table in TABLE.values()):
        reasons = {row["reason"] for row in rows if row["role"] != "tuning"}
        short = any((store.read(trial.hash) or {}).get(SHORTAGE) for trial in plan.trials)
        remedy = " (--repair trains again what lacked memory or time)" if short else ""
        raise InputError(
            f"every trial failed, so there is nothing to audit: {'; '.join(sorted(map(str, reasons)))}{remedy}"
        )
    return {
        "examples": records.validate(plan.examples(), "examples"),
        "trials": records.validate(pl.DataFrame(rows, infer_schema_length=None), "trials"),
        **{table: stacked(of_trials, table) for table, of_trials in frames.items()},
    }


def audited(plan: Plan, store: Store, source: str) -> Results:
    """Return the audit of a plan whose trials are all complete.

    Args:
        plan: of the study, with the hyperparameters that tuning chose.
        store: where the trials are.
        source: the study's name in the report.

    Raises: as `collect_tables`.
    """
    tables = collect_tables(plan, store)
    return Results.of_valid(tables, plan.design(source, tables["harness"]), provenance(plan, tables["trials"], store))


def provenance(plan: Plan, trials: pl.DataFrame, store: Store) -> dict[str, str]:
    """Return the provenance that the report shows: the study's YAML, environments, base models, tuning and versions.

    Args:
        plan: of the study.
        trials: its table `trials`.
        store: where the trials are.
    """
    different = distinct_environments(map(json.loads, trials["environment"]))
    environments = [json.dumps(environment) for environment in different]
    audited = json.dumps({**different[0], **versions("tasks", "measures", "scorers")})
    bases = {name: f"{loaded.base.name} (contents {loaded.base.fingerprint})" for name, loaded in plan.settings.items()}
    facts = {"study": plan.study.to_yaml(), "environment": audited, "bases": json.dumps(bases)}
    tuning = " ".join(selection_notes(plan))
    if tuning:
        facts["tuning"] = tuning
    if len(environments) > 1:
        facts["mixed"] = (
            f"The trials of this study were trained under {len(environments)} different environments: "
            + " · ".join(environments)
        )
    return facts | _harness_versions(plan, store)


def _trial_row(trial: Trial, plan: Plan, store: Store) -> dict[str, Any]:
    """Return a trial's row of the table `trials`."""
    kept = store.read(trial.hash)
    if kept is None:
        raise InputError(f"{store.out} lacks the trial {trial.label}; run the study again")
    row = {
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
    if trial.candidate is not None:
        row |= {"score": candidate_score(trial, store), "chosen": is_chosen(trial, plan.study.chosen)}
    return row | _note_column(trial, kept, store)


def _note_column(trial: Trial, kept: Mapping[str, Any], store: Store) -> dict[str, str]:
    """Return the column `note` for a trial that was matched to a reference or predicts by thresholds per group."""
    if trial.source is not None:
        return {} if kept["status"] == "failed" else {"note": kept[NOTE]}
    target = matching_target(trial, store) if kept["status"] == "done" else None
    if target is None or trial.match is None:
        return {}
    return {"note": matching_note(trial.match, kept["reached"], target.value, kept["step"])}


def _frames_by_table(plan: Plan, store: Store) -> dict[str, list[pl.DataFrame]]:
    """Return, by record table, the rows on disk that the study requires from each trial."""
    frames: dict[str, list[pl.DataFrame]] = {table: [] for table in BY_TRIAL}
    names = [measure.recorded for measure in plan.declared(None) if measure.kind == "values"]
    used = {trial.hash for trial in plan.trials}  # a trial may be trained only for thresholds after it
    for trial in (*(each for each in plan.distinct if each.hash in used), *plan.post_processed):
        wanted = {
            "options": trial.questioning is not None,
            TABLE[trial.kind]: True,
            HARNESS: _is_scored(trial, store),
            "probes": trial.probing is not None,
            TOKENS: trial.scoring is not None,
            **({} if trial.generations is None else {VALUES: True}),
        }
        splits = [*trial.evaluations, *(() if trial.generations is None else trial.generations.splits)]
        for table in BY_TRIAL:
            path = store.folder(trial.hash) / f"{table}.parquet"
            if not wanted.get(table) or not path.is_file():
                continue
            frame = records.read(path, table)
            if "split" in frame.columns:
                own = trial.scoring.keys if table == TOKENS and trial.scoring else splits
                frame = frame.filter(pl.col("split").is_in(list(own)))
            if table == VALUES:
                frame = frame.filter(pl.col("name").is_in(names))
            frames[table].append(frame)
    return frames


def _is_scored(trial: Trial, store: Store) -> bool:
    """Return whether the study requires benchmarks for a trial and they are on disk."""
    return trial.benchmarks is not None and store.scored(trial)


def _harness_versions(plan: Plan, store: Store) -> dict[str, str]:
    """Return the versions of lm-evaluation-harness that scored the trials, as provenance."""
    scored = [trial for trial in plan.distinct if _is_scored(trial, store)]
    versions = sorted({store.harness_version(trial.hash) for trial in scored})
    text = " and ".join(versions) + ("" if len(versions) < 2 else ": not every trial was scored by the same")
    return {"lm-evaluation-harness": text} if versions else {}
