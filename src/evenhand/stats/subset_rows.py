"""Sums rows of features over many subsets of rows at once, block by block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from evenhand.stats.contrast import compact

BLOCK = 2**20
"""The most numbers in a temporary array."""
ROUNDED = 1e-26
"""A sum of squares below this share of its terms is treated as the rounding error of 0."""


@dataclass(frozen=True, eq=False)
class Rows:
    """The features of rows, sorted so that the rows of a unit are adjacent.

    Attributes:
        features: float [F, R, J].
        tested: bool [R, J], the rows that each run tested.
        order: int [R], the index of each row in the masks; None: all rows in their order.
        starts: int [U], the first row of each unit; None: each row is a unit.
    """

    features: np.ndarray
    tested: np.ndarray
    order: np.ndarray | None
    starts: np.ndarray | None

    @classmethod
    def of(cls, features: Sequence[np.ndarray], tested: np.ndarray, kept: np.ndarray, unit: np.ndarray | None) -> Rows:
        """From features [R, J], with only the rows in `kept`, bool [R]."""
        order, starts = np.flatnonzero(kept), None
        if unit is not None:
            codes, place = compact(unit[order])
            if len(codes) < len(order):
                sort = np.argsort(place, kind="stable")
                order, starts = order[sort], np.flatnonzero(np.diff(place[sort], prepend=-1))
        if starts is None and len(order) == len(kept):
            return cls(np.stack(features).astype(float, copy=False), tested, None, None)
        return cls(np.stack([part[order] for part in features]).astype(float), tested[order], order, starts)

    def own(self, masks: np.ndarray) -> np.ndarray:
        """Masks [S, R] of all rows in the order of these rows, as the other methods take them."""
        return masks if self.order is None else masks[:, self.order]

    def blocks(self, subsets: int) -> Iterator[tuple[slice, np.ndarray | None]]:
        """Slices of rows that contain whole units, with the first row of each unit in the slice."""
        count = self.features.shape[1]
        most = max(BLOCK // max(subsets, 1), 1)
        if self.starts is None:
            yield from ((slice(start, min(start + most, count)), None) for start in range(0, count, most))
            return
        start = 0
        while start < count:
            # The last unit that begins within reach ends the block; a larger unit is a block of its own.
            nearest = np.searchsorted(self.starts, min(start + most, count), side="right")
            end = count if start + most >= count else int(self.starts[nearest - 1])
            end = end if end > start else int([*self.starts, count][nearest])
            inside = self.starts[(self.starts >= start) & (self.starts < end)]
            yield slice(start, end), inside - start
            start = end

    def sums(self, masks: np.ndarray, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Products of masks [S, R] with parts [R, J]: float [P, S, J]."""
        runs = self.tested.shape[1]
        total = np.zeros((len(masks), len(parts) * runs))
        for rows, _ in self.blocks(len(masks) + len(parts) * runs):
            own = masks[:, rows].astype(float, copy=False)
            total += own @ np.hstack([part[rows] for part in parts])
        return total.reshape(len(masks), len(parts), runs).transpose(1, 0, 2)

    def totals(self, masks: np.ndarray, coefficients: np.ndarray) -> Iterator[np.ndarray]:
        """Σ_j c_uj, block by block of units, float [S, u]; coefficients are [F, S, J]."""
        weights = coefficients.transpose(1, 0, 2).reshape(len(masks), -1)
        for rows, starts in self.blocks(len(masks)):
            features = self.features[:, rows].transpose(0, 2, 1).reshape(weights.shape[1], -1)
            total = weights @ features
            total *= masks[:, rows]
            yield total if starts is None else np.add.reduceat(total, starts, axis=1)

    def squares(self, masks: np.ndarray, *coefficients: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each set of coefficients [F, S, J], Σ_u c_uj² by run, float [S, J], and the size of its terms."""
        pairs = [(i, j) for i in range(len(self.features)) for j in range(i, len(self.features))]
        if self.starts is not None:
            pairs = [(i, i) for i in range(len(self.features))]
        products = self.sums(masks, [self.features[i] * self.features[j] for i, j in pairs])
        diagonal = [place for place, (i, j) in enumerate(pairs) if i == j]
        found = []
        for one in coefficients:
            scale = np.einsum("fsj,fsj->sj", one**2, products[diagonal])
            if self.starts is None:
                factors = np.stack([(1 if i == j else 2) * one[i] * one[j] for i, j in pairs])
                squares = np.maximum(np.einsum("psj,psj->sj", factors, products), 0.0)
            else:
                each = [self.run(run).totals(masks, one[:, :, [run]]) for run in range(one.shape[2])]
                squares = np.stack([squared(totals, len(masks)) for totals in each], axis=1)
            found.append((cut(squares, scale), scale))
        return found

    def run(self, run: int) -> Rows:
        """The rows of one run alone."""
        return Rows(self.features[:, :, [run]], self.tested[:, [run]], self.order, self.starts)

    def units(self, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The number of units in each subset, int [S], and of those that each run tested, int [S, J]."""
        every = np.hstack([self.tested, self.tested.any(axis=1, keepdims=True)]).astype(float)
        if self.starts is None:
            counts = np.zeros((len(masks), every.shape[1]))
            for rows, _ in self.blocks(len(masks) + every.shape[1]):
                counts += masks[:, rows].astype(float, copy=False) @ every[rows]
        else:
            own = masks > 0
            present = [np.logical_or.reduceat(own & (run > 0), self.starts, axis=1).sum(axis=1) for run in every.T]
            counts = np.stack(present, axis=1)
        counts = np.rint(counts).astype(np.int64)
        return counts[:, -1], counts[:, :-1]


def gram_of(totals: Iterable[np.ndarray], subsets: int) -> np.ndarray:
    """Σ_u of products of totals [S, u] of two subsets, float [S, S]; totals come block by block."""
    gram = np.zeros((subsets, subsets))
    for total in totals:
        gram += total @ total.T
    return gram


def squared(totals: Iterator[np.ndarray], subsets: int) -> np.ndarray:
    """Σ_u of squares of totals that come block by block, float [S]."""
    found = np.zeros(subsets)
    for total in totals:
        found += np.einsum("su,su->s", total, total)
    return found


def cut(squares: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Sums of squares, set to 0 where they are rounding errors."""
    return np.where(squares <= ROUNDED * scale, 0.0, squares)
