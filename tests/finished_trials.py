"""Fills a folder with the trials of a plan as if they had been trained, for tests that are about folders."""

from __future__ import annotations

import json

import numpy as np
import polars as pl

from evenhand.atomic_files import write_text
from evenhand.audit.results import Results
from evenhand.study.collection import collect_tables, provenance


def leave_trials(store, trials):
    """Leave trials as if they had been trained, with logits at random."""
    rng = np.random.default_rng(0)
    for trial in trials:
        rows = [
            (split, str(example), None, None)
            for split, dataset in trial.evaluations.items()
            for example in dataset.example
        ]
        kinds = {"split": pl.String, "example": pl.String, "step": pl.Int64, "predicted": pl.Int64}
        size = len(rows), len(trial.setting.dataset.classes)
        logits = pl.Series(rng.normal(size=size).astype(np.float32), dtype=pl.Array(pl.Float32, size[1]))
        with store.writing(trial.hash) as folder:
            store.write_predictions(folder, trial, pl.DataFrame(rows, kinds, orient="row").with_columns(logits=logits))
            kept = {"status": "done", "reason": None, "identity": dict(trial.identity), "environment": {}}
            write_text(folder / "trial.json", json.dumps(kept))


def finish(store, planned):
    """Leave every trial of a plan as if it had been trained, with logits at random, and the tables of the run."""
    leave_trials(store, planned.distinct)
    tables = collect_tables(planned, store)
    results = Results.of_valid(tables, planned.design(""), provenance(planned, tables["trials"], store))
    results.save(store.out)
    return results
