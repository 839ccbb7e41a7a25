"""Contrasts of all conjunctions, each with its standard error: changes, gaps and gap changes of one question.

Variances are two-way clustered (`moments`), with additions that matter in a search, where the smallest of
thousands of variances is looked at:

- The variance of a change is taken about 0, as it is where nothing changes: V ≥ d²/U, so that a few units which all
  change alike are no certainty, and no contrast exceeds √(discordant units) standard errors.
- Of a change between proportions of different examples (predictive values) it is also at least that of proportions at
  the level of both, or of everybody: ten right answers of ten are no certainty.
- Of a gap between proportions each side has at least the variance with one event and one non-event more (Agresti and
  Caffo 2000), of other gaps and of gap changes at least that of everybody: a small group in which nothing happened by
  chance is not known exactly.
- What seeds add beyond the noise of examples is known from J − 1 degrees of freedom in each conjunction, so that it is
  by chance almost 0 in some of them. It is taken to be at least its mean over all conjunctions of as many groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from evenhand.audit.subgroups.sides import Moments, Side, by_run, quadratic, spread_at
from evenhand.stats.contrast import many_degrees_of_freedom, units_of_two_sides
from evenhand.stats.proportion import FEW
from evenhand.stats.subsets import correction

ComparisonKind = Literal["change", "gap", "gap change"]


@dataclass(frozen=True, eq=False)
class Contrasts:
    """A contrast of each conjunction, before its sign.

    Attributes:
        estimate: float [S]; nan where it is undefined.
        variance, df: float [S].
        units: int [S], of the conjunctions; smallest: int [S], the fewest units on a side in a run.
        spread: float [S], the standard error at these sizes where there is no disparity.
    """

    estimate: np.ndarray
    variance: np.ndarray
    df: np.ndarray
    units: np.ndarray
    smallest: np.ndarray
    spread: np.ndarray

    @cached_property
    def z(self) -> np.ndarray:
        """The contrasts in standard errors, on the scale of the normal distribution, float [S]; nan as the estimate."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return to_normal(self.estimate / np.sqrt(self.variance), self.df)

    def bounds(self, z: float) -> tuple[np.ndarray, np.ndarray]:
        """The contrasts ± what is `z` on the scale of `Contrasts.z`, float [S] each."""
        half = from_normal(z, self.df) * np.sqrt(self.variance)
        return self.estimate - half, self.estimate + half


def to_normal(t: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Values of Student's t as normal values with about the same tail (Wallace 1959); increasing in t.

    Example:
        >>> import numpy as np
        >>> from evenhand.audit.subgroups.contrasts import to_normal
        >>> to_normal(np.array([2.776]), np.array([4.0])).round(2).tolist()  # for the normal 1.96
        [1.95]
    """
    return np.sign(t) * (8 * df + 1) / (8 * df + 3) * np.sqrt(df * np.log1p(t * t / df))


def from_normal(z: float, df: np.ndarray) -> np.ndarray:
    """The inverse of `to_normal` for one value that is not negative."""
    return np.sqrt(df * np.expm1((z * (8 * df + 3) / (8 * df + 1)) ** 2 / df))


def contrasts(kind: ComparisonKind, sums: Moments, proportion: bool) -> Contrasts:
    """The contrasts of all conjunctions.

    Args:
        kind: a `change` and a `gap change` are of sums whose numerators are differences between two methods, or of
            two terms, one for each method.
        sums: of the ratios.
        proportion: whether the value of one method is a proportion.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        if kind == "change":
            return _changes(sums, proportion)
        return _gaps(sums, proportion and kind == "gap" and len(sums.inside.terms) == 1)


def variance_of_change(sums: Moments, proportion: bool) -> np.ndarray:
    """What examples add to the variance of a change, taken about where nothing changes, float [S].

    Where two methods are proportions of different examples it is at least c(1 − c)·Σ (n_m/N_m − n_r/N_r)², with the
    level c that they have in common in the conjunction, or among everybody, whichever gives more.
    """
    side, everybody = sums.inside, sums.everybody
    variance = correction(side.units) * side.squares(side.coefficients(side.unchanged))
    if not proportion or len(side.terms) == 1:
        return variance
    denominators = side.total[:, side.total.shape[1] // 2 :]
    shares = np.repeat(side.terms, side.runs) / (side.runs * denominators)
    levels = np.stack(np.broadcast_arrays(side.unchanged[:, 0], everybody.unchanged[:, 0]))
    spread = (levels * (1 - levels)).max(axis=0)
    return np.maximum(variance, spread * side.squares(np.hstack([np.zeros(shares.shape), shares])))


def _changes(sums: Moments, proportion: bool) -> Contrasts:
    side, everybody = sums.inside, sums.everybody
    estimate, own = side.values.mean(axis=1), side.coefficients()
    v_example = variance_of_change(sums, proportion)
    v_both = side.squares_by_run(own)
    smallest = side.units_of_runs.min(axis=1, initial=np.iinfo(np.int64).max)
    known = side.units if len(side.terms) == 1 else np.minimum(side.units, smallest)
    variance, df, seeds = with_seeds(side.values, v_example, v_both, known, sums.depth)
    spread = np.sqrt(
        spread_at(side.terms, everybody.spread(everybody.unchanged[0]), side.units, [*side.size.T]) + seeds
    )
    return Contrasts(estimate, variance, df, side.units, smallest, spread)


def _gaps(sums: Moments, proportion: bool) -> Contrasts:
    inside, outside = sums.inside, sums.outside
    values = inside.values - outside.values
    estimate = inside.values.mean(axis=1) - outside.values.mean(axis=1)
    spread_of_one = sums.everybody.spread(sums.everybody.levels[0])
    expected = [spread_at(side.terms, spread_of_one, side.units, [*side.size.T]) for side in (inside, outside)]
    own, v_sides, v_both, least = [], [], np.zeros(len(values)), np.zeros(len(values))
    for side, at_least in zip((inside, outside), expected, strict=True):
        coefficients = side.coefficients()
        own.append(coefficients)
        v_sides.append(correction(side.units) * side.squares(coefficients))
        v_both += side.squares_by_run(coefficients)
        floor = _smoothed(side, v_sides[-1]) if proportion else at_least
        least += np.maximum(floor - v_sides[-1], 0.0)
    v_example = v_sides[0] + v_sides[1]
    if sums.crossed is not None:
        factor = np.sqrt(correction(inside.units) * correction(outside.units))
        v_example = np.maximum(v_example - 2 * factor * quadratic(own[0], sums.crossed, own[1]), 0.0)
        v_both = np.maximum(v_both - 2 * by_run(own[0], sums.crossed, own[1], inside.runs), 0.0)
    units = units_of_two_sides(v_sides[0], v_sides[1], inside.units, outside.units, sums.distinct)
    variance, df, seeds = with_seeds(values, v_example + least, v_both, units, sums.depth)
    smallest = np.minimum(
        inside.units_of_runs.min(axis=1, initial=np.iinfo(np.int64).max),
        outside.units_of_runs.min(axis=1, initial=np.iinfo(np.int64).max),
    )
    return Contrasts(estimate, variance, df, inside.units, smallest, np.sqrt(expected[0] + expected[1] + seeds))


def with_seeds(
    values: np.ndarray, v_example: np.ndarray, v_both: np.ndarray, units: np.ndarray, depth: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Variances with their degrees of freedom, and what seeds add on average at that depth, float [S] each."""
    runs = values.shape[1]
    if runs < 2:
        none = np.zeros(len(values))
        return v_example, many_degrees_of_freedom(v_example, none, runs, units), none
    v_seed = values.var(axis=1, ddof=1) / runs
    seeds = _of_seeds(v_seed, v_both, depth)
    v_seed = np.maximum(v_seed, v_both + seeds)
    variance = v_example + v_seed - v_both
    return variance, many_degrees_of_freedom(variance, v_seed, runs, units), seeds


def _of_seeds(v_seed: np.ndarray, v_both: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """What seeds add to a variance beyond the noise of examples, on average over conjunctions of so many groups.

    More groups have at least as much. Each mean is weighted by precision.
    """
    seeds, so_far = np.zeros(len(v_seed)), 0.0
    known = np.isfinite(v_seed) & (v_both > 0)
    for level in np.unique(depth):
        own = known & (depth == level)
        if own.any():
            weight = 1 / v_both[own]
            so_far = max(so_far, float(weight @ (v_seed - v_both)[own] / weight.sum()))
        seeds[depth == level] = so_far
    return seeds


def _smoothed(side: Side, variance: np.ndarray) -> np.ndarray:
    """The variance of a proportion with one event and one non-event more, at its effective size, float [S]."""
    rate = np.clip(side.values.mean(axis=1), 0.0, 1.0)
    return smoothed_variance(rate, variance, side.units)


def smoothed_variance(rate: np.ndarray, variance: np.ndarray, units: np.ndarray) -> np.ndarray:
    """p̃(1 − p̃)/(n + 2) with p̃ = (p·n + 1)/(n + 2) and the effective size n = p(1 − p)/V.

    Where fewer than ten units have the rarer outcome, runs on the same units do not show how they vary: n is at most
    the units, as it is where V is 0.
    """
    most = np.broadcast_to(units, rate.shape).astype(float)
    spread = rate * (1 - rate)
    # Where all or none have the outcome the variance is 0, up to rounding.
    size = np.divide(spread, variance, out=most.copy(), where=(variance > 0) & (spread > 1e-12))
    few = np.minimum(rate, 1 - rate) * most < FEW
    size = np.where(few, np.minimum(size, most), size)
    smoothed = (rate * size + 1) / (size + 2)
    return smoothed * (1 - smoothed) / (size + 2)
