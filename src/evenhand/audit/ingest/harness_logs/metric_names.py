"""Decides which measure each metric of the logs is: one that the package knows, or one that the design declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evenhand.audit.design import DeclaredMeasure
from evenhand.audit.ingest.harness_logs.evaluations import MetricScores, MoreIs, agreed
from evenhand.audit.ingest.harness_logs.methods import Run
from evenhand.audit.measures import free_name, known
from evenhand.audit.measures.benchmarks import MeanOf, NumberOf
from evenhand.audit.measures.declared import DIRECTION
from evenhand.errors import InputError, did_you_mean

AGGREGATE = "aggregate"
"""What is added to the name of a number that is no mean over documents where a mean has the same name."""


@dataclass(frozen=True, eq=False)
class MetricNames:
    """The measures of the metrics in logs.

    Attributes:
        names: by (task, the harness's name) the name of the measure, and whether it is a mean over documents.
        declared: the measures that the package does not know.
        notes: for the report.
    """

    names: Mapping[tuple[str, str], tuple[str, bool]]
    declared: tuple[DeclaredMeasure, ...]
    notes: tuple[str, ...]


def metric_names(
    runs: Sequence[Run],
    tool: str,
    more_is: Mapping[str | None, MoreIs],
    ranges: Mapping[str | None, tuple[float, float]],
) -> MetricNames:
    """The measures of all metrics.

    A metric is a mean over documents in a task where it is one in every run.

    Args:
        runs: of all methods.
        tool: `lm-eval` or `inspect`; only the former has metrics that the package knows, and where a name is taken, it
            is added to it.
        more_is: by metric what a larger number means; None: of those of which the harness does not say it.
        ranges: by metric the least and the largest possible number; None: of those that are no shares.

    Raises:
        InputError: `more_is` or `ranges` names a metric that the logs do not have, or a value is outside of its range.
    """
    by_key: dict[tuple[str, str], list[MetricScores]] = {}
    for run in runs:
        for task, scores in run.tasks.items():
            for metric in scores.metrics:
                by_key.setdefault((task, metric.name), []).append(metric)
    means = {key: all(metric.values is not None for metric in every) for key, every in by_key.items()}
    of_name: dict[tuple[str, bool], list[MetricScores]] = {}
    for key, every in by_key.items():
        of_name.setdefault((key[1], means[key]), []).extend(every)
    for what, given in (("more is", more_is), ("range", ranges)):
        for name in given:
            if name is not None and (name, True) not in of_name:
                mean = sorted({name for name, is_mean in of_name if is_mean})
                raise InputError(f'no mean over documents is called "{name}" ({what}); {did_you_mean(name, mean)}')
    measures, declared, notes = {}, [], []
    for (name, mean), every in of_name.items():
        meanings: set[MoreIs] = {metric.more_is for metric in every}
        if len(meanings) > 1 and name not in more_is:
            notes.append(f"{name}: its tasks do not agree whether more is better, so methods are not compared in it.")
        said = agreed(meanings)
        meaning = more_is.get(name) or (more_is.get(None, said) if said == "neither" else said)
        share = all(metric.share for metric in every)
        bounds = _bounds(name, every, ranges, share) if mean else None
        taken = {measure.name for measure in declared}
        same = None if name in ranges else _known(name, tool, mean, meaning, share)
        measure = same or _free(name, tool, mean, (name, True) in of_name, taken)
        measures[name, mean] = measure
        if measure not in known():
            declared.append(
                DeclaredMeasure(
                    name=measure,
                    kind="benchmarks",
                    more_is=meaning if mean else "neither",
                    range=bounds,
                    mean=mean,
                )
            )
    names = {key: (measures[key[1], mean], mean) for key, mean in means.items()}
    return MetricNames(names, tuple(declared), tuple(notes))


def _bounds(
    name: str, every: Sequence[MetricScores], ranges: Mapping[str | None, tuple[float, float]], share: bool
) -> tuple[float, float] | None:
    """The range of a metric, given or that of shares. Raises InputError for a value outside of what was given."""
    given = ranges.get(name, (0.0, 1.0) if share else ranges.get(None))
    if given is None:
        return None
    least, most = given
    for metric in every:
        outside = next((value for value in (metric.values or {}).values() if not least <= value <= most), None)
        if outside is not None:
            raise InputError(f"range: {name} has the value {outside:g}, which is outside of {least:g} to {most:g}")
    return given


def _known(name: str, tool: str, mean: bool, meaning: MoreIs, share: bool) -> str | None:
    """The name of the package's own measure of a metric; None where it has none that means the same."""
    measure = known().get(name)
    if measure is None or measure.kind != "benchmarks" or tool != "lm-eval":
        return None
    influence = measure.influence
    if not mean:
        return name if isinstance(influence, NumberOf) else None
    if not isinstance(influence, MeanOf) or influence.metric != name or (influence.bounded and not share):
        return None
    return name if meaning == "neither" or measure.direction in (0, DIRECTION[meaning]) else None


def _free(name: str, tool: str, mean: bool, has_mean: bool, taken: set[str]) -> str:
    """A name that no other measure has."""
    return free_name(name if mean or not has_mean else f"{name} ({AGGREGATE})", tool, taken)
