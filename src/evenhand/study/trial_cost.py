"""Defines the predicted cost of one trial, and calculates the disk space of its records."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import polars as pl

from evenhand.data.dataset import Dataset
from evenhand.study.expansion import Trial

STEP_BYTES = 120
"""A row of `log.jsonl`, about."""

TRIAL_BYTES = 2500
"""`trial.json`, about."""


@dataclass(frozen=True)
class Cost:
    """The predicted cost of one trial.

    Attributes:
        seconds: as its record will say: loading, encoding, training and predicting; in a pack, the trial's share. None:
            not timed, because the data or the base model are only stated.
        peak_bytes: the largest memory use, as its record will say; that of the whole pack.
        disk_bytes: the disk space that the trial keeps.
        parameters, parameters_total: of a trial that is not timed, the numbers of trained and of all parameters.
    """

    seconds: float | None
    peak_bytes: int
    disk_bytes: int
    parameters: int | None = None
    parameters_total: int | None = None


def disk_bytes(trial: Trial, steps: int, weights: int) -> int:
    """Return the disk space that a trial keeps: its log, its records, and weights of so many bytes."""
    return weights + STEP_BYTES * (steps + trial.spec.epochs) + TRIAL_BYTES + _records_bytes(trial)


def _records_bytes(trial: Trial) -> int:
    """Return the size of the trial's record table, from one with the same ids and made-up values."""
    rng = np.random.default_rng(0)
    made_up = {"classification": _predictions, "translation": _responses, "reviews": _options, "sft": _values}[
        trial.kind
    ]
    buffer = io.BytesIO()
    pl.concat([made_up(trial, name, data, rng) for name, data in trial.evaluations.items()]).write_parquet(buffer)
    return buffer.tell()


def _predictions(trial: Trial, name: str, data: Dataset, rng: np.random.Generator) -> pl.DataFrame:
    """Return made-up rows of the table `predictions`."""
    classes = len(trial.setting.dataset.classes)
    logits = rng.normal(size=(len(data), classes)).astype(np.float32)
    return _rows(trial, name, data).with_columns(logits=pl.Series(logits, dtype=pl.Array(pl.Float32, classes)))


def _responses(trial: Trial, name: str, data: Dataset, rng: np.random.Generator) -> pl.DataFrame:
    """Return made-up rows of the table `responses`."""
    return _rows(trial, name, data).with_columns(text=pl.Series([str(source) for source in data.inputs]))


def _options(trial: Trial, name: str, data: Dataset, rng: np.random.Generator) -> pl.DataFrame:
    """Return made-up rows of the table `options`."""
    each = sum(len(prompt.options) for prompt in trial.setting.prompts)
    rows = _rows(trial, name, data).select(pl.all().repeat_by(each).explode())
    return rows.with_columns(log_prob=pl.Series(rng.normal(size=len(rows))))


def _values(trial: Trial, name: str, data: Dataset, rng: np.random.Generator) -> pl.DataFrame:
    """Return made-up rows of the table `values`."""
    rows = _rows(trial, name, data).select(pl.all().repeat_by(2).explode())
    return rows.with_columns(value=pl.Series(rng.normal(size=len(rows))))


def _rows(trial: Trial, name: str, data: Dataset) -> pl.DataFrame:
    """Return the columns that all made-up tables share."""
    ids = [str(example) for example in data.example]
    return pl.DataFrame({"trial": [trial.hash] * len(data), "split": [name] * len(data), "example": ids})
