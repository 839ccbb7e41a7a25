"""Bootstrap intervals: multinomial draws where counts are enough, otherwise resampled units.

A count measure (a rate, a difference of rates) sees the rows only through how many of them fall in each cell of a
contingency table. Resampling n rows with replacement makes these counts multinomial, so that a multinomial draw of
the cells *is* a bootstrap sample, whatever n is. The cells cross everything that is compared: all groups, the label,
the predictions of every method and seed; so methods stay paired, and seeds keep their common examples. Where a run
did not test an example, its prediction is a code of its own.

The draws include the noise of the examples, not that of training: seeds are not drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from evenhand.stats.contrast import compact

BATCH = 1 << 22
"""The number of counts in memory at a time."""

Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Cells:
    """A contingency table in long form, with the patterns that occur.

    Attributes:
        counts: int [C], rows per cell; their sum is n.
        members: bool [C, G].
        label: int [C].
        predicted: int [K, C].
        cell: int [n], the cell of each row.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import contingency
        >>> cells = contingency(np.array([[True], [True], [False]]), np.array([1, 1, 0]), np.array([[1, 1, 0]]))
        >>> cells.members[:, 0].tolist(), cells.label.tolist(), cells.counts.tolist()
        ([False, True], [0, 1], [1, 2])
    """

    counts: np.ndarray
    members: np.ndarray
    label: np.ndarray
    predicted: np.ndarray
    cell: np.ndarray


def contingency(members: np.ndarray, label: np.ndarray, predicted: np.ndarray) -> Cells:
    """The cells of group pattern × label × predictions.

    Args:
        members: bool [n, G]; groups may overlap.
        label: int [n].
        predicted: int [K, n], of every method and seed that are compared; −1, say, where a run did not test the row.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import contingency
        >>> cells = contingency(np.array([[True], [True], [False]]), np.array([1, 1, 0]), np.array([[1, 1, 0]]))
        >>> cells.counts.tolist(), cells.cell.tolist()
        ([1, 2], [1, 1, 0])
    """
    cell, row = distinct([*np.packbits(members, axis=1).T, label, *predicted])
    return Cells(np.bincount(cell), members[row], label[row], predicted[:, row], cell)


def distinct(columns: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows of a table given by columns [n]: the code of each row, int [n], and one row of each code."""
    cell = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        if np.issubdtype(column.dtype, np.floating):
            found, place = np.unique(column, return_inverse=True)
        else:
            codes = column.astype(np.int64)
            found, place = compact(codes - codes.min(initial=0))
        _, cell = compact(cell * len(found) + place)
    row = np.empty(int(cell.max(initial=-1)) + 1, dtype=np.int64)
    row[cell] = np.arange(len(cell))
    return cell, row


def cell_shares(counts: np.ndarray, event: np.ndarray, base: np.ndarray) -> np.ndarray:
    """The share of the rows in each base that have the event, [..., G]; nan where no row is in the base.

    Args:
        counts: [..., C], one table or many.
        event: bool [C].
        base: bool [C, G], the cells that count, a column per group.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import cell_shares
        >>> cell_shares(np.array([3, 1]), np.array([True, False]), np.array([[True], [True]])).tolist()
        [0.75]
    """
    counts = np.asarray(counts, dtype=float)  # exact, and a product that BLAS knows
    among = counts @ base.astype(float)
    events = counts @ (base & event[:, None]).astype(float)
    return np.divide(events, among, out=np.full_like(among, np.nan), where=among > 0)


def bootstrap_counts(counts: np.ndarray, statistic: Statistic, draws: int, rng: np.random.Generator) -> np.ndarray:
    """The values of a count measure in bootstrap samples, [draws, ...].

    Args:
        counts: int [C], of `contingency`.
        statistic: from counts [B, C] to values [B, ...].
        draws: how many samples.
        rng: the source of randomness; the draws are a function of its state.

    Source: Efron (1979); a resample of rows is a multinomial draw of the cells.

    Example:
        The standard error of a share of 50 in 100 is √(.5·.5/100):

        >>> import numpy as np
        >>> from evenhand.stats import bootstrap_counts
        >>> rng = np.random.default_rng(0)
        >>> draws = bootstrap_counts(np.array([50, 50]), lambda counts: counts[:, 0] / 100, 5000, rng)
        >>> round(float(draws.std()), 2)
        0.05
    """
    n, step = int(counts.sum()), max(1, BATCH // len(counts))
    found = []
    for start in range(0, draws, step):
        found.append(statistic(rng.multinomial(n, counts / n, size=min(step, draws - start))))
    return np.concatenate(found)


def jackknife_counts(counts: np.ndarray, statistic: Statistic) -> np.ndarray:
    """The measure without one row of each cell, [C, ...]. Every row of a cell has this same jackknife value.

    Args:
        counts, statistic: as for `bootstrap_counts`.

    Source: Quenouille (1956) and Tukey (1958).

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import jackknife_counts
        >>> jackknife_counts(np.array([2, 3]), lambda counts: counts[:, 0] / counts.sum(axis=1)).tolist()  # 1/4, 2/4
        [0.25, 0.5]
    """
    step = max(1, BATCH // len(counts))
    found = []
    for start in range(0, len(counts), step):
        cells = np.arange(start, min(start + step, len(counts)))
        less = np.tile(counts, (len(cells), 1))
        less[np.arange(len(cells)), cells] -= 1
        found.append(statistic(less))
    return np.concatenate(found)


def bootstrap_units(
    unit: np.ndarray, statistic: Callable[[np.ndarray], float], draws: int, rng: np.random.Generator
) -> np.ndarray:
    """The values of any statistic in bootstrap samples of whole units, float [draws].

    Args:
        unit: int [n], the unit of each row; `np.arange(n)` where rows are independent.
        statistic: of a sample's row numbers, which repeat where a unit is drawn again.
        draws, rng: as in `bootstrap_counts`.

    Source: Efron (1979), over clusters.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import bootstrap_units
        >>> values, rng = np.array([1.0, 3.0]), np.random.default_rng(0)
        >>> draws = bootstrap_units(np.arange(2), lambda rows: values[rows].mean(), 100, rng)
        >>> sorted(set(draws.tolist()))
        [1.0, 2.0, 3.0]
    """
    order, starts, sizes = _rows_of_units(unit)
    found = np.empty(draws)
    for draw in range(draws):
        chosen = rng.integers(0, len(sizes), len(sizes))
        length = sizes[chosen]
        before = np.cumsum(length) - length
        found[draw] = statistic(order[np.repeat(starts[chosen] - before, length) + np.arange(length.sum())])
    return found


def jackknife_units(unit: np.ndarray, statistic: Callable[[np.ndarray], float]) -> np.ndarray:
    """The statistic without each unit, float [U].

    Args:
        unit, statistic: as for `bootstrap_units`.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import jackknife_units
        >>> values = np.array([1.0, 3.0, 5.0])
        >>> jackknife_units(np.array([0, 0, 1]), lambda rows: values[rows].mean()).tolist()
        [5.0, 2.0]
    """
    _, place = compact(unit)
    return np.array([statistic(np.flatnonzero(place != one)) for one in range(int(place.max()) + 1)])


def percentile(draws: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """The percentile interval along the first axis, from the draws where the measure is defined; nan where in none.

    Args:
        draws: float [D, ...].
        level: two-sided.

    Source: Efron (1979).

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import percentile
        >>> low, high = percentile(np.arange(101.0), level=0.5)
        >>> float(low), float(high)
        (25.0, 75.0)
    """
    tails = [(1 - level) / 2, (1 + level) / 2]
    defined = ~np.isnan(draws).all(axis=0)
    low, high = np.nanquantile(np.where(defined, draws, 0.0), tails, axis=0)
    return np.where(defined, low, np.nan), np.where(defined, high, np.nan)


def bca(
    estimate: float, draws: np.ndarray, jackknife: np.ndarray, counts: np.ndarray | None = None, level: float = 0.95
) -> tuple[float, float]:
    """Efron's bias-corrected and accelerated interval (1987); ties with the estimate count by half, as in scipy.

    Args:
        estimate: of the sample.
        draws: float [D], where the measure is defined.
        jackknife: float [C], the estimate without one row of each cell, or without each unit.
        counts: int [C], the rows of each cell; None: one each.
        level: two-sided.

    Returns:
        (nan, nan) where every draw lies on one side of the estimate, or a jackknife value is undefined: then no
        correction exists.

    Example:
        Where neither the draws nor the jackknife are skewed, it is the percentile interval:

        >>> import numpy as np
        >>> from evenhand.stats import bca
        >>> low, high = bca(50.0, np.arange(101.0), np.array([49.0, 50.0, 51.0]), level=0.5)
        >>> round(low, 6), round(high, 6)
        (25.0, 75.0)
    """
    from scipy.special import ndtr, ndtri

    weight = np.ones(len(jackknife)) if counts is None else np.asarray(counts, dtype=float)
    values = draws[~np.isnan(draws)]
    if not len(values) or np.isnan(jackknife).any():
        return np.nan, np.nan
    bias = ndtri(((values < estimate).mean() + (values <= estimate).mean()) / 2)
    move = weight @ jackknife / weight.sum() - jackknife
    spread = weight @ move**2
    acceleration = weight @ move**3 / (6 * spread**1.5) if spread > 0 else 0.0
    if not np.isfinite(bias):
        return np.nan, np.nan
    z = bias + ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))
    low, high = np.quantile(values, ndtr(bias + z / (1 - acceleration * z)))
    return float(low), float(high)


def _rows_of_units(unit: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows ordered by unit, where each unit starts, and its size."""
    _, place = compact(unit)
    sizes = np.bincount(place)
    return np.argsort(place, kind="stable"), np.cumsum(sizes) - sizes, sizes
