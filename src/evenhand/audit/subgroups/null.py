"""The largest contrast of a search where nothing is there: permutations and sign flips, the same for all questions.

- *Gaps and gap changes.* The outcomes of all runs are permuted over the examples that count in the rate (those with a
  positive label, for true positive rates), together and with their weights, and every contrast is made again with its
  standard error. Where outcomes do not depend on the groups, the p-value of the largest is exact (Westfall and Young
  1993); since contrasts are studentised it holds asymptotically for one conjunction that does not differ beside others
  that do (Janssen 1997; Chung and Romano 2013).
- *Changes.* The two methods of each unit are swapped with probability ½, in all runs and questions alike: its change
  gets a random sign. Exact where it makes no difference which method is which.
- *Units of several rows.* Outcomes about the mean get a random sign by unit, in place of a permutation.
- *Many examples.* Above `MOST_PERMUTED` the contrasts of conjunctions are taken for jointly normal, with the
  correlations that their members have in common in a sample of the rows.

Every draw gives the largest value over all conjunctions, on the scale of normal values. Questions with the same
examples share their permutations; others are drawn independently, which can only make the largest larger.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.special import log_ndtr, ndtri_exp

from evenhand.audit.subgroups.conjunctions import Conjunctions
from evenhand.audit.subgroups.contrasts import ComparisonKind, Contrasts, smoothed_variance, to_normal
from evenhand.audit.subgroups.moments import Moments, quadratic
from evenhand.audit.subgroups.questions import Outcome
from evenhand.stats.contrast import compact, units_of_two_sides
from evenhand.stats.subsets import correction

DRAWS = 999
"""The number of draws, so that the smallest p-value is .001."""
MOST_PERMUTED = 60_000
"""The most examples whose outcomes are permuted."""
SAMPLED = 20_000
"""The rows that give the correlations of conjunctions of more examples than that."""
BLOCK = 1 << 22
"""The most numbers in a temporary array."""


@dataclass(frozen=True, eq=False)
class Asked:
    """One question to all conjunctions.

    Attributes:
        outcome: of every example.
        kind: of comparison.
        contrasts: before their sign.
        sums: that they are made of.
        judged: bool [S], the conjunctions that are compared: of enough units, with a standard error.
    """

    outcome: Outcome
    kind: ComparisonKind
    contrasts: Contrasts
    sums: Moments
    judged: np.ndarray

    @cached_property
    def z(self) -> np.ndarray:
        """The contrasts on the scale of one-sided normal values, more is worse, float [S]; −∞ where not judged."""
        return np.where(self.judged, self.oriented(self.contrasts.z), -np.inf)

    def oriented(self, z: np.ndarray) -> np.ndarray:
        """With its sign; where neither direction is worse, the normal value of twice the tail."""
        if not self.outcome.two_sided:
            return self.outcome.sign * z
        return -ndtri_exp(np.minimum(np.log(2) + log_ndtr(-np.abs(z)), 0.0))

    def largest(self, z: np.ndarray) -> np.ndarray:
        """The largest of drawn contrasts, from [S, D] (before their sign) to float [D]."""
        own = z[self.judged]
        if not len(own):
            return np.full(z.shape[1], -np.inf)
        if not self.outcome.two_sided:
            return (self.outcome.sign * own).max(axis=0)
        return self.oriented(np.abs(own).max(axis=0))


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
    maxima = np.full(draws, -np.inf)
    swapped = [one for one in asked if one.kind == "change" or conjunctions.unit is not None]
    bases: dict[bytes, list[Asked]] = {}
    for one in asked:
        if one not in swapped:
            bases.setdefault(one.outcome.base.tobytes(), []).append(one)
    for together in (swapped, *bases.values()):
        if together:
            drawn = _drawn(conjunctions, together, swapped is together, rng, draws)
            maxima = np.maximum(maxima, np.concatenate(list(drawn)))
    return maxima


def _drawn(
    conjunctions: Conjunctions, asked: Sequence[Asked], swapped: bool, rng: np.random.Generator, draws: int
) -> Iterator[np.ndarray]:
    """The largest values, block by block of draws."""
    rows = np.unique(np.concatenate([one.outcome.base for one in asked]))
    if len(rows) > MOST_PERMUTED and conjunctions.unit is None:
        rows = rows[:: -(-len(rows) // SAMPLED)]
        inside: Any = conjunctions.memberships(rows)
        for block in _blocks(draws, max(inside.shape)):
            yield np.maximum.reduce([one.largest(_normal(one, inside, block, rng)) for one in asked])
        return
    members: Any
    patterns: Any
    members, patterns = _by_pattern(conjunctions, rows)
    eligible = _eligible(conjunctions, rows)
    for block in _blocks(draws, max(*members.shape, len(rows))):
        if swapped:
            signs = _signs(conjunctions, rows, block, rng)
            drawn = [_flipped(one, members, patterns, rows, signs) for one in asked]
        else:
            order = rng.permuted(np.tile(np.arange(len(rows), dtype=np.int32), (block, 1)), axis=1)
            drawn = [_permuted(one, members, patterns, eligible, rows, order) for one in asked]
        # Where nothing differs there is no contrast to draw.
        finite = [np.where(np.isfinite(z), z, 0.0) for z in drawn]
        yield np.maximum.reduce([one.largest(z) for one, z in zip(asked, finite, strict=True)])


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


@dataclass(frozen=True, eq=False)
class _Eligible:
    """The rows for which the attributes of a conjunction exist, where they do not exist for all.

    Attributes:
        masks: float [V, r], of each set of attributes.
        of: int [S], the set of each conjunction.
    """

    masks: np.ndarray
    of: np.ndarray


def _eligible(conjunctions: Conjunctions, rows: np.ndarray) -> _Eligible | None:
    if not conjunctions.undefined:
        return None
    masks, of = [], []
    for place, cells in enumerate(conjunctions.walk()):
        exists = conjunctions.eligible(cells.attributes)
        masks.append(np.ones(len(rows)) if exists is None else exists[rows].astype(float))
        of.append(np.full(len(cells.items), place))
    return _Eligible(np.array(masks), np.concatenate(of)) if masks else None


def _signs(conjunctions: Conjunctions, rows: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """A random sign of each row, the same for the rows of a unit, float [r, D]."""
    if conjunctions.unit is None:
        return 2.0 * rng.integers(0, 2, (len(rows), draws), dtype=np.int8) - 1
    _, unit = compact(conjunctions.unit[rows])
    return (2.0 * rng.integers(0, 2, (int(unit.max(initial=-1)) + 1, draws), dtype=np.int8) - 1)[unit]


def _flipped(asked: Asked, members: Any, patterns: Any, rows: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Contrasts with random signs, on the scale of normal values, float [S, D]."""
    numerator, weight = (part[rows] for part in asked.outcome.mean)
    sums = asked.sums
    with np.errstate(divide="ignore", invalid="ignore"):
        if asked.kind == "change":
            inside = members @ (patterns @ (numerator[:, None] * signs))
            side = sums.inside
            variance = correction(side.units) * side.squares(side.coefficients(0.0))
            t = inside / side.size[:, None] / np.sqrt(variance)[:, None]
            return to_normal(t, np.maximum(side.units - 1, 1)[:, None].astype(float))
        centre = float(sums.everybody.values.mean())
        centred = (numerator - centre * weight)[:, None] * signs
        inside, whole = members @ (patterns @ centred), centred.sum(axis=0)
        first, second = sums.inside.coefficients(centre), sums.outside.coefficients(centre)
        variance = sums.inside.squares(first) + sums.outside.squares(second)
        if sums.crossed is not None:
            variance -= 2 * quadratic(first, sums.crossed, second)
        gap = inside / sums.inside.size[:, None] - (whole - inside) / sums.outside.size[:, None]
        return to_normal(gap / np.sqrt(variance)[:, None], np.maximum(asked.contrasts.df, 1)[:, None])


def _normal(asked: Asked, inside: Any, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Jointly normal contrasts, float [S, D]; a conjunction of nobody in the sample is independent of all others."""
    drawn = rng.standard_normal((inside.shape[1], draws))
    count = np.asarray(inside.sum(axis=1))[:, None]
    total = inside @ drawn
    with np.errstate(divide="ignore", invalid="ignore"):
        if asked.kind == "change":
            z = total / np.sqrt(count)
        else:
            rest = inside.shape[1] - count
            z = (total / count - (drawn.sum(axis=0) - total) / rest) / np.sqrt(1 / count + 1 / rest)
    lost = ~np.isfinite(z[:, 0])
    z[lost] = rng.standard_normal((int(lost.sum()), draws))
    return z


def _permuted(
    asked: Asked,
    members: Any,
    patterns: Any,
    eligible: _Eligible | None,
    rows: np.ndarray,
    order: np.ndarray,
) -> np.ndarray:
    """Gaps of permuted outcomes, on the scale of normal values, float [S, D]; order is int [D, r]."""
    y, n = (part[rows] for part in asked.outcome.mean)
    level = bool((n == n[0]).all())

    def both(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sums inside of each conjunction and outside, [S, D]."""
        permuted = np.ascontiguousarray(values[order].T)
        inside = members @ (patterns @ permuted)
        whole = permuted.sum(axis=0) if eligible is None else (eligible.masks @ permuted)[eligible.of]
        return inside, whole - inside

    sums = asked.sums
    with np.errstate(divide="ignore", invalid="ignore"):
        numerators = both(y)
        squares = (
            both(y * y) if not (level and (y * y == n[0] * y).all()) else tuple(n[0] * part for part in numerators)
        )
        if level:
            weights = [n[0] * side.units[:, None].astype(float) for side in (sums.inside, sums.outside)]
            products, weight_squares = [n[0] * part for part in numerators], [n[0] * part for part in weights]
        else:
            weights, products, weight_squares = both(n), both(y * n), both(n * n)
        rates, variances, smoothed = [], [], []
        proportion = asked.kind == "gap" and asked.outcome.measure.proportion
        centre = float(sums.everybody.values.mean())
        spread = float(((y - centre * n) ** 2).mean())
        for place, side in enumerate((sums.inside, sums.outside)):
            units = side.units[:, None]
            rate = numerators[place] / weights[place]
            squared = squares[place] - 2 * rate * products[place] + rate * rate * weight_squares[place]
            variance = np.maximum(correction(side.units)[:, None] * squared / weights[place] ** 2, 0.0)
            floor = (
                smoothed_variance(np.clip(rate, 0.0, 1.0), variance, units)
                if proportion
                else spread * units / weights[place] ** 2
            )
            rates.append(rate)
            variances.append(variance)
            smoothed.append(np.maximum(variance, floor))
        counts = (sums.inside.units, sums.outside.units, sums.distinct)
        known = units_of_two_sides(*variances, *(np.broadcast_to(each[:, None], rates[0].shape) for each in counts))
        t = (rates[0] - rates[1]) / np.sqrt(smoothed[0] + smoothed[1])
        return to_normal(t, np.maximum(known - 1, 1).astype(float))
