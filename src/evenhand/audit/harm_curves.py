"""Reads curves of planted harm: the loss at which they reach a power, and the verdict rows that it belongs to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from evenhand.stats.power import POWER

MEASURE = "detected_harm"
"""What the table `curves` calls those of the verdict `worse`."""
ABOVE_ZERO = "harm_above_zero"
"""What it calls those of lower bounds above 0, where margins play no part."""
_OF = ("setting", "split", "attribute", "group", "method")


def reached(x: np.ndarray, y: np.ndarray, power: float) -> float | None:
    """The x at which a rising curve first reaches a power, interpolated; None where it does not reach it.

    Example:
        >>> import numpy as np
        >>> from evenhand.audit.harm_curves import reached
        >>> round(reached(np.array([0.0, 0.1, 0.2]), np.array([0.05, 0.6, 1.0]), 0.8), 3)
        0.15
    """
    places = np.flatnonzero(y >= power)
    if not len(places):
        return None
    last = int(places[0])
    if not last:
        return float(x[0])
    return float(np.interp(power, y[last - 1 : last + 1], x[last - 1 : last + 1]))


def with_planted_harm(
    verdicts: Iterable[Mapping[str, Any]],
    curves: Iterable[Mapping[str, Any]],
    references: Mapping[str, Sequence[str]],
    measures: Collection[str],
) -> Iterator[dict[str, Any]]:
    """Rows of `verdicts` whose `detectable` is at least the planted loss of accuracy that is found above 0.

    It is null where no loss is found reliably. As in all rows, margins play no part.

    The observed interval knows nothing of the examples that a harm would turn, which lengthen it: by much in small
    groups with few runs.

    Args:
        verdicts, curves: rows of these tables.
        references: of each setting; curves are about the first.
        measures: into which harm is planted.
    """
    points: dict[tuple[Any, ...], list[tuple[float, float]]] = {}
    for row in curves:
        if row["measure"] == ABOVE_ZERO:
            points.setdefault(tuple(row[name] for name in _OF), []).append((row["x"], row["y"]))
    needed = {key: _needed(sorted(pairs)) for key, pairs in points.items()}
    for row in verdicts:
        key = tuple(row[name] for name in _OF)
        about = row["measure"] in measures and row["comparison"] == "change" and row["class"] is None
        if key not in needed or not about or row["reference"] != references[row["setting"]][0]:
            yield dict(row)
        else:
            planted = needed[key]
            yield {**row, "detectable": None if planted is None else max(row["detectable"] or 0.0, planted)}


def _needed(points: Sequence[tuple[float, float]]) -> float | None:
    """The loss at which a curve's points reach the usual power."""
    return reached(np.array([x for x, _ in points]), np.array([y for _, y in points]), POWER)
