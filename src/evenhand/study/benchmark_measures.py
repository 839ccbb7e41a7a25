"""Declares the measures of a study's benchmarks that the audit does not know: every metric that a task reports.

A metric that is a mean over documents gets estimates and verdicts like any measure. The task says what a larger number
means; where it does not, contrasts are two-sided. Values that are all 0 or 1 are shares, which the default margin
serves; the range of others is declared with `harness: {metrics: …}`. A number that is no mean over documents, such as a
perplexity, is shown without an interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from evenhand.audit.design import DeclaredMeasure, Design
from evenhand.audit.measures import free_name, known
from evenhand.audit.measures.benchmarks import MeanOf, NumberOf
from evenhand.errors import InputError, did_you_mean
from evenhand.study.harness_spec import HarnessSpec, MetricSpec
from evenhand.study.response_measures import RESPONSES
from evenhand.tasks.harness.columns import BY_GROUP, OF_CONTEXTS
from evenhand.tasks.harness.loading import Benchmarks
from evenhand.tasks.harness.metrics import MoreIs, TaskMetric, task_metrics

MARK = "lm-eval"
"""What is added to the name of a metric that another measure has."""


@dataclass(frozen=True)
class FoundMetric:
    """A metric of a study's benchmarks that the audit does not know by itself.

    Attributes:
        name: in the table `harness`.
        tasks: that report it, in order.
        mean: whether it is a mean over documents in one of them.
        more_is: what a larger number means; `neither` where tasks do not say or do not agree.
    """

    name: str
    tasks: tuple[str, ...]
    mean: bool
    more_is: MoreIs


def found_metrics(benchmarks: Sequence[Benchmarks], rows: pl.DataFrame | None = None) -> list[FoundMetric]:
    """Return the metrics of benchmarks that the audit does not know, in the harness's order.

    Args:
        benchmarks: of all settings.
        rows: the table `harness` once there is one. A task may report metrics that it does not list, of which the
            harness takes the mean.
    """
    of_metric: dict[str, dict[str, TaskMetric]] = {}
    for each in benchmarks:
        for task, loaded in each.tasks.items():
            listed = {metric.name: metric for metric in task_metrics(loaded)}
            for name in () if rows is None else rows.filter(task=task)["metric"].unique(maintain_order=True):
                listed.setdefault(name, TaskMetric(name, True, "neither"))
            for name, metric in listed.items():
                of_metric.setdefault(name, {})[task] = metric
    covered = {*OF_CONTEXTS, *(metric for metric in of_metric if _is_of_group(metric)), *_known_metrics()}
    found = []
    for name, by_task in of_metric.items():
        if name not in covered:
            directions: set[MoreIs] = {metric.more_is for metric in by_task.values()}
            more_is: MoreIs = directions.pop() if len(directions) == 1 else "neither"
            found.append(FoundMetric(name, tuple(by_task), any(metric.mean for metric in by_task.values()), more_is))
    return found


def benchmark_measures(
    specs: Sequence[HarnessSpec], found: Sequence[FoundMetric], rows: pl.DataFrame | None, taken: Sequence[str] = ()
) -> tuple[DeclaredMeasure, ...]:
    """Return the measures of metrics that the audit does not know.

    Args:
        specs: `harness:` of every setting that has one.
        found: the metrics.
        rows: the table `harness`, by which values are known to be shares; None: nothing was scored yet.
        taken: names of other measures of the study.

    Raises:
        InputError: a value is outside of the range that the study declares.
    """
    declared = {}
    for metric in found:
        said = _said(metric.name, specs)
        name = free_name(metric.name, MARK, (*taken, *declared))
        bounds = _bounds(metric.name, said, rows) if metric.mean else None
        declared[name] = DeclaredMeasure(
            name=name,
            kind="benchmarks",
            more_is=(said.more_is or metric.more_is) if metric.mean else "neither",
            range=bounds,
            mean=metric.mean,
            metric=None if name == metric.name else metric.name,
        )
    return tuple(declared.values())


def named_measures(specs: Sequence[HarnessSpec], scored: Sequence[DeclaredMeasure] = ()) -> Design:
    """Return a design with the measures that a study may name before its tasks are read.

    These are the measures of responses, those of continuations (`scored`), and those that `harness: {metrics: …}`
    names.
    """
    names = dict.fromkeys(name for spec in specs for name in spec.metrics if name not in _known_metrics())
    found = [FoundMetric(name, (), True, "neither") for name in names]
    values = (*RESPONSES, *scored)
    taken = [measure.name for measure in values]
    return Design(settings={}, declared=(*values, *benchmark_measures(specs, found, None, taken)))


def check_metrics(spec: HarnessSpec, found: Sequence[FoundMetric]) -> None:
    """Raise InputError if `metrics:` names a metric that no task lists, or whose meaning the audit knows."""
    names = [metric.name for metric in found if metric.mean]
    for name in spec.metrics:
        if name in _known_metrics():
            raise InputError(f"harness.metrics: the audit knows what {name} means; leave it out")
        if name not in names:
            raise InputError(
                f'harness.metrics: no task lists a mean over documents that is called "{name}"; '
                f"{did_you_mean(name, names)}"
            )


def metric_notes(benchmarks: Benchmarks, declared: Sequence[DeclaredMeasure]) -> Iterator[str]:
    """Yield what a reader must know of each declared measure of a setting's benchmarks: direction, range, tasks."""
    by_name = {measure.recorded: measure for measure in declared if measure.kind == "benchmarks"}
    for metric in found_metrics([benchmarks]):
        measure = by_name.get(metric.name)
        if measure is None:
            continue
        about = f"{measure.name} ({', '.join(metric.tasks)})"
        if not measure.mean:
            yield f"{about} is not a mean over documents: the harness's number is shown, without interval or verdict."
            continue
        more = {"better": "more is better", "worse": "more is worse"}.get(
            measure.more_is, "nobody says whether more is better, so that contrasts are two-sided"
        )
        scale = "no range is declared (harness.metrics), so that the default margin and verdicts on gaps leave it out"
        if measure.range is not None:
            scale = f"from {measure.range[0]:g} to {measure.range[1]:g}"
        yield f"{about}, a mean over documents: {more}; {scale}."


def _known_metrics() -> set[str]:
    """Return the metrics of the harness that measures of the audit itself are about."""
    influences = [measure.influence for measure in known().values() if measure.kind == "benchmarks"]
    return {influence.metric for influence in influences if isinstance(influence, MeanOf | NumberOf)}


def _is_of_group(metric: str) -> bool:
    """Return whether a metric is the harness's own of a single group, which the audit reads as that group's."""
    return any(metric.startswith(f"{whole}_") for whole in BY_GROUP)


def _said(name: str, specs: Sequence[HarnessSpec]) -> MetricSpec:
    """Return what the study says of a metric. Raises InputError if its settings contradict each other."""
    said = [spec.metrics[name] for spec in specs if name in spec.metrics]
    if any(each != said[0] for each in said):
        raise InputError(f"harness.metrics: the settings of the study declare {name} differently; it is one measure")
    return said[0] if said else MetricSpec()


def _bounds(name: str, said: MetricSpec, rows: pl.DataFrame | None) -> tuple[float, float] | None:
    """Return a metric's range: the declared one, or 0 to 1 where every value is 0 or 1."""
    values = None if rows is None else rows.filter(pl.col("example").is_not_null(), metric=name)["value"].drop_nulls()
    if said.range is not None:
        least, most = said.range
        outside = [] if values is None else values.filter((values < least) | (values > most)).to_list()
        if outside:
            raise InputError(
                f"harness.metrics: {name} has the value {outside[0]:g}, which is outside of {least:g} to {most:g}; "
                "correct the range, and run the study again: nothing is trained again"
            )
        return said.range
    return (0.0, 1.0) if values is not None and len(values) and values.is_in([0.0, 1.0]).all() else None
