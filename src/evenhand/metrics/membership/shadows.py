"""Splits models' confidences, for each target of an attack, into models trained on an example (IN) or not (OUT).

A *pool* is N models in N/2 complementary pairs: exactly one of two twins was trained on each example. Each model is
the target in turn, and its twin is dropped with it, so every example has exactly N/2 − 1 models per side. With the
twin kept, the side opposite to the target would always be one model larger than the other, and the models' own noise
would reveal the membership: on data without any signal the AUC of such an attack is far from .5.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from evenhand.errors import InputError
from evenhand.metrics.labels import numbers_of

ROUNDING = 1e-12
"""A sum of squares below this share of its terms is treated as rounding error."""


@dataclass(frozen=True, eq=False)
class Side:
    """Statistics of the models on one side (IN or OUT), by example.

    Attributes:
        count: int [n], models per example, in every view.
        mean: float [V, n], mean over these models in each of V views; nan without models.
        squares: float [V, n], sums of squared deviations from that mean.
    """

    count: np.ndarray
    mean: np.ndarray
    squares: np.ndarray

    @property
    def models(self) -> int:
        """The smallest number of models that an example has on this side."""
        return int(self.count.min())


class Shadows(ABC):
    """Shadow models, with which targets are compared.

    Attributes:
        values: float [M, n], φ of each model and example.
        view: int [T], the view of each target; targets with the same view are compared with the same models.
    """

    values: np.ndarray
    view: np.ndarray

    @abstractmethod
    def count(self, inside: bool) -> np.ndarray:
        """The number of models trained on each example (`inside`), or not trained on it, int [n]."""

    @abstractmethod
    def mean(self, inside: bool, values: np.ndarray) -> np.ndarray:
        """Means of values [M, n] over the models of a side, float [V, n]; nan without such models."""

    @abstractmethod
    def side(self, inside: bool) -> Side:
        """The statistics of φ over the models of a side."""


@dataclass(frozen=True, eq=False)
class PoolShadows(Shadows):
    """The models of a pool as shadows of each other: each pair is compared with all other pairs.

    Attributes:
        first, second: int [P], the twins of each pair.
        member: bool [P, n], whether the first twin was trained on the example.
    """

    values: np.ndarray
    view: np.ndarray
    first: np.ndarray
    second: np.ndarray
    member: np.ndarray

    def count(self, inside: bool) -> np.ndarray:
        return np.full(self.member.shape[1], len(self.first) - 1)

    def mean(self, inside: bool, values: np.ndarray) -> np.ndarray:
        others = len(self.first) - 1
        sums = _sums_of_others(self._by_pair(inside, values))
        return sums / others if others else np.full(sums.shape, np.nan)

    def side(self, inside: bool) -> Side:
        others = max(len(self.first) - 1, 1)
        centred = self._by_pair(inside, self.values)
        centre = centred.mean(axis=0)
        centred -= centre
        shift = _sums_of_others(centred) / others
        whole = _sums_of_others(np.square(centred, out=centred))
        squares = whole - others * shift**2
        squares[squares < ROUNDING * whole] = 0.0
        mean = centre + shift if len(self.first) > 1 else np.full(shift.shape, np.nan)
        return Side(self.count(inside), mean, squares)

    def without(self, pair: int) -> tuple[np.ndarray, PoolShadows]:
        """The pool without one pair: the remaining models, int [N − 2], and their shadows."""
        kept = np.flatnonzero(self.view != pair)
        place = np.cumsum(self.view != pair) - 1
        rest = np.arange(len(self.first)) != pair
        view = self.view[kept] - (self.view[kept] > pair)
        first, second = place[self.first[rest]], place[self.second[rest]]
        return kept, PoolShadows(self.values[kept], view, first, second, self.member[rest])

    def _by_pair(self, inside: bool, values: np.ndarray) -> np.ndarray:
        """For each pair, the value of the twin on this side of each example, float [P, n]."""
        return np.where(self.member == inside, values[self.first], values[self.second])


@dataclass(frozen=True, eq=False)
class SeparateShadows(Shadows):
    """Separate shadows, which are never targets: the same for all targets.

    Attributes:
        member: bool [M, n].
    """

    values: np.ndarray
    view: np.ndarray
    member: np.ndarray

    def count(self, inside: bool) -> np.ndarray:
        return (self.member == inside).sum(axis=0)

    def mean(self, inside: bool, values: np.ndarray) -> np.ndarray:
        count = self.count(inside)
        sums = np.where(self.member == inside, values, 0.0).sum(axis=0)
        return np.divide(sums, count, out=np.full(len(count), np.nan), where=count > 0)[None]

    def side(self, inside: bool) -> Side:
        mean = self.mean(inside, self.values)
        squares = np.where(self.member == inside, self.values - mean, 0.0) ** 2
        return Side(self.count(inside), mean, squares.sum(axis=0)[None])


def pool_shadows(phi: np.ndarray, membership: Any, pairs: Any) -> PoolShadows:
    """The models of a pool as shadows, without the target and its twin.

    Args:
        phi: float [N, n].
        membership: bool [N, n].
        pairs: int [N], the index of each model's twin.

    Raises:
        InputError: membership or pairs that do not fit, unpaired models, or twins that are not complementary.
    """
    twin = _twins(pairs, len(phi))
    member = membership_of(membership, phi.shape, "phi")
    first = np.flatnonzero(np.arange(len(phi)) < twin)
    alike = member[first] == member[twin[first]]
    if alike.any():
        pair, example = np.argwhere(alike)[0].tolist()
        whose = "both" if member[first[pair], example] else "neither"
        raise InputError(
            f"models {first[pair]} and {twin[first[pair]]} are a pair and example {example} is a member of {whose}; "
            "of two twins exactly one was trained on each example"
        )
    view = np.empty(len(phi), dtype=np.int64)
    view[first] = view[twin[first]] = np.arange(len(first))
    return PoolShadows(phi, view, first, twin[first], member[first])


def separate_shadows(targets: int, phi: np.ndarray, membership: Any) -> SeparateShadows:
    """Separate shadow models, the same for each of several targets.

    Args:
        targets: T, the number of targets.
        phi: float [S, n].
        membership: bool [S, n]; None: no shadow was trained on any of these examples.

    Raises:
        InputError: membership that does not fit.
    """
    none = np.zeros(phi.shape, dtype=bool)
    member = none if membership is None else membership_of(membership, phi.shape, "shadow_phi")
    return SeparateShadows(phi, np.zeros(targets, dtype=np.int64), member)


def phi_of(values: Any, name: str, finite: bool = True) -> np.ndarray:
    """Check values of models and examples, and return them as float [N, n].

    Raises:
        InputError: another shape, nan, or an infinite value if values must be finite.
    """
    phi = numbers_of(values, name)
    if phi.ndim != 2 or phi.size == 0:
        raise InputError(f"{name} has shape {phi.shape}; one row per model and one column per example is needed")
    wrong = ~np.isfinite(phi) if finite else np.isnan(phi)
    if wrong.any():
        model, example = np.argwhere(wrong)[0].tolist()
        raise InputError(
            f"{name} is {phi[model, example]} for model {model} and example {example} ({int(wrong.sum())} such); give "
            "finite values, from logits, since probabilities rounded to 0 or 1 have none"
        )
    return phi


def membership_of(membership: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Training membership as bool. Raises InputError unless it is bool or 0/1 and has this shape."""
    found = np.asarray(membership)
    if found.shape != shape:
        raise InputError(f"membership has shape {found.shape} and {name} {shape}; they must be the same")
    if found.dtype != bool and not (found.dtype.kind in "iuf" and np.isin(found, (0, 1)).all()):
        raise InputError(f"membership has type {found.dtype}; it is true where a model was trained on an example")
    return found.astype(bool)


def _twins(pairs: Any, models: int) -> np.ndarray:
    twin = np.asarray(pairs)
    if models % 2:
        raise InputError(f"the pool has {models} models, an odd number; each model needs a twin")
    if twin.shape != (models,) or twin.dtype.kind not in "iu":
        raise InputError(
            f"pairs has shape {twin.shape} and type {twin.dtype}; the twin's index of each model is needed"
        )
    index = np.arange(models)
    fits = (twin >= 0) & (twin < models) & (twin != index)
    fits[fits] = twin[twin[fits]] == index[fits]
    if not fits.all():
        model = int(np.flatnonzero(~fits)[0])
        raise InputError(
            f"pairs says {int(twin[model])} for model {model}; it must be another model that names it back"
        )
    return twin.astype(np.int64)


def _sums_of_others(values: np.ndarray) -> np.ndarray:
    """For each row the sum of all other rows.

    The function adds cumulative sums from both ends. A difference from the total would keep the rounding error of the
    largest row and could make a sum of probabilities negative."""
    found = np.zeros_like(values)
    np.cumsum(values[:-1], axis=0, out=found[1:])
    below = np.zeros(values.shape[1])
    for row in range(len(values) - 2, -1, -1):
        below += values[row + 1]
        found[row] += below
    return found
