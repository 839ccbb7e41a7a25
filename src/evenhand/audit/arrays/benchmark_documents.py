"""The table `harness` as arrays: the scores of each document of each benchmark, of one model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from evenhand.errors import InputError

CLOSE = 1e-6
"""How near the mean of documents is to the harness's number."""


@dataclass(frozen=True, eq=False)
class Documents:
    """Of one benchmark and metric.

    Attributes:
        examples: ids [n].
        values: float [n]; nan where not defined.
        units: int [n], what is resampled.
        groups: by `ATTRIBUTE=GROUP`, bool [n].
    """

    examples: tuple[str, ...]
    values: np.ndarray
    units: np.ndarray
    groups: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class BenchmarkScores:
    """One model's benchmarks.

    Attributes:
        documents: by benchmark and metric.
        totals: by benchmark and metric, the harness's number; None where it gives none.
    """

    documents: Mapping[tuple[str, str], Documents]
    totals: Mapping[tuple[str, str], float | None]

    @property
    def tasks(self) -> tuple[str, ...]:
        """In the order of the table."""
        return tuple(dict.fromkeys(task for task, _ in self.totals))

    def of(self, task: str, metric: str, group: str | None) -> Documents | None:
        """The documents that a metric is made of; where the harness has the metric for a group apart, that."""
        apart = (task, f"{metric}_{group}")
        return self.documents.get(apart if apart in self.totals else (task, metric))

    def groups(self, task: str, metric: str) -> Iterator[tuple[str, str]]:
        """(attribute, group) of the documents of a metric, of attributes with several groups; where the harness has the
        metric for groups apart, those groups."""
        documents = self.documents.get((task, metric))
        if documents is None:
            return
        named = [name.partition("=")[::2] for name in documents.groups]
        apart = {group for _, group in named if (task, f"{metric}_{group}") in self.totals}
        for attribute, group in named:
            several = sum(other == attribute for other, _ in named) > 1
            if several and (not apart or (task, f"{metric}_{group}") in self.documents):
                yield attribute, group


def benchmark_scores(rows: pl.DataFrame, units: Mapping[str, int], where: str) -> BenchmarkScores:
    """The rows of one trial.

    Args:
        rows: of the table `harness`.
        units: codes by name.
        where: for messages.

    Raises:
        InputError: documents whose mean is not what the harness gave.
    """
    totals: dict[tuple[str, str], float | None] = {}
    documents: dict[tuple[str, str], Documents] = {}
    for (task, metric), part in rows.group_by("task", "metric", maintain_order=True):
        key = str(task), str(metric)
        whole = part.filter(pl.col("example").is_null())
        totals[key] = whole["value"][0] if len(whole) else None
        own = part.drop_nulls("example")
        if own.is_empty():
            continue
        values = own["value"].cast(pl.Float64).fill_null(math.nan).to_numpy()
        lists = own["groups"].to_list()
        names = sorted({name for one in lists for name in one or ()})
        documents[key] = Documents(
            tuple(own["example"]),
            values,
            np.array([units[unit] for unit in own["unit"]], dtype=np.int64),
            {name: np.array([name in (one or ()) for one in lists]) for name in names},
        )
        total = totals[key]
        if total is not None and not math.isclose(float(np.nanmean(values)), total, rel_tol=CLOSE, abs_tol=CLOSE):
            raise InputError(
                f"{where}: the documents of {task} have the mean {metric} {np.nanmean(values):.6g}, and "
                f"lm-evaluation-harness gave {total:.6g}; the table harness is not whole"
            )
    return BenchmarkScores(documents, totals)
