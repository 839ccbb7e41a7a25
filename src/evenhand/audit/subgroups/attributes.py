"""Attributes as a search reads them: a code per row, or lists of codes where groups overlap; numbers in classes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evenhand.audit.evaluation import Groups
from evenhand.errors import InputError
from evenhand.metrics.groups import MISSING

CLASSES = 4
"""The number of classes, of about equal size, of a column of numbers whose cuts nobody declared."""

Cuts = Mapping[str, int | Sequence[float]]
"""By numeric attribute the number of classes of about equal size, or the upper ends of all classes but the last."""


@dataclass(frozen=True, eq=False)
class SearchedAttribute:
    """The groups of one attribute over R rows.

    Attributes:
        name: of the attribute.
        groups: their names [G].
        code: int [R], the group of each row, −1 where it is in none; None where groups overlap.
        starts, codes: where groups overlap, the groups of row r are codes[starts[r]:starts[r + 1]], ascending.
        defined: bool [R], the rows for which the attribute exists; None: all of them.
    """

    name: str
    groups: tuple[str, ...]
    code: np.ndarray | None
    starts: np.ndarray | None = None
    codes: np.ndarray | None = None
    defined: np.ndarray | None = None

    @property
    def overlaps(self) -> bool:
        """Whether some row is in several groups, which may then be searched together."""
        return self.code is None

    @property
    def labels(self) -> list[str]:
        """The groups with the attribute's name: `sex=female`, `age ≤ 30`."""
        return [
            f"{self.name} {group}" if group[:2] in ("≤ ", "> ") else f"{self.name}={group}" for group in self.groups
        ]

    def columns(self, rows: np.ndarray) -> list[tuple[np.ndarray, int]]:
        """Whole numbers from 0, int [r] each, that are equal for rows in the same groups, and how many there may be."""
        if self.code is not None:
            return [(self.code[rows] + 1, len(self.groups) + 1)]
        assert self.starts is not None and self.codes is not None
        masks = np.zeros((len(self.starts) - 1, len(self.groups)), dtype=bool)
        masks[np.repeat(np.arange(len(masks)), np.diff(self.starts)), self.codes] = True
        return [(column, 256) for column in np.packbits(masks[rows], axis=1).T.astype(np.int64)]

    def take(self, rows: np.ndarray) -> SearchedAttribute:
        """The attribute of some rows, int [r]."""
        defined = None if self.defined is None else self.defined[rows]
        if self.code is not None:
            return SearchedAttribute(self.name, self.groups, self.code[rows], defined=defined)
        assert self.starts is not None and self.codes is not None
        count = np.diff(self.starts)[rows]
        ends = np.cumsum(count)
        within = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - count, count)
        codes = self.codes[np.repeat(self.starts[:-1][rows], count) + within]
        return SearchedAttribute(self.name, self.groups, None, np.concatenate([[0], ends]), codes, defined)

    @classmethod
    def of_masks(
        cls, name: str, groups: Sequence[str], masks: np.ndarray, defined: np.ndarray | None = None
    ) -> SearchedAttribute:
        """From the members of each group.

        Args:
            name, groups: names of the attribute and of its G groups.
            masks: bool [R, G].
            defined: bool [R]; None where the attribute exists for everyone.
        """
        defined = None if defined is None or defined.all() else defined
        counts = masks.sum(axis=1)
        if counts.max(initial=0) <= 1:
            code = np.where(counts > 0, masks.argmax(axis=1), -1) if masks.shape[1] else np.full(len(masks), -1)
            return cls(name, tuple(groups), code.astype(np.int64), defined=defined)
        _, codes = np.nonzero(masks)
        starts = np.concatenate([[0], np.cumsum(counts)])
        return cls(name, tuple(groups), None, starts, codes.astype(np.int64), defined)


def searched_attributes(groups: Sequence[Groups], rows: np.ndarray, cuts: Cuts) -> list[SearchedAttribute]:
    """The attributes of an evaluation over some of its examples.

    Numbers are put into the classes that `cuts` declares. A missing value is a group of its own.

    Args:
        groups: of each attribute.
        rows: int [R], positions of the examples.
        cuts: by attribute.

    Raises:
        InputError: cuts of an attribute that does not exist or is not numeric.
    """
    known = [one.attribute for one in groups]
    for name in cuts:
        if name not in known:
            raise InputError(f'subgroups: there is no attribute "{name}" to cut; there are: {", ".join(known)}')
    return [_searched(one, rows, cuts.get(one.attribute)) for one in groups]


def _searched(groups: Groups, rows: np.ndarray, cuts: int | Sequence[float] | None) -> SearchedAttribute:
    masks, defined, names = groups.masks[rows], groups.defined[rows], groups.names
    if cuts is not None:
        names, column = classes(numbers_of(names, groups.attribute), masks.sum(axis=0), cuts)
        merged = np.zeros((len(rows), len(names)), dtype=bool)
        for group, target in enumerate(column):
            merged[:, target] |= masks[:, group]
        masks = merged
    return SearchedAttribute.of_masks(groups.attribute, names, masks, defined)


def classes(numbers: np.ndarray, counts: np.ndarray, cuts: int | Sequence[float]) -> tuple[list[str], np.ndarray]:
    """Classes (low, high] of numbers.

    Args:
        numbers: float [G], distinct values; nan is the missing value, a class of its own.
        counts: int [G], how many rows have each.
        cuts: the number of classes of about equal size, or the upper ends of all classes but the last.

    Returns:
        The names of the classes that occur, and the class of each number, int [G].

    Example:
        >>> import numpy as np
        >>> from evenhand.audit.subgroups.attributes import classes
        >>> names, column = classes(np.array([20.0, 30.0, 40.0, 50.0]), np.array([5, 5, 5, 5]), [30, 40])
        >>> names, column.tolist()
        (['≤ 30', '(30, 40]', '> 40'], [0, 0, 1, 2])
    """
    known = np.isfinite(numbers)
    if isinstance(cuts, int):
        values = np.repeat(numbers[known], counts[known])
        levels = np.arange(1, cuts) / cuts
        ends = np.unique(np.quantile(values, levels, method="inverted_cdf")) if len(values) else np.empty(0)
        ends = ends[ends < values.max(initial=-math.inf)]
    else:
        ends = np.asarray(sorted(cuts), dtype=float)
    place = np.where(known, np.searchsorted(ends, np.where(known, numbers, 0.0), side="left"), len(ends) + 1)
    names = [_class_name(ends, index) for index in range(len(ends) + 1)] + [MISSING]
    present = np.unique(place[counts > 0])
    column = np.searchsorted(present, place)
    return [names[index] for index in present], np.minimum(column, max(len(present) - 1, 0))


def _class_name(ends: np.ndarray, index: int) -> str:
    if not len(ends):
        return "any number"
    if index == 0:
        return f"≤ {ends[0]:g}"
    return f"> {ends[-1]:g}" if index == len(ends) else f"({ends[index - 1]:g}, {ends[index]:g}]"


def numbers_of(names: Sequence[str], attribute: str) -> np.ndarray:
    """The values of an attribute as numbers, float [G], the missing value as nan.

    Raises:
        InputError: a value is no number.
    """
    numbers = np.full(len(names), math.nan)
    for place, name in enumerate(names):
        if name == MISSING:
            continue
        try:
            numbers[place] = float(name)
        except ValueError:
            raise InputError(f'subgroups: {attribute} has cuts and is not numeric: a value of it is "{name}"') from None
    return numbers
