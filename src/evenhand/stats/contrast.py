"""The interval of a mean over runs and examples, clustered by both, with Satterthwaite degrees of freedom.

A quantity is measured in J runs (seeds); in each it is a function of a sample of units (examples or clusters of them),
and the runs may share units or not. Its linear form per run is a value d_j and one contribution a_ij per unit, the
unit's influence divided by the size of the sample, with Σ_i a_ij = 0. The estimand is the mean over runs on new units.

    c_ij      = ((d_j − d̄)·s_ij + a_ij) / J       s_ij: the unit's share of run j, Σ_i s_ij = 1
    V_seed    = J/(J−1) · Σ_j (Σ_i c_ij)²
    V_example = U/(U−1) · Σ_i (Σ_j c_ij)²
    V_both    = Σ_ij c_ij²
    V         = max(V_seed + V_example − V_both, V_example)       (Cameron, Gelbach and Miller 2011)
    df        = V² / (V_seed²/(J−1)), at least J−1, at most U−1

Where units are clusters of unequal size, `unequal_clusters` has V_example, and its degrees of freedom in place of U−1.
One formula serves a new split per run and one fixed split; its coverage is in `docs/statistics-derivations.md`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evenhand.stats.student_t import t_quantile, t_tail
from evenhand.stats.unequal_clusters import UnitFactors


@dataclass(frozen=True)
class TwoWay:
    """A mean over runs with its two-way clustered variance.

    Attributes:
        estimate: the mean of the runs' values.
        variance: V; with one run it holds the noise of the examples only.
        df: degrees of freedom of the t quantile.
        v_seed, v_example, v_both: the parts of the variance, before flooring.
        runs: J.
        units: U, distinct units over all runs; where they are clusters of unequal size, or sides of a difference, how
            many units of one size would be known as well, which need not be a whole number.

    Example:
        >>> from evenhand.stats import TwoWay
        >>> mean = TwoWay(estimate=0.5, variance=0.01, df=4, v_seed=0.01, v_example=0, v_both=0, runs=5, units=100)
        >>> mean.standard_error, mean.p_greater(0.5)
        (0.1, 0.5)
    """

    estimate: float
    variance: float
    df: float
    v_seed: float
    v_example: float
    v_both: float
    runs: int
    units: float

    @property
    def standard_error(self) -> float:
        return math.sqrt(self.variance)

    def bounds(self, tail: float) -> tuple[float, float]:
        """Lower and upper bound, each missed with probability `tail`."""
        half = t_quantile(1 - tail, self.df) * self.standard_error
        return self.estimate - half, self.estimate + half

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The two-sided interval of that level."""
        return self.bounds((1 - level) / 2)

    def p_greater(self, null: float = 0.0) -> float:
        """One-sided p-value against "not greater than `null`"; nan without variance."""
        if not self.variance > 0:
            return math.nan
        return t_tail((self.estimate - null) / self.standard_error, self.df)


def two_way(
    values: np.ndarray,
    contributions: np.ndarray,
    shares: np.ndarray,
    clustered: bool = False,
    known: float | None = None,
) -> TwoWay:
    """The mean over runs with its variance; see the module for the formulas.

    Args:
        values: float [J], the quantity in each run.
        contributions: float [J, U], each unit's influence over the size of the run's sample; rows sum to 0.
        shares: float [J, U], each unit's share of the run's sample; rows sum to 1.
        clustered: whether units are clusters of examples, which may differ in size.
        known: how many units it is known as well as at most; of a comparison of two classes those of the rarer one.

    Returns:
        The estimate with its variance. With one run V_seed and V_both are 0 and the variance is that of the examples;
        with one unit the variance is nan. Source: Cameron, Gelbach and Miller (2011).

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import two_way
        >>> right = np.array([[1, 1, 0, 0], [1, 1, 0, 0]])
        >>> mean = two_way(right.mean(axis=1), (right - 0.5) / 4, np.full((2, 4), 0.25))
        >>> mean.estimate, round(mean.variance, 4)  # the same answers in both runs: s²/n = (1/3)/4
        (0.5, 0.0833)
    """
    cells = cells_of(values, contributions, shares)
    units = UnitFactors.of(shares) if clustered else UnitFactors.alike(int((shares > 0).any(axis=0).sum()))
    return from_cells(float(values.mean()), cells, units.at_most(known))


def cells_of(values: np.ndarray, contributions: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """c_ij of a mean over runs, float [J, U]. Args: see `two_way`."""
    if len(values) < 2:
        return contributions
    cells = (values - values.mean())[:, None] * shares
    cells += contributions
    cells /= len(values)
    return cells


def from_cells(estimate: float, cells: np.ndarray, units: int | UnitFactors) -> TwoWay:
    """An estimate whose error is the sum of centred contributions c_ij [J, U].

    Args:
        estimate: the estimate.
        cells: c_ij, over all runs and units; they sum to about 0.
        units: U, or the factors of clusters; columns may be more, where some hold no unit of the sample.
    """
    runs = len(cells)
    factors = UnitFactors.alike(units) if isinstance(units, int) else units
    v_example = factors.squares(cells.sum(axis=0))
    v_seed = runs / (runs - 1) * float((cells.sum(axis=1) ** 2).sum()) if runs > 1 else 0.0
    v_both = float((cells**2).sum()) if runs > 1 else 0.0
    variance = max(v_seed + v_example - v_both, v_example)
    df = degrees_of_freedom(variance, v_seed, runs, factors.units)
    return TwoWay(estimate, variance, df, v_seed, v_example, v_both, runs, factors.units)


def degrees_of_freedom(variance: float, v_seed: float, runs: int, units: float) -> float:
    """Satterthwaite's degrees of freedom when V_seed, from J−1, is the part that is poorly known.

    At least J−1, at most U−1: a variance estimated from U units cannot be known better.
    """
    most = max(units - 1, 1)
    if runs == 1 or not v_seed > 0:
        return float(most)
    return float(min(max((variance / v_seed) ** 2 * (runs - 1), runs - 1), most))


def many_degrees_of_freedom(variance: np.ndarray, v_seed: np.ndarray, runs: int, units: np.ndarray) -> np.ndarray:
    """`degrees_of_freedom` of many contrasts, from arrays that are broadcast together."""
    most = np.maximum(units - 1, 1).astype(float)
    if runs == 1:
        return most
    known = v_seed > 0
    ratio = np.divide(variance, v_seed, out=np.ones(np.broadcast(variance, v_seed).shape), where=known)
    return np.where(known, np.minimum(np.maximum(ratio**2 * (runs - 1), runs - 1), most), most)


def two_sides(
    estimate: float,
    first: np.ndarray,
    second: np.ndarray,
    counts: tuple[int | UnitFactors, int | UnitFactors],
    units: int,
) -> TwoWay:
    """The difference between two samples of one study, such as a group and its rest, with error first − second.

    Each side has U/(U − 1) and Welch's degrees of freedom of its own: a group of 12 units is no better known for a
    rest of 1,000. Where the sides have units in common their covariance is part of the variance.

    Args:
        estimate: the difference.
        first, second: c_ij of each side, float [J, U] over the same units, 0 where a unit is not on that side.
        counts: how many units each side has, or their factors where they are clusters.
        units: how many both have together.

    Returns:
        `units` is one more than Welch's degrees of freedom over the sides, rounded down: as many as one sample that
        is known as well would have. With one unit on a side the variance is nan.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import two_sides
        >>> first, second = np.array([[0.25, -0.25, 0, 0]]), np.array([[0, 0, 0.25, -0.25]])
        >>> round(two_sides(0.0, first, second, counts=(2, 2), units=4).variance, 6)  # s²/n is .5/2 on each
        0.5
    """
    runs = len(first)
    factors = [UnitFactors.alike(count) if isinstance(count, int) else count for count in counts]
    sides = zip(factors, (first, second), strict=True)
    totals = [np.sqrt(factor.factor) * side.sum(axis=0) for factor, side in sides]
    cells = first - second
    v_example = float(((totals[0] - totals[1]) ** 2).sum())
    v_seed = runs / (runs - 1) * float((cells.sum(axis=1) ** 2).sum()) if runs > 1 else 0.0
    v_both = float((cells**2).sum()) if runs > 1 else 0.0
    variance = max(v_seed + v_example - v_both, v_example)
    parts = [np.array([(total**2).sum()]) for total in totals]
    ends = (np.array([count]) for count in (*(factor.units for factor in factors), units))
    known = int(units_of_two_sides(*parts, *ends)[0])
    df = degrees_of_freedom(variance, v_seed, runs, known)
    return TwoWay(estimate, variance, df, v_seed, v_example, v_both, runs, known)


def units_of_two_sides(
    first: np.ndarray, second: np.ndarray, first_units: np.ndarray, second_units: np.ndarray, units: np.ndarray
) -> np.ndarray:
    """One more than Welch's degrees of freedom, rounded down, int [S]; at most the distinct units.

    Args:
        first, second: float [S], V_example of each side.
        first_units, second_units: [S], units of each side; units: int [S], distinct ones.
    """
    ends = np.maximum(first_units - 1, 1), np.maximum(second_units - 1, 1)
    parts = first**2 / ends[0] + second**2 / ends[1]
    least = np.minimum(*ends).astype(float)
    welch = np.divide((first + second) ** 2, parts, out=least.copy(), where=parts > 0)
    # Rounding must not decide: equal sides have a whole number of degrees of freedom.
    return np.minimum(np.floor(welch + 1e-9).astype(np.int64) + 1, units)


def unpaired(first: TwoWay, second: TwoWay) -> TwoWay:
    """first − second where neither runs nor units are shared: variances add, df as of Welch (1947).

    Example:
        >>> from evenhand.stats import TwoWay, unpaired
        >>> first = TwoWay(0.75, 0.03, 9, v_seed=0.03, v_example=0, v_both=0, runs=10, units=50)
        >>> difference = unpaired(first, TwoWay(0.5, 0.01, 9, v_seed=0.01, v_example=0, v_both=0, runs=10, units=50))
        >>> difference.estimate, difference.standard_error
        (0.25, 0.2)
    """
    variance = first.variance + second.variance
    weights = first.variance**2 / first.df + second.variance**2 / second.df
    return TwoWay(
        first.estimate - second.estimate,
        variance,
        variance**2 / weights if weights > 0 else min(first.df, second.df),
        first.v_seed + second.v_seed,
        first.v_example + second.v_example,
        first.v_both + second.v_both,
        min(first.runs, second.runs),
        first.units + second.units,
    )


def by_unit(units: Sequence[np.ndarray], *values: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Sums per run and unit, [J, U] each, of values (per run float [n_j]) by each run's unit codes (int [n_j])."""
    alike = all(run is units[0] or np.array_equal(run, units[0]) for run in units[1:])  # often: runs on one sample
    found, place = compact(units[0] if alike else np.concatenate(units))
    if alike and len(found) == len(place):  # each unit is one example
        order = np.empty_like(place)
        order[place] = np.arange(len(place))
        return [np.stack([run[order] for run in one], dtype=float) for one in values]
    if alike:
        place = np.tile(place, len(units))
    cell = place + len(found) * np.repeat(np.arange(len(units)), [len(run) for run in units])
    cells = len(units) * len(found)
    return [np.bincount(cell, np.concatenate(one), cells).reshape(len(units), -1) for one in values]


def compact(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct codes, ascending, and the index of each code among them.

    As `np.unique`, but without sorting where codes are dense or in order.
    """
    if (codes[1:] > codes[:-1]).all():
        return codes.copy(), np.arange(len(codes))
    top = int(codes.max()) + 1 if len(codes) else 0
    if top > 20 * len(codes):
        return np.unique(codes, return_inverse=True)
    present = np.zeros(top, dtype=bool)
    present[codes] = True
    found = np.flatnonzero(present)
    place = np.empty(top, dtype=np.int64)
    place[found] = np.arange(len(found))
    return found, place[codes]


def count_distinct(parts: Sequence[np.ndarray]) -> int:
    """The number of distinct codes in several arrays together."""
    alike = all(part is parts[0] or np.array_equal(part, parts[0]) for part in parts[1:])
    return len(compact(parts[0] if alike else np.concatenate(parts))[0])
