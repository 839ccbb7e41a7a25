"""Reads tables of samples that Inspect's `samples_df` made, saved as Parquet or CSV.

They have a row per sample and epoch: `id`, `epoch`, `input`, `target`, a column for each metadata field and each score;
with the columns of evaluations (`EvalInfo + EvalModel + EvalTask + SampleSummary`) also `model`, `task_name` and `log`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from evenhand.audit.ingest.harness_logs.evaluations import Document, Evaluation, MetricScores, TaskScores, shares
from evenhand.audit.ingest.harness_logs.inspect_scores import SampleScore, by_sample
from evenhand.audit.ingest.harness_logs.json_files import number
from evenhand.errors import InputError
from evenhand.tables.files import read_file

_FIELD, _SCORE = "metadata_", "score_"


def frame_evaluations(path: Path) -> list[Evaluation]:
    """The evaluations in a table, one for each log, in their order.

    The table has no numbers of Inspect's, so that means over epochs and samples are computed here.

    Raises:
        InputError: it is no table of samples.
    """
    frame = read_file(path)
    if "id" not in frame.columns or not any(name.startswith(_SCORE) for name in frame.columns):
        raise InputError(f"{path} is no table of samples as Inspect's samples_df makes: it lacks id or score_… columns")
    keys = [name for name in ("log", "eval_id", "model", "task_name") if name in frame.columns]
    parts = frame.partition_by(keys, maintain_order=True) if keys else [frame]
    return [_evaluation(part, path) for part in parts]


def _evaluation(rows: pl.DataFrame, path: Path) -> Evaluation:
    """The evaluation of one log's rows."""
    first = rows.row(0, named=True)
    ids = [str(value) for value in rows["id"]]
    repeated = pl.DataFrame({"id": ids, "epoch": rows["epoch"] if "epoch" in rows.columns else [1] * len(ids)})
    if repeated.is_duplicated().any():
        again = repeated.filter(repeated.is_duplicated())["id"][0]
        raise InputError(
            f"{path}: sample {again} is there twice in one epoch; the rows of several evaluations are told apart by "
            "the columns log, model and task_name"
        )
    metadata = [name for name in rows.columns if name.startswith(_FIELD)]
    documents = {}
    for identifier, row in zip(ids, rows.iter_rows(named=True), strict=True):
        fields = {name.removeprefix(_FIELD): _unpacked(row[name]) for name in metadata}
        documents.setdefault(identifier, Document(fields, f"{row.get('input')}\0{row.get('target')}"))
    metrics: list[MetricScores] = []
    for column in (name for name in rows.columns if name.startswith(_SCORE)):
        scores = [_unpacked(value) for value in rows[column]]
        metrics += _metrics(column.removeprefix(_SCORE), ids, scores)
    model = str(first.get("model") or "")
    task = str(first.get("task_name") or path.name.partition(".")[0]).rpartition("/")[2]
    identity = {name: str(first.get(name)) for name in ("model", "model_args", "model_generate_config", "solver")}
    return Evaluation(str(path), model, identity, "", {task: TaskScores(documents, metrics, {})}, (), "Inspect")


def _metrics(scorer: str, ids: list[str], scores: list[Any]) -> list[MetricScores]:
    """The mean of a scorer's scores, or of each of the values that they have by name."""
    keys = dict.fromkeys(str(key) for score in scores if isinstance(score, dict) for key in score)
    found = []
    for key in keys or [None]:
        each = [SampleScore(identifier, score) for identifier, score in zip(ids, scores, strict=True)]
        values = by_sample(each, key)
        if not values:
            continue
        raw = [score if key is None else score.get(key) for score in scores if key is None or isinstance(score, dict)]
        letters = any(isinstance(value, str) and _number_of(value) is None for value in raw)
        right = letters or all(isinstance(value, bool) for value in raw if value is not None)
        found.append(
            MetricScores(key or scorer, "better" if right else "neither", right or shares(values), None, values)
        )
    return found


def _number_of(value: str) -> float | None:
    """The number that a text is; None for a letter or a word."""
    try:
        return number(float(value))
    except ValueError:
        return None


def _unpacked(value: Any) -> Any:
    """A cell as it was in the log: several values by name are JSON in a table."""
    if isinstance(value, str) and value.startswith(("{", "[")):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value
