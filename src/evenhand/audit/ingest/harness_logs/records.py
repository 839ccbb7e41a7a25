"""Turns the runs in logs into records: examples, trials and the table `harness` of one setting, and the design."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from evenhand import records
from evenhand.audit.design import Design, HarnessDesign, MarginChange, SettingDesign
from evenhand.audit.ingest.harness_logs.document_fields import check_fields, groups_of, units_of
from evenhand.audit.ingest.harness_logs.evaluations import MoreIs, TaskScores
from evenhand.audit.ingest.harness_logs.methods import Run, Runs
from evenhand.audit.ingest.harness_logs.metric_names import MetricNames, metric_names
from evenhand.audit.ingest.trials import trial_hash
from evenhand.errors import InputError, did_you_mean

SETTING = "logs"


@dataclass(frozen=True, kw_only=True)
class LogsRequest:
    """The keywords of `evenhand.audit_logs`, which describes them; the metric None is any of which nothing is said."""

    groups: tuple[str, ...] = ()
    unit: str | None = None
    reference: tuple[str, ...] = ()
    more_is: Mapping[str | None, MoreIs]
    ranges: Mapping[str | None, tuple[float, float]]
    margins: Mapping[str, float]
    measures: tuple[str, ...] = ()
    gaps: bool = False
    source: str = ""


@dataclass(frozen=True, eq=False)
class LogRecords:
    """Logs as records: one setting, `logs`; a trial is a hash of (method, seed)."""

    examples: pl.DataFrame
    trials: pl.DataFrame
    harness: pl.DataFrame
    design: Design


@dataclass(frozen=True, eq=False)
class _Documents:
    """What is the same for all runs of a task.

    Attributes:
        ids: of its documents.
        units: by document.
        groups: by attribute, the groups of each document; None where the task does not define it.
    """

    ids: tuple[str, ...]
    units: Mapping[str, str]
    groups: Mapping[str, Mapping[str, list[str]] | None]

    def lists(self) -> list[list[str]]:
        """The groups of each document as `ATTRIBUTE=GROUP`."""
        defined = [(name, groups) for name, groups in self.groups.items() if groups is not None]
        return [[f"{name}={group}" for name, groups in defined for group in groups[key]] for key in self.ids]


def log_records(found: Runs, tool: str, request: LogsRequest) -> LogRecords:
    """The records of runs, and the design.

    Args:
        found: the runs.
        tool: `lm-eval` or `inspect`.
        request: what the audit asks for.

    Raises:
        InputError: runs that were not asked the same documents; a group or unit that no document has; no reference
            where there are several methods, or one that is no method.
    """
    _check_documents(found.runs)
    first = found.runs[0]
    every = [document for scores in first.tasks.values() for document in scores.documents.values()]
    check_fields(request.groups, every, "group")
    check_fields([request.unit] if request.unit else [], every, "unit")
    documents = {task: _documents(task, scores, request) for task, scores in first.tasks.items()}
    names = metric_names(found.runs, tool, request.more_is, request.ranges)
    if not any(True for _ in _metrics(first, names)):
        raise InputError(f"{first.where} has no metric with a number; was the model scored?")
    _check_group_names(documents, names)
    return LogRecords(
        _examples(documents, request),
        _trials(found.runs),
        records.validate(pl.concat([_scores(run, documents, names) for run in found.runs]), "harness"),
        _design(found, documents, names, request),
    )


def _check_documents(runs: Sequence[Run]) -> None:
    """Raise InputError unless every run was asked the same documents of each task."""
    first = runs[0]
    for run in runs[1:]:
        for task, scores in first.tasks.items():
            ours, theirs = scores.documents, run.tasks[task].documents
            if ours.keys() == theirs.keys():
                changed = [key for key in ours if ours[key].content != theirs[key].content]
                if not changed:
                    continue
                which = f"document {changed[0]} is another one" if len(changed) < len(ours) else "none is the same"
            else:
                which = f"{len(ours):,} and {len(theirs):,}, of which {len(ours.keys() & theirs.keys()):,} are the same"
            raise InputError(
                f"{first.method} and {run.method} were scored on different documents of {task} ({which}); evaluate all "
                "on the same"
            )


def _documents(task: str, scores: TaskScores, request: LogsRequest) -> _Documents:
    units = units_of(scores.documents, request.unit, task)
    return _Documents(
        tuple(scores.documents),
        units or {key: document.content for key, document in scores.documents.items()},
        {name: groups_of(scores.documents, name, task) for name in request.groups},
    )


def _check_group_names(documents: Mapping[str, _Documents], names: MetricNames) -> None:
    """Raise InputError for a group that the table `harness` would take for the metric of a group."""
    for task, of_task in documents.items():
        metrics = {name for (where, _), (name, _) in names.names.items() if where == task}
        every = {
            group for groups in of_task.groups.values() if groups for listed in groups.values() for group in listed
        }
        for metric in sorted(metrics):
            for group in sorted(every):
                if f"{metric}_{group}" in metrics:
                    raise InputError(
                        f'the group "{group}" and the metric {metric}_{group} of {task} cannot be told apart from the '
                        f"metric {metric} of that group; choose another field for groups"
                    )


def _examples(documents: Mapping[str, _Documents], request: LogsRequest) -> pl.DataFrame:
    """The table `examples`: the documents of all tasks."""
    columns: dict[str, list] = {"example": [], "unit": [], **{records.ATTRIBUTE + name: [] for name in request.groups}}
    for task, of_task in documents.items():
        columns["example"] += [f"{task}/{key}" for key in of_task.ids]
        columns["unit"] += [of_task.units[key] for key in of_task.ids]
        for name in request.groups:
            groups = of_task.groups[name]
            columns[records.ATTRIBUTE + name] += [None if groups is None else groups[key] for key in of_task.ids]
    kinds = {records.ATTRIBUTE + name: pl.List(pl.String) for name in request.groups}
    frame = pl.DataFrame(columns, schema_overrides=kinds)
    constant = (pl.lit(SETTING).alias("setting"), pl.lit(None, pl.Int64).alias("label"), pl.lit(1.0).alias("weight"))
    return records.validate(frame.with_columns(constant), "examples")


def _trials(runs: Sequence[Run]) -> pl.DataFrame:
    rows = [{"method": run.method, "seed": run.seed, "trial": trial_hash(run.method, run.seed)} for run in runs]
    constant = {"setting": SETTING, "role": "study", "status": "done"}
    return records.validate(pl.DataFrame(rows).with_columns(pl.lit(v).alias(k) for k, v in constant.items()), "trials")


def _metrics(run: Run, names: MetricNames) -> Iterator[tuple[str, str, float | None, Mapping[str, float] | None]]:
    """The task, the measure, the harness's number and the values of each metric of a run that has any."""
    for task, scores in run.tasks.items():
        for metric in scores.metrics:
            name, mean = names.names[task, metric.name]
            values = metric.values if mean else None
            if values is not None or metric.total is not None:
                yield task, name, metric.total, values


def _scores(run: Run, documents: Mapping[str, _Documents], names: MetricNames) -> pl.DataFrame:
    """A run's rows of the table `harness`: for each metric the total, and a row for each document."""
    schema = records.TABLES["harness"].columns
    frames = []
    for task, name, total, values in _metrics(run, names):
        of_task = documents[task]
        ids = [None] if values is None else [None, *of_task.ids]
        columns = {
            "trial": [trial_hash(run.method, run.seed)] * len(ids),
            "task": [task] * len(ids),
            "example": ids,
            "metric": [name] * len(ids),
            "value": [total, *([] if values is None else (values.get(key) for key in of_task.ids))],
            "unit": [None, *([] if values is None else (of_task.units[key] for key in of_task.ids))],
            "groups": [None, *([] if values is None else of_task.lists())],
        }
        frames.append(pl.DataFrame(columns, schema=schema))
    return pl.concat([records.TABLES["harness"].empty(), *frames])


def _design(found: Runs, documents: Mapping[str, _Documents], names: MetricNames, request: LogsRequest) -> Design:
    margins = dict(request.margins)
    methods = found.methods
    references = _references(request.reference, methods)
    setting = SettingDesign(
        references=references,
        methods=(*references, *(name for name in methods if name not in references)),
        vary=False,
        task=", ".join(found.tasks) if len(found.tasks) <= 3 else f"{len(found.tasks)} tasks",
        kind="benchmarks",
        harness=HarnessDesign(tasks=found.tasks),
        notes=(*_sizes(found, documents, request), *_unscored(found, names), *names.notes, *found.notes),
        warnings=(*_protocols(found.runs), *_copies(found.runs)),
    )
    return Design(
        settings={SETTING: setting},
        measures=request.measures,
        declared=names.declared,
        gaps=request.gaps,
        margins=margins,
        margin_history=(MarginChange(date=date.today().isoformat(), margins=margins),) if margins else (),
        source=request.source,
    )


def _references(given: tuple[str, ...], methods: Sequence[str]) -> tuple[str, ...]:
    for name in given:
        if name not in methods:
            raise InputError(f'no log is of the method "{name}" (reference); {did_you_mean(name, methods)}')
    if not given and len(methods) > 1:
        raise InputError(
            f"the logs are of the models {', '.join(methods)}; say which is the reference that the others are compared "
            f"with, such as {methods[0]}"
        )
    return tuple(dict.fromkeys(given)) if len(methods) > 1 else ()


def _sizes(found: Runs, documents: Mapping[str, _Documents], request: LogsRequest) -> Iterator[str]:
    """A note on each task: its version, its documents and their units; and one on the numbers of runs."""
    harness = ", ".join(found.harness)
    for task, of_task in documents.items():
        version = found.runs[0].tasks[task].protocol.get("version")
        by = f" ({request.unit})" if request.unit else ""
        units = len(set(of_task.units.values()))
        sizes = f"{len(of_task.ids):,} documents" + (f" in {units:,} units{by}" if units < len(of_task.ids) else "")
        yield f"{task} ({harness}{'' if version is None else f', version {version}'}): {sizes}."
    if len(found.runs) > len(found.methods):
        yield "Several evaluations of a method are its runs, numbered in the order in which they were named."


def _unscored(found: Runs, names: MetricNames) -> Iterator[str]:
    """A note on each metric that lacks values or numbers."""
    for run in found.runs:
        for task, scores in run.tasks.items():
            for metric in scores.metrics:
                _, mean = names.names[task, metric.name]
                about = f"{metric.name} of {task}, {run.method}" + (f" (seed {run.seed})" if run.seed else "")
                if mean and metric.values is not None and len(metric.values) < len(scores.documents):
                    yield f"{about}: {len(metric.values):,} of {len(scores.documents):,} documents have a value."
                elif not mean and metric.total is None:
                    yield f"{about}: left out, since the harness gives no number."


def _protocols(runs: Sequence[Run]) -> Iterator[str]:
    """A warning for each fact that should be the same for all runs and is not."""
    first = runs[0]
    for task, scores in first.tasks.items():
        for name, value in scores.protocol.items():
            other = next((run for run in runs if run.tasks[task].protocol.get(name, value) != value), None)
            if other is not None:
                yield (
                    f"{task}: {first.method} was scored with {name} {value}, {other.method} with "
                    f"{other.tasks[task].protocol[name]}: they were not asked the same."
                )


def _copies(runs: Sequence[Run]) -> Iterator[str]:
    """A warning where two runs of a method have the same value for every document."""
    for position, run in enumerate(runs):
        for other in runs[:position]:
            if other.method == run.method and _values(other) == _values(run):
                yield (
                    f"Runs {other.seed} and {run.seed} of {run.method} have the same value for every document: copies "
                    "of one evaluation say nothing about other runs."
                )
                return


def _values(run: Run) -> dict[tuple[str, str], Mapping[str, float] | float | None]:
    return {
        (task, metric.name): metric.total if metric.values is None else metric.values
        for task, scores in run.tasks.items()
        for metric in scores.metrics
    }
