"""Two-way variances of ratios, their changes and gaps, in all conjunctions at once.

The formulas are those of `evenhand.stats.subsets`, without its loop over rows and subsets: a unit u contributes to a
conjunction the vector x_u = (y_u1 … y_uJ, n_u1 … n_uJ), the sums over its rows in the conjunction, and every variance
is a quadratic form a'·(Σ_u x_u·x_u')·a. So what is needed of a conjunction is Σ x_u and Σ x_u·x_u'. What is needed of
its rest follows by subtraction from everybody, E_u: Σ (E_u − x_u)(E_u − x_u)' = Σ E E' − Σ x E' − Σ E x' + Σ x x'.

Of a value that is a sum of several ratios, x_u has 2J numbers for each of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from evenhand.audit.subgroups.conjunctions import Cells, Conjunctions
from evenhand.audit.subgroups.sides import Moments, Side
from evenhand.stats.contrast import compact

MOST_KINDS = 512
"""Rows are counted by kind, where they are of at most so many kinds, and else summed one by one."""


def moments(
    conjunctions: Conjunctions, numerator: np.ndarray, weight: np.ndarray, terms: tuple[float, ...] = (1.0,)
) -> Moments:
    """The sums of a ratio, or of a sum of ratios, over all conjunctions.

    Args:
        conjunctions: of R rows.
        numerator, weight: float [R, K·J], of each term as of `evenhand.stats.RatioSums`, term by term.
        terms: the coefficients of the K ratios.
    """
    features = np.hstack([numerator, weight])
    tested = weight > 0
    if conjunctions.unit is None:
        return _alone(conjunctions, features, tested, terms)
    return _clustered(conjunctions, features, tested, terms)


def _alone(conjunctions: Conjunctions, features: np.ndarray, tested: np.ndarray, terms: tuple[float, ...]) -> Moments:
    """Each row is a unit, so that none is on both sides."""
    count, width, runs = len(conjunctions), features.shape[1], tested.shape[1]
    upper = np.triu_indices(width)
    represented, code = _kinds(features)
    shown = features[represented]
    columns = np.hstack(
        [
            tested[represented].any(axis=1, keepdims=True),
            tested[represented],
            shown,
            shown[:, upper[0]] * shown[:, upper[1]],
        ]
    ).astype(float)
    kept, back = _distinct_columns(columns)
    if code is None:
        sums = conjunctions.sums(columns[:, kept])
        whole, per_set = columns[:, kept].sum(axis=0), None
    else:
        sums = conjunctions.sums(columns[:, kept], code)
        whole, per_set = np.bincount(code, minlength=len(columns)) @ columns[:, kept], None
    if conjunctions.undefined:
        every = columns[:, kept] if code is None else columns[code][:, kept]
        per_set = np.concatenate(
            [np.tile(_sum_of(every, conjunctions.eligible(cells.attributes)), (len(cells.items), 1))
             for cells in conjunctions.walk()]
            or [np.empty((0, len(kept)))]
        )  # fmt: skip
    outside = (whole[None] if per_set is None else per_set) - sums

    def side(of: np.ndarray) -> Side:
        of = of[:, back]
        products = np.zeros((len(of), width, width))
        products[:, upper[0], upper[1]] = products[:, upper[1], upper[0]] = of[:, 1 + runs + width :]
        counts = np.rint(of[:, : 1 + runs]).astype(np.int64)
        return Side(of[:, 1 + runs : 1 + runs + width], products, counts[:, 0], counts[:, 1:], terms)

    inside, rest = side(sums), side(np.broadcast_to(outside, (count, len(kept))))
    return Moments(inside, rest, None, side(whole[None]), inside.units + rest.units, conjunctions.depths)


def _sum_of(columns: np.ndarray, eligible: np.ndarray | None) -> np.ndarray:
    return columns.sum(axis=0) if eligible is None else columns[eligible].sum(axis=0)


def _clustered(
    conjunctions: Conjunctions, features: np.ndarray, tested: np.ndarray, terms: tuple[float, ...]
) -> Moments:
    """Units hold several rows, some of them inside of a conjunction and some outside."""
    _, unit = compact(np.asarray(conjunctions.unit))
    rows = np.hstack([features, tested]).astype(float)
    every = _by_unit(rows, unit, None)
    parts = [_of_cells(cells, rows, unit, _by_unit(rows, unit, conjunctions.eligible(cells.attributes)) if
             conjunctions.undefined else every, terms) for cells in conjunctions.walk()]  # fmt: skip
    width, runs = features.shape[1], tested.shape[1]
    counts = every[:, width:] > 0
    everybody = Side(
        every[:, :width].sum(axis=0)[None],
        (every[:, :width].T @ every[:, :width])[None],
        counts.any(axis=1).sum()[None],
        counts.sum(axis=0)[None],
        terms,
    )
    if not parts:
        none = Side(
            np.empty((0, width)), np.empty((0, width, width)), np.empty(0, int), np.empty((0, runs), int), terms
        )
        return Moments(none, none, None, everybody, np.empty(0, int), np.empty(0, int))
    inside, outside, crossed, distinct = (list(each) for each in zip(*parts, strict=True))
    return Moments(
        Side.joined(inside),
        Side.joined(outside),
        np.concatenate(crossed),
        everybody,
        np.concatenate(distinct),
        conjunctions.depths,
    )


def _by_unit(rows: np.ndarray, unit: np.ndarray, eligible: np.ndarray | None) -> np.ndarray:
    """Sums by unit of some rows, float [U, F]."""
    own, chosen = (rows, unit) if eligible is None else (rows[eligible], unit[eligible])
    return np.stack([np.bincount(chosen, column, int(unit.max()) + 1) for column in own.T], axis=1)


def _of_cells(
    cells: Cells, rows: np.ndarray, unit: np.ndarray, every: np.ndarray, terms: tuple[float, ...]
) -> tuple[Side, Side, np.ndarray, np.ndarray]:
    """Both sides of the conjunctions of one set of attributes, their cross products, and the units on either side."""
    runs = rows.shape[1] // 3
    width, units = 2 * runs, len(every)
    own, atom = np.unique(cells.cell * units + cells.take(unit), return_inverse=True)
    cell, of_unit = np.divmod(own, units)
    sums = np.stack([np.bincount(atom, column, len(own)) for column in cells.take(rows).T], axis=1)
    starts = np.searchsorted(cell, np.arange(len(cells.items)))
    x, e = sums[:, :width], every[of_unit][:, :width]

    def added(values: Any) -> np.ndarray:
        return np.add.reduceat(np.asarray(values), starts, axis=0)

    xx, xe = (added(x[:, :, None] * other[:, None, :]) for other in (x, e))
    total = added(x)
    # A unit that is inside with all its rows is not outside.
    left = every[of_unit][:, width:] - sums[:, width:] > 0
    inside, gone = sums[:, width:] > 0, (every[of_unit][:, width:] > 0) & ~left
    here = every[:, width:] > 0
    ee = every[:, :width].T @ every[:, :width]
    counts = added(inside.any(axis=1).astype(np.int64)), added(inside.astype(np.int64))
    whole = int(here.any(axis=1).sum())
    rest = (
        whole - added((here[of_unit].any(axis=1) & ~left.any(axis=1)).astype(np.int64)),
        here.sum(axis=0) - added(gone.astype(np.int64)),
    )
    first = Side(total, xx, *counts, terms)
    second = Side(every[:, :width].sum(axis=0) - total, ee - xe - xe.transpose(0, 2, 1) + xx, *rest, terms)
    return first, second, xe - xx, np.full(len(cells.items), whole)


def _kinds(features: np.ndarray) -> tuple[np.ndarray | slice, np.ndarray | None]:
    """A row of each kind, int [K], and the kind of each row, int [R]; all rows and None where there are too many."""
    code = np.zeros(len(features), dtype=np.int64)
    for column in _distinct(features):
        values, place = _levels(features[:, column])
        if values > MOST_KINDS:
            return slice(None), None
        found, code = compact(code * values + place)
        if len(found) > MOST_KINDS:
            return slice(None), None
    represented = np.zeros(int(code.max(initial=-1)) + 1, dtype=np.int64)
    represented[code] = np.arange(len(code))
    return represented, code


def _levels(column: np.ndarray) -> tuple[int, np.ndarray]:
    """The number of distinct values, and which of them each is; small whole numbers are not sorted."""
    whole = column.astype(np.int64)
    if (whole == column).all() and (np.abs(whole) < MOST_KINDS).all():
        found, place = compact(whole - whole.min(initial=0))
        return len(found), place
    found, place = np.unique(column, return_inverse=True)
    return len(found), place


def _distinct(features: np.ndarray) -> Iterator[int]:
    """The first of all columns that are equal."""
    yield from _distinct_columns(features)[0]


def _distinct_columns(columns: np.ndarray) -> tuple[list[int], np.ndarray]:
    """The columns that differ from all before them, and for each column which of these it equals."""
    seen: dict[bytes, int] = {}
    back = [seen.setdefault(np.ascontiguousarray(column).tobytes(), len(seen)) for column in columns.T]
    return [back.index(place) for place in range(len(seen))], np.array(back, dtype=np.int64)
