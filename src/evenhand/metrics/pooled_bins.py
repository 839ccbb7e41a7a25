"""Squared calibration error over several runs, unbiased where bins are thin: bin masses are pooled over runs.

The error Σ_b π_b·g_b² of a run (π_b the mass of a bin, g_b its mean gap) is estimated by products of the gaps of two
examples in one bin, Σ_b κ_b·Σ A_u·A_v over pairs of different units (`Bins.products`), so that no example's noise is
squared. Only κ needs the masses:

    κ_b = π̂_b / Σ C_u·C_v          a bin that holds many units: the run's own mass, and the mean product
    κ_b = 1 / (p̂_b · Σ W_u·W_v)    a thin bin: the mass p̂_b of all runs, and the sum over all pairs of the run

In a thin bin the mean product is undefined if a run has one unit, and leaving out such bins would hide part of the
miscalibration: a third of it with 20 examples. The sum over pairs is then 0, which keeps its expectation right. Only
bins with a single unit in all runs together remain unseen: the bias is −Σ π_b·g_b²·(1 − π_b)^(N − 1) for N different
examples. Their share of the weight is reported as `unseen`; it bounds the bias, because no gap exceeds 1.

p̂_b = (T_b − Σ T_bu²/T_b) / (N − Σ N_u²/N), with T_bu and N_u a unit's weight in the bin and in all bins over all runs:
(T_b − 1)/(N − 1) for runs on different examples, (n_b − 1)/(n − 1) for runs on the same. Masses that differ between
runs bias a pooled bin by their squared coefficient of variation, so bins of more than `MANY` units use the run's own
mass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evenhand.metrics.bins import Bins, bin_gaps

MANY_SHARES = 1000
"""Up to so many shares are summed with exact rounding."""
MANY = 10
"""The expected number of other units from which a bin uses the run's own mass, because it is practically never
empty."""


@dataclass(frozen=True, eq=False)
class BinnedRun:
    """One run's examples.

    Attributes:
        gap: confidence − outcome, float [n].
        bins: int [n].
        shares: share of the weight, float [n], Σ = 1.
        unit: int [n], codes of the units, from 0, the same in all runs; None: each example is a unit, and no two runs
            share any.
    """

    gap: np.ndarray
    bins: np.ndarray
    shares: np.ndarray
    unit: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class SquaredError:
    """The debiased squared calibration error of one run.

    Attributes:
        value: nan if no pair of units of the run could be in the same bin.
        influence: float [n], influence of each example, Σ = 0.
        alone: the number of examples in bins without another unit, whose part of the error is not seen.
        unseen: their share of the weight; the error is too small by at most this.
        squares: Σ share·gap² over these examples: their unseen error and their noise.
        moved: float [n], share·gap.
    """

    value: float
    influence: np.ndarray
    alone: int
    unseen: float
    squares: float
    moved: np.ndarray


@dataclass(frozen=True, eq=False)
class PairWeights:
    """κ of every run and bin, and its origin.

    Attributes:
        factor: float [J, B], κ; 0 if the bin or the run has a single unit.
        own: bool [J, B], bins with the run's own mass.
        mass: float [J, B], masses of the runs.
        pooled: float [B], p̂_b; 0 if a bin has a single unit in all runs.
        seen: bool [J, B], bins with more than one unit.
        defined: bool [J], runs with two units or more and some seen bin.
    """

    factor: np.ndarray
    own: np.ndarray
    mass: np.ndarray
    pooled: np.ndarray
    seen: np.ndarray
    defined: np.ndarray

    @classmethod
    def of(cls, runs: Sequence[BinnedRun], bins: Sequence[Bins]) -> PairWeights:
        """From the runs, and each run's bins."""
        n_bins = len(bins[0].mass)
        mass, pairs, units = (np.stack([getattr(one, name) for one in bins]) for name in ("mass", "pairs", "units"))
        sizes, all_pairs = zip(*map(_pairs_of_all, runs), strict=True)
        several = np.array(sizes) > 1
        pooled = _pooled_mass(runs, n_bins) if len(runs) > 1 else np.zeros(n_bins)
        many = pooled * (np.array(sizes)[:, None] - 1) >= MANY
        own = many | (len(runs) == 1)
        seen = np.where(own, units > 1, pooled > 0)
        below = np.where(own, pairs, pooled * np.array(all_pairs)[:, None])
        factor = np.divide(np.where(own, mass, 1.0), below, out=np.zeros(mass.shape), where=seen & several[:, None])
        return cls(factor, own, mass, pooled, seen, several & (seen & (mass > 0)).any(axis=1))

    def errors(self, products: np.ndarray) -> np.ndarray:
        """The squared error, float [..., J], from products [..., J, B]; nan in runs where it is undefined."""
        return np.where(self.defined, (self.factor * products).sum(axis=-1), np.nan)


def pooled_squared_errors(runs: Sequence[BinnedRun], n_bins: int) -> list[SquaredError]:
    """The debiased squared calibration error of each run of one method.

    Args:
        runs: runs with the same codes of units.
        n_bins: B.

    Source: Kumar, Liang and Ma (2019) for the products of different examples; the pooled masses are simulated in
    tests/coverage/test_calibration.py.

    Example:
        Two runs of two examples each. In neither run do two examples share a bin, but together they do:

        >>> import numpy as np
        >>> from evenhand.metrics.pooled_bins import BinnedRun, pooled_squared_errors
        >>> gap, bins, shares = np.array([0.5, 0.5]), np.array([0, 1]), np.array([0.5, 0.5])
        >>> runs = [BinnedRun(gap, bins, shares), BinnedRun(gap, bins, shares)]
        >>> [error.value for error in pooled_squared_errors(runs, 2)]
        [0.0, 0.0]
    """
    bins = [bin_gaps(run.gap, run.bins, n_bins, run.shares, run.unit) for run in runs]
    weights = PairWeights.of(runs, bins)
    products = np.stack([one.products for one in bins])
    parts = weights.factor * products
    values = weights.errors(products)
    # d(value)/d(mass), for the run's own mass, or for the mass of all runs, to which each run contributes its share.
    thin = np.where(weights.own, 0.0, parts).mean(axis=0)
    own_level = np.divide(parts, weights.mass, out=np.zeros(parts.shape), where=weights.mass > 0)
    pooled_level = np.divide(thin, weights.pooled, out=np.zeros(n_bins), where=weights.pooled > 0)
    level = np.where(weights.own, own_level, pooled_level)
    errors = []
    for index, (run, one) in enumerate(zip(runs, bins, strict=True)):
        moved = run.shares * run.gap
        others = one.excess[run.bins] - _of_own_unit(run, moved, n_bins)
        raw = moved * 2 * weights.factor[index, run.bins] * others - run.shares * level[index, run.bins]
        unseen = ~weights.seen[index, run.bins]
        errors.append(
            SquaredError(
                float(values[index]),
                raw - run.shares * raw.sum(),
                int(np.count_nonzero(unseen & (run.shares > 0))),
                float(run.shares[unseen].sum()),
                float((moved * run.gap)[unseen].sum()),
                moved,
            )
        )
    return errors


def _of_own_unit(run: BinnedRun, values: np.ndarray, n_bins: int) -> np.ndarray:
    """For each example, the sum of values [n] over the examples of its unit in its bin, including itself, float [n]."""
    if run.unit is None:
        return values
    cell = run.unit * n_bins + run.bins
    return np.bincount(cell, values)[cell]


def _pairs_of_all(run: BinnedRun) -> tuple[int, float]:
    """The number of a run's units with weight, and Σ W_u·W_v over pairs of different ones."""
    weights = run.shares if run.unit is None else np.bincount(run.unit, run.shares)
    return int(np.count_nonzero(weights)), 1 - _sum_of_squares(weights)


def _sum_of_squares(shares: np.ndarray) -> float:
    """Σ share², exactly rounded for few shares, where 1 − Σ share² may be close to 0."""
    return math.fsum(shares**2) if len(shares) <= MANY_SHARES else float(shares @ shares)


def _pooled_mass(runs: Sequence[BinnedRun], n_bins: int) -> np.ndarray:
    """p̂_b, float [B], of all runs together; 0 if a bin has a single unit."""
    total, squares, units = np.zeros(n_bins), np.zeros(n_bins), np.zeros(n_bins, dtype=np.int64)
    all_squares = 0.0
    apart = [run for run in runs if run.unit is None]
    for run in apart:
        total += np.bincount(run.bins, run.shares, n_bins)
        squares += np.bincount(run.bins, run.shares**2, n_bins)
        units += np.bincount(run.bins[run.shares > 0], minlength=n_bins)
        all_squares += _sum_of_squares(run.shares)
    together = [(run.unit, run) for run in runs if run.unit is not None]
    if together:
        size = max(int(unit.max(initial=-1)) for unit, _ in together) + 1
        cells = np.zeros(size * n_bins)
        for unit, run in together:
            cells += np.bincount(unit * n_bins + run.bins, run.shares, size * n_bins)
        of_units = cells.reshape(size, n_bins)
        total += of_units.sum(axis=0)
        squares += (of_units**2).sum(axis=0)
        units += (of_units > 0).sum(axis=0)
        all_squares += float((of_units.sum(axis=1) ** 2).sum())
    several = units > 1
    inside = np.where(several, total - np.divide(squares, total, out=np.zeros(n_bins), where=several), 0.0)
    whole = len(runs) - all_squares / len(runs)
    return inside / whole if whole > 0 else np.zeros(n_bins)
