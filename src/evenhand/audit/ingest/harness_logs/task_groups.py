"""Pools groups of tasks of lm-evaluation-harness, such as MMLU's subjects, into one set of documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evenhand.audit.ingest.harness_logs.evaluations import MetricScores, TaskScores, agreed, is_mean, shares


def pooled_tasks(
    children: Any, numbers: Mapping[str, Mapping[str, float | None]], tasks: Mapping[str, TaskScores]
) -> tuple[dict[str, TaskScores], list[str]]:
    """The groups of tasks whose numbers are means over all documents of their tasks, and notes on the others.

    The harness weights the tasks of a group by their size unless the group says otherwise.

    Args:
        children: the members of each group, tasks and groups.
        numbers: by group, the harness's number of each metric.
        tasks: that were scored.
    """
    members = children if isinstance(children, dict) else {}
    groups, notes = {}, []
    for group in members:
        leaves = list(dict.fromkeys(task for task in _leaves(group, members) if task in tasks))
        metrics = []
        for name, total in numbers.get(group, {}).items():
            parts = {task: metric for task in leaves for metric in tasks[task].metrics if metric.name == name}
            values = {
                f"{task}/{key}": value for task, one in parts.items() for key, value in (one.values or {}).items()
            }
            if not is_mean(values, total):
                notes.append(f"{name} of the group of tasks {group} is left out: it is no mean over its documents.")
                continue
            meaning = agreed(metric.more_is for metric in parts.values())
            metrics.append(MetricScores(name, meaning, shares(values), total, values))
        if metrics:
            documents = {f"{task}/{key}": one for task in leaves for key, one in tasks[task].documents.items()}
            groups[group] = TaskScores(documents, metrics, {})
    return groups, notes


def _leaves(group: str, members: Mapping[str, Any], inside: Sequence[str] = ()) -> Iterator[str]:
    """The tasks of a group and of the groups in it."""
    listed = members.get(group)
    if not isinstance(listed, list) or not listed:
        yield group
    elif group not in inside:
        for member in listed:
            yield from _leaves(str(member), members, (*inside, group))
