"""Turns the table `harness` (lm-evaluation-harness) into arrays of scores, and checks their means."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from evenhand.errors import InputError

CLOSE = 1e-6
"""The tolerance, relative and absolute, between the mean of documents and the harness's number."""


@dataclass(frozen=True, eq=False)
class Documents:
    """The values of one metric for each document of one benchmark.

    Attributes:
        examples: ids [n].
        values: float [n]; nan where not defined.
        units: int [n], codes of the resampling units.
        groups: by `ATTRIBUTE=GROUP`, bool [n].
    """

    examples: tuple[str, ...]
    values: np.ndarray
    units: np.ndarray
    groups: Mapping[str, np.ndarray]

    def defined(self, attribute: str) -> np.ndarray:
        """bool [n], the documents that are in some group of an attribute."""
        return (
            np.logical_or.reduce(self.masks(attribute)) if self.masks(attribute) else np.zeros(len(self.values), bool)
        )

    def masks(self, attribute: str) -> list[np.ndarray]:
        """bool [n] each, the groups of an attribute."""
        return [mask for name, mask in self.groups.items() if name.partition("=")[0] == attribute]

    def two_halves(self, attribute: str) -> bool:
        """Whether every document with the attribute is in one of two groups, so that each is the other's rest."""
        masks = self.masks(attribute)
        return len(masks) == 2 and not (masks[0] & masks[1]).any()


@dataclass(frozen=True, eq=False)
class BenchmarkScores:
    """The scores of one model on every benchmark.

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
        """The documents behind a metric; those behind the group's own metric where the harness has one."""
        apart = (task, f"{metric}_{group}")
        return self.documents.get(apart if apart in self.totals else (task, metric))

    def of_group(self, task: str, metric: str, group: str | None) -> bool:
        """Whether the harness has the metric of a single group, whose rest has none."""
        return (task, f"{metric}_{group}") in self.totals

    def groups(self, task: str, metric: str) -> Iterator[tuple[str, str]]:
        """The (attribute, group) pairs of a metric's documents, for attributes with several groups.

        Where the harness has metrics of single groups, only those groups.
        """
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
    """The benchmarks of one trial as arrays.

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
        documents_of_metric = part.drop_nulls("example")
        if documents_of_metric.is_empty():
            continue
        values = documents_of_metric["value"].cast(pl.Float64).fill_null(math.nan).to_numpy()
        lists = documents_of_metric["groups"].to_list()
        names = sorted({name for group_names in lists for name in group_names or ()})
        documents[key] = Documents(
            tuple(documents_of_metric["example"]),
            values,
            np.array([units[unit] for unit in documents_of_metric["unit"]], dtype=np.int64),
            {name: np.array([name in (group_names or ()) for group_names in lists]) for name in names},
        )
        total = totals[key]
        if total is not None and not math.isclose(float(np.nanmean(values)), total, rel_tol=CLOSE, abs_tol=CLOSE):
            raise InputError(
                f"{where}: the documents of {task} have the mean {metric} {np.nanmean(values):.6g}, and "
                f"lm-evaluation-harness gave {total:.6g}; the table harness is not whole"
            )
    return BenchmarkScores(documents, totals)
