"""Linearizes aggregates that are not means over documents, by leaving out one unit at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def linearized_values(
    by_document: Sequence[Any], units: Sequence[str], aggregate: Callable[[list[Any]], float]
) -> np.ndarray | None:
    """Return values whose mean is the aggregate, and whose spread over units is the jackknife's.

    Unit u with the share s_u of the n documents contributes m_u = (1 − s_u)·(A − A without u), centred by shares; each
    of its documents has the value A + m_u/s_u. Everything that works for means over documents, clustered by unit, then
    works for A: as with BLEU of translations, it is the jackknife crossed with seeds.

    Args:
        by_document: for each document, an item of the list that `aggregate` takes.
        units: for each document, its unit, which is left out as a whole.
        aggregate: the harness's function.

    Returns:
        float [n]; None with fewer than two units, or if A is undefined, for all documents or without some unit.
    """
    names, code = np.unique(np.asarray(units, dtype=object).astype(str), return_inverse=True)
    whole = _finite(aggregate, by_document)
    if len(names) < 2 or whole is None:
        return None
    shares = np.bincount(code) / len(code)
    moves = np.empty(len(names))
    for unit in range(len(names)):
        rest = _finite(
            aggregate, [value for value, unit_of_value in zip(by_document, code, strict=True) if unit_of_value != unit]
        )
        if rest is None:
            return None
        moves[unit] = (1 - shares[unit]) * (whole - rest)
    moves -= shares * moves.sum()
    return whole + (moves / shares)[code]


def _finite(aggregate: Callable[[list[Any]], float], values: Sequence[Any]) -> float | None:
    """Return the aggregate; None where it is undefined, since the harness may divide by zero."""
    with np.errstate(all="ignore"):
        try:
            value = float(aggregate(list(values)))
        except (ZeroDivisionError, ValueError):
            return None
    return value if math.isfinite(value) else None
