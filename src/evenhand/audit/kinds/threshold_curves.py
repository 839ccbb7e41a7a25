"""Computes the points of rates over the threshold on the probability, with pointwise bands, for the table `curves`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from evenhand.audit.evaluation import Evaluation, Run
from evenhand.audit.reading import LEVEL
from evenhand.audit.runs.influences import RunInfluences
from evenhand.stats.threshold_sweep import steps, sweep

SUFFIX = "_by_threshold"
"""Ends the names of these curves: `selection_rate_by_threshold`, `accuracy_by_threshold`, …"""
IN_USE = "threshold_in_use"
"""The measure of the row that says by which threshold a method predicts."""
THRESHOLDS = np.arange(101) / 100
USUAL = 50
"""The index of .5, above which the positive one of two classes is the more probable one."""


def threshold_curves(reader: RunInfluences) -> Iterator[dict[str, Any]]:
    """Rows of the table `curves` for each method with probabilities of two classes: of everyone, and of each group.

    x is the threshold, 0 to 1 in steps of .01; who has a probability above it is predicted positive. y is the rate, the
    mean over runs, with a 95% interval that clusters by run and by example and holds at each threshold by itself. Where
    a rate is undefined in some run (nobody is predicted positive) there is no point.

    A row `threshold_in_use` for each method has in x the threshold that agrees with most of its predictions, and in y
    the share of them with which it does.
    """
    evaluation = reader.evaluation
    if not evaluation.binary:
        return
    for method in evaluation.methods:
        runs = [run for run in reader.runs_of(method) if run.probabilities is not None]
        if not runs:
            continue
        probability, rows = _probabilities(evaluation, runs)
        labels = {"setting": evaluation.setting, "split": evaluation.split, "method": method}
        yield labels | _in_use(evaluation, runs)
        everyone = np.ones(len(rows), dtype=bool)
        groups = [
            (groups.attribute, name, groups.mask(name)[rows]) for groups in evaluation.groups for name in groups.names
        ]
        for attribute, group, inside in [(None, None, everyone), *groups]:
            place = {"attribute": attribute, "group": group}
            for point in _points(reader, probability[:, inside], rows[inside]):
                yield labels | place | point


def _probabilities(evaluation: Evaluation, runs: Sequence[Run]) -> tuple[np.ndarray, np.ndarray]:
    """The probability of the positive class in each run, float [J, n], nan where it has none; and of whom, int [n]."""
    rows = np.unique(np.concatenate([run.rows for run in runs]))
    probability = np.full((len(runs), len(rows)), np.nan)
    for own, run in zip(probability, runs, strict=True):
        own[np.searchsorted(rows, run.rows)] = _of_positive(evaluation, run)
    return probability, rows


def _of_positive(evaluation: Evaluation, run: Run) -> np.ndarray:
    assert run.probabilities is not None
    return run.probabilities[:, evaluation.design.positive]


def _points(reader: RunInfluences, probability: np.ndarray, rows: np.ndarray) -> Iterator[dict[str, Any]]:
    """The points of the curves of some examples, int [n]."""
    population = reader.evaluation.population
    unit = population.unit[rows] if reader.clustered else None
    actual = population.label[rows] == reader.evaluation.design.positive
    rates = sweep(probability, actual, THRESHOLDS, weight=population.weight[rows], unit=unit, level=LEVEL)
    for name, rate in rates.items():
        points = zip(THRESHOLDS.tolist(), rate.value.tolist(), rate.low.tolist(), rate.high.tolist(), strict=True)
        for x, y, low, high in points:
            if not math.isnan(y):
                bounds = {"low": None, "high": None} if math.isnan(low) else {"low": low, "high": high}
                yield {"measure": name + SUFFIX, "x": x, "y": y, **bounds}


def _in_use(evaluation: Evaluation, runs: Sequence[Run]) -> dict[str, Any]:
    """The row about the threshold that predictions were made by: .5, unless another one agrees with more of them."""
    agree, total = np.zeros(len(THRESHOLDS)), 0
    for run in runs:
        above = steps(_of_positive(evaluation, run), THRESHOLDS)
        said = run.predicted == evaluation.design.positive
        # A positive prediction agrees with every threshold below its probability, a negative one with all others.
        counts = np.bincount(above, np.where(said, 1, -1), len(THRESHOLDS) + 1)
        agree += counts[::-1].cumsum()[-2::-1] + (~said).sum()
        total += len(said)
    best = np.flatnonzero(agree == agree.max())
    index = USUAL if USUAL in best else int(best[len(best) // 2])
    row = {"measure": IN_USE, "x": float(THRESHOLDS[index]), "y": float(agree[index]) / total}
    return row | {"attribute": None, "group": None, "low": None, "high": None}
