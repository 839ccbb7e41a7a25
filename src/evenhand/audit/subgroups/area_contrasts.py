"""Contrasts of areas under the ROC curve in all conjunctions, each with its standard error.

With t_u what the unit u adds to a contrast, over all runs,

    V = U/(U − 1)·Σ t_u²        U: the effective units of the class that has fewer, of a gap on each side

plus what seeds add, as for ratios (`contrasts`). Degrees of freedom are U − 1, of a gap Welch's. Skewness that
exaggerates a contrast is allowed for (`skewness`). An area that is low by chance has a larger variance than others, so
that a search for low ones needs neither the logit scale nor the further example that verdicts allow for.

A conjunction is judged where verdicts are: with 30 effective units of either class on either side, and areas whose
distance from 0 and 1 rests on five (`evenhand.audit.runs.areas`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from evenhand.audit.runs.areas import LEAST_DISTANCE, LEAST_JUDGED
from evenhand.audit.subgroups.areas import Area, AreaQuestion, area
from evenhand.audit.subgroups.conjunctions import Conjunctions
from evenhand.audit.subgroups.contrasts import ComparisonKind, Contrasts, with_seeds
from evenhand.audit.subgroups.skewness import less_extreme
from evenhand.stats.contrast import compact, from_cells, units_of_two_sides
from evenhand.stats.ranking import distance_in_units
from evenhand.stats.subsets import correction

FEW = 2.0
"""Effective units of the rarer class below which an area has no variance."""


@dataclass(frozen=True, eq=False)
class AreaContrasts:
    """The contrasts of one comparison of areas.

    Attributes:
        kind: of comparison.
        contrasts: of all conjunctions.
        known: bool [S], those that rest on enough to be judged.
    """

    kind: ComparisonKind
    contrasts: Contrasts
    known: np.ndarray


@dataclass(frozen=True, eq=False)
class Units:
    """The resampling units of the rows of some conjunctions.

    Attributes:
        code: int [R], from 0.
        count: U.
        shared: whether a unit may have rows on both sides of a gap.
    """

    code: np.ndarray
    count: int
    shared: bool

    @classmethod
    def of(cls, conjunctions: Conjunctions) -> Units:
        """Those of a search."""
        if conjunctions.unit is None:
            return cls(np.arange(conjunctions.rows), conjunctions.rows, False)
        _, code = compact(conjunctions.unit)
        return cls(code, int(code.max(initial=-1)) + 1, True)


def area_contrasts(
    question: AreaQuestion, conjunctions: Conjunctions, kinds: Sequence[ComparisonKind]
) -> list[AreaContrasts]:
    """The contrasts of all conjunctions in some comparisons; nan where a class has fewer than 30 effective units."""
    units, depth = Units.of(conjunctions), conjunctions.depths
    sums: dict[ComparisonKind, AreaSums] = {kind: AreaSums(question, units, depth) for kind in kinds}
    for place, (inside, rest) in enumerate(masks(conjunctions)):
        first = area(question, inside, units.code, units.count, LEAST_JUDGED)
        if first is None:
            continue
        second = None
        if any(kind != "change" for kind in kinds):
            second = area(question, rest, units.code, units.count, LEAST_JUDGED)
        for kind, of_kind in sums.items():
            if kind == "change" or second is not None:
                of_kind.add(place, [first] if kind == "change" or second is None else [first, second])
    return [AreaContrasts(kind, *sums[kind].finished()) for kind in kinds]


def of_masks(
    question: AreaQuestion, conjunctions: Conjunctions, sides: Iterator[tuple[np.ndarray, ...]], depth: np.ndarray
) -> Contrasts:
    """The contrasts of some masks, each of one side or of two, bool [R]; nan where a class is missing.

    Args:
        question: what is ranked.
        conjunctions: whose rows.
        sides: K pairs, or single masks of changes.
        depth: int [K], the groups of each.
    """
    units = Units.of(conjunctions)
    sums = AreaSums(question, units, depth)
    for place, both in enumerate(sides):
        made = [area(question, side, units.code, units.count, FEW) for side in both]
        known = [each for each in made if each is not None]
        if len(known) == len(made):
            sums.add(place, known)
    return sums.finished()[0]


@dataclass(eq=False)
class AreaSums:
    """What contrasts of areas are made of, conjunction by conjunction.

    Attributes:
        question: what is ranked.
        units: of its rows.
        depth: int [S], the groups of each conjunction.
    """

    question: AreaQuestion
    units: Units
    depth: np.ndarray
    _rows: list[tuple[float, ...]] = field(default_factory=list)
    _places: list[int] = field(default_factory=list)
    _values: list[np.ndarray] = field(default_factory=list)

    def add(self, place: int, sides: Sequence[Area]) -> None:
        """Add a conjunction: its area, and where it is compared with others theirs."""
        first, second = sides[0], sides[-1]
        values, cells = first.values, first.cells
        crossed = 0.0
        if len(sides) > 1:
            values, cells = values - second.values, cells - second.cells
            if self.units.shared:
                crossed = float(first.total @ second.total) * np.sqrt(factor(first) * factor(second))
        total = cells.sum(axis=0)
        squares = total * total
        self._places.append(place)
        self._values.append(values)
        self._rows.append(
            (
                squared(first),
                squared(second) if len(sides) > 1 else 0.0,
                crossed,
                float(np.einsum("ju,ju", cells, cells)),
                float(squares.sum()),
                float(squares @ total),
                first.rarer,
                second.rarer,
                first.units,
                sum(side.units for side in sides),
                sum(1 / side.size for side in sides),
                float(all(_enough(side) for side in sides)),
            )
        )

    def finished(self) -> tuple[Contrasts, np.ndarray]:
        """The contrasts, and which of them rest on enough to be judged, bool [S]."""
        count, places = len(self.depth), np.array(self._places, dtype=np.int64)
        values = np.full((count, self.question.runs), np.nan)
        numbers = np.full((12, count), np.nan)
        if len(places):
            values[places], numbers[:, places] = np.array(self._values), np.array(self._rows).T
        ours, theirs, crossed, v_both, second, third, rarer, others, inside, distinct, shares, enough = numbers
        counts = [np.nan_to_num(each + 1e-9).astype(np.int64) for each in (rarer, others, inside, distinct)]
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = theirs > 0
            known = np.where(gap, units_of_two_sides(ours, theirs, counts[0], counts[1], counts[3]), counts[0])
            v_example = np.maximum(ours + theirs - 2 * crossed, 0.0)
            variance, df, seeds = with_seeds(values, v_example, v_both, known, self.depth)
            smallest = np.minimum(counts[0], counts[1])
            spread = np.sqrt(self._everybody * shares + seeds)
            made = Contrasts(values.mean(axis=1), variance, df, counts[2], smallest, spread)
        return less_extreme(made, second, third)[0], enough > 0

    @property
    def _everybody(self) -> float:
        """The variance of everybody's area times its size."""
        rows = np.ones(len(self.units.code), dtype=bool)
        made = area(self.question, rows, self.units.code, self.units.count, FEW)
        return np.nan if made is None else squared(made) * made.size


def factor(side: Area) -> float:
    """U/(U − 1) with the effective units of the rarer class."""
    return float(correction(np.array([side.rarer]))[0])


def squared(side: Area) -> float:
    """The variance of an area that examples alone give it."""
    return factor(side) * float(side.total @ side.total)


def _enough(side: Area) -> bool:
    """Whether an area rests on as much as a verdict on it does."""
    if side.rarer < LEAST_JUDGED - 1e-9:  # rounding must not decide
        return False
    levels = (from_cells(float(each), cells, int(side.rarer)) for each, cells in zip(*side.levels, strict=True))
    return all(distance_in_units(level) >= LEAST_DISTANCE for level in levels)


def masks(conjunctions: Conjunctions) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The members of every conjunction, and everybody else for whom its attributes exist, bool [R] each."""
    for cells in conjunctions.walk():
        exists = conjunctions.eligible(cells.attributes)
        order = np.argsort(cells.cell, kind="stable")
        rows = order if cells.rows is None else cells.rows[order]
        for own in np.split(rows, np.cumsum(np.bincount(cells.cell, minlength=len(cells.items)))[:-1]):
            inside = np.zeros(conjunctions.rows, dtype=bool)
            inside[own] = True
            yield inside, ~inside if exists is None else exists & ~inside
