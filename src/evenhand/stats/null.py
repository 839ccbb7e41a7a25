"""Null distributions and noise floors: the values of measures by chance alone, at given group sizes.

The null here is that *nobody's group matters*: whole membership patterns are permuted over the examples of a stratum
(those of one label, for rates given the label), and the same permutation serves every run, since runs share their
examples. A count measure needs no permuted rows: the table pattern × outcome has fixed margins, and its cells are
multivariate hypergeometric. The other null, that the confidences are right, is in `redrawn.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from evenhand.stats.bootstrap import distinct
from evenhand.stats.contrast import compact

BATCH = 1 << 22
"""The number of numbers in memory at a time."""
ROWS_PER_CELL = 8
"""The cost of drawing a cell of a table, as a number of permuted rows."""
SHUFFLED = 1 << 17
"""The number of rows permuted at a time; small enough for the processor's cache."""
LANES = np.uint64(0x0101010101010101)
"""The lowest bit of each byte."""


@dataclass(frozen=True)
class NoiseFloor:
    """Mean and upper quantile of a measure where there is no effect.

    Attributes:
        mean: over the draws; nan where the measure is defined in none of them.
        high: the quantile above which a value is outside of its floor.

    Example:
        >>> from evenhand.stats import NoiseFloor
        >>> floor = NoiseFloor(mean=0.02, high=0.05)
        >>> 0.08 > floor.high  # more than noise shows
        True
    """

    mean: float
    high: float


def noise_floor(draws: np.ndarray, level: float = 0.95) -> NoiseFloor:
    """Mean and upper quantile of a measure's draws [D] under the null, over those where it is defined.

    Args:
        draws: float [D]; nan where the measure is undefined.
        level: of the upper quantile.

    Returns:
        Both numbers are nan where the measure is defined in no draw.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import noise_floor
        >>> noise_floor(np.arange(101.0))
        NoiseFloor(mean=50.0, high=95.0)
    """
    defined = draws[~np.isnan(draws)]
    if not len(defined):
        return NoiseFloor(np.nan, np.nan)
    return NoiseFloor(float(defined.mean()), float(np.quantile(defined, level)))


def noise_floors(draws: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Mean and upper quantile, float [...] each, of many measures' draws [D, ...] at once.

    Each is as `noise_floor` gives it, with the same level, and nan where a measure is defined in no draw.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import noise_floors
        >>> mean, high = noise_floors(np.array([[0.0, 4.0], [2.0, 8.0]]), level=0.5)
        >>> mean.tolist(), high.tolist()
        ([1.0, 6.0], [1.0, 6.0])
    """
    ordered = np.sort(draws, axis=0)  # nan comes last
    count = (~np.isnan(ordered)).sum(axis=0)
    total = np.nansum(ordered, axis=0)
    place = level * np.maximum(count - 1, 0)
    below = place.astype(np.int64)
    low, high = (
        np.take_along_axis(ordered, np.minimum(row, np.maximum(count - 1, 0))[None], axis=0)[0]
        for row in (below, below + 1)
    )
    mean = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    return mean, low + (high - low) * (place - below)


def permuted_sums(
    members: np.ndarray, strata: np.ndarray, amounts: np.ndarray, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Sums over each group when membership patterns are permuted within strata.

    One call permutes alike for all amounts, so those of every run belong into it: the events of each run, and where
    not every run tests every example, who was tested. A permutation of examples that are not independent (clusters)
    is one of units: then a row is a unit and an amount its sum, where a unit's examples share pattern and stratum.

    Args:
        members: bool [n, G], groups may overlap and a row may be in none; or float, the weight of each row in its
            groups. A row's weight goes with its groups, and amounts are unweighted.
        strata: int [n]; rows keep their stratum. One code for all: a free permutation.
        amounts: bool, int or float [M, n].
        draws: how many permutations.
        rng: the source of randomness.

    Returns:
        int or float [draws, S, M, G], the strata in ascending order of their codes.

    Example:
        Two of four examples have the event. Permuted over two groups of two, each has none, one or both:

        >>> import numpy as np
        >>> from evenhand.stats import permuted_sums
        >>> members = np.array([[True, False], [True, False], [False, True], [False, True]])
        >>> events = np.array([[True, True, False, False]])
        >>> sums = permuted_sums(members, np.zeros(4, dtype=int), events, 1000, np.random.default_rng(0))
        >>> sums.shape, np.unique(sums).tolist(), np.unique(sums.sum(axis=-1)).tolist()
        ((1000, 1, 1, 2), [0, 1, 2], [2])
    """
    _, stratum = compact(strata)
    found = []
    for code in range(int(stratum.max(initial=-1)) + 1):
        inside = stratum == code
        own = members[inside]
        pattern, row = distinct([*(np.packbits(own, axis=1) if own.dtype == bool else own).T])
        found += permuted_alike(pattern, members[inside][row], [amounts[:, inside]], draws, lambda: rng)
    sums = np.stack(found, axis=1)
    whole = not any(np.issubdtype(each.dtype, np.floating) for each in (amounts, members))
    return sums.astype(np.int64) if whole else sums


def permuted_alike(
    pattern: np.ndarray,
    members: np.ndarray,
    parts: Sequence[np.ndarray],
    draws: int,
    rng: Callable[[], np.random.Generator],
) -> list[np.ndarray]:
    """Sums over each group under permutation, for several parts, each with the result of permuting it alone.

    Where rows are permuted, the parts share the permutation, which is drawn once.

    Args:
        pattern: int [n], the code of each row's membership pattern.
        members: bool or float [P, G], the groups of each pattern, with its weight.
        parts: bool, int or float [M, n] each.
        draws: the number of permutations.
        rng: makes the generator of a part; all generators are in the same state.

    Returns:
        By part, float [draws, M, G].
    """
    if not len(pattern):
        return [np.zeros((draws, len(amounts), members.shape[1])) for amounts in parts]
    sizes = np.bincount(pattern, minlength=len(members))
    sizes, groups = sizes[sizes > 0], members[sizes > 0].astype(float)
    found: dict[int, np.ndarray] = {}
    for part, amounts in enumerate(parts):
        counts, outcomes = _outcomes(amounts)
        if (len(sizes) - 1) * (len(counts) - 1) * ROWS_PER_CELL <= len(pattern):
            found[part] = _by_tables(sizes, groups, counts, outcomes, draws, rng())
    left = [part for part in range(len(parts)) if part not in found]
    if left:
        # Amounts that several runs have in common, such as who was tested, are summed once.
        rows, places = _unlike([parts[part] for part in left])
        sums = _by_rows(rows, sizes, groups, draws, rng())
        found |= {part: sums[:, place] for part, place in zip(left, places, strict=True)}
    return [found[part] for part in range(len(parts))]


def drawn_at_once(size: int) -> int:
    """How many draws `redrawn.redraw_outcomes` makes at a time from this many probabilities, runs included."""
    return max(1, BATCH // max(size, 1))


def _outcomes(amounts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct columns of amounts [M, n]: how many rows have each, int [O], and float [M, O]."""
    if amounts.dtype == bool and 0 < len(amounts) <= 16:
        code = np.zeros(amounts.shape[1], dtype=np.uint8 if len(amounts) <= 8 else np.uint16)
        for amount in amounts:  # the first is the highest bit: the order in which `distinct` has the columns
            code <<= 1
            code |= amount
        counts = np.bincount(code)
        held = np.flatnonzero(counts)
        return counts[held], (held >> np.arange(len(amounts))[::-1, None] & 1).astype(float)
    outcome, row = distinct([*(np.packbits(amounts, axis=0) if amounts.dtype == bool else amounts)])
    return np.bincount(outcome), amounts[:, row].astype(float)


def _unlike(parts: Sequence[np.ndarray]) -> tuple[np.ndarray, list[list[int]]]:
    """The distinct rows of parts [M, n], and the places of each part's rows among them."""
    rows: dict[bytes, np.ndarray] = {}
    places: dict[bytes, int] = {}
    found = []
    for part in parts:
        keys = [row.dtype.str.encode() + row.tobytes() for row in part]
        for key, row in zip(keys, part, strict=True):
            rows.setdefault(key, row)
            places.setdefault(key, len(places))
        found.append([places[key] for key in keys])
    return np.stack(list(rows.values())), found


def _by_tables(
    sizes: np.ndarray,
    groups: np.ndarray,
    counts: np.ndarray,
    outcomes: np.ndarray,
    draws: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Sums [draws, M, G] of tables pattern × outcome with these margins."""
    step = max(1, BATCH // max(len(sizes) * len(counts), 1))
    found = []
    for start in range(0, draws, step):
        tables = random_tables(sizes, counts, min(step, draws - start), rng).astype(float)
        found.append(outcomes @ (groups.T @ tables).transpose(0, 2, 1))
    return np.concatenate(found)


def random_tables(rows: np.ndarray, columns: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Contingency tables with these margins, int [draws, R, C], as permuting one of the two codes gives them.

    Column by column the counts are multivariate hypergeometric, drawn row by row for all tables at once.
    """
    tables = np.empty((draws, len(rows), len(columns)), dtype=np.int64)
    left = np.tile(rows, (draws, 1))
    for column in range(len(columns) - 1):
        need, below = np.full(draws, columns[column]), left.sum(axis=1)
        for row in range(len(rows) - 1):
            below -= left[:, row]
            taken = rng.hypergeometric(left[:, row], below, need)
            tables[:, row, column] = taken
            need -= taken
        tables[:, -1, column] = need
        left -= tables[:, :, column]
    tables[:, :, -1] = left
    return tables


def _by_rows(
    amounts: np.ndarray, sizes: np.ndarray, groups: np.ndarray, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """The same sums of amounts [M, n] by permuting rows in batches, where tables would be too large."""
    width = amounts.shape[1]
    sums = _sums_of_bits(amounts, sizes, groups) if amounts.dtype == bool else _sums_of(amounts, sizes, groups)
    step = max(1, SHUFFLED // max(width, 1))
    found = []
    for start in range(0, draws, step):
        order = np.tile(np.arange(width), (min(step, draws - start), 1))
        found.append(sums(rng.permuted(order, axis=1, out=order)))
    return np.concatenate(found)


def _sums_of(amounts: np.ndarray, sizes: np.ndarray, groups: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The sums [B, M, G] of permutations [B, n]."""
    from scipy.sparse import csr_array

    rows = np.ascontiguousarray(amounts.T, dtype=float)
    ends = np.cumsum(sizes)

    def sums(order: np.ndarray) -> np.ndarray:
        # A pattern's rows lie together in a permutation: one row of a sparse matrix.
        bounds = np.concatenate([[0], (np.arange(len(order))[:, None] * len(rows) + ends).ravel()])
        shape = (len(order) * len(sizes), len(rows))
        one = csr_array((np.ones(order.size), order.ravel(), bounds), shape=shape) @ rows
        return one.reshape(len(order), len(sizes), -1).transpose(0, 2, 1) @ groups

    return sums


def _sums_of_bits(amounts: np.ndarray, sizes: np.ndarray, groups: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The same sums of amounts that are 0 or 1: 64 of them form one number, whose bytes are added eight at a time."""
    words = -(-len(amounts) // 64)
    packed = np.zeros((amounts.shape[1], 8 * words), dtype=np.uint8)
    packed[:, : -(-len(amounts) // 8)] = np.packbits(amounts, axis=0, bitorder="little").T
    rows = np.ascontiguousarray(packed.view("<u8").T)
    # A byte counts to 255: a pattern of more rows is summed in pieces.
    ends = np.cumsum(sizes)
    starts = np.concatenate([np.arange(end - size, end, 255) for size, end in zip(sizes, ends, strict=True)])
    held = np.repeat(groups, -(-sizes // 255), axis=0)

    def sums(order: np.ndarray) -> np.ndarray:
        found = np.empty((len(order), words, 8, 8, len(starts)))
        for word, row in enumerate(rows):
            numbers = row[order]
            lowest = np.empty_like(numbers)
            for bit in range(8):
                np.bitwise_and(numbers, LANES, out=lowest)
                np.right_shift(numbers, np.uint64(1), out=numbers)
                counts = np.add.reduceat(lowest, starts, axis=1).astype("<u8", copy=False).view(np.uint8)
                found[:, word, :, bit] = counts.reshape(len(order), len(starts), 8).transpose(0, 2, 1)
        return found.reshape(len(order), 64 * words, len(starts))[:, : len(amounts)] @ held

    return sums
