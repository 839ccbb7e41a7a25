"""Bins examples by confidence, and computes confidence minus outcome per bin, for calibration errors.

Bins are (lo, hi], and the first includes 0, as in scikit-learn's calibration_curve; torchmetrics' are [lo, hi).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np

from evenhand.errors import InputError

Strategy = Literal["uniform", "quantile"]
Norm = Literal["l1", "l2", "max"]


@dataclass(frozen=True, eq=False)
class Bins:
    """The gap confidence − outcome by bin, and its products over pairs of examples.

    A unit is an example, or a cluster of examples that are resampled together. For the examples of unit u in a bin, let
    A_u = Σ share·gap and C_u = Σ share.

    Attributes:
        count: int [..., B], examples with weight.
        units: int [..., B], units with weight.
        mass: float [..., B], share of the weight, Σ = 1.
        excess: float [..., B], Σ share·gap over the bin's examples, which equals mass × mean gap.
        products: float [..., B], Σ A_u·A_v over pairs of different units: excess² − Σ A_u².
        pairs: float [..., B], Σ C_u·C_v over the same pairs: mass² − Σ C_u².

    Example:
        >>> import numpy as np
        >>> from evenhand.metrics import bin_gaps
        >>> bins = bin_gaps(np.array([0.5, 0.5, -0.25, -0.25]), np.array([0, 0, 1, 1]), 2, np.full(4, 0.25))
        >>> bins.gap.tolist()
        [0.5, -0.25]
        >>> float(bins.error("l1"))
        0.375
    """

    count: np.ndarray
    units: np.ndarray
    mass: np.ndarray
    excess: np.ndarray
    products: np.ndarray
    pairs: np.ndarray

    @cached_property
    def gap(self) -> np.ndarray:
        """The mean gap [..., B]; 0 in an empty bin, whose mass is 0."""
        return self.excess / np.where(self.mass > 0, self.mass, 1.0)

    @cached_property
    def kept(self) -> np.ndarray:
        """The bins with an unbiased squared gap, which have two units or more, bool [..., B]."""
        return self.units > 1

    @cached_property
    def unbiased(self) -> np.ndarray:
        """The mean product of two units' gaps [..., B], whose expectation is the squared gap; 0 in a bin that is not
        kept."""
        return np.divide(self.products, self.pairs, out=np.zeros(self.mass.shape), where=self.kept)

    def error(self, norm: Norm) -> np.ndarray:
        """Plug-in error [...]: Σ mass·|gap| (l1), √Σ mass·gap² (l2), or the largest |gap| (max)."""
        if norm == "l1":
            return np.abs(self.excess).sum(axis=-1)
        if norm == "l2":
            return np.sqrt((self.mass * self.gap**2).sum(axis=-1))
        return np.abs(self.gap).max(axis=-1)

    def squared(self) -> np.ndarray:
        """Debiased squared l2 error Σ mass·unbiased over the bins that are kept, neither truncated at 0 nor rooted.

        [...]; nan if no bin has two units.
        """
        return np.where(self.kept.any(axis=-1), (self.mass * self.unbiased).sum(axis=-1), np.nan)


def bin_gaps(
    gap: np.ndarray, bins: np.ndarray, n_bins: int, shares: np.ndarray, unit: np.ndarray | None = None
) -> Bins:
    """Return the gaps by bin.

    Args:
        gap: confidence − outcome, float [..., n].
        bins: int [..., n], from `bin_of`.
        n_bins: B.
        shares: share of the weight, float [n], Σ = 1 (nan if there is no weight).
        unit: int [n], codes of the units, from 0; None: each example is a unit.

    Example:
        >>> import numpy as np
        >>> from evenhand.metrics import bin_gaps
        >>> bins = bin_gaps(np.array([0.5, 0.5, -0.25, -0.25]), np.array([0, 0, 1, 1]), 2, np.full(4, 0.25))
        >>> bins.mass.tolist(), bins.gap.tolist()
        ([0.5, 0.5], [0.5, -0.25])
    """
    leading = gap.shape[:-1]
    rows = math.prod(leading)
    flat = bins.ravel() if rows == 1 else (bins.reshape(rows, -1) + np.arange(rows)[:, None] * n_bins).ravel()
    weight, moved = np.broadcast_to(shares, gap.shape).ravel(), (shares * gap).ravel()

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(flat, values, rows * n_bins)

    count = np.bincount(flat, weight > 0, rows * n_bins).astype(np.int64)
    mass, excess = total(weight), total(moved)
    if unit is None:
        units, own_moved, own_weight = count, total(moved**2), total(weight**2)
    else:
        size = int(unit.max(initial=-1)) + 1
        cell = flat * size + np.broadcast_to(unit, gap.shape).ravel()
        of_cells = (np.bincount(cell, values, rows * n_bins * size).reshape(-1, size) for values in (moved, weight))
        cell_moved, cell_weight = of_cells
        units = (cell_weight > 0).sum(axis=1)
        own_moved, own_weight = (cell_moved**2).sum(axis=1), (cell_weight**2).sum(axis=1)
    found = (count, units, mass, excess, excess**2 - own_moved, mass**2 - own_weight)
    return Bins(*(values.reshape(*leading, n_bins) for values in found))


def edges_of(confidence: np.ndarray, n_bins: int, strategy: Strategy, weight: np.ndarray | None = None) -> np.ndarray:
    """The edges of the bins: of equal width [B+1] (`uniform`), or of equal mass [..., B+1] (`quantile`).

    Raises:
        InputError: no bin, or an unknown strategy.
    """
    if isinstance(n_bins, bool) or not isinstance(n_bins, int | np.integer) or n_bins < 1:
        raise InputError(f"n_bins is {n_bins!r}; a whole number of at least 1 is needed")
    if strategy not in get_args(Strategy):
        raise InputError(f'strategy is "{strategy}"; it is uniform (equal width) or quantile (equal mass)')
    return equal_width_edges(n_bins) if strategy == "uniform" else equal_mass_edges(confidence, n_bins, weight)


def equal_width_edges(n_bins: int) -> np.ndarray:
    """0, 1/B, …, 1: float [B+1].

    Args:
        n_bins: B.

    Example:
        >>> from evenhand.metrics import equal_width_edges
        >>> equal_width_edges(4).tolist()
        [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    return np.arange(n_bins + 1) / n_bins  # np.linspace may be one rounding below k/B


def equal_mass_edges(confidence: np.ndarray, n_bins: int, weight: np.ndarray | None = None) -> np.ndarray:
    """Edges at the smallest confidences that at least 1/B, 2/B, … of the weight do not exceed.

    Equal confidences always share a bin. If there are any, bins differ in mass, and some are empty. With B = n each
    distinct confidence has a separate bin.

    Args:
        confidence: float [..., n].
        n_bins: B.
        weight: float [n].

    Returns:
        float [..., B+1], the first 0 and the last 1.

    Example:
        >>> import numpy as np
        >>> from evenhand.metrics import equal_mass_edges
        >>> equal_mass_edges(np.array([0.1, 0.2, 0.6, 0.9]), 2).tolist()
        [0.0, 0.2, 1.0]
    """
    leading, n = confidence.shape[:-1], confidence.shape[-1]
    weight = np.ones(n) if weight is None else weight
    found = np.empty((math.prod(leading), n_bins + 1))
    found[:, 0], found[:, -1] = 0.0, 1.0
    for edges, values in zip(found, confidence.reshape(-1, n), strict=True):
        order = np.argsort(values)
        reached = np.cumsum(weight[order])
        # Both sides times B, so that whole weights are compared exactly.
        edges[1:-1] = values[order][np.searchsorted(reached * n_bins, np.arange(1, n_bins) * reached[-1])]
    return found.reshape(*leading, n_bins + 1)


def bin_of(confidence: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The bin (lo, hi] of each confidence, int [..., n], for edges [B+1] or [..., B+1].

    Example:
        >>> import numpy as np
        >>> from evenhand.metrics import bin_of
        >>> bin_of(np.array([0.0, 0.5, 0.6, 1.0]), np.array([0.0, 0.5, 1.0])).tolist()
        [0, 0, 1, 1]
    """
    if edges.ndim == 1:
        return np.searchsorted(edges[1:-1], confidence, side="left")
    n = confidence.shape[-1]
    rows = zip(edges.reshape(-1, edges.shape[-1]), confidence.reshape(-1, n), strict=True)
    return np.array([np.searchsorted(row[1:-1], values, side="left") for row, values in rows]).reshape(confidence.shape)
