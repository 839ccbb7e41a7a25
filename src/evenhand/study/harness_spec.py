"""Defines the key `harness:` of a study: which benchmarks lm-evaluation-harness scores."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from evenhand.audit.design import HarnessDesign
from evenhand.spec import Spec

if TYPE_CHECKING:
    from evenhand.tasks.harness.loading import Benchmarks

KINDS = ("reviews", "translation", "sft")
"""The kinds of task that train a language model, which benchmarks can score."""


class ColumnsSpec(Spec):
    """Columns of a benchmark's documents; a plain name or list is read as `groups`.

    Attributes:
        groups: columns that become attributes; their values are groups.
        unit: columns that together name the unit, which is resampled as a whole and never split, such as a template;
            none: the document.
    """

    groups: tuple[str, ...] = ()
    unit: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        """Read a plain name or list as `groups`."""
        return {"groups": value} if isinstance(value, str | list | tuple) else value

    @field_validator("groups", "unit", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        """Read a plain name as a list of one."""
        return (value,) if isinstance(value, str) else value


class MetricSpec(Spec):
    """What a metric means, where a task of the harness does not say it.

    Attributes:
        more_is: what a larger number means; null: what the task says.
        range: the least and the largest possible number; null: 0 to 1 if every value is 0 or 1, else no bounds.
    """

    more_is: Literal["better", "worse", "neither"] | None = None
    range: tuple[float, float] | None = None

    @field_validator("range")
    @classmethod
    def _ascends(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        """Refuse a range whose ends do not ascend."""
        if value is not None and not -math.inf < value[0] < value[1] < math.inf:
            raise ValueError(f"should be a least and a larger number, not {value[0]:g} and {value[1]:g}")
        return value


class HarnessSpec(Spec):
    """Benchmarks of lm-evaluation-harness (`harness:` in a study); a plain name or list is read as `tasks`.

    Attributes:
        tasks: names of tasks, groups or tags of the harness; `stereoset` comes with Evenhand, in the harness's format.
        limit: largest number of documents of each task, drawn at random; null: all.
        include_path: a folder of your own tasks in the harness's format.
        columns: by task, the columns with groups and units of its documents; built in for the four benchmarks.
        metrics: by metric, as the table `harness` names it, what it means; needed only where neither the audit nor the
            task knows, or for a margin of its own.
        batch_size: requests in one forward pass. It changes scores only by rounding.
    """

    tasks: tuple[str, ...] = Field(min_length=1)
    limit: PositiveInt | None = 500
    include_path: str | None = None
    columns: dict[str, ColumnsSpec] = Field(default_factory=dict)
    metrics: dict[str, MetricSpec] = Field(default_factory=dict)
    batch_size: PositiveInt = 16

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        """Read a plain name or list as `tasks`."""
        return {"tasks": value} if isinstance(value, str | list | tuple) else value

    @field_validator("tasks", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        """Read a plain name as a list of one."""
        return (value,) if isinstance(value, str) else value

    def load(self, data: Path | None) -> Benchmarks:
        """Load the tasks with their documents; a relative `include_path` is searched in `--data` first.

        Raises:
            InputError: as `evenhand.tasks.harness.loading.load_benchmarks`.
        """
        from evenhand.tasks.harness.columns import DocumentColumns
        from evenhand.tasks.harness.loading import load_benchmarks

        include = None if self.include_path is None else Path(self.include_path).expanduser()
        if include is not None and data is not None and not include.is_absolute() and (data / include).is_dir():
            include = data / include
        columns = {task: DocumentColumns(named.groups, named.unit) for task, named in self.columns.items()}
        return load_benchmarks(
            self.tasks,
            limit=self.limit,
            include=None if include is None else include.resolve(),
            columns=columns,
            batch_size=self.batch_size,
            below=data,
        )


def harness_design(benchmarks: Benchmarks | None) -> HarnessDesign | None:
    """Return what the audit needs to know of the benchmarks."""
    return None if benchmarks is None else HarnessDesign(tasks=tuple(benchmarks.tasks))


def check_harness(spec: HarnessSpec | None, task: str, kind: str, where: str = "harness") -> None:
    """Raise ValueError if the setting's models are not language models."""
    if spec is not None and kind not in KINDS:
        raise ValueError(
            f"{where}: benchmarks need a language model, and the task {task} trains a classifier; leave harness out, "
            "or choose a task of pairs (sft), reviews or translation"
        )
