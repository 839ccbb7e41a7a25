"""Reads what lm-evaluation-harness writes with `--output_path` and `--log_samples`.

`EvaluationTracker` (lm_eval/loggers/evaluation_tracker.py) writes `results_DATE.json` and for each task
`samples_TASK_DATE.jsonl`, with a line for each document and filter. `results` has a number for each `METRIC,FILTER`; a
line has the document, its hash, and the value of each metric.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from evenhand.audit.ingest.harness_logs.evaluations import (
    Document,
    Evaluation,
    MetricScores,
    MoreIs,
    TaskScores,
    is_mean,
    shares,
    unread,
)
from evenhand.audit.ingest.harness_logs.json_files import entry, mapping, number, read_json, read_json_lines
from evenhand.audit.ingest.harness_logs.task_groups import pooled_tasks
from evenhand.errors import InputError

HARNESS = "lm-evaluation-harness"
UNFILTERED = "none"
"""The harness's name of answers that went through no filter."""

_RESULTS = re.compile(r".*_(?P<date>\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}(?:\.\d+)?)\.json")
_MEANS = ("mean", "nanmean")
"""The harness's names of aggregations that are means over documents."""

_NOT_SCORED = "bypass"
"""The metric of `--predict_only`, which scores nothing."""


def evaluations(path: Path) -> list[Evaluation]:
    """The evaluations in a folder, at any depth, in the order of their dates; or that of one results file.

    Raises:
        InputError: there are none, they lack the samples, or a file of them is not what the harness wrote.
    """
    files = [path] if path.is_file() else sorted(_results_files(path), key=lambda file: (_date(file), str(file)))
    if not files:
        raise unread(str(path), f"results of {HARNESS} (results_DATE.json)", "name the folder of its --output_path")
    return [_evaluation(file) for file in files]


def _results_files(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise InputError(f"there is no file or folder {folder}")
    yield from (file for file in folder.rglob("*.json") if _RESULTS.fullmatch(file.name) and file.is_file())


def _date(file: Path) -> str:
    named = _RESULTS.fullmatch(file.name)
    if named is None:
        raise InputError(f"{file} is not named as {HARNESS} names its results, results_DATE.json")
    return named["date"]


def _evaluation(file: Path) -> Evaluation:
    """The evaluation whose results are in a file, with the samples beside it."""
    where, date = str(file), _date(file)
    results = read_json(file)
    numbers = entry(results, "results", dict, where)
    configs = entry(results, "configs", dict, where)
    if not configs:
        raise InputError(f"{where} has results of no task")
    tasks: dict[str, TaskScores] = {}
    alone: list[str] = []
    for task, config in configs.items():
        samples = file.parent / f"samples_{task.replace('/', ' ')}_{date}.jsonl"
        if not samples.is_file():
            raise InputError(
                f"{file.parent} has results of {task} and no {samples.name}: run lm_eval with --log_samples, which "
                "keeps the score of every document"
            )
        of_task = mapping(numbers.get(task), f'"results" of {task} in {where}')
        tasks[task] = _task(task, of_task, mapping(config, f'"configs" of {task} in {where}'), results, samples)
        alone += [
            f"{metric.name} of {task}: documents have another mean than the harness's number, which alone is shown"
            for metric in tasks[task].metrics
            if metric.scored
        ]
    numbers_of_groups = {
        group: {_shown(name, filtered): total for name, filtered, total in _numbers(listed)}
        for group, listed in numbers.items()
        if group not in tasks and isinstance(listed, dict)
    }
    groups, notes = pooled_tasks(results.get("group_subtasks"), numbers_of_groups, tasks)
    name = _model(results, where)
    version = results.get("lm_eval_version")
    return Evaluation(
        where,
        _short(name),
        _identity(results, name),
        _seed(results),
        {**tasks, **groups},
        (*notes, *alone),
        f"{HARNESS} {version}" if isinstance(version, str) else HARNESS,
    )


def _task(
    task: str, numbers: Mapping[str, Any], config: Mapping[str, Any], results: Mapping[str, Any], samples: Path
) -> TaskScores:
    """The scores of a task's documents, which have to be those that the results are of."""
    found = list(_numbers(numbers))
    names = {name for name, _, _ in found}
    documents: dict[str, Document] = {}
    lines: dict[str, dict[str, dict[str, Any]]] = {}
    digest, hashed = hashlib.sha256(), True
    for line, sample in read_json_lines(samples):
        where = f"line {line:,} of {samples}"
        identifier = str(entry(sample, "doc_id", int, where))
        fields = sample.get("doc")
        fields = fields if isinstance(fields, dict) else {}
        of_filter = lines.setdefault(str(sample.get("filter", UNFILTERED)), {})
        if identifier in of_filter:
            raise InputError(f"{where}: document {identifier} is there twice; the file holds two evaluations")
        of_filter[identifier] = {name: sample[name] for name in names if name in sample}
        hashes = [sample.get(name) for name in ("doc_hash", "prompt_hash", "target_hash")]
        hashed &= all(isinstance(text, str) for text in hashes)
        digest.update("".join(map(str, hashes)).encode())
        documents.setdefault(identifier, Document(fields, _content(sample, fields)))
    known = results.get("task_hashes")
    expected = known.get(task) if isinstance(known, dict) else None
    count = _count(task, numbers, results)
    fault = ""
    if len(documents) < (count or 1):
        fault = f"it holds {len(documents):,} of {count or 1:,} documents"
    elif hashed and isinstance(expected, str) and digest.hexdigest() != expected:
        fault = "the hashes of its documents are others"
    if fault:
        raise InputError(
            f"{samples} is not the file that the harness wrote with its results: {fault}; is it cut off, or from "
            "another evaluation?"
        )
    better = results.get("higher_is_better")
    directions = better.get(task) if isinstance(better, dict) else None
    aggregations = _aggregations(config)
    metrics = []
    for name, filtered, total in found:
        raw = {key: values[name] for key, values in lines.get(filtered, {}).items() if name in values}
        more_is = _more_is(directions, name)
        metrics.append(_metric(_shown(name, filtered), total, raw, aggregations.get(name), more_is, samples))
    return TaskScores(documents, metrics, _protocol(task, results))


def _numbers(numbers: Mapping[str, Any]) -> Iterator[tuple[str, str, float | None]]:
    """The metric, the filter and the number of each result that is neither a standard error nor a description."""
    for key, value in numbers.items():
        metric, comma, filtered = key.partition(",")
        error_of = metric.removesuffix("_stderr")
        if comma and metric != _NOT_SCORED and (error_of == metric or f"{error_of},{filtered}" not in numbers):
            yield metric, filtered, number(value)


def _shown(metric: str, filtered: str) -> str:
    """A metric's name with its filter, if there is one."""
    return metric if filtered == UNFILTERED else f"{metric} ({filtered})"


def _metric(
    name: str, total: float | None, raw: Mapping[str, Any], aggregation: str | None, more_is: MoreIs, samples: Path
) -> MetricScores:
    """One metric: by document where it is a mean over documents, else the harness's number alone.

    Args:
        name: with its filter.
        total: the harness's number.
        raw: by document, what the harness recorded.
        aggregation: by which the harness gets from there to its number; None where the task has its own.
        more_is: see `MetricScores`.
        samples: the file, for messages.

    Raises:
        InputError: the harness calls it a mean, and the documents have another one.
    """
    values = {key: value for key, recorded in raw.items() if (value := number(recorded)) is not None}
    # NaN is a number here: `nanmean` leaves it out.
    averaged = is_mean(values, total) and all(isinstance(recorded, int | float) for recorded in raw.values())
    if aggregation in _MEANS and values and total is not None and not averaged and len(values) == len(raw):
        raise InputError(
            f"{samples}: the documents have the mean {name} {sum(values.values()) / len(values):.6g}, and the harness "
            f"gave {total:.6g}; the file is not whole"
        )
    if not averaged or (aggregation is not None and aggregation not in _MEANS):
        scored = bool(values) and total is not None and aggregation is None
        return MetricScores(name, more_is, False, total, None, scored)
    return MetricScores(name, more_is, shares(values), total, values)


def _aggregations(config: Mapping[str, Any]) -> dict[str, str]:
    """The names of the harness's own aggregations by metric; functions of the task's own are not among them."""
    listed = config.get("metric_list")
    found = {}
    for metric in listed if isinstance(listed, list) else []:
        if isinstance(metric, dict) and isinstance(metric.get("metric"), str):
            aggregation = metric.get("aggregation")
            if isinstance(aggregation, str) and aggregation.isidentifier():
                found[metric["metric"]] = aggregation
    return found


def _more_is(directions: Any, metric: str) -> MoreIs:
    higher = directions.get(metric) if isinstance(directions, dict) else None
    return "neither" if not isinstance(higher, bool) else "better" if higher else "worse"


def _count(task: str, numbers: Mapping[str, Any], results: Mapping[str, Any]) -> int | None:
    """How many documents the harness scored, where the results say so."""
    counts = results.get("n-samples")
    counts = counts.get(task) if isinstance(counts, dict) else None
    for value in (numbers.get("sample_len"), counts.get("effective") if isinstance(counts, dict) else None):
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None


def _content(sample: Mapping[str, Any], fields: Mapping[str, Any]) -> str:
    """What identifies a document and its right answer."""
    known = sample.get("doc_hash")
    text = known if isinstance(known, str) else json.dumps(fields, sort_keys=True)
    return hashlib.blake2b(f"{text}\0{sample.get('target')}".encode(), digest_size=16).hexdigest()


def _protocol(task: str, results: Mapping[str, Any]) -> dict[str, str]:
    """What should be the same for all models."""
    found = {}
    for name, key in (("version", "versions"), ("number of examples in the prompt", "n-shot")):
        values = results.get(key)
        if isinstance(values, dict) and task in values:
            found[name] = str(values[task])
    return found


def _model(results: Mapping[str, Any], where: str) -> str:
    """The model's name, as the harness recorded it."""
    config = results.get("config")
    for value in (results.get("model_name"), config.get("model") if isinstance(config, dict) else None):
        if isinstance(value, str) and value:
            return value
    raise InputError(f'{where} has no "model_name"')


def _short(name: str) -> str:
    """A name of the hub as it is, of a folder its last part."""
    parts = name.replace("\\", "/").rstrip("/").split("/")
    return name if len(parts) <= 2 and parts[0] not in ("", ".", "..", "~") else parts[-1]


def _identity(results: Mapping[str, Any], name: str) -> dict[str, str]:
    """What says which model it is: its name and the arguments that it was loaded with."""
    config = results.get("config")
    arguments = config.get("model_args") if isinstance(config, dict) else None
    if isinstance(arguments, str):
        arguments = {key: value for key, _, value in (part.partition("=") for part in arguments.split(",")) if key}
    known = arguments if isinstance(arguments, dict) else {}
    return {"name": name, **{str(key): json.dumps(value, sort_keys=True, default=str) for key, value in known.items()}}


def _seed(results: Mapping[str, Any]) -> str:
    """The evaluation's seeds: one number where all are equal."""
    config = results.get("config")
    config = config if isinstance(config, dict) else {}
    seeds = [str(config.get(name)) for name in ("random_seed", "numpy_seed", "torch_seed", "fewshot_seed")]
    return seeds[0] if len(set(seeds)) == 1 else ",".join(seeds)
