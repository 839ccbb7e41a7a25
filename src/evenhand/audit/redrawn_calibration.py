"""Calibration errors of many data sets whose outcomes are redrawn from the probabilities, for noise floors.

Outcomes enter the errors only through sums over a bin and a group, which are products of matrices: the memberships of
the examples in a bin, times their drawn gaps, or the squares of these by unit. The numbers drawn for an example serve
every run that tests it, those of a unit's examples go together as often as their outcomes do, and examples are
processed in batches with all their draws, so that a large table needs little more memory than a small one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from evenhand.audit.evaluation import Evaluation
from evenhand.audit.measures.calibration import binned_runs
from evenhand.audit.measures.run_data import BINS, RunData, bin_of, confidence
from evenhand.metrics.bins import bin_gaps
from evenhand.metrics.pooled_bins import PairWeights
from evenhand.stats.bootstrap import distinct
from evenhand.stats.redrawn import share_together

if TYPE_CHECKING:
    from scipy.sparse import csc_array

NUMBERS = 1 << 21
"""The number of uniform numbers in memory at a time."""
SPARSE = 0.1
"""Share of the examples below which a group is small."""


@dataclass(frozen=True, eq=False)
class Members:
    """The members of everyone and each group, large groups first.

    Sums over a large group run over all examples, times 0 or 1; those over a small group over its members only.

    Attributes:
        order: int [1 + G], the index of each group, large ones first.
        large: bool [n, L].
        small, starts: int [M] and [n + 1], the small groups of each example, one example after the other, and where
            those of each begin.
    """

    order: np.ndarray
    large: np.ndarray
    small: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, masks: np.ndarray) -> Members:
        """From memberships, bool [n, 1 + G]."""
        is_small = masks.sum(axis=0) < SPARSE * len(masks)
        example, group = np.nonzero(masks[:, is_small])
        starts = np.searchsorted(example, np.arange(len(masks) + 1)).astype(np.int32)
        return cls(np.argsort(is_small, kind="stable"), masks[:, ~is_small], group.astype(np.int32), starts)

    def take(self, rows: np.ndarray) -> Members:
        """The memberships of these examples."""
        counts = np.diff(self.starts)[rows]
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        places = np.arange(starts[-1]) + np.repeat(self.starts[rows] - starts[:-1], counts)
        return Members(self.order, self.large[rows], self.small[places], starts)

    def add(self, sums: np.ndarray, values: np.ndarray) -> None:
        """Add to sums [1 + G, V], groups in the order of `order`, those of values, float [n, V]."""
        width = self.large.shape[1]
        sums[:width] += self._many @ values
        if len(self.small):
            sums[width:] += self._few @ values

    @cached_property
    def _many(self) -> np.ndarray:
        """The large groups' matrix [L, n] of members."""
        return self.large.T.astype(float)

    @cached_property
    def _few(self) -> csc_array:
        """The small groups' matrix [S, n] of members."""
        from scipy.sparse import csc_array

        shape = (len(self.order) - self.large.shape[1], len(self.large))
        return csc_array((np.ones(len(self.small)), self.small, self.starts), shape=shape)


@dataclass(frozen=True, eq=False)
class Draws:
    """The uniform numbers of every tested example, the same for all runs that test it.

    Attributes:
        place: int [n], of each example of the population its place among the tested ones, by content; units stand
            together there. −1: it is tested by no run.
        unit: int [T], the unit of each tested example, numbered in this order.
        count: of draws.
    """

    place: np.ndarray
    unit: np.ndarray
    count: int

    @classmethod
    def of(cls, evaluation: Evaluation, count: int) -> Draws:
        """For the examples that some run tested."""
        tested = np.zeros(len(evaluation.population.label), dtype=bool)
        for rows in evaluation.samples:
            tested[rows] = True
        order = evaluation.by_content[tested[evaluation.by_content]]
        place = np.full(len(tested), -1)
        place[order] = np.arange(len(order))
        codes = evaluation.population.unit[order]
        return cls(place, np.cumsum(np.diff(codes, prepend=codes[:1]) != 0), count)

    @property
    def alone(self) -> bool:
        """Whether each example is a unit of its own."""
        return len(self.unit) == 0 or int(self.unit[-1]) + 1 == len(self.unit)

    def batches(self, rng: Callable[..., np.random.Generator]) -> Iterator[Batch]:
        """The numbers of one batch of examples after the other, with whole units."""
        own, of_units, first = rng(), rng("units"), 0
        while first < len(self.unit):
            last = min(first + max(1, NUMBERS // self.count), len(self.unit))
            last = int(np.searchsorted(self.unit, self.unit[last - 1], side="right"))
            numbers, shared, chance = own.random((last - first, self.count)), None, None
            unit = self.unit[first:last] - self.unit[first]
            if not self.alone:
                shared, chance = of_units.random((int(unit[-1]) + 1, 2, self.count)).transpose(1, 0, 2)
            yield Batch(first, last, unit, numbers, shared, chance)
            first = last


@dataclass(frozen=True, eq=False)
class Batch:
    """The uniform numbers of the examples from `first` to `last`.

    Attributes:
        unit: int [k], numbered within the batch.
        numbers: float [k, draws], each example's own.
        shared, chance: float [U, draws], the number that a unit's examples share in the draws whose chance is low; None
            where each example is a unit.
    """

    first: int
    last: int
    unit: np.ndarray
    numbers: np.ndarray
    shared: np.ndarray | None
    chance: np.ndarray | None

    def of(self, places: np.ndarray, together: float) -> np.ndarray:
        """The numbers of some of its examples, float [k, draws], whose units share theirs so often."""
        own = self.numbers[places - self.first]
        if self.shared is None or self.chance is None or not together > 0:
            return own
        unit = self.unit[places - self.first]
        return np.where(self.chance[unit] < together, self.shared[unit], own)


@dataclass(frozen=True, eq=False)
class Redrawn:
    """One run's examples, by place, and what turns their sums by bin and group into calibration errors.

    With A_u the Σ weight·(confidence − outcome) of a unit's examples in a bin, these sums are Σ A_u and Σ A_u².

    Attributes:
        places: int [n], ascending, among the tested examples.
        members: the members of each group.
        masks: bool [n, 1 + G], the same.
        weight, confidence: float [n].
        bins, unit: int [n].
        together: how often a unit's examples share their number.
        total: float [1 + G], the weight of each group.
        factor: float [B, 1 + G], κ of `metrics.pooled_bins`.
        defined: bool [1 + G], where the debiased error is.
    """

    places: np.ndarray
    members: Members
    masks: np.ndarray
    weight: np.ndarray
    confidence: np.ndarray
    bins: np.ndarray
    unit: np.ndarray
    together: float
    total: np.ndarray
    factor: np.ndarray
    defined: np.ndarray

    def nothing(self, draws: int) -> np.ndarray:
        """Sums over no examples yet, float [B, 1 + G, 2·draws], groups in the order of `members`."""
        return np.zeros((BINS, len(self.total), 2 * draws))

    def add(self, sums: np.ndarray, batch: Batch) -> None:
        """Add the sums over a batch of examples."""
        low, high = np.searchsorted(self.places, [batch.first, batch.last])
        order = low + np.lexsort((self._pattern[low:high], self.unit[low:high], self.bins[low:high]))
        stops = np.cumsum(np.bincount(self.bins[low:high], minlength=BINS))
        for code, (start, stop) in enumerate(zip([0, *stops[:-1]], stops, strict=True)):
            if start < stop:
                self._add(sums[code], order[start:stop], batch)

    @cached_property
    def _pattern(self) -> np.ndarray:
        """int [n], the groups of each example as a code."""
        return distinct([*np.packbits(self.masks, axis=1).T])[0]

    def _add(self, sums: np.ndarray, rows: np.ndarray, batch: Batch) -> None:
        """Add to one bin's sums those over some of the run's examples, ordered by unit and groups."""
        draws = batch.numbers.shape[1]
        outcomes = batch.of(self.places[rows], self.together) < self.confidence[rows, None]
        moved = self.confidence[rows, None] - outcomes
        moved *= self.weight[rows, None]
        unit, pattern = self.unit[rows], self._pattern[rows]
        starts = np.flatnonzero((np.diff(unit, prepend=-1) != 0) | (np.diff(pattern, prepend=-1) != 0))
        if len(starts) < len(rows):  # examples of one unit that share their groups are one
            moved, rows, unit = np.add.reduceat(moved, starts, axis=0), rows[starts], unit[starts]
        members = self.members.take(rows)
        members.add(sums[:, :draws], moved)
        members.add(sums[:, draws:], moved**2)
        for first, second in _pairs_within(unit):
            both = self.masks[rows[first]] & self.masks[rows[second]]
            products = 2 * both[:, self.members.order].T.astype(float) @ (moved[first] * moved[second])
            sums[:, draws:] += products

    def errors(self, sums: np.ndarray) -> np.ndarray:
        """Plug-in and debiased squared error, [draws, 2, 1 + G], from the sums over all examples."""
        order = self.members.order
        excess, squares = np.split(sums, 2, axis=2)
        total, known = self.total[order, None], self.defined[order, None]
        plug_in = divided(np.abs(excess).sum(axis=0), np.broadcast_to(total, excess.shape[1:]))
        products = (self.factor[:, order, None] * (excess**2 - squares)).sum(axis=0)
        squared = np.where(known, divided(products, np.broadcast_to(total**2, products.shape)), np.nan)
        errors_by_group = np.empty((excess.shape[2], 2, len(order)))
        errors_by_group[..., order] = np.stack([plug_in, squared]).transpose(2, 0, 1)
        return errors_by_group


def _pairs_within(unit: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The pairs of places with the same unit, int [P] each, at every distance; units stand together."""
    for distance in range(1, len(unit)):
        first = np.flatnonzero(unit[distance:] == unit[:-distance])
        if not len(first):
            return
        yield first, first + distance


def redrawn_runs(
    data: Sequence[RunData], rows: Sequence[np.ndarray], draws: Draws, masks: np.ndarray, members: Members
) -> list[Redrawn]:
    """The runs of one method, ready to be redrawn.

    Args:
        data: of each run, with probabilities.
        rows: int [n], the examples of each run, positions in the population.
        draws: of the evaluation.
        masks: bool [N, 1 + G], the groups of the population; members: the same.
    """
    order = [np.argsort(draws.place[own]) for own in rows]
    places = [draws.place[own][by_place] for own, by_place in zip(rows, order, strict=True)]
    parts = [confidence(run) for run in data]
    units = [draws.unit[own] for own in places]
    together = 0.0
    if not draws.alone:
        chances, outcomes = ([part[side][rank] for part, rank in zip(parts, order, strict=True)] for side in (0, 1))
        together = share_together(chances, outcomes, units)
    factors = np.zeros((len(data), BINS, masks.shape[1]))
    defined = np.zeros((len(data), masks.shape[1]), dtype=bool)
    for group in range(masks.shape[1]):
        inside = [np.flatnonzero(masks[own, group]) for own in rows]
        some = [index for index, one in enumerate(inside) if data[index].weight[one].sum() > 0]
        if some:
            runs = binned_runs([data[index] for index in some], [inside[index] for index in some])
            bins = [bin_gaps(run.gap, run.bins, BINS, run.shares, run.unit) for run in runs]
            weights = PairWeights.of(runs, bins)
            factors[some, :, group], defined[some, group] = weights.factor, weights.defined
    redrawn = []
    for index, (run, own, by_place) in enumerate(zip(data, rows, order, strict=True)):
        weight, values = run.weight[by_place], parts[index][0][by_place]
        groups = masks[own[by_place]]
        redrawn.append(
            Redrawn(
                places[index],
                members.take(own[by_place]),
                groups,
                weight,
                values,
                bin_of(values).astype(np.uint8),
                units[index],
                together,
                weight @ groups,
                factors[index],
                defined[index],
            )
        )
    return redrawn


def redrawn_errors(
    runs: Sequence[Redrawn], draws: Draws, rng: Callable[..., np.random.Generator]
) -> Iterator[np.ndarray]:
    """The errors of each run, [draws, 2, 1 + G], with redrawn outcomes. All runs share the random numbers."""
    sums = [run.nothing(draws.count) for run in runs]
    for batch in draws.batches(rng):
        for run, of_run in zip(runs, sums, strict=True):
            run.add(of_run, batch)
    for run, of_run in zip(runs, sums, strict=True):
        yield run.errors(of_run)


def divided(events: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """The quotient, nan where nothing was tested."""
    return np.divide(events, tested, out=np.full(np.shape(events), np.nan), where=tested > 0)
