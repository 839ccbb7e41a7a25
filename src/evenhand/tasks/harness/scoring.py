"""Scores a language model with lm-evaluation-harness, and returns its scores as rows of the table `harness`."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from evenhand.errors import InputError
from evenhand.records import TABLES, validate
from evenhand.tasks.harness.columns import BY_GROUP
from evenhand.tasks.harness.linearization import linearized_values
from evenhand.tasks.harness.loading import Benchmarks, quiet_harness, restart_examples
from evenhand.tasks.harness.metrics import recorded_name

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedTokenizerBase


def score_benchmarks(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    benchmarks: Benchmarks,
    where: torch.device,
    room: int | None = None,
) -> pl.DataFrame:
    """Return one model's rows of the table `harness`, without the column `trial`.

    The harness's Hugging Face backend uses the model in memory, in the precision of its weights; the harness's
    `evaluate` builds the requests, scores the answers and aggregates. Random states are restored afterwards.

    Args:
        model: a causal language model, including adapters, on its device; its mode is restored.
        tokenizer: the model's tokenizer.
        benchmarks: the benchmarks to score.
        where: the model's device.
        room: positions for a text; None: those of the model.

    Returns:
        The table that `harness_table` returns.
    """
    return harness_table(evaluated(model, tokenizer, benchmarks, where, room), benchmarks)


def evaluated(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    benchmarks: Benchmarks,
    where: torch.device,
    room: int | None = None,
) -> Mapping[str, Any]:
    """Return the result of the harness's `evaluate`, samples included; arguments as `score_benchmarks`."""
    from evenhand.training.loop import reproducible

    training = model.training
    with quiet_harness(), reproducible(where):
        from lm_eval.evaluator import evaluate
        from lm_eval.models.huggingface import HFLM

        backend: Any = HFLM
        # It sets a padding token if there is none.
        own_tokenizer = copy.deepcopy(tokenizer)
        options: dict[str, Any] = {"batch_size": benchmarks.batch_size, "max_length": room}
        reader = backend(pretrained=model, backend="causal", tokenizer=own_tokenizer, **options)
        restart_examples(benchmarks)
        drawn = {name: list(asked) for name, asked in benchmarks.asked.items() if asked is not None}
        try:
            results = evaluate(
                reader,
                {"tasks": dict(benchmarks.tasks)},
                samples=drawn or None,
                bootstrap_iters=0,  # its standard errors treat documents as independent; the audit has its own
            )
        except AssertionError as error:
            if str(error):
                raise
            # The harness silently assumes that both parts of a request have tokens, and that the answer fits.
            raise InputError(
                f"harness: a document of {', '.join(benchmarks.tasks)} has an answer without tokens, or "
                f"with more than the model's {reader.max_length} positions; leave that task out"
            ) from None
    model.train(training)
    assert results is not None
    return results


def harness_table(results: Mapping[str, Any], benchmarks: Benchmarks) -> pl.DataFrame:
    """Return results of the harness as rows for each task, document and metric, and one for each task and metric.

    The latter contain the total that the harness reports, and their `example` is null.

    If the metric is a mean of numbers, a document's `value` is the harness's number for the document. If the metric is
    another function of the documents' values (BBQ's bias scores, `icat`), `value` is linearised
    (`linearized_values`): its mean is the harness's total, and its spread over units shows how much that total
    varies.

    Args:
        results: those of `evaluate`.
        benchmarks: the benchmarks that were scored.

    Returns:
        The table without the column `trial`. An undefined value is null.
    """
    frames = []
    for name, task in benchmarks.tasks.items():
        samples = results["samples"][name]
        columns, data = benchmarks.columns[name], benchmarks.data[name]
        units = [columns.unit_of(data, sample["doc"]) for sample in samples]
        groups = [columns.groups_of(sample["doc"]) for sample in samples]
        aggregations = task.aggregation()
        for key, value in results["results"][name].items():
            metric, _, filtered = key.partition(",")
            if not filtered or metric.endswith("_stderr"):
                continue
            metric = recorded_name(metric, filtered)
            frames.append(_rows(name, metric, [None], [_number(value)], [None], [None]))
            rows = [row for row, sample in enumerate(samples) if sample["filter"] == filtered]
            rows = _of_group(metric, rows, groups)
            by_document = [samples[row][key.partition(",")[0]] for row in rows]
            values = _values(by_document, [units[row] for row in rows], aggregations.get(key.partition(",")[0]), value)
            if values is not None:
                ids = [str(samples[row]["doc_id"]) for row in rows]
                frames.append(_rows(name, metric, ids, values, [units[p] for p in rows], [groups[p] for p in rows]))
    whole = pl.concat(frames).with_columns(trial=pl.lit(""))
    return validate(whole, "harness").drop("trial")


def _of_group(metric: str, rows: list[int], groups: Sequence[list[str]]) -> list[int]:
    """Return the documents that a metric covers: only those of its group if it is a group's metric."""
    for measure, attribute in BY_GROUP.items():
        if metric.startswith(f"{measure}_"):
            wanted = f"{attribute}={metric.removeprefix(f'{measure}_')}"
            return [row for row in rows if wanted in groups[row]]
    return rows


def _values(
    by_document: Sequence[Any], units: Sequence[str], aggregate: Callable[[list[Any]], float] | None, whole: Any
) -> list[float | None] | None:
    """Return the metric's value for each document; None if it has none for single documents."""
    numbers = [_number(value) for value in by_document]
    known = [value for value in numbers if value is not None]
    number = _number(whole)
    if not by_document or number is None:
        return None
    if len(known) == len(numbers) and math.isclose(float(np.mean(known)), number, rel_tol=1e-9, abs_tol=1e-12):
        return numbers
    if aggregate is None:
        return None
    linearized = linearized_values(by_document, units, aggregate)
    return None if linearized is None else [float(value) for value in linearized]


def _number(value: Any) -> float | None:
    """Return a finite number; None for anything else."""
    if isinstance(value, bool | int | float | np.number) and math.isfinite(value):
        return float(value)
    return None


def _rows(
    task: str,
    metric: str,
    examples: Sequence[str | None],
    values: Sequence[float | None],
    units: Sequence[str | None],
    groups: Sequence[list[str] | None],
) -> pl.DataFrame:
    """Return rows of the table `harness` without the column `trial`."""
    n = len(examples)
    columns = {
        "task": [task] * n,
        "example": list(examples),
        "metric": [metric] * n,
        "value": list(values),
        "unit": list(units),
        "groups": list(groups),
    }
    return pl.DataFrame(columns, schema={name: TABLES["harness"].columns[name] for name in columns})
