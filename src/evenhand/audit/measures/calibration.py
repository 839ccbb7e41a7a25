"""Calibration errors of a method's runs with the influence of each example; values as in `evenhand.metrics`.

Bins are 15 of equal width, (lo, hi], the first including 0. The form is that of the positive class where there is one
(confidence P(ŷ = 1) against the share of positives), else top-label (the largest probability against accuracy). The
debiased squared error multiplies examples of different resampling units only and pools the masses of thin bins over
the method's runs: see `metrics.pooled_bins`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evenhand.audit.measures.influence import Influence, undefined
from evenhand.audit.measures.run_data import BINS, NO_PROBABILITIES, RunData, RunSubset
from evenhand.metrics.bins import bin_gaps
from evenhand.metrics.pooled_bins import BinnedRun, SquaredError, pooled_squared_errors
from evenhand.stats.contrast import compact

BELOW_ZERO = "no corrected value: the debiased squared error is below 0, no miscalibration is visible at this size"

Pooled = tuple[BinnedRun, SquaredError]
"""A run in its bins, and its debiased squared error."""


@dataclass(frozen=True)
class CalibrationError:
    """Computes a binned calibration error.

    Attributes:
        squared: the debiased squared l2 error, neither truncated nor rooted; else the plug-in error Σ_b π_b·|gap_b|,
            with the debiased squared one beside it.
    """

    squared: bool

    def __call__(self, run: RunData, subset: RunSubset) -> Influence:
        return self.of_runs([run], [subset])[0]

    def of_runs(self, runs: Sequence[RunData], subsets: Sequence[RunSubset]) -> list[Influence]:
        """The error in each run of one method, from the subset's examples in that run."""
        return self.of_pooled(subsets, pool_runs(runs, subsets))

    def of_pooled(self, subsets: Sequence[RunSubset], pooled: Sequence[Pooled | Influence]) -> list[Influence]:
        """The same, from what `pool_runs` made of the runs."""
        form = _squared if self.squared else _plug_in
        return [
            one if isinstance(one, Influence) else form(subset.rows, *one)
            for subset, one in zip(subsets, pooled, strict=True)
        ]


def pool_runs(runs: Sequence[RunData], subsets: Sequence[RunSubset]) -> list[Pooled | Influence]:
    """What both errors of each run are made of, or the influence of a run without an error, with the reason."""
    pooled: list[Any] = [_without_error(run, subset) for run, subset in zip(runs, subsets, strict=True)]
    known = [index for index, influence in enumerate(pooled) if influence is None]
    binned = binned_runs([runs[index] for index in known], [subsets[index].rows for index in known])
    errors = pooled_squared_errors(binned, BINS) if known else []
    for index, run, error in zip(known, binned, errors, strict=True):
        pooled[index] = run, error
    return pooled


def binned_runs(runs: Sequence[RunData], rows: Sequence[np.ndarray]) -> list[BinnedRun]:
    """Some examples of each run of one method, with one coding of their resampling units."""
    units = [None if run.unit is None else run.unit[own] for run, own in zip(runs, rows, strict=True)]
    known = [unit for unit in units if unit is not None]
    if len(known) == len(units) and known:
        alike = all(unit is known[0] or np.array_equal(unit, known[0]) for unit in known[1:])
        distinct, codes = compact(known[0] if alike else np.concatenate(known))
        ends = np.cumsum([len(unit) for unit in known])
        units = [codes] * len(known) if alike else np.split(codes, ends[:-1])
        if len(units) == 1 and len(distinct) == len(codes):
            units = [None]
    binned = []
    for run, own, unit in zip(runs, rows, units, strict=True):
        gap, bins = run.calibration
        weight = run.weight[own]
        binned.append(BinnedRun(gap[own], bins[own].astype(np.intp), weight / weight.sum(), unit))
    return binned


def _without_error(run: RunData, subset: RunSubset) -> Influence | None:
    """The influence where there is no error, with the reason."""
    if not len(subset.rows):
        return undefined("no test examples")
    if run.probabilities is None:
        return undefined(NO_PROBABILITIES, len(subset.rows))
    return None if run.weight[subset.rows].sum() > 0 else undefined("no test examples")


def _plug_in(rows: np.ndarray, run: BinnedRun, error: SquaredError) -> Influence:
    bins = bin_gaps(run.gap, run.bins, BINS, run.shares)
    value = float(bins.error("l1"))
    influence = run.shares * (np.sign(bins.excess)[run.bins] * run.gap - value)
    active = np.ones(len(rows), dtype=bool)
    return Influence(value, rows, influence, run.shares, active, len(rows), None, error.value)


def _squared(rows: np.ndarray, run: BinnedRun, error: SquaredError) -> Influence:
    if math.isnan(error.value):
        return undefined("every bin holds at most one example", len(rows))
    reason = None
    if error.alone:
        reason = f"{error.alone} of {len(rows)} examples are alone in a bin: their miscalibration is not seen"
    active = np.ones(len(rows), dtype=bool)
    return Influence(
        error.value, rows, error.influence, run.shares, active, len(rows), reason=reason, calibration=error
    )
