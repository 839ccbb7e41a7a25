"""Computes the points of reliability curves, with intervals, for the table `curves`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from evenhand.audit.estimands import Estimand, Subset
from evenhand.audit.evaluation import Run
from evenhand.audit.measures import shown_in
from evenhand.audit.measures.run_data import BINS, EDGES, bin_of, confidence
from evenhand.audit.reading import LEVEL
from evenhand.audit.runs.influences import RunInfluences
from evenhand.stats.contrast import TwoWay, by_unit, from_cells
from evenhand.stats.proportion import proportion_interval


def reliability_curves(reader: RunInfluences) -> Iterator[dict[str, Any]]:
    """Rows of the table `curves` for each method, pooled over seeds: of everyone, and of one group per attribute.

    That group is the worst calibrated: its expected calibration error is the largest, on average over methods and
    runs, among groups with the support for max − min. The largest of several errors is large by chance, too: compare
    it with its noise floor.

    `reliability`: x is the mean confidence in a bin, y the observed share of the event, with a 95% interval that
    clusters by run and by example. `confidence`: x is the middle of a bin, y the share of the predictions in it.
    Methods without probabilities have no curve.
    """
    evaluation = reader.evaluation
    positive = evaluation.design.positive if evaluation.binary else None
    by_method = {
        method: [run for (name, _), run in evaluation.runs.items() if name == method and run.probabilities is not None]
        for method in evaluation.methods
    }
    known = {method: runs for method, runs in by_method.items() if runs}
    worst = _worst_calibrated(reader, [run for runs in known.values() for run in runs], positive)
    for attribute, group in [(None, None), *worst.items()]:
        for method, runs in known.items():
            rows = [_members(reader, run, attribute, group) for run in runs]
            data = [reader.view(run, positive) for run in runs]
            parts = [
                (values[inside], outcome[inside])
                for (values, outcome), inside in zip(map(confidence, data), rows, strict=True)
            ]
            weights = [run_data.weight[inside] for run_data, inside in zip(data, rows, strict=True)]
            units = [evaluation.population.unit[run.rows[inside]] for run, inside in zip(runs, rows, strict=True)]
            labels = {"attribute": attribute, "group": group, "method": method}
            for point in _points(parts, weights, units):
                yield {"setting": evaluation.setting, "split": evaluation.split, **labels, **point}


def _worst_calibrated(reader: RunInfluences, runs: Sequence[Run], positive: int | None) -> dict[str, str]:
    """The group of each attribute with the largest calibration error, among groups with enough support."""
    (measure,), worst = shown_in("calibration"), {}
    for groups in reader.evaluation.groups if runs else ():
        eligible = [groups.names[index] for index in reader.eligible(groups, positive)["all"]]
        estimands = [Estimand(measure, Subset(groups.attribute, group)) for group in eligible]
        errors = [float(np.mean([reader.influence(run, estimand).value for run in runs])) for estimand in estimands]
        if eligible:
            worst[groups.attribute] = eligible[int(np.argmax(errors))]
    return worst


def _members(reader: RunInfluences, run: Run, attribute: str | None, group: str | None) -> np.ndarray:
    """Positions in a run of everyone, or of the members of a group."""
    if attribute is None:
        return np.arange(len(run.rows))
    groups = reader.groups(attribute)
    return np.flatnonzero(groups.masks[run.rows, groups.names.index(str(group))])


def _points(
    parts: Sequence[tuple[np.ndarray, np.ndarray]], weights: Sequence[np.ndarray], units: Sequence[np.ndarray]
) -> Iterator[dict[str, Any]]:
    run = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    values, outcome = (np.concatenate(part) for part in zip(*parts, strict=True))
    bins = bin_of(values)
    order = np.argsort(bins, kind="stable")  # so that a bin is a slice, in which runs stand one after the other
    values, outcome, run, bins = values[order], outcome[order], run[order], bins[order]
    weight, unit = np.concatenate(weights)[order], np.concatenate(units)[order]
    total = weight.sum()
    for index in range(BINS):
        inside = slice(*np.searchsorted(bins, [index, index + 1]))
        mass = weight[inside].sum()
        middle = float(EDGES[index] + EDGES[index + 1]) / 2
        yield {"measure": "confidence", "x": middle, "y": float(mass / total), "low": None, "high": None}
        if not mass > 0:
            continue
        shares = weight[inside] / mass
        share = float(weight[inside] @ outcome[inside] / mass)
        mean = _pooled(share, shares * (outcome[inside] - share), unit[inside], run[inside])
        low, high = proportion_interval(mean, 1 / float((shares**2).sum()), LEVEL)
        x = float(weight[inside] @ values[inside] / mass)
        known = not math.isnan(low)  # a bin of one unit, with different outcomes in different runs, has no variance
        bounds = {"low": low if known else None, "high": high if known else None}
        yield {"measure": "reliability", "x": x, "y": share, **bounds}


def _pooled(share: float, influence: np.ndarray, unit: np.ndarray, run: np.ndarray) -> TwoWay:
    """A share of all runs' examples together, with two-way clustered variance; `run` ascends."""
    starts = np.flatnonzero(np.diff(run)) + 1
    (cells,) = by_unit(np.split(unit, starts), np.split(influence, starts))
    return from_cells(share, cells, cells.shape[1])
