"""Sums over conjunctions and over their rests, of which values and their two-way variances are made.

A value may be a sum of several ratios with coefficients: the change of a ratio whose denominators differ between two
methods is Y_m/N_m − Y_r/N_r, and balanced accuracy a mean of ratios.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Side:
    """Sums over the conjunctions, or over their rests.

    Attributes:
        total: float [S, 2F], Σ of x over units: first the numerators of F = K·J ratios, those of the first term in
            each run, then those of the next one, …, and then their denominators.
        products: float [S, 2F, 2F], Σ of x·x' over units.
        units: int [S]; units_of_runs: int [S, F], those that each run tested.
        terms: a, the coefficients of K ratios whose sum is the value.
    """

    total: np.ndarray
    products: np.ndarray
    units: np.ndarray
    units_of_runs: np.ndarray
    terms: tuple[float, ...] = (1.0,)

    def take(self, places: np.ndarray) -> Side:
        """The sums of some conjunctions, int [s]."""
        return self._made(part[places] for part in self._parts)

    def without(self, others: Side) -> Side:
        """The sums of those who are not in others that are a part of this side."""
        return self._made(part - other for part, other in zip(self._parts, others._parts, strict=True))

    @classmethod
    def joined(cls, sides: Sequence[Side]) -> Side:
        """The sums of conjunctions of several sides, at least one, after each other."""
        return sides[0]._made(map(np.concatenate, zip(*(side._parts for side in sides), strict=True)))

    @property
    def _parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        return self.total, self.products, self.units, self.units_of_runs

    def _made(self, parts: Iterable[np.ndarray]) -> Side:
        total, products, units, units_of_runs = parts
        return Side(total, products, units, units_of_runs, self.terms)

    @cached_property
    def runs(self) -> int:
        """J."""
        return self.total.shape[1] // (2 * len(self.terms))

    @cached_property
    def ratios(self) -> np.ndarray:
        """Each ratio in each run, float [S, K, J]; nan where it is undefined."""
        half = self.total.shape[1] // 2
        with np.errstate(divide="ignore", invalid="ignore"):
            return (self.total[:, :half] / self.total[:, half:]).reshape(len(self.total), len(self.terms), self.runs)

    @cached_property
    def values(self) -> np.ndarray:
        """The value in each run, float [S, J]; nan where it is undefined."""
        return np.einsum("k,skj->sj", np.array(self.terms), self.ratios)

    @cached_property
    def levels(self) -> np.ndarray:
        """The mean of each ratio over runs, float [S, K]."""
        return self.ratios.mean(axis=2)

    @cached_property
    def size(self) -> np.ndarray:
        """The mean of the runs' denominators, float [S, K]."""
        half = self.total.shape[1] // 2
        return self.total[:, half:].reshape(len(self.total), len(self.terms), self.runs).mean(axis=2)

    @cached_property
    def unchanged(self) -> np.ndarray:
        """The levels where nothing changes, float [S, K]: what two methods have in common, or 0 of their difference."""
        if sum(self.terms) == 0:
            both = (self.levels * self.size).sum(axis=1, keepdims=True) / self.size.sum(axis=1, keepdims=True)
            return np.repeat(both, len(self.terms), axis=1)
        return np.zeros(self.levels.shape)

    def coefficients(self, levels: np.ndarray | None = None) -> np.ndarray:
        """What x is multiplied by, float [S, 2F], so that Σ_kj a_k·(y_kj − c_k·n_kj)/(J·N_kj) follows.

        Args:
            levels: c, float [S, K], or [1, K]; the means over runs unless given.
        """
        level = np.broadcast_to(self.levels if levels is None else levels, self.levels.shape)
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = np.repeat(self.terms, self.runs) / (self.runs * self.total[:, self.total.shape[1] // 2 :])
        made = np.hstack([weight, -weight * np.repeat(level, self.runs, axis=1)])
        return np.where(np.isfinite(self.values).all(axis=1, keepdims=True), made, np.nan)

    def squares(self, coefficients: np.ndarray) -> np.ndarray:
        """Σ_u (a'x_u)², float [S]."""
        return quadratic(coefficients, self.products, coefficients)

    def squares_by_run(self, coefficients: np.ndarray) -> np.ndarray:
        """Σ_uj of the squares of what unit u contributes in run j, float [S]."""
        return by_run(coefficients, self.products, coefficients, self.runs)

    def spread(self, levels: np.ndarray) -> np.ndarray:
        """How the ratios of one unit vary: the mean over units of the products of y_k − c_k·n_k, float [K, K].

        Args:
            levels: c, float [K]. The side is everybody; y and n are means over runs.
        """
        terms, half = len(self.terms), self.total.shape[1] // 2
        made = np.zeros((terms, 2 * half))
        for term, level in enumerate(levels):
            own = slice(term * self.runs, (term + 1) * self.runs)
            made[term, :half][own], made[term, half:][own] = 1 / self.runs, -level / self.runs
        return made @ self.products[0] @ made.T / max(int(self.units[0]), 1)


def spread_at(
    terms: tuple[float, ...], spread: np.ndarray, units: np.ndarray, size: Sequence[np.ndarray]
) -> np.ndarray:
    """The variance of a value of so many units that vary as everybody does, of the shape of `units`.

    Args:
        terms: a.
        spread: of everybody, see `Side.spread`.
        units: how many.
        size: the denominator of each ratio.
    """
    if len(terms) == 1:
        return terms[0] ** 2 * spread[0, 0] * units / size[0] ** 2
    shares = [term / own for term, own in zip(terms, size, strict=True)]
    pairs = np.ndindex(spread.shape)
    return units * sum(spread[k, m] * shares[k] * shares[m] for k, m in pairs)


@dataclass(frozen=True, eq=False)
class Moments:
    """What variances of a ratio need of all conjunctions and their rests.

    Attributes:
        inside, outside: the conjunctions, and everybody else for whom their attributes exist.
        crossed: float [S, 2F, 2F], Σ over units of x inside · x' outside; None where no unit is on both sides.
        everybody: sums over everyone, of one row.
        distinct: int [S], the units on either side.
        depth: int [S], the groups of each conjunction.
    """

    inside: Side
    outside: Side
    crossed: np.ndarray | None
    everybody: Side
    distinct: np.ndarray
    depth: np.ndarray


def quadratic(first: np.ndarray, products: np.ndarray, second: np.ndarray) -> np.ndarray:
    """first' · products · second, float [S], of [S, F], [S, F, F] and [S, F]."""
    return np.einsum("sf,sfg,sg->s", first, products, second, optimize=True)


def by_run(first: np.ndarray, products: np.ndarray, second: np.ndarray, runs: int) -> np.ndarray:
    """`quadratic` of each of J runs by itself, added up: features j, J + j, 2J + j, … belong to run j."""
    added = np.zeros(len(first))
    for run in range(runs):
        own = np.arange(run, first.shape[1], runs)
        added += quadratic(first[:, own], products[:, own][:, :, own], second[:, own])
    return added
