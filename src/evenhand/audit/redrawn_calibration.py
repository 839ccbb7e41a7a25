"""The calibration errors of runs for many redrawn outcomes at once, for everyone and each group.

Outcomes enter the errors only through sums over a bin and a group, which are products of matrices: the memberships of
the examples in a bin, times their drawn outcomes. The numbers drawn for an example serve every run that tests it, and
examples are processed in batches with all their draws, so that a large table needs little more memory than a small one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evenhand.audit.measures.run_data import BINS, RunData, bin_of, confidence

if TYPE_CHECKING:
    from scipy.sparse import csc_array

NUMBERS = 1 << 23
"""The number of uniform numbers in memory at a time."""
PIECE = 1024
"""The number of examples in one product: its factors stay in the processor's cache, and int16 can count them."""
FIXED = 6
"""The number of sums that do not depend on the draws."""
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

    def part(self, start: int, stop: int) -> Members:
        """The memberships of the examples from start to stop: views, where `take` makes copies."""
        starts = self.starts[start : stop + 1]
        return Members(self.order, self.large[start:stop], self.small[starts[0] : starts[-1]], starts - starts[0])

    def count(self, sums: np.ndarray, outcomes: np.ndarray) -> None:
        """Add to sums [1 + G, draws] the number in each group with the outcome, bool [n, draws], n below 2^15.

        Types are the smallest that hold the counts.
        """
        width = self.large.shape[1]
        sums[:width] += self.large.T.astype(np.float32) @ outcomes.astype(np.float32)
        if len(self.small):
            sums[width:] += self._few(np.ones(len(self.small), dtype=np.int16)) @ outcomes.astype(np.int16)

    def add(self, sums: np.ndarray, values: np.ndarray, factor: np.ndarray | None = None) -> None:
        """Add to sums [1 + G, V] those of values, float [n, V], times a factor [n]; None: 1."""
        width = self.large.shape[1]
        factor = np.ones(len(values)) if factor is None else factor
        sums[:width] += (self.large.T * factor) @ values
        if len(self.small):
            sums[width:] += self._few(np.repeat(factor, np.diff(self.starts))) @ values

    def _few(self, values: np.ndarray) -> csc_array:
        """The small groups' matrix [S, n] with these values of the members."""
        from scipy.sparse import csc_array

        shape = (len(self.order) - self.large.shape[1], len(self.large))
        return csc_array((values, self.small, self.starts), shape=shape)


@dataclass(frozen=True, eq=False)
class Redrawn:
    """One run's examples, and what their sums by bin of the confidence and by group are made of.

    An example has a weight w and a confidence c; the outcomes y are drawn.

    Attributes:
        places: int [n], ascending, the positions of its examples among all whose outcomes are drawn.
        rows: int [n], the positions of the same examples in `members`.
        members: the members of each group.
        weight, confidence: float [n].
        bins: int [n].
        unweighted: every weight is 1.
    """

    places: np.ndarray
    rows: np.ndarray
    members: Members
    weight: np.ndarray
    confidence: np.ndarray
    bins: np.ndarray
    unweighted: bool

    @classmethod
    def of(cls, data: RunData, members: Members, rows: np.ndarray, places: np.ndarray) -> Redrawn:
        """From a run with these rows of `members`, at these places among all examples whose outcomes are drawn."""
        chance = confidence(data)[0]
        unweighted = bool((data.weight == 1).all())
        return cls(places, rows, members, data.weight, chance, bin_of(chance).astype(np.uint8), unweighted)

    def nothing(self, draws: int) -> np.ndarray:
        """Sums over no examples yet, float [B, 1 + G, 6 + P·draws], groups in the order of `members`.

        The fixed ones are Σ 1, Σ w, Σ w², Σ wc, Σ w²c and Σ w²c². The P parts of the drawn ones are Σ wy, Σ w²y and
        Σ (2c − 1)w²y; where every weight is 1, the first two are Σ y, which is there once.
        """
        return np.zeros((BINS, len(self.members.order), FIXED + (2 if self.unweighted else 3) * draws))

    def add(self, sums: np.ndarray, first: int, uniform: np.ndarray) -> None:
        """Add to the sums a batch of k examples with their uniform numbers [k, draws]; `first` is the place of the
        first of them."""
        low, high = np.searchsorted(self.places, [first, first + len(uniform)])
        order = low + np.argsort(self.bins[low:high], kind="stable")
        members = self.members.take(self.rows[order])
        stops = np.cumsum(np.bincount(self.bins[low:high], minlength=BINS))
        for code, (start, stop) in enumerate(zip([0, *stops[:-1]], stops, strict=True)):
            for begin in range(start, stop, PIECE):
                end = min(begin + PIECE, stop)
                piece = order[begin:end]
                outcomes = uniform[self.places[piece] - first] < self.confidence[piece, None]
                self._add(sums[code], members.part(begin, end), piece, outcomes)

    def _add(self, sums: np.ndarray, inside: Members, piece: np.ndarray, outcomes: np.ndarray) -> None:
        """Add to one bin's sums [1 + G, 6 + P·draws] a piece of the run's examples, with outcomes [k, draws]."""
        w, c, draws = self.weight[piece], self.confidence[piece], outcomes.shape[1]
        inside.add(sums[:, :FIXED], np.stack([np.ones(len(w)), w, w**2, w * c, w**2 * c, w**2 * c**2], axis=1))
        *first, last = (sums[:, start : start + draws] for start in range(FIXED, sums.shape[1], draws))
        drawn = outcomes.astype(float)
        inside.add(last, drawn, (2 * c - 1) * w**2)
        if self.unweighted:
            inside.count(first[0], outcomes)
        else:
            inside.add(first[0], drawn, w)
            inside.add(first[1], drawn, w**2)

    def errors(self, sums: np.ndarray) -> np.ndarray:
        """Plug-in and debiased squared error, [draws, 2, 1 + G], from the sums over all examples."""
        count, mass, squares, first, second, third = np.split(sums[..., :FIXED], FIXED, axis=2)
        parts = np.split(sums[..., FIXED:], 2 if self.unweighted else 3, axis=2)
        weight, square, slope = parts[0], parts[-2], parts[-1]
        gap = first - weight
        positive_mass = np.where(mass > 0, mass, 1.0)
        mean = gap / positive_mass
        # Σ w²(c − y − mean)², opened up.
        spread = third - slope - 2 * mean * (second - square) + mean**2 * squares
        kept = count > 1
        variance = spread / positive_mass**2 * count / np.maximum(count - 1, 1)
        unbiased = np.where(kept, mean**2 - variance, 0.0)
        share = np.where(kept, mass, 0.0)
        plug_in = divided(np.abs(gap).sum(axis=0), mass.sum(axis=0))
        squared = divided((share * unbiased).sum(axis=0), share.sum(axis=0))
        errors_by_group = np.empty((weight.shape[2], 2, len(self.members.order)))
        errors_by_group[..., self.members.order] = np.stack([plug_in, squared]).transpose(2, 0, 1)
        return errors_by_group


def redrawn_errors(
    runs: Sequence[Redrawn], size: int, step: int, draws: int, rng: Callable[[], np.random.Generator]
) -> Iterator[np.ndarray]:
    """The errors of each run, [draws, 2, 1 + G], with redrawn outcomes of `size` examples.

    All runs share the random numbers: those of `stats.redrawn.redraw_outcomes`, which draws `step` times at once.
    """
    sums: dict[int, np.ndarray] = {}
    for first, uniform in _uniform_numbers(size, step, draws, rng):
        last = first + len(uniform) == size
        for index, run in enumerate(runs):
            sums_of_run = sums.pop(index, None)
            sums_of_run = run.nothing(draws) if sums_of_run is None else sums_of_run
            run.add(sums_of_run, first, uniform)
            if last:
                yield run.errors(sums_of_run)
            else:
                sums[index] = sums_of_run


def _uniform_numbers(
    size: int, step: int, draws: int, rng: Callable[[], np.random.Generator]
) -> Iterator[tuple[int, np.ndarray]]:
    """Batches of examples: the place of the first one, and the numbers, float [k, draws].

    The stream has one batch of all examples after the other. What lies between an example's batches is skipped, which
    NumPy's default generator can do.
    """
    rows = max(1, NUMBERS // draws)
    for first in range(0, size, rows):
        count, batches = min(rows, size - first), []
        source, passed = rng(), 0
        for start in range(0, draws, step):
            width = min(step, draws - start)
            wanted = start * size + first * width
            source.bit_generator.advance(wanted - passed)  # pyright: ignore[reportAttributeAccessIssue]
            passed = wanted + count * width
            batches.append(source.random((count, width)))
        yield first, np.concatenate(batches, axis=1)


def divided(events: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """The quotient, nan where nothing was tested."""
    return np.divide(events, tested, out=np.full(np.shape(events), np.nan), where=tested > 0)
