"""Computes the points of the calibration of the mean: the mean label against the mean prediction, by bin."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from evenhand.audit.evaluation import Run
from evenhand.audit.measures.regression import MEAN_CALIBRATION
from evenhand.audit.reading import LEVEL
from evenhand.audit.runs.influences import RunInfluences
from evenhand.stats.contrast import by_unit, from_cells

MOST_BINS = 10
LEAST = 20
"""A bin holds about so many predictions of a run at least."""


def mean_calibration_curves(reader: RunInfluences) -> Iterator[dict[str, Any]]:
    """Rows of the table `curves` for each method, pooled over its runs: of everyone, then of each group.

    Bins are quantiles of the predictions of everyone, or of the group: at most 10, of about 20 predictions of a run or
    more. x is the mean prediction in a bin, y the mean label, with a 95% t interval that clusters by run and example.
    """
    evaluation = reader.evaluation
    subsets: list[tuple[str | None, str | None]] = [(None, None)]
    subsets += [(groups.attribute, name) for groups in evaluation.groups for name in groups.names]
    for attribute, group in subsets:
        inside = np.ones(len(evaluation.population.label), dtype=bool)
        if attribute is not None:
            inside = reader.groups(attribute).mask(str(group))
        for method in evaluation.methods:
            runs = [run.take(run.rows[inside[run.rows]]) for run in reader.runs_of(method)]
            for point in _points(reader, [run for run in runs if len(run.rows)]):
                yield {
                    "setting": evaluation.setting,
                    "split": evaluation.split,
                    "measure": MEAN_CALIBRATION,
                    "attribute": attribute,
                    "group": group,
                    "method": method,
                    **point,
                }


def _points(reader: RunInfluences, runs: Sequence[Run]) -> Iterator[dict[str, Any]]:
    if not runs:
        return
    population = reader.evaluation.population
    predicted = np.concatenate([run.predicted for run in runs])
    bins = max(min(MOST_BINS, min(len(run.rows) for run in runs) // LEAST), 1)
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, bins + 1)[1:-1]))
    codes = [np.searchsorted(edges, run.predicted, side="left") for run in runs]
    for code in range(len(edges) + 1):
        rows = [run.rows[own == code] for run, own in zip(runs, codes, strict=True)]
        weights = [population.weight[own] for own in rows]
        mass = sum(float(own.sum()) for own in weights)
        if not mass > 0:
            continue
        shares = [own / mass for own in weights]
        x = sum(float(share @ run.predicted[own == code]) for share, run, own in zip(shares, runs, codes, strict=True))
        y = sum(float(share @ population.label[own]) for share, own in zip(shares, rows, strict=True))
        present = [index for index, own in enumerate(rows) if len(own)]
        units = [population.unit[rows[index]] for index in present]
        (cells,) = by_unit(units, [shares[index] * (population.label[rows[index]] - y) for index in present])
        mean = from_cells(y, cells, cells.shape[1])
        low, high = (None, None) if math.isnan(mean.variance) else mean.interval(LEVEL)
        yield {"x": x, "y": y, "low": low, "high": high}
