"""Ratios of sums in many subsets at once: estimates with their two-way clustered variances, changes and gaps.

A rate, a mean loss or a predictive value of a group is Σ numerator / Σ weight over the group's rows, in each of J runs.
For one group `contrast.two_way` gives the mean over runs with its variance; this module gives it for all groups, and is
the same to rounding. With y and n the numerators and weights, m the mask of a subset, N_j = Σ_r m_r·n_rj,
d_j = Σ_r m_r·y_rj / N_j and d̄ the mean over runs, row r contributes in run j

    c_rj      = m_r·(y_rj − d̄·n_rj) / (J·N_j)
    V_seed    = Σ_j (d_j − d̄)² / (J·(J − 1))
    V_example = U/(U − 1) · Σ_u (Σ_j Σ_{r in u} c_rj)²
    V_both    = Σ_uj (Σ_{r in u} c_rj)²

Sums over rows are products of the masks with sums and products of y and n. A change between two methods with the same
weights is a ratio too, of y = y_first − y_second; where weights differ (positive predictive value) it has

    c_rj = m_r·[(y_first − (d_second,j + D̄)·n_first)/N_first,j − (y_second − d_second,j·n_second)/N_second,j] / J

A gap, subset minus rest, is put together by `contrast.two_sides` from the contributions on either side.

Each subset goes one of two ways. A small one, as those of a partition into many groups are, is gathered: its rows are
taken and summed. A large one is a row of a matrix product; y is centred there by its mean over everything, and
where sums of squares cancel all the same (nothing varies within the subset), it is gathered after all. A subset that
holds some rows of a unit and not others is gathered as well: squares are of units.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from evenhand.stats.contrast import TwoWay, compact, many_degrees_of_freedom, units_of_two_sides

BLOCK = 2**20
"""Numbers in the largest temporary array: few enough to stay near the processor."""
SMALL = 0.25
"""A subset with a smaller share of the rows than this is gathered."""
CANCELLED = 1e-4
"""A sum of squares that is a smaller share of its terms than this is summed again, without cancellation."""


@dataclass(frozen=True, eq=False)
class RatioSums:
    """What each row adds to the numerator and the denominator of a ratio, in each run.

    Attributes:
        numerator: float [R, J]; 0 where the run did not test the row.
        weight: float [R, J], at least 0; 0 where the run did not test the row, or the ratio does not count it.
        unit: int [R], codes of the resampling units; None: each row is its own.
    """

    numerator: np.ndarray
    weight: np.ndarray
    unit: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Subsets:
    """Subsets of the same rows, which may overlap.

    What is found out about them is kept for the next call, so one object should serve all ratios of the same rows.

    Attributes:
        masks: bool [S, R].
    """

    masks: np.ndarray

    def __len__(self) -> int:
        return len(self.masks)

    @cached_property
    def sizes(self) -> np.ndarray:
        """int [S], the rows of each."""
        return np.array([np.count_nonzero(mask) for mask in self.masks], dtype=np.int64)

    @cached_property
    def small(self) -> np.ndarray:
        """bool [S], the subsets that are gathered whatever is asked of them."""
        return self.sizes <= SMALL * self.masks.shape[1]

    @cached_property
    def members(self) -> np.ndarray:
        """int, the rows of the small subsets, one subset after the other."""
        rows = [np.flatnonzero(mask) for mask in self.masks[self.small]]
        return np.concatenate([np.empty(0, dtype=np.intp), *rows])


@dataclass(frozen=True, eq=False)
class TwoWays:
    """`contrast.TwoWay` for many subsets; nan where a ratio is undefined in some run.

    Attributes:
        values: float [S, J], the quantity in each run.
        variance, df, v_seed, v_example, v_both: float [S].
        units: int [S], distinct units over all runs; of a gap see `contrast.two_sides`.
    """

    values: np.ndarray
    variance: np.ndarray
    df: np.ndarray
    v_seed: np.ndarray
    v_example: np.ndarray
    v_both: np.ndarray
    units: np.ndarray

    @property
    def runs(self) -> int:
        """J."""
        return self.values.shape[1]

    @cached_property
    def estimate(self) -> np.ndarray:
        """float [S], the means of the runs' values."""
        return self.values.mean(axis=1)

    def __len__(self) -> int:
        return len(self.values)

    def at(self, subset: int) -> TwoWay:
        """One of them."""
        return TwoWay(
            float(self.estimate[subset]),
            float(self.variance[subset]),
            float(self.df[subset]),
            float(self.v_seed[subset]),
            float(self.v_example[subset]),
            float(self.v_both[subset]),
            self.runs,
            int(self.units[subset]),
        )


@dataclass(frozen=True, eq=False)
class RunLevels:
    """A ratio in each run by itself.

    Attributes:
        values: float [S, J]; nan where it is undefined.
        variance: float [S, J], of the noise of the examples; nan with one unit.
        units: int [S, J], the units that the run tested.
    """

    values: np.ndarray
    variance: np.ndarray
    units: np.ndarray


def levels(sums: RatioSums, subsets: Subsets) -> TwoWays:
    """The mean over runs of a ratio, in each subset.

    Example:
        Three tests of four examples, which were right (1) or wrong (0), and two overlapping groups:

        >>> right = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 0], [1, 1, 0]])
        >>> groups = Subsets(np.array([[True, True, True, False], [False, False, True, True]]))
        >>> found = levels(RatioSums(right, np.ones((4, 3))), groups)
        >>> found.estimate.round(3).tolist(), found.units.tolist()
        ([0.667, 0.5], [3, 2])
        >>> round(found.at(0).standard_error, 3)
        0.192
    """
    return _finished_side(*_side([_table(sums)], subsets))


def levels_of_runs(sums: RatioSums, subsets: Subsets) -> RunLevels:
    """A ratio in each run and subset, with the variance that the examples alone give it."""
    table = _table(sums)
    tables = [table.of_run(run) for run in range(table.shape[1])]
    one_by_one = [_finished_side(side) for side in _side(tables, subsets)]
    values, variance, units = zip(*((one.estimate, one.variance, one.units) for one in one_by_one), strict=True)
    return RunLevels(*(np.stack(part, axis=1) for part in (values, variance, units)))


def changes(first: RatioSums, second: RatioSums, subsets: Subsets) -> TwoWays:
    """first − second in each subset, paired: both have the same rows, units and runs."""
    return _finished_side(*_side([_table(first, second)], subsets))


def gaps(sums: RatioSums, subsets: Subsets, rests: Subsets) -> TwoWays:
    """The ratio in each subset minus that in its rest; rests are often complements, but may be any masks."""
    return _two_sides(_table(sums), subsets, rests)


def gap_changes(first: RatioSums, second: RatioSums, subsets: Subsets, rests: Subsets) -> TwoWays:
    """The gaps of the first minus those of the second: the change in each subset minus that in its rest."""
    return _two_sides(_table(first, second), subsets, rests)


def unit_totals(
    subsets: Subsets, first: RatioSums, second: RatioSums | None = None, rests: Subsets | None = None
) -> np.ndarray:
    """What each unit contributes over all runs, float [S, U], as `multiplicity.unit_totals` has it.

    Args:
        subsets: as many as memory holds rows of U numbers for.
        first: of `levels` or `gaps`; with `second` of `changes` or `gap_changes`.
        second: the ratio that is taken away.
        rests: of gaps.

    Returns:
        Columns are the distinct codes of `first.unit`, ascending; without units they are the rows. A row is nan where
        a ratio is undefined in some run.
    """
    table = _table(first, second)
    totals = np.zeros((len(subsets), table.width))
    for sign, masks in ((1, subsets.masks), (-1, None if rests is None else rests.masks)):
        for place, mask in enumerate([] if masks is None else masks):
            rows = np.flatnonzero(table.own(mask))
            sums = [[part[rows].sum(axis=0, keepdims=True) for part in (term.y, term.n)] for term in table.terms]
            weights = _Weights.of(*zip(*sums, strict=True))
            units, cells = _by_unit(table, rows, _cells(table, rows, weights, np.zeros(len(rows), dtype=np.intp)))
            totals[place, table.columns[units]] += sign * cells.sum(axis=1)
            if np.isnan(weights.values).any():
                totals[place] = np.nan
    return totals


@dataclass(frozen=True, eq=False)
class _Term:
    """A ratio's rows.

    Attributes:
        y: float [R, J].
        n: float [R, J], or [R, 1] where it is the same in every run.
        centred: float [R, J], y − centre·n.
        centre: the ratio over everything.
    """

    y: np.ndarray
    n: np.ndarray
    centred: np.ndarray
    centre: float

    @classmethod
    def of(cls, y: np.ndarray, n: np.ndarray) -> _Term:
        y, n = np.asarray(y, dtype=float), np.asarray(n, dtype=float)
        total = n.sum()
        centre = float(y.sum() / total) if total > 0 else 0.0
        if (n == n[:, :1]).all():
            n = n[:, :1]
        return cls(y, n, y - centre * n, centre)

    def take(self, rows: np.ndarray) -> _Term:
        return _Term(self.y[rows], self.n[rows], self.centred[rows], self.centre)

    def by_unit(self, starts: np.ndarray) -> _Term:
        """Sums over each unit's rows."""
        y, n, centred = (np.add.reduceat(part, starts, axis=0) for part in (self.y, self.n, self.centred))
        return _Term(y, n, centred, self.centre)


@dataclass(frozen=True, eq=False)
class _Table:
    """The rows that some run tested, those of a unit side by side.

    Attributes:
        terms: one ratio, or the first and the second of a change whose weights differ.
        order: int [R], the rows; None: all of them as they came.
        starts: int [U], where each unit begins; None: each row is a unit.
        columns: int [U], each unit's place among all units.
        width: how many units there are, tested or not.
        count: how many rows.
    """

    terms: tuple[_Term, ...]
    order: np.ndarray | None
    starts: np.ndarray | None
    columns: np.ndarray
    width: int
    count: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and runs."""
        return self.terms[0].y.shape

    @cached_property
    def unit(self) -> np.ndarray:
        """int [R], ascending."""
        rows = self.shape[0]
        if self.starts is None:
            return np.arange(rows)
        return np.repeat(np.arange(len(self.starts)), np.diff(self.starts, append=rows))

    @cached_property
    def united(self) -> tuple[_Term, ...]:
        """The terms with one row a unit."""
        return self.terms if self.starts is None else tuple(term.by_unit(self.starts) for term in self.terms)

    @cached_property
    def products(self) -> np.ndarray:
        """float [U, C], what masks are multiplied with; `_product` knows the columns."""
        first = self.united[0]
        sums = [part for term in self.united for part in (term.y, term.n)]
        present = (first.n > 0).any(axis=1, keepdims=True)
        if self.steady:
            total = first.centred.sum(axis=1, keepdims=True)
            squares = (first.centred**2).sum(axis=1, keepdims=True)
            return np.hstack([*sums, present, squares, total**2, total * first.n, first.n**2])
        parts = self.parts
        pairs = [parts[i] * parts[j] for i in range(len(parts)) for j in range(i, len(parts))]
        return np.hstack([*sums, present, *pairs])

    @cached_property
    def steady(self) -> bool:
        """Whether there is one term, with the same weights in every run."""
        return len(self.terms) == 1 and self.terms[0].n.shape[1] == 1

    @cached_property
    def parts(self) -> list[np.ndarray]:
        """float [U, J] each: centred numerator and weight, of each term."""
        shape = len(self.united[0].y), self.shape[1]
        return [np.broadcast_to(part, shape) for term in self.united for part in (term.centred, term.n)]

    @cached_property
    def linear(self) -> np.ndarray:
        """float [2·K·J, U], what totals are linear combinations of."""
        return np.ascontiguousarray(np.hstack(self.parts).T)

    def of_run(self, run: int) -> _Table:
        """One run alone, with the same rows."""
        (term,) = self.terms
        n = term.n[:, [min(run, term.n.shape[1] - 1)]]
        alone = _Term(term.y[:, [run]], n, term.centred[:, [run]], term.centre)
        return replace(self, terms=(alone,))

    @cached_property
    def position(self) -> np.ndarray:
        """int [rows of the masks], where each row is in the table; −1: no run tested it."""
        assert self.order is not None
        found = np.full(self.count, -1)
        found[self.order] = np.arange(len(self.order))
        return found

    def own(self, masks: np.ndarray) -> np.ndarray:
        """Masks of these rows."""
        return masks if self.order is None else masks[..., self.order]

    @cached_property
    def tested(self) -> np.ndarray:
        """bool [R], rows with a weight in some run."""
        return self.terms[0].n.max(axis=1) > 0

    @cached_property
    def inner(self) -> np.ndarray:
        """Rows that follow another of their unit."""
        return np.flatnonzero(np.diff(self.unit) == 0) + 1


def _table(first: RatioSums, second: RatioSums | None = None) -> _Table:
    if second is None:
        pairs = [(first.numerator, first.weight)]
    elif np.array_equal(first.weight, second.weight):
        pairs = [(np.subtract(first.numerator, second.numerator, dtype=float), first.weight)]
    else:
        pairs = [(one.numerator, one.weight) for one in (first, second)]
    terms = tuple(_Term.of(*pair) for pair in pairs)
    count = len(first.numerator)
    tested = np.zeros(count, dtype=bool)
    for term in terms:
        tested |= (term.n != 0).any(axis=1) | (term.y != 0).any(axis=1)
    if first.unit is None:
        if tested.all():
            return _Table(terms, None, None, np.arange(count), count, count)
        rows = np.flatnonzero(tested)
        return _Table(tuple(term.take(rows) for term in terms), rows, None, rows, count, count)
    codes, place = compact(first.unit)
    rows = np.flatnonzero(tested)
    if len(codes) == count:
        return _Table(tuple(term.take(rows) for term in terms), rows, None, place[rows], count, count)
    rows = rows[np.argsort(place[rows], kind="stable")]
    here = place[rows]
    starts = np.flatnonzero(np.diff(here, prepend=-1))
    return _Table(tuple(term.take(rows) for term in terms), rows, starts, here[starts], len(codes), count)


@dataclass(frozen=True, eq=False)
class _Weights:
    """How rows become contributions: Σ over terms of w·(y − centre·n).

    Attributes:
        values: float [S, J], of the quantity.
        w, centre: by term, float [S, J] or [S, 1].
    """

    values: np.ndarray
    w: tuple[np.ndarray, ...]
    centre: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, numerators: Sequence[np.ndarray], sizes: Sequence[np.ndarray]) -> _Weights:
        """From the sums of each term."""
        runs = numerators[0].shape[1]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = [y / n for y, n in zip(numerators, sizes, strict=True)]
            w = [1 / (runs * n) for n in sizes]
        if len(ratios) == 1:
            return cls(ratios[0], (w[0],), (ratios[0].mean(axis=1, keepdims=True),))
        values = ratios[0] - ratios[1]
        return cls(values, (w[0], -w[1]), (ratios[1] + values.mean(axis=1, keepdims=True), ratios[1]))

    def take(self, subsets: np.ndarray | slice | list[int]) -> _Weights:
        w, centre = (tuple(one[subsets] for one in each) for each in (self.w, self.centre))
        return _Weights(self.values[subsets], w, centre)


@dataclass(frozen=True, eq=False)
class _Side:
    """What one side of a contrast comes to, in several subsets.

    Attributes:
        weights: the values, and how rows contribute to them.
        total: float [S], Σ_u (Σ_j c_uj)².
        both: float [S], Σ_uj c_uj².
        units: int [S].
    """

    weights: _Weights
    total: np.ndarray
    both: np.ndarray
    units: np.ndarray

    def take(self, subsets: np.ndarray) -> _Side:
        return _Side(self.weights.take(subsets), self.total[subsets], self.both[subsets], self.units[subsets])

    @classmethod
    def joined(cls, sides: Sequence[_Side]) -> _Side:
        weights = [side.weights for side in sides]
        w, centre = (
            tuple(np.concatenate(one) for one in zip(*each, strict=True))
            for each in ([one.w for one in weights], [one.centre for one in weights])
        )
        values = np.concatenate([one.values for one in weights])
        parts = zip(*((side.total, side.both, side.units) for side in sides), strict=True)
        return cls(_Weights(values, w, centre), *(np.concatenate(part) for part in parts))


def _side(tables: Sequence[_Table], subsets: Subsets) -> list[_Side]:
    """One side for each of several tables with the same rows."""
    places, sides = zip(*_sides(tables, subsets), strict=True)
    back = np.argsort(np.concatenate(places))
    return [_Side.joined(parts).take(back) for parts in zip(*sides, strict=True)]


def _sides(tables: Sequence[_Table], subsets: Subsets) -> Iterator[tuple[np.ndarray, list[_Side]]]:
    """Some subsets at a time, with their places."""
    table = tables[0]
    rows, most = table.shape[0], max(BLOCK // max(table.shape), 1)
    small = np.flatnonzero(subsets.small)
    if not len(subsets):
        yield small, [_gathered(one, 0, small, small) for one in tables]
    for piece, own in _pieces(small, subsets.sizes[small], table):
        subset = np.repeat(np.arange(len(piece)), subsets.sizes[piece])
        members = subsets.members[own]
        if table.order is not None:
            members = table.position[members]
            subset, members = subset[members >= 0], members[members >= 0]
        if table.starts is not None:  # a unit's rows side by side
            members = np.sort(subset * rows + members)
            subset, members = np.divmod(members, max(rows, 1))
        yield piece, [_gathered(one, len(piece), subset, members) for one in tables]
    large = np.flatnonzero(~subsets.small)
    for places in np.split(large, np.arange(most, len(large), most)) if len(large) else []:
        block = table.own(subsets.masks[places])
        gather = np.zeros(len(places), dtype=bool)
        if table.starts is not None:
            gather = (block[:, table.inner] != block[:, table.inner - 1]).any(axis=1)
        whole = np.flatnonzero(~gather)
        if len(whole):
            by_unit = block[whole] if table.starts is None else block[whole][:, table.starts]
            sides = _products(tables, by_unit.astype(float))
            lost = np.any([cancelled for _, cancelled in sides], axis=0)
            gather[whole[lost]] = True
            yield places[whole[~lost]], [side.take(~lost) for side, _ in sides]
        left = np.flatnonzero(gather)
        for piece, _ in _pieces(left, subsets.sizes[places[left]], table):
            subset, members = np.divmod(np.flatnonzero(block[piece]), rows)
            yield places[piece], [_gathered(one, len(piece), subset, members) for one in tables]


def _pieces(places: np.ndarray, sizes: np.ndarray, table: _Table) -> Iterator[tuple[np.ndarray, slice]]:
    """As many subsets at a time as are gathered at once, and where their rows are among those of all of them."""
    ends = np.cumsum(sizes)
    cuts = np.flatnonzero(np.diff(ends * table.shape[1] // BLOCK)) + 1
    for start, end in zip([0, *cuts], [*cuts, len(places)], strict=True):
        if end > start:
            yield places[start:end], slice(ends[start] - sizes[start], ends[end - 1])


def _gathered(table: _Table, count: int, subset: np.ndarray, rows: np.ndarray) -> _Side:
    """From the rows of each of `count` subsets, in order of subsets and units."""
    from scipy.sparse import csr_array

    ends = np.concatenate([[0], np.cumsum(np.bincount(subset, minlength=count))])
    members = csr_array((np.ones(len(rows)), rows, ends), shape=(count, table.shape[0]))
    weights = _Weights.of([members @ term.y for term in table.terms], [members @ term.n for term in table.terms])
    cells, tested = _cells(table, rows, weights, subset), table.tested[rows]
    if table.starts is not None and len(rows):
        begins = np.flatnonzero((np.diff(subset, prepend=-1) != 0) | (np.diff(table.unit[rows], prepend=-1) != 0))
        cells, tested = np.add.reduceat(cells, begins, axis=0), np.logical_or.reduceat(tested, begins)
        subset = subset[begins]
    return _Side(
        weights,
        np.bincount(subset, cells.sum(axis=1) ** 2, count),
        np.bincount(subset, np.einsum("ij,ij->i", cells, cells), count),
        np.bincount(subset[tested], minlength=count),
    )


def _cells(table: _Table, rows: np.ndarray, weights: _Weights, subset: np.ndarray) -> np.ndarray:
    """Contributions of rows to their subset, float [len(rows), J]."""
    found = np.zeros((1, 1))
    for term, w, centre in zip(table.terms, weights.w, weights.centre, strict=True):
        found = found + w[subset] * (term.y[rows] - centre[subset] * term.n[rows])
    return found


def _by_unit(table: _Table, rows: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The units of ascending rows, and sums over each one's rows."""
    if table.starts is None or not len(rows):
        return rows, cells
    begins = np.flatnonzero(np.diff(table.unit[rows], prepend=-1))
    return table.unit[rows[begins]], np.add.reduceat(cells, begins, axis=0)


def _products(tables: Sequence[_Table], member: np.ndarray) -> list[tuple[_Side, np.ndarray]]:
    """From matrix products with masks, float [S, U]; and where squares cancelled, bool [S]."""
    factors = [table.products for table in tables]
    products = member @ (factors[0] if len(tables) == 1 else np.hstack(factors))
    parts = np.split(products, np.cumsum([factor.shape[1] for factor in factors])[:-1], axis=1)
    return [_product(table, member, part) for table, part in zip(tables, parts, strict=True)]


def _product(table: _Table, member: np.ndarray, products: np.ndarray) -> tuple[_Side, np.ndarray]:
    runs = table.shape[1]
    widths = [width for term in table.terms for width in (runs, term.n.shape[1])]
    *sums, units, squares = np.split(products, np.cumsum([*widths, 1]), axis=1)
    weights = _Weights.of(sums[::2], sums[1::2])
    with np.errstate(invalid="ignore"):
        off = [centre - term.centre for term, centre in zip(table.terms, weights.centre, strict=True)]
        if table.steady:
            w, c = weights.w[0][:, 0] ** 2, off[0][:, 0]
            each, total, cross, size = squares.T
            both, of_both = w * (each - 2 * c * cross + runs * c**2 * size), w * (each + runs * c**2 * size)
            of_total = w * (total + (runs * c) ** 2 * size)
            total = w * (total - 2 * runs * c * cross + (runs * c) ** 2 * size)
        else:
            shape = len(member), runs
            factors = [np.broadcast_to(one, shape) for w, c in zip(weights.w, off, strict=True) for one in (w, -w * c)]
            both, of_both = np.zeros(len(member)), np.zeros(len(member))
            pairs = [(i, j) for i in range(len(factors)) for j in range(i, len(factors))]
            for (i, j), moment in zip(pairs, np.split(squares, len(pairs), axis=1), strict=True):
                part = (factors[i] * factors[j] * moment).sum(axis=1)
                both += part if i == j else 2 * part
                of_both += part if i == j else 0.0
            totals = np.hstack(factors) @ table.linear
            totals *= member
            total, of_total = np.einsum("ij,ij->i", totals, totals), of_both
        cancelled = (both <= CANCELLED * of_both) & (of_both > 0) | (total <= CANCELLED * of_total) & (of_total > 0)
    return _Side(weights, total, both, np.rint(units[:, 0]).astype(np.int64)), cancelled


def _correction(units: np.ndarray) -> np.ndarray:
    """U/(U − 1); nan for one unit."""
    return np.divide(units, units - 1, out=np.full(len(units), np.nan), where=units > 1)


def _finished(values: np.ndarray, v_example: np.ndarray, both: np.ndarray, units: np.ndarray) -> TwoWays:
    runs = values.shape[1]
    v_seed, v_both = np.zeros(len(values)), np.zeros(len(values))
    if runs > 1:
        v_seed, v_both = values.var(axis=1, ddof=1) / runs, both
    variance = np.maximum(v_seed + v_example - v_both, v_example)
    df = many_degrees_of_freedom(variance, v_seed, runs, units)
    return TwoWays(values, variance, df, v_seed, v_example, v_both, units)


def _finished_side(side: _Side) -> TwoWays:
    return _finished(side.weights.values, _correction(side.units) * side.total, side.both, side.units)


def _two_sides(table: _Table, subsets: Subsets, rests: Subsets) -> TwoWays:
    (first,), (second,) = _side([table], subsets), _side([table], rests)
    corrections = _correction(first.units), _correction(second.units)
    own = corrections[0] * first.total, corrections[1] * second.total
    scale, of_both = own[0] + own[1], first.both + second.both
    distinct, v_example, both = first.units + second.units, scale.copy(), of_both.copy()
    for place in _meeting(table, subsets.masks, rests.masks):
        masks = [table.own(each.masks[place]) for each in (subsets, rests)]
        weights = [side.weights.take([place]) for side in (first, second)]
        factor = np.sqrt([correction[place] for correction in corrections])
        shared, cells = _shared_units(table, masks, weights)
        distinct[place] -= shared
        v_example[place] -= 2 * factor.prod() * (cells[0].sum(axis=1) @ cells[1].sum(axis=1))
        both[place] -= 2 * np.vdot(cells[0], cells[1])
        if v_example[place] <= CANCELLED * scale[place] or both[place] <= CANCELLED * of_both[place]:
            whole = [np.zeros((table.width, table.shape[1])) for _ in masks]
            for each, mask, weight in zip(whole, masks, weights, strict=True):
                rows = np.flatnonzero(mask)
                units, own_cells = _by_unit(table, rows, _cells(table, rows, weight, np.zeros_like(rows)))
                each[units] = own_cells
            v_example[place] = ((factor[0] * whole[0].sum(axis=1) - factor[1] * whole[1].sum(axis=1)) ** 2).sum()
            both[place] = ((whole[0] - whole[1]) ** 2).sum()
    units = units_of_two_sides(*own, first.units, second.units, distinct)
    return _finished(first.weights.values - second.weights.values, v_example, both, units)


def _meeting(table: _Table, first: np.ndarray, second: np.ndarray) -> Iterator[int]:
    """Subsets that have a unit in common with their rest."""
    step = max(BLOCK // max(table.shape[0], 1), 1)
    for start in range(0, len(first), step):
        one, other = (table.own(masks[start : start + step]) for masks in (first, second))
        if table.starts is not None:
            one, other = (np.logical_or.reduceat(masks, table.starts, axis=1) for masks in (one, other))
        yield from (start + np.flatnonzero((one & other).any(axis=1))).tolist()


def _shared_units(
    table: _Table, masks: Sequence[np.ndarray], weights: Sequence[_Weights]
) -> tuple[int, Sequence[np.ndarray]]:
    """How many tested units two sides share, and each side's contributions of all that they share, float [U, J]."""
    present = [np.zeros((2, len(table.columns)), dtype=bool) for _ in masks]
    for each, mask in zip(present, masks, strict=True):
        each[0, table.unit[mask]] = True
        each[1, table.unit[mask & table.tested]] = True
    shared, tested = present[0] & present[1]
    cells = []
    for mask, weight in zip(masks, weights, strict=True):
        rows = np.flatnonzero(mask & shared[table.unit])
        cells.append(_by_unit(table, rows, _cells(table, rows, weight, np.zeros_like(rows)))[1])
    return int(tested.sum()), cells
