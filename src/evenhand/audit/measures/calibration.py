"""Calibration errors of one run with the influence of each example; values as in `evenhand.metrics`.

Bins are 15 of equal width, (lo, hi], the first including 0. The form is that of the positive class where there is one
(confidence P(ŷ = 1) against the share of positives), else top-label (the largest probability against accuracy).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evenhand.audit.measures.influence import Influence, undefined
from evenhand.audit.measures.run_data import BINS, NO_PROBABILITIES, RunData, RunSubset
from evenhand.metrics import bins as binned

MOST = 2**21
"""The number of examples, over several runs, that are binned at a time."""
BELOW_ZERO = "no corrected value: the debiased squared error is below 0, no miscalibration is visible at this size"


@dataclass(frozen=True)
class CalibrationError:
    """Computes a binned calibration error.

    Attributes:
        squared: the debiased squared l2 error Σ_b π_b·(gap_b² − s_b²/n_b), neither truncated nor rooted; else the
            plug-in error Σ_b π_b·|gap_b|, with the debiased squared one beside it.
    """

    squared: bool

    def __call__(self, run: RunData, subset: RunSubset) -> Influence:
        return self.of_runs([run], subset)[0]

    def of_runs(self, runs: Sequence[RunData], subset: RunSubset) -> list[Influence]:
        """The error in several runs on the same examples."""
        rows, size = subset.rows, len(subset.rows)
        with_probabilities = [run for run in runs if run.probabilities is not None]
        if not with_probabilities:
            return [undefined(NO_PROBABILITIES, size) for _ in runs]
        weight = with_probabilities[0].weight[rows]
        if not weight.sum() > 0:
            return [undefined("no test examples") for _ in runs]
        shares, errors_of = weight / weight.sum(), self._squared if self.squared else self._plug_in
        step = max(MOST // max(size, 1), 1)
        parts = [with_probabilities[start : start + step] for start in range(0, len(with_probabilities), step)]
        influences = iter([influence for part in parts for influence in errors_of(part, rows, shares)])
        return [undefined(NO_PROBABILITIES, size) if run.probabilities is None else next(influences) for run in runs]

    def _plug_in(self, runs: Sequence[RunData], rows: np.ndarray, shares: np.ndarray) -> list[Influence]:
        gap, bin_of_row, bins = _binned(runs, rows, shares)
        values, squared = bins.error("l1"), bins.squared()
        influence = shares * (np.take_along_axis(np.sign(bins.excess), bin_of_row, axis=1) * gap - values[:, None])
        active = np.ones(len(rows), dtype=bool)
        return [
            Influence(float(value), rows, by_example, shares, active, len(rows), None, float(square))
            for value, by_example, square in zip(values, influence, squared, strict=True)
        ]

    def _squared(self, runs: Sequence[RunData], rows: np.ndarray, shares: np.ndarray) -> list[Influence]:
        """The debiased squared error.

        A bin of one example has no unbiased gap: it is left out, and the masses of the other bins add up to 1.
        """
        gap, bin_of_row, bins = _binned(runs, rows, shares)
        values, size = bins.squared(), len(rows)
        # d(value)/d(share) of an example is 2·gap_b·gap − 2·gap_b² + unbiased_b − value in a bin that is kept, else 0.
        mass = np.where(bins.kept, bins.mass, 0.0).sum(axis=1, keepdims=True)
        scale = np.divide(bins.kept, mass, out=np.zeros(bins.mass.shape), where=mass > 0)
        slope, level = 2 * scale * bins.gap, scale * (bins.unbiased - 2 * bins.gap**2 - values[:, None])
        influence = np.take_along_axis(slope, bin_of_row, axis=1) * gap
        influence = shares * (influence + np.take_along_axis(level, bin_of_row, axis=1))
        influences, active = [], np.ones(size, dtype=bool)
        for value, by_example, alone in zip(values, influence, (bins.count == 1).sum(axis=1), strict=True):
            if math.isnan(value):
                influences.append(undefined("every bin holds at most one example", size))
                continue
            reason = f"{alone} of {size} examples are alone in a bin and left out" if alone else None
            influences.append(Influence(float(value), rows, by_example, shares, active, size, None, reason=reason))
        return influences


def _binned(
    runs: Sequence[RunData], rows: np.ndarray, shares: np.ndarray
) -> tuple[np.ndarray, np.ndarray, binned.Bins]:
    """Gap and bin of each example, [K, n], and the bins [K, B]."""
    gap = np.stack([run.calibration[0][rows] for run in runs])
    bin_of_row = np.stack([run.calibration[1][rows] for run in runs]).astype(np.intp)
    return gap, bin_of_row, binned.bin_gaps(gap, bin_of_row, BINS, shares)
