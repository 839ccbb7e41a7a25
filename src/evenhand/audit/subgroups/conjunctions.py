"""Enumerates all conjunctions of groups up to a depth and above a support, and sums numbers of rows over them.

A conjunction of groups of the attributes A, B and C is a cell of the table A × B × C. So the sets of attributes are
visited depth first, and each row has the number of its cell: a product of codes, which grows by one attribute at a
time. Rows whose cell is below the support are dropped there, since no conjunction is larger than one that it is part
of. Sums over all cells of a set of attributes are then one pass over its rows (`np.bincount`), whatever their number.
Groups that overlap put a row into several cells; several groups of such an attribute may be part of one conjunction.
Rows in the same groups are in the same conjunctions: where there are many, they are added up first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from evenhand.audit.subgroups.attributes import SearchedAttribute

FEW_ROWS = 20_000
"""Of so many rows the cells of all sets of attributes are kept: 16 bytes for each row and set."""


@dataclass(frozen=True, eq=False)
class Cells:
    """The conjunctions of one set of attributes that have the support.

    Attributes:
        attributes: positions of the attributes, ascending; an attribute with overlapping groups may occur repeatedly.
        items: int [C, k], the groups of each conjunction, as numbers over all attributes.
        rows: int [M], the rows in these conjunctions, a row as often as it is in one; None: each row once, in order.
        cell: int [M], which of the conjunctions each of them is in.
        size: int [C], the units in each.
    """

    attributes: tuple[int, ...]
    items: np.ndarray
    rows: np.ndarray | None
    cell: np.ndarray
    size: np.ndarray

    def take(self, values: np.ndarray) -> np.ndarray:
        """Numbers of all rows, [R, …], as numbers of these rows, [M, …]."""
        return values if self.rows is None else values[self.rows]


@dataclass(frozen=True, eq=False)
class Conjunctions:
    """All conjunctions of at most `depth` groups that hold at least `support` units, and never nobody.

    Attributes:
        attributes: over R rows.
        rows: R.
        depth: the most groups of a conjunction.
        support: the fewest units.
        unit: int [R], codes of the resampling units; None: each row is its own.
        count: float [R], how many units each row stands for; None: one.

    Example:
        >>> import numpy as np
        >>> from evenhand.audit.subgroups.attributes import SearchedAttribute
        >>> from evenhand.audit.subgroups.conjunctions import Conjunctions
        >>> sex = SearchedAttribute("sex", ("f", "m"), np.array([0, 0, 1, 1, 1]))
        >>> race = SearchedAttribute("race", ("a", "b"), np.array([0, 1, 0, 0, 1]))
        >>> found = Conjunctions((sex, race), rows=5, depth=2, support=2)
        >>> [found.name(place) for place in range(len(found))]
        ['sex=f', 'sex=m', 'sex=m & race=a', 'race=a', 'race=b']
        >>> found.sums(np.array([[1.0], [0], [0], [1], [1]])).T.tolist()
        [[1.0, 2.0, 1.0, 2.0, 1.0]]
    """

    attributes: Sequence[SearchedAttribute]
    rows: int
    depth: int
    support: int
    unit: np.ndarray | None = None
    count: np.ndarray | None = None

    def walk(self) -> Iterator[Cells]:
        """The conjunctions by sets of attributes, depth first.

        Of few rows the sets are kept for the next time; else nothing of a set is kept when the next one comes.
        """
        return iter(self._kept) if self.rows <= FEW_ROWS else self._walk()

    @cached_property
    def _kept(self) -> list[Cells]:
        return list(self._walk())

    def _walk(self) -> Iterator[Cells]:
        start = Cells((), np.empty((1, 0), dtype=np.int64), None, np.zeros(self.rows, dtype=np.int64), np.zeros(1))
        yield from self._below(start)

    def _below(self, above: Cells) -> Iterator[Cells]:
        if len(above.attributes) == self.depth:
            return
        first = above.attributes[-1] if above.attributes else 0
        for place in range(first, len(self.attributes)):
            again = place in above.attributes
            if again and not self.attributes[place].overlaps:
                continue
            cells = self._extended(above, place, again)
            if len(cells.items):
                yield cells
                yield from self._below(cells)

    def _extended(self, above: Cells, place: int, again: bool) -> Cells:
        """The conjunctions of these with each group of one more attribute."""
        attribute, offset = self.attributes[place], self._offsets[place]
        groups = len(attribute.groups)
        rows, cell = above.rows, above.cell
        if attribute.code is not None:
            code = attribute.code if rows is None else attribute.code[rows]
        else:
            starts, codes = attribute.starts, attribute.codes
            assert starts is not None and codes is not None
            each = np.arange(self.rows) if rows is None else rows
            count = starts[each + 1] - starts[each]
            rows, cell = np.repeat(each, count), np.repeat(cell, count)
            within = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
            code = codes[np.repeat(starts[each], count) + within]
        member = code >= 0
        if again:  # each set of groups of one attribute once
            member &= code > above.items[cell, -1] - offset
        if not member.all():
            rows = np.flatnonzero(member) if rows is None else rows[member]
            cell, code = cell[member], code[member]
        key = cell * groups + code
        size = self._units(key, rows, len(above.items) * groups)
        frequent = np.flatnonzero(size >= max(self.support, 1))
        new = np.full(len(size), -1, dtype=np.int64)
        new[frequent] = np.arange(len(frequent))
        cell = new[key]
        if len(frequent) < len(size):
            kept = cell >= 0
            if not kept.all():
                rows = np.flatnonzero(kept) if rows is None else rows[kept]
                cell = cell[kept]
        parents, own = np.divmod(frequent, groups)
        items = np.column_stack([above.items[parents], own + offset])
        return Cells((*above.attributes, place), items, rows, cell, size[frequent])

    def _units(self, key: np.ndarray, rows: np.ndarray | None, cells: int) -> np.ndarray:
        """The number of units in each cell, int [C]."""
        if self.count is not None:
            own = self.count if rows is None else self.count[rows]
            return np.bincount(key, own, cells).astype(np.int64)
        if self.unit is None:
            return np.bincount(key, minlength=cells)
        unit = self.unit if rows is None else self.unit[rows]
        count = int(self.unit.max(initial=0)) + 1
        return np.bincount(np.unique(key * count + unit) // count, minlength=cells)

    def sums(self, values: np.ndarray, code: np.ndarray | None = None) -> np.ndarray:
        """Sums over each conjunction, float [S, F].

        Args:
            values: float [R, F], of each row; or [K, F], of each kind of rows.
            code: int [R], the kind of each row; then rows of one kind are counted, and only the counts multiplied.
        """
        if self._condensed is not None:
            condensed, pattern = self._condensed
            if code is not None:
                table = np.bincount(pattern * len(values) + code, minlength=condensed.rows * len(values))
                return condensed.sums(table.reshape(condensed.rows, -1) @ values)
            return condensed.sums(
                np.stack([np.bincount(pattern, column, condensed.rows) for column in values.T], axis=1)
            )
        parts = []
        for cells in self.walk():
            count = len(cells.items)
            if code is not None:
                key = cells.cell * len(values) + cells.take(code)
                parts.append(np.bincount(key, minlength=count * len(values)).reshape(count, -1) @ values)
            else:
                columns = [np.bincount(cells.cell, cells.take(column), count) for column in values.T]
                parts.append(np.stack(columns, axis=1) if columns else np.empty((count, 0)))
        return np.concatenate(parts) if parts else np.empty((0, values.shape[1]))

    @cached_property
    def _condensed(self) -> tuple[Conjunctions, np.ndarray] | None:
        """The conjunctions of one row for each pattern of groups, and the pattern of each row; None if that is no gain.

        With units of several rows, sums alone would not do.
        """
        if self.unit is not None or self.count is not None:
            return None
        first, pattern = self.patterns(np.arange(self.rows))
        if 2 * len(first) > self.rows:
            return None
        attributes = tuple(attribute.take(first) for attribute in self.attributes)
        count = np.bincount(pattern, minlength=len(first)).astype(float)
        return Conjunctions(attributes, len(first), self.depth, self.support, count=count), pattern

    def patterns(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The first of the rows in the same groups, as positions among `rows`, int [P], and the pattern of each row."""
        code, size = np.zeros(len(rows), dtype=np.int64), 1
        for attribute in self.attributes:
            for column, values in attribute.columns(rows):
                if size > 2**62 // values:
                    _, code = np.unique(code, return_inverse=True)
                    size = int(code.max(initial=0)) + 1
                code, size = code * values + column, size * values
        _, first, pattern = np.unique(code, return_index=True, return_inverse=True)
        return first, pattern

    def memberships(self, chosen: np.ndarray | None = None) -> csr_array:
        """Who is in which conjunction, [S, r] of 0 and 1, for some rows, int [r] ascending; None: all."""
        column = np.arange(self.rows)
        if chosen is not None:
            column = np.full(self.rows, -1, dtype=np.int64)
            column[chosen] = np.arange(len(chosen))
        conjunction, row, start = [], [], 0
        for cells in self.walk():
            own = cells.take(column)
            kept = own >= 0
            conjunction.append((cells.cell[kept] + start).astype(np.int32))
            row.append(own[kept].astype(np.int32))
            start += len(cells.items)
        width = self.rows if chosen is None else len(chosen)
        if not row:
            return csr_array((0, width))
        ones = np.ones(sum(map(len, row)))
        return csr_array((ones, (np.concatenate(conjunction), np.concatenate(row))), shape=(start, width))

    @cached_property
    def _visited(self) -> tuple[np.ndarray, np.ndarray]:
        """By conjunction its groups, int [S, depth] filled up with −1, and its size."""
        if self._condensed is not None:
            return self._condensed[0]._visited
        groups, sizes = [], []
        for cells in self.walk():
            filled = np.full((len(cells.items), self.depth), -1, dtype=np.int64)
            filled[:, : cells.items.shape[1]] = cells.items
            groups.append(filled)
            sizes.append(cells.size)
        if not groups:
            return np.empty((0, self.depth), dtype=np.int64), np.empty(0, np.int64)
        return np.concatenate(groups), np.concatenate(sizes)

    @property
    def items(self) -> np.ndarray:
        """int [S, depth], the groups of each conjunction as numbers over all attributes, filled up with −1."""
        return self._visited[0]

    @property
    def size(self) -> np.ndarray:
        """int [S], the units in each conjunction."""
        return self._visited[1]

    @cached_property
    def depths(self) -> np.ndarray:
        """int [S], the groups of each conjunction."""
        return (self.items >= 0).sum(axis=1)

    def __len__(self) -> int:
        return len(self.size)

    @cached_property
    def _offsets(self) -> list[int]:
        """The number of each attribute's first group."""
        counts = [len(attribute.groups) for attribute in self.attributes]
        return [0, *np.cumsum(counts).tolist()]

    @cached_property
    def _names(self) -> list[str]:
        return [label for each in self.attributes for label in each.labels]

    def groups_of(self, place: int) -> tuple[str, ...]:
        """The groups of a conjunction, as `attribute=group`."""
        return tuple(self._names[item] for item in self.items[place] if item >= 0)

    def name(self, place: int) -> str:
        """The name of a conjunction: `race=Asian & religion=none`."""
        return " & ".join(self.groups_of(place))

    @cached_property
    def index(self) -> dict[tuple[int, ...], int]:
        """The place of each conjunction, by its groups in ascending order; that of nobody's conditions is −1."""
        places = {tuple(item for item in row if item >= 0): place for place, row in enumerate(self.items.tolist())}
        return {(): -1, **places}

    def members(self, place: int) -> np.ndarray:
        """bool [R], who is in a conjunction."""
        inside = np.ones(self.rows, dtype=bool)
        for item in self.items[place]:
            if item >= 0:
                inside &= self._group(int(item))
        return inside

    def _group(self, item: int) -> np.ndarray:
        """bool [R], the members of one group."""
        place = int(np.searchsorted(self._offsets, item, side="right")) - 1
        attribute, code = self.attributes[place], item - self._offsets[place]
        if attribute.code is not None:
            return attribute.code == code
        starts, codes = attribute.starts, attribute.codes
        assert starts is not None and codes is not None
        inside = np.zeros(self.rows, dtype=bool)
        inside[np.searchsorted(starts, np.flatnonzero(codes == code), side="right") - 1] = True
        return inside

    @cached_property
    def undefined(self) -> bool:
        """Whether some attribute does not exist for some row."""
        return any(attribute.defined is not None for attribute in self.attributes)

    def eligible(self, attributes: Sequence[int]) -> np.ndarray | None:
        """bool [R], the rows for which all these attributes exist; None: all rows."""
        masks = [mask for place in set(attributes) if (mask := self.attributes[place].defined) is not None]
        return np.logical_and.reduce(masks) if masks else None

    def exists(self, place: int) -> np.ndarray:
        """bool [R], the rows for which all attributes of a conjunction exist."""
        own = [int(np.searchsorted(self._offsets, item, side="right")) - 1 for item in self.items[place] if item >= 0]
        mask = self.eligible(own)
        return np.ones(self.rows, dtype=bool) if mask is None else mask
