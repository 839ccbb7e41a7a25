"""Names the metrics that a task of lm-evaluation-harness reports, and says what the task tells of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

MoreIs = Literal["worse", "better", "neither"]
"""What a larger number means."""

FILTER = "none"
"""The harness's name for unfiltered answers."""


@dataclass(frozen=True)
class TaskMetric:
    """One metric of a task.

    Attributes:
        name: in the table `harness`.
        mean: whether the harness takes the mean over documents; else it has another function of them.
        more_is: what a larger number means; `neither` where the task does not say.
    """

    name: str
    mean: bool
    more_is: MoreIs


_DIRECTION: Mapping[bool | None, MoreIs] = {
    True: "better",
    False: "worse",
    None: "neither",
}


def task_metrics(task: Any) -> Iterator[TaskMetric]:
    """Yield the metrics that a task lists, each filter's, in the harness's order."""
    from lm_eval.api.metrics import mean

    directions = task.higher_is_better()
    for filtered in [each.name for each in getattr(task, "_filters", None) or ()] or [FILTER]:
        for name, aggregate in task.aggregation().items():
            yield TaskMetric(recorded_name(name, filtered), aggregate is mean, _DIRECTION[directions.get(name)])


def recorded_name(metric: str, filtered: str) -> str:
    """Return a metric's name in the table `harness`; the name of a filter of answers is a part of it.

    Example:
        >>> recorded_name("acc", "none"), recorded_name("exact_match", "strict-match")
        ('acc', 'exact_match (strict-match)')
    """
    return metric if filtered == FILTER else f"{metric} ({filtered})"
