"""Estimates: each measure's value per run and over runs, with 95% marginal intervals; and reliability curves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from evenhand import records
from evenhand.audit.design import Design
from evenhand.audit.evaluation import Run, evaluations
from evenhand.audit.kinds.estimands import Case, Reader, cases
from evenhand.audit.measures import select
from evenhand.audit.measures.calibration import BELOW_ZERO, BINS, EDGES, bin_of, confidence
from evenhand.audit.measures.influence import Effect
from evenhand.audit.measures.predictions import PREDICTIONS
from evenhand.audit.noise_floors import Floors
from evenhand.audit.trial_records import gaps
from evenhand.stats.contrast import TwoWay, by_unit, count_distinct, from_cells, two_way
from evenhand.stats.null import NoiseFloor
from evenhand.stats.proportion import FEW, Widened, proportion_interval

LEVEL = 0.95
INSIDE = "inside its noise floor: these sizes show as much where there is nothing"


def estimates(examples: pl.DataFrame, trials: pl.DataFrame, predictions: pl.DataFrame, design: Design) -> pl.DataFrame:
    """The table `estimates`: every measure for everyone, each group and each attribute, by method and seed.

    Rows with a seed hold one run's value, with an interval for the noise of its test examples. Rows without one hold
    the mean over the runs where the value is defined, with a two-way interval over runs and examples, and `n`, the
    distinct examples that the runs tested. `noise_floor` and `noise_high` are the mean and the 95% quantile of what a
    disparity or a calibration error shows at these sizes when there is none (`audit.noise_floors`). `corrected` of
    the expected calibration error is the root of the debiased squared error (its mean over runs), null where that is
    below 0. Undefined values are null with the reason in `note`.

    Raises:
        InputError: records that do not fit each other or the design; an unknown measure.
    """
    measures = select(design.measures, "predictions")
    rows: list[dict[str, Any]] = []
    for evaluation in evaluations(examples, trials, predictions, design):
        reader = Reader(evaluation, design.support)
        floors = Floors(reader)
        for case in cases(evaluation, measures):
            rows += estimated(reader, floors, case)
    return records.from_rows(rows, "estimates")


def estimated(reader: Reader, floors: Floors, case: Case) -> Iterator[dict[str, Any]]:
    """Rows of the table `estimates`: a case in every method."""
    for method in reader.evaluation.methods:
        yield from _rows(reader, floors, case, method)


@dataclass(frozen=True, eq=False)
class Assembled:
    """Effects of runs, by resampling unit.

    Attributes:
        values: float [J].
        shares, contributions: float [J, U], each unit's in each run; 0 where the run did not test it.
    """

    values: np.ndarray
    shares: np.ndarray
    contributions: np.ndarray

    @classmethod
    def of(cls, reader: Reader, runs: Sequence[Run], effects: Sequence[Effect]) -> Assembled:
        units = [reader.units(run, effect) for run, effect in zip(runs, effects, strict=True)]
        shares, contributions = by_unit(
            units, [effect.shares for effect in effects], [effect.contributions for effect in effects]
        )
        return cls(np.array([effect.value for effect in effects]), shares, contributions)

    def one(self, place: int) -> Assembled:
        """One of the runs."""
        run = slice(place, place + 1)
        return Assembled(self.values[run], self.shares[run], self.contributions[run])

    @property
    def mean(self) -> TwoWay:
        return two_way(self.values, self.contributions, self.shares)


def assemble(reader: Reader, runs: Sequence[Run], effects: Sequence[Effect]) -> tuple[TwoWay, np.ndarray]:
    """The mean of effects over runs, and the shares [J, U] of the units."""
    found = Assembled.of(reader, runs, effects)
    return found.mean, found.shares


def unit_step(effects: Sequence[Effect], shares: np.ndarray) -> float:
    """What one unit can change in the mean over runs: its step in a run × the share of the runs that it is in."""
    present = (shares > 0).sum(axis=0)
    tested = present[present > 0]
    return float(np.mean([effect.step or 0.0 for effect in effects]) * tested.mean() / len(effects))


def _rows(reader: Reader, floors: Floors, case: Case, method: str) -> Iterator[dict[str, Any]]:
    evaluation = reader.evaluation
    base = {
        "setting": evaluation.setting,
        "split": evaluation.split,
        "measure": case.measure.name,
        "class": case.name,
        "attribute": case.attribute,
        "group": case.group,
        "method": method,
    }
    seeds = evaluation.seeds(method)
    runs = {seed: evaluation.runs[method, seed] for seed in seeds if (method, seed) in evaluation.runs}
    found = {seed: reader.effect(run, case) for seed, run in runs.items()}
    general = _general_notes(reader, case, list(found.values()))
    defined = [seed for seed, effect in found.items() if not math.isnan(effect.value)]
    noise = floors.floors(case, method, defined) if defined and floors.has(case) else {}
    chosen, tests = [found[seed] for seed in defined], [runs[seed] for seed in defined]
    units = Assembled.of(reader, tests, chosen) if defined else None
    for seed, effect in found.items():
        if units is None or seed not in defined:
            n, note = len(effect.rows), _join([str(effect.reason), *general])
            yield {**base, "seed": seed, "value": None, "low": None, "high": None, "n": n, "note": note}
            continue
        place = defined.index(seed)
        values = _values(case, [effect], units.one(place), len(effect.rows), general)
        yield {**base, "seed": seed, **_floored(values, noise.get(seed))}
    notes = list(general)
    notes += gaps(method, seeds, evaluation.absent, "have no predictions")
    if found and len(defined) < len(found):
        reasons = ", ".join(sorted({str(found[seed].reason) for seed in found if seed not in defined}))
        notes.append(f"defined in {len(defined)} of {len(found)} runs ({reasons})")
    if units is None:
        yield {**base, "seed": None, "value": None, "low": None, "high": None, "n": 0, "note": _join(notes)}
        return
    if len(defined) == 1:
        notes.append("one seed: the interval holds the noise of the examples only, not that of training")
    n = count_distinct([run.rows[effect.rows] for run, effect in zip(tests, chosen, strict=True)])
    values = _values(case, chosen, units, n, notes)
    yield {**base, "seed": None, **_floored(values, noise.get(None))}


def _floored(values: dict[str, Any], floor: NoiseFloor | None) -> dict[str, Any]:
    """The same with its noise floor, and whether the value lies inside of it."""
    if floor is None or math.isnan(floor.mean):
        return values
    note = values["note"]
    if values["value"] is not None and values["value"] <= floor.high:
        note = _join([INSIDE, *([note] if note else [])])
    return {**values, "noise_floor": floor.mean, "noise_high": floor.high, "note": note}


def _values(case: Case, effects: Sequence[Effect], units: Assembled, n: int, notes: Sequence[str]) -> dict[str, Any]:
    value, low, high = _interval(case, effects, units)
    reasons = sorted({effect.reason for effect in effects if effect.reason}) if len(effects) == 1 else []
    corrected = None
    squared = float(np.mean([effect.squared for effect in effects]))
    if squared >= 0:
        corrected = math.sqrt(squared)
    elif squared < 0:
        reasons.append(BELOW_ZERO)
    return {
        "value": value,
        "low": low,
        "high": high,
        "n": n,
        "corrected": corrected,
        "note": _join([*reasons, *notes]),
    }


def marginal(
    reader: Reader, case: Case, runs: Sequence[Run], effects: Sequence[Effect]
) -> tuple[float, float | None, float | None]:
    """The mean over runs and its 95% marginal interval, within the measure's range; no interval from a single unit.

    Proportions get Wilson's interval; what is made of proportions and rests on few examples is widened.
    """
    return _interval(case, effects, Assembled.of(reader, runs, effects))


def _interval(case: Case, effects: Sequence[Effect], units: Assembled) -> tuple[float, float | None, float | None]:
    mean, shares = units.mean, units.shares
    if math.isnan(mean.variance):
        return mean.estimate, None, None
    if case.measure.proportion:
        low, high = proportion_interval(mean, len(effects) ** 2 / float((shares**2).sum()), LEVEL)
        return mean.estimate, low, high
    low, high = mean.interval(LEVEL)
    if all(effect.step is not None for effect in effects) and int(units.contributions.any(axis=0).sum()) < FEW:
        low, high = Widened(mean, unit_step(effects, shares)).bounds((1 - LEVEL) / 2)
    return mean.estimate, *case.measure.within((low, high))


def _general_notes(reader: Reader, case: Case, effects: Sequence[Effect]) -> list[str]:
    notes = []
    if case.level == "attribute":
        left = reader.left_out(case)
        if left:
            notes.append(f"left out, with fewer than {reader.support} examples in some run: {', '.join(left)}")
    elif effects and min(effect.smallest for effect in effects) < reader.support:
        notes.append(f"fewer than {reader.support} examples in some run")
    note = case.measure.note(case.level)
    return [*notes, note] if note else notes


def _join(notes: Sequence[str]) -> str | None:
    return "; ".join(dict.fromkeys(notes)) or None


def curves(examples: pl.DataFrame, trials: pl.DataFrame, predictions: pl.DataFrame, design: Design) -> pl.DataFrame:
    """The table `curves`: per method, pooled over seeds, for everyone and for the worst-calibrated group of each
    attribute: that whose expected calibration error is largest on average over methods and runs, of the groups with
    the support for max − min. The largest of several errors is large by chance, too: beside it stands its noise floor.

    `reliability`: x is the mean confidence in a bin, y the observed share of the event, with a 95% interval that
    clusters by run and by example. `confidence`: x is the middle of a bin, y the share of the predictions in it.
    Methods without probabilities have no curve.
    """
    rows: list[dict[str, Any]] = []
    for evaluation in evaluations(examples, trials, predictions, design):
        rows += drawn(Reader(evaluation, design.support))
    return records.from_rows(rows, "curves")


def drawn(reader: Reader) -> Iterator[dict[str, Any]]:
    """Rows of the table `curves` of one evaluation."""
    evaluation = reader.evaluation
    positive = evaluation.design.positive if evaluation.binary else None
    by_method = {
        method: [run for (name, _), run in evaluation.runs.items() if name == method and run.probabilities is not None]
        for method in evaluation.methods
    }
    known = {method: runs for method, runs in by_method.items() if runs}
    worst = _worst_calibrated(reader, [run for runs in known.values() for run in runs])
    for attribute, group in [(None, None), *worst.items()]:
        for method, runs in known.items():
            rows = [_members(reader, run, attribute, group) for run in runs]
            views = [reader.view(run, positive) for run in runs]
            parts = [
                (values[inside], outcome[inside])
                for (values, outcome), inside in zip(map(confidence, views), rows, strict=True)
            ]
            weights = [view.weight[inside] for view, inside in zip(views, rows, strict=True)]
            units = [evaluation.population.unit[run.rows[inside]] for run, inside in zip(runs, rows, strict=True)]
            place = {"attribute": attribute, "group": group, "method": method}
            for point in _points(parts, weights, units):
                yield {"setting": evaluation.setting, "split": evaluation.split, **place, **point}


def _worst_calibrated(reader: Reader, runs: Sequence[Run]) -> dict[str, str]:
    """By attribute, of the groups that have the support the one whose calibration error is largest."""
    measure, found = PREDICTIONS["expected_calibration_error"], {}
    for groups in reader.evaluation.groups if runs else ():
        able = [groups.names[place] for place in reader.eligible(groups, None)["all"]]
        places = [Case(measure, None, None, "group", groups.attribute, group) for group in able]
        errors = [float(np.mean([reader.effect(run, place).value for run in runs])) for place in places]
        if able:
            found[groups.attribute] = able[int(np.argmax(errors))]
    return found


def _members(reader: Reader, run: Run, attribute: str | None, group: str | None) -> np.ndarray:
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
        yield {"measure": "reliability", "x": x, "y": share, "low": low, "high": high}


def _pooled(share: float, moves: np.ndarray, unit: np.ndarray, run: np.ndarray) -> TwoWay:
    """A share of all runs' examples together, with two-way clustered variance; `run` ascends."""
    starts = np.flatnonzero(np.diff(run)) + 1
    (cells,) = by_unit(np.split(unit, starts), np.split(moves, starts))
    return from_cells(share, cells, cells.shape[1])
