"""The largest contrast of a search where nothing is there: permutations and sign flips, the same for all questions.

- *Gaps and gap changes.* The outcomes of all runs are permuted over the examples that count in the rate (those with a
  positive label, for true positive rates), together and with their weights, and every contrast is made again with its
  standard error. Where outcomes do not depend on the groups, the p-value of the largest is exact (Westfall and Young
  1993); since contrasts are studentised it holds asymptotically for one conjunction that does not differ beside others
  that do (Janssen 1997; Chung and Romano 2013).
- *Changes.* The two methods of each unit are swapped with probability ½, in all runs and questions alike: its change
  gets a random sign. Exact where it makes no difference which method is which.
- *Units of several rows.* Outcomes about the mean get a random sign by unit, in place of a permutation.
- *Losses and numbers* may have long tails. Their gaps are permuted and also get random signs, as in units of several
  rows; their changes also are drawn anew for each example, with replacement, from all changes about their mean. In
  units of several rows the mean of a unit is drawn for all of its rows. The larger of both counts: signs take
  skewness away, and the other draws mix the tails of all groups.
- *Many examples.* Above `MOST_PERMUTED` the contrasts of conjunctions are taken for jointly normal, with the
  correlations that their members have in common in a sample of the rows.
- *Areas* are drawn by what units add to them (`area_draws`).

Every draw gives the largest value over all conjunctions, on the scale of normal values. Questions with the same
examples share their permutations; others are drawn independently, which can only make the largest larger.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from evenhand.audit.subgroups.area_draws import largest_areas
from evenhand.audit.subgroups.asked import Asked
from evenhand.audit.subgroups.asked_areas import AskedArea
from evenhand.audit.subgroups.conjunctions import Conjunctions
from evenhand.audit.subgroups.draws import Eligible, flipped, normal, permuted, resampled, resampled_units
from evenhand.audit.subgroups.ratios import AskedRatio
from evenhand.stats.contrast import compact

DRAWS = 999
"""The number of draws, so that the smallest p-value is .001."""
MOST_PERMUTED = 60_000
"""The most examples whose outcomes are permuted."""
SAMPLED = 20_000
"""The rows that give the correlations of conjunctions of more examples than that."""
BLOCK = 1 << 22
"""The most numbers in a temporary array."""


def null_maxima(
    conjunctions: Conjunctions, asked: Sequence[Asked], rng: np.random.Generator, draws: int = DRAWS
) -> np.ndarray:
    """The largest value over all conjunctions and questions in each draw, float [D].

    Args:
        conjunctions: that were searched.
        asked: the questions.
        rng: the source of randomness.
        draws: D.
    """
    maxima = _largest_ratios(conjunctions, [one for one in asked if isinstance(one, AskedRatio)], rng, draws)
    areas = [one for one in asked if isinstance(one, AskedArea)]
    return np.maximum(maxima, largest_areas(areas, rng, draws)) if areas else maxima


def _largest_ratios(
    conjunctions: Conjunctions, asked: Sequence[AskedRatio], rng: np.random.Generator, draws: int
) -> np.ndarray:
    """The same of ratios alone."""
    maxima = np.full(draws, -np.inf)
    clustered = conjunctions.unit is not None
    swapped = [one for one in asked if one.kind == "change" or clustered or one.outcome.skewed]
    bases: dict[bytes, list[AskedRatio]] = {}
    for one in asked:
        if one.kind != "change" and not clustered:
            bases.setdefault(one.outcome.base.tobytes(), []).append(one)
    for together in (swapped, *bases.values()):
        if together:
            drawn = _drawn(conjunctions, together, swapped is together, rng, draws)
            maxima = np.maximum(maxima, np.concatenate(list(drawn)))
    skewed = [one for one in asked if one.outcome.skewed and (one.kind == "change" or clustered)]
    if skewed:
        resample = _resampled_units if clustered else _resampled
        maxima = np.maximum(maxima, np.concatenate(list(resample(conjunctions, skewed, rng, draws))))
    return maxima


def _resampled(
    conjunctions: Conjunctions, asked: Sequence[AskedRatio], rng: np.random.Generator, draws: int
) -> Iterator[np.ndarray]:
    """The largest changes whose skewness is kept, block by block of draws; none of more examples than are permuted."""
    rows = np.unique(np.concatenate([one.outcome.base for one in asked]))
    if len(rows) > MOST_PERMUTED:
        yield np.full(draws, -np.inf)
        return
    members: Any
    patterns: Any
    members, patterns = _by_pattern(conjunctions, rows)
    for block in _blocks(draws, max(*members.shape, len(rows))):
        order = rng.integers(0, len(rows), (block, len(rows)), dtype=np.int32)
        drawn = [resampled(one, members, patterns, rows, order) for one in asked]
        yield _largest(asked, drawn)


def _resampled_units(
    conjunctions: Conjunctions, asked: Sequence[AskedRatio], rng: np.random.Generator, draws: int
) -> Iterator[np.ndarray]:
    """The largest contrasts whose skewness is kept, of units of several rows, block by block of draws."""
    _, unit = compact(np.asarray(conjunctions.unit))
    units = int(unit.max(initial=-1)) + 1
    rows = np.arange(len(unit))
    belongs = csr_array((np.ones(len(unit)), (rows, unit)), shape=(len(unit), units))
    members: Any = conjunctions.memberships()
    parts: list[tuple[Any, np.ndarray, np.ndarray]] = []
    for one in asked:
        numerator, weight = (part[:, 0] for part in one.outcome.mean)
        whole = np.bincount(unit, weight, units)
        total = np.bincount(unit, numerator, units)
        level = np.divide(total, whole, out=np.zeros(units), where=whole > 0) - one.sums.everybody.levels[0, 0]
        inside: Any = (members * weight[None]) @ belongs
        parts.append((inside, whole, np.where(whole > 0, level, 0.0)))
    for block in _blocks(draws, max(len(conjunctions), units)):
        order = rng.integers(0, units, (units, block), dtype=np.int32)
        drawn = [
            resampled_units(one, inside, whole, level, order)
            for one, (inside, whole, level) in zip(asked, parts, strict=True)
        ]
        yield _largest(asked, drawn)


def _largest(asked: Sequence[AskedRatio], drawn: Sequence[np.ndarray]) -> np.ndarray:
    """The largest over all questions in each draw; where nothing differs there is no contrast to draw."""
    finite = [np.where(np.isfinite(z), z, 0.0) for z in drawn]
    return np.maximum.reduce([one.largest(z) for one, z in zip(asked, finite, strict=True)])


def _drawn(
    conjunctions: Conjunctions, asked: Sequence[AskedRatio], swapped: bool, rng: np.random.Generator, draws: int
) -> Iterator[np.ndarray]:
    """The largest values, block by block of draws."""
    rows = np.unique(np.concatenate([one.outcome.base for one in asked]))
    if len(rows) > MOST_PERMUTED and conjunctions.unit is None:
        rows = rows[:: -(-len(rows) // SAMPLED)]
        inside: Any = conjunctions.memberships(rows)
        for block in _blocks(draws, max(inside.shape)):
            yield np.maximum.reduce([one.largest(normal(one, inside, block, rng)) for one in asked])
        return
    members: Any
    patterns: Any
    members, patterns = _by_pattern(conjunctions, rows)
    eligible = _eligible(conjunctions, rows)
    several = 4 if any(len(one.outcome.terms) > 1 for one in asked) else 1
    for block in _blocks(draws, several * max(*members.shape, len(rows))):
        if swapped:
            signs = _signs(conjunctions, rows, block, rng)
            drawn = [flipped(one, members, patterns, rows, signs) for one in asked]
        else:
            order = rng.permuted(np.tile(np.arange(len(rows), dtype=np.int32), (block, 1)), axis=1)
            drawn = [permuted(one, members, patterns, eligible, rows, order) for one in asked]
        yield _largest(asked, drawn)


def _blocks(draws: int, longest: int) -> Iterator[int]:
    most = max(BLOCK // max(longest, 1), 1)
    yield from (min(most, draws - start) for start in range(0, draws, most))


def _by_pattern(conjunctions: Conjunctions, rows: np.ndarray) -> tuple[csr_array, csr_array]:
    """Which patterns of groups are in each conjunction, [S, P], and which rows have each pattern, [P, r].

    Rows that are in the same groups are in the same conjunctions, so that they are added first.
    """
    first, code = conjunctions.patterns(rows)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    shape = (len(first), len(rows))
    patterns = csr_array((np.ones(len(rows)), (rank[code], np.arange(len(rows)))), shape=shape)
    return conjunctions.memberships(rows[first[order]]), patterns


def _eligible(conjunctions: Conjunctions, rows: np.ndarray) -> Eligible | None:
    if not conjunctions.undefined:
        return None
    masks, of = [], []
    for place, cells in enumerate(conjunctions.walk()):
        exists = conjunctions.eligible(cells.attributes)
        masks.append(np.ones(len(rows)) if exists is None else exists[rows].astype(float))
        of.append(np.full(len(cells.items), place))
    return Eligible(np.array(masks), np.concatenate(of)) if masks else None


def _signs(conjunctions: Conjunctions, rows: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """A random sign of each row, the same for the rows of a unit, float [r, D]."""
    if conjunctions.unit is None:
        return 2.0 * rng.integers(0, 2, (len(rows), draws), dtype=np.int8) - 1
    _, unit = compact(conjunctions.unit[rows])
    return (2.0 * rng.integers(0, 2, (int(unit.max(initial=-1)) + 1, draws), dtype=np.int8) - 1)[unit]
