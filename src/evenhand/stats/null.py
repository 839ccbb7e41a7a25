"""Noise floors: what a measure shows on these group sizes when there is nothing to see.

Two nulls. *Nobody's group matters*: whole membership patterns are permuted over the examples of a stratum (those of
one label, for rates given the label), and the same permutation serves every run, since runs share their examples. A
count measure needs no permuted rows: the table pattern × outcome has fixed margins, and its cells are multivariate
hypergeometric. *The confidences are right*: outcomes are redrawn from probabilities, which are the confidences
themselves for the calibration of one group, and the curve of all groups together (`pooled_curve`) for a gap in
calibration between groups: permuting groups would ask for equal confidences too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evenhand.stats.bootstrap import distinct
from evenhand.stats.contrast import compact

BATCH = 1 << 22
"""Numbers in memory at a time."""
ROWS_PER_CELL = 8
"""Drawing a cell of a table costs about as much as permuting this many rows."""


@dataclass(frozen=True)
class NoiseFloor:
    """What is seen when there is nothing to see.

    Attributes:
        mean: over the draws; nan where the measure is defined in none of them.
        high: the quantile above which a value is outside of its floor.
    """

    mean: float
    high: float


def noise_floor(draws: np.ndarray, level: float = 0.95) -> NoiseFloor:
    """Mean and upper quantile of a measure's draws [D] under the null, over those where it is defined."""
    defined = draws[~np.isnan(draws)]
    if not len(defined):
        return NoiseFloor(np.nan, np.nan)
    return NoiseFloor(float(defined.mean()), float(np.quantile(defined, level)))


def permuted_sums(
    members: np.ndarray, strata: np.ndarray, amounts: np.ndarray, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Sums over each group when membership patterns are permuted within strata.

    One call permutes alike for all amounts, so those of every run belong into it: the events of each run, and where
    not every run tests every example, who was tested. A permutation of examples that are not independent (clusters)
    is one of units: then a row is a unit and an amount its sum, where a unit's examples share pattern and stratum.

    Args:
        members: bool [n, G]; groups may overlap, and a row may be in none.
        strata: int [n]; rows keep their stratum. One code for all: a free permutation.
        amounts: bool, int or float [M, n].
        draws: how many permutations.
        rng: the source of randomness.

    Returns:
        int or float [draws, S, M, G], the strata in ascending order of their codes.
    """
    amounts = amounts.astype(np.result_type(amounts.dtype, np.int64))
    _, stratum = compact(strata)
    codes = range(int(stratum.max(initial=-1)) + 1)
    found = [_one_stratum(members[stratum == code], amounts[:, stratum == code], draws, rng) for code in codes]
    return np.stack(found, axis=1)


def redraw_outcomes(
    probability: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], draws: int, rng: np.random.Generator
) -> np.ndarray:
    """A measure over outcomes drawn from probabilities, [draws, ...].

    Args:
        probability: float [n], or [J, n] for J runs. The runs share each example's uniform number, as they share its
            true label; nan where a run did not test it, and then the outcome is False.
        statistic: from outcomes, bool [B, n] or [B, J, n], to values [B, ...]. Weights and bins are its own.
        draws, rng: as in `permuted_sums`.
    """
    size, step = probability.shape[-1], max(1, BATCH // max(probability.size, 1))
    found = []
    for start in range(0, draws, step):
        # An example's draws lie together, as a product with a sparse matrix wants them.
        uniform = rng.random((size, min(step, draws - start)))
        found.append(statistic(np.moveaxis(uniform < probability[..., None], -1, 0)))
    return np.concatenate(found)


def pooled_curve(confidence: np.ndarray, outcome: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """P(outcome | confidence) of all groups together, float [n]: the isotonic regression on the confidence.

    Bins would not do: noise of the sample would count as miscalibration and raise the floor.

    Args:
        confidence: float [n].
        outcome: bool or float [n].
        weight: float [n]; None: one each. Examples without weight are not drawn on.
    """
    from scipy.optimize import isotonic_regression

    weight = np.ones(len(confidence)) if weight is None else np.asarray(weight, dtype=float)
    found, place = np.unique(confidence, return_inverse=True)
    mass = np.bincount(place, weight)
    kept = mass > 0
    level = np.bincount(place, weight * outcome)[kept] / mass[kept]
    curve = isotonic_regression(level, weights=mass[kept]).x
    return np.interp(found, found[kept], curve)[place]


def _one_stratum(members: np.ndarray, amounts: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Sums [draws, M, G] over one stratum's rows."""
    pattern, row = distinct([*np.packbits(members, axis=1).T])
    patterns = members[row].astype(amounts.dtype)
    outcome, row = distinct([*amounts])
    outcomes = amounts[:, row]
    if (len(patterns) - 1) * (len(outcomes.T) - 1) * ROWS_PER_CELL > len(pattern):
        return _by_rows(pattern, patterns, amounts, draws, rng)
    step = max(1, BATCH // max(len(patterns) * len(outcomes.T), 1))
    found = []
    for start in range(0, draws, step):
        tables = random_tables(np.bincount(pattern), np.bincount(outcome), min(step, draws - start), rng)
        found.append(np.einsum("dpo,mo,pg->dmg", tables, outcomes, patterns, optimize=True))
    return np.concatenate(found)


def random_tables(rows: np.ndarray, columns: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Contingency tables with these margins, int [draws, R, C], as permuting one of the two codes gives them.

    Column by column the counts are multivariate hypergeometric, drawn row by row for all tables at once.
    """
    tables = np.empty((draws, len(rows), len(columns)), dtype=np.int64)
    left = np.tile(rows, (draws, 1))
    for column in range(len(columns) - 1):
        need, below = np.full(draws, columns[column]), left.sum(axis=1)
        for row in range(len(rows) - 1):
            below -= left[:, row]
            taken = rng.hypergeometric(left[:, row], below, need)
            tables[:, row, column] = taken
            need -= taken
        tables[:, -1, column] = need
        left -= tables[:, :, column]
    tables[:, :, -1] = left
    return tables


def _by_rows(
    pattern: np.ndarray, patterns: np.ndarray, amounts: np.ndarray, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """The same by permuted rows, in batches, where tables would be too large."""
    sizes = np.bincount(pattern)
    starts, rows = np.cumsum(sizes) - sizes, amounts.T.copy()
    step = max(1, BATCH // rows.size)
    found = []
    for start in range(0, draws, step):
        order = rng.permuted(np.tile(np.arange(len(rows)), (min(step, draws - start), 1)), axis=1)
        sums = np.add.reduceat(rows[order], starts, axis=1)
        found.append(np.einsum("dpm,pg->dmg", sums, patterns, optimize=True))
    return np.concatenate(found)
