"""The largest distance between a group's rate and the rest's, among all groups of an attribute, with influences.

Near a tie either side may turn out to be the higher one: a softened influence weights the sides by the slopes of the
distance's expectation (`stats.extremes`), else the influence is the one at the larger distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evenhand.stats.extremes import pair_slopes
from evenhand.stats.proportion import FEW
from evenhand.stats.subset_rows import Rows, gram_of
from evenhand.stats.subsets import TwoWays, correction, finished


@dataclass(frozen=True, eq=False)
class Gaps:
    """Distances of groups to their rests, of one method or of the first minus the second.

    Attributes:
        whole: the mean over runs with its variance, and of each run.
        smallest: int [S], the fewest examples on either side of a rate, in any run.
        moving: bool [S], defined, and resting on at least `FEW` examples that contribute in every run.
        discordant: bool [S], defined, and resting on at least `FEW` examples that two methods predict differently.
        rows: the features of the examples.
        inside, outside: [S, R], 1 for groups and for rests.
        coefficients: by side of the groups float [F, S, J], of features in contributions to the mean over runs.
    """

    whole: TwoWays
    smallest: np.ndarray
    moving: np.ndarray
    discordant: np.ndarray
    rows: Rows
    inside: np.ndarray
    outside: np.ndarray
    coefficients: tuple[np.ndarray, np.ndarray]

    @property
    def variance_of_all(self) -> np.ndarray:
        """float [S, J + 1], of each run and of the mean."""
        return np.hstack([self.whole.of_runs, self.whole.variance[:, None]])

    @property
    def df_of_all(self) -> np.ndarray:
        """float [S, J + 1], degrees of freedom of each run and of the mean."""
        return np.hstack([np.maximum(self.whole.units_of_runs - 1, 1), self.whole.df[:, None]])

    def totals(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows of a group and its rest, and what each contributes over all runs."""
        total = np.zeros(self.rows.features.shape[1])
        for masks, coefficients in zip((self.inside, self.outside), self.coefficients, strict=True):
            parts = self.rows.totals(masks[[place]], coefficients[:, [place]])
            total += np.concatenate([part[0] for part in parts])
        rows = np.flatnonzero((np.maximum(self.inside[place], self.outside[place]) > 0) & self.rows.tested.any(axis=1))
        return rows, total[rows]


def gaps_to_rest(
    masks: np.ndarray,
    weight: np.ndarray,
    bases: Sequence[np.ndarray],
    events: Sequence[Sequence[np.ndarray]],
    differ: np.ndarray | None,
    softened: bool,
) -> Gaps:
    """The largest of the rates' distances.

    Args:
        masks: [2S, R], 1 for groups, then for their rests; bool or float.
        weight: float [R, J]; 0 where a run did not test the row.
        bases: by rate float [R, J], the weights of its denominator.
        events: by method and rate float [R, J], the weights of its numerator.
        differ: bool [R, J], where two methods predict differently; None of one method.
        softened: whether the influence is that on the expectation.
    """
    runs, half = weight.shape[1], len(masks) // 2
    inside, outside = masks[:half], masks[half:]
    centres = [float(own.sum() / max(base.sum(), 1e-300)) for own, base in zip(events[0], bases, strict=True)]
    centred = [own - centre * base for side in events for own, base, centre in zip(side, bases, centres, strict=True)]
    rows = Rows.of([*centred, *bases, weight], weight > 0, np.ones(len(weight), dtype=bool), None)
    sides = _Side.both(rows, masks, bases, events)
    values, slopes, chosen = [], [], []
    for method in range(len(events)):
        value, slope, largest = _distance(sides, method, softened)
        values.append(value)
        slopes.append(slope)
        chosen.append(largest)
    signs = (1, -1)[: len(events)]
    value = np.sum([sign * each for sign, each in zip(signs, values, strict=True)], axis=0)
    known = np.isfinite(value)
    both = np.maximum(inside, outside)
    (size,) = rows.sums(both, [weight])
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation = (value - value.mean(axis=1, keepdims=True)) / size
    pooled, alone = [], []
    for place, side in enumerate(sides):
        own = side.coefficients(signs, [slope[:, place] for slope in slopes], centres)
        everywhere = known.all(axis=1, keepdims=True)
        pooled.append(np.where(everywhere, np.concatenate([own, deviation[None]]) / runs, 0.0))
        alone.append(np.where(known, np.concatenate([own, np.zeros((1, *deviation.shape))]), 0.0))
    units, tested = rows.units(both)
    totals = zip(rows.totals(inside, pooled[0]), rows.totals(outside, pooled[1]), strict=True)
    gram = gram_of((first + second for first, second in totals), len(value))
    (squares, _), (of_runs, _) = rows.squares(masks, np.concatenate(pooled, axis=1), np.concatenate(alone, axis=1))
    squares, of_runs = squares[:half] + squares[half:], of_runs[:half] + of_runs[half:]
    v_example = correction(units) * np.diag(gram)
    whole = finished(value, v_example, squares.sum(axis=1), units, correction(tested) * of_runs, tested, gram)
    defined = known.all(axis=1)
    moving, discordant = defined & _moving(sides, chosen[0]), np.zeros(len(value), dtype=bool)
    if differ is not None:
        changed = rows.sums(both, [differ * (base > 0) for base in bases])
        active = np.logical_or(*(np.arange(len(bases))[:, None, None] == one for one in chosen))
        discordant = defined & ((changed * active).sum(axis=0).max(axis=1) >= FEW)
    smallest = np.min([side.counts.min(axis=(0, 2)) for side in sides], axis=0)
    return Gaps(whole, smallest, moving, discordant, rows, inside, outside, (pooled[0], pooled[1]))


@dataclass(frozen=True, eq=False)
class _Side:
    """The groups, or their rests.

    Attributes:
        size: by rate float [K, S, J], the weights in its denominator.
        effective: by rate float [K, S, J], Kish's effective number of examples.
        counts: by rate int [K, S, J], the examples.
        rates: by method and rate float [M, K, S, J].
    """

    size: np.ndarray
    effective: np.ndarray
    counts: np.ndarray
    rates: np.ndarray

    @classmethod
    def both(
        cls, rows: Rows, masks: np.ndarray, bases: Sequence[np.ndarray], events: Sequence[Sequence[np.ndarray]]
    ) -> list[_Side]:
        """The groups and their rests, whose masks are one half of `masks` each: sums of both are made at once."""
        count = len(bases)
        numerators = [own for side in events for own in side]
        added = rows.sums(masks, [*bases, *(base**2 for base in bases), *(base > 0 for base in bases), *numerators])
        sides = []
        for part in np.split(added, 2, axis=1):
            size, squares, counts = part[:count], part[count : 2 * count], part[2 * count : 3 * count]
            with np.errstate(divide="ignore", invalid="ignore"):
                rates = part[3 * count :].reshape(len(events), count, *size.shape[1:]) / size
                sides.append(cls(size, size**2 / squares, np.rint(counts).astype(np.int64), rates))
        return sides

    def coefficients(self, signs: Sequence[int], slopes: Sequence[np.ndarray], centres: Sequence[float]) -> np.ndarray:
        """The coefficients of features of methods and rates, and of the rates' denominators, float [F − 1, S, J].

        Args:
            signs: by method.
            slopes: by method float [K, S, J], what one more of a rate here adds to the distance.
            centres: by rate.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            own = [sign * slope / self.size for sign, slope in zip(signs, slopes, strict=True)]
            level = [rates - np.array(centres)[:, None, None] for rates in self.rates]
            of_bases = -np.sum([part * each for part, each in zip(own, level, strict=True)], axis=0)
        return np.concatenate([*own, of_bases])


def _distance(sides: Sequence[_Side], method: int, softened: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The largest distance [S, J], its slopes in each rate of each side [K, 2, S, J], and which rate's it is."""
    rates = np.stack([side.rates[method] for side in sides], axis=1)
    distance = rates[:, 0] - rates[:, 1]
    size = np.abs(distance)
    undefined = np.isnan(size).any(axis=0)
    chosen = np.where(undefined, 0, np.argmax(np.nan_to_num(size, nan=-1.0), axis=0))
    value = np.where(undefined, np.nan, np.take_along_axis(size, chosen[None], axis=0)[0])
    if softened:
        slopes = _softened(sides, rates, method)
    else:
        own = np.arange(len(rates))[:, None, None] == chosen
        sign = np.where(distance >= 0, 1.0, -1.0) * own
        slopes = np.stack([sign, -sign], axis=1)
    return value, slopes, chosen


def _softened(sides: Sequence[_Side], rates: np.ndarray, method: int) -> np.ndarray:
    """Slopes of the expected largest distance, float [K, 2, S, J]."""
    effective = np.stack([side.effective for side in sides], axis=1)
    with np.errstate(invalid="ignore"):
        level = (rates * effective + 1) / (effective + 2)
        errors = np.sqrt(level * (1 - level) / effective)
    shape = rates.shape
    flat = [np.nan_to_num(part).reshape(shape[0] * 2, -1).T for part in (rates, errors)]
    return pair_slopes(np.ascontiguousarray(flat[0]), np.ascontiguousarray(flat[1])).T.reshape(shape)


def _moving(sides: Sequence[_Side], chosen: np.ndarray) -> np.ndarray:
    """Whether at least `FEW` examples contribute in every run, bool [S]: those of a rate other than 0 and 1 do."""
    enough = np.zeros(chosen.shape, dtype=bool)
    for side in sides:
        rate, count = (np.take_along_axis(part, chosen[None], axis=0)[0] for part in (side.rates[0], side.counts))
        enough |= (rate > 0) & (rate < 1) & (count >= FEW)
    return np.logical_and.reduce(enough, axis=1)
