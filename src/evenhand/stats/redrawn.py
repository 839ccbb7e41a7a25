"""Noise floors of calibration errors: outcomes are redrawn from the probabilities, as if these were right.

The probabilities are the confidences themselves for the calibration of one group, and the curve of all groups together
(`pooled_curve`) for a gap in calibration between groups: permuting groups would ask for equal confidences too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from evenhand.stats.null import drawn_at_once


def redraw_outcomes(
    probability: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    draws: int,
    rng: np.random.Generator,
    unit: np.ndarray | None = None,
    together: float = 0.0,
) -> np.ndarray:
    """A measure over outcomes drawn from probabilities, [draws, ...].

    Args:
        probability: float [n], or [J, n] for J runs. The runs share each example's uniform number, as they share its
            true label; nan where a run did not test it, and then the outcome is False.
        statistic: from outcomes, bool [B, n] or [B, J, n], to values [B, ...]. Weights and bins are its own.
        draws: how many times outcomes are drawn.
        rng: the source of randomness.
        unit: int [n], codes of what is resampled together; None: each example is its own.
        together: the share of the draws in which a unit's examples share one uniform number, as `share_together`
            estimates it; in the others each example has its own.

    Source: consistency resampling (Bröcker and Smith 2007).

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import redraw_outcomes
        >>> rng = np.random.default_rng(0)
        >>> redraw_outcomes(np.array([0.0, 1.0]), lambda outcomes: outcomes.mean(axis=1), 3, rng).tolist()
        [0.5, 0.5, 0.5]
    """
    size, step = probability.shape[-1], drawn_at_once(probability.size)
    found = []
    for start in range(0, draws, step):
        # An example's draws lie together, as a product with a sparse matrix wants them.
        uniform = rng.random((size, min(step, draws - start)))
        if unit is not None:
            shared, chance = rng.random((2, int(unit.max()) + 1, uniform.shape[1]))
            uniform = np.where(chance[unit] < together, shared[unit], uniform)
        found.append(statistic(np.moveaxis(uniform < probability[..., None], -1, 0)))
    return np.concatenate(found)


def share_together(
    confidence: Sequence[np.ndarray], outcome: Sequence[np.ndarray], unit: Sequence[np.ndarray]
) -> float:
    """How often a unit's outcomes go together, from 0 (never more than chance has it) to 1 (always), over all runs.

    The products of two examples' gaps within a unit, over their squares, are divided by what they would be if one
    uniform number decided all outcomes of a unit. Copies have exactly 1. 0 where no unit has two examples.

    Args:
        confidence, outcome: float [n] of each run.
        unit: int [n] of each run, codes of what is resampled together.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats.redrawn import share_together
        >>> confidence, unit = np.full(4, 0.5), np.array([0, 0, 1, 1])
        >>> share_together([confidence], [np.array([1, 1, 0, 0])], [unit])
        1.0
        >>> share_together([confidence], [np.array([1, 0, 1, 0])], [unit])
        0.0
    """
    sums = np.zeros(4)
    for chance, event, codes in zip(confidence, outcome, unit, strict=True):
        order = np.lexsort((chance, codes))
        p, gap, codes = chance[order], (chance - event)[order], codes[order]
        starts = np.flatnonzero(np.diff(codes, prepend=codes[:1] - 1))
        if len(starts) == len(codes):
            continue
        sizes = np.diff(np.append(starts, len(codes)))
        others = np.repeat(sizes, sizes) - 1
        above = np.repeat(starts + sizes, sizes) - 1 - np.arange(len(codes))  # examples of the unit with a larger p
        products = (np.add.reduceat(gap, starts) ** 2).sum() - (gap**2).sum()
        most = 2 * (p * above).sum() - (np.add.reduceat(p, starts) ** 2).sum() + (p**2).sum()
        sums += products, (others * gap**2).sum(), most, (others * p * (1 - p)).sum()
    products, squares, most, variance = sums
    if not (squares > 0 and most > 0):
        return 0.0
    return float(np.clip(products / squares * variance / most, 0.0, 1.0))


def pooled_curve(confidence: np.ndarray, outcome: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """P(outcome | confidence) of all groups together, float [n]: the isotonic regression on the confidence.

    Bins would not do: noise of the sample would count as miscalibration and raise the floor.

    Args:
        confidence: float [n].
        outcome: bool or float [n].
        weight: float [n]; None: one each. Examples without weight are not drawn on.

    Example:
        >>> import numpy as np
        >>> from evenhand.stats import pooled_curve
        >>> pooled_curve(np.array([0.1, 0.4, 0.4, 0.9]), np.array([0, 1, 0, 1])).tolist()
        [0.0, 0.5, 0.5, 1.0]
    """
    from scipy.optimize import isotonic_regression

    weight = np.ones(len(confidence)) if weight is None else np.asarray(weight, dtype=float)
    found, place = np.unique(confidence, return_inverse=True)
    mass = np.bincount(place, weight)
    kept = mass > 0
    level = np.bincount(place, weight * outcome)[kept] / mass[kept]
    curve = isotonic_regression(level, weights=mass[kept]).x
    return np.interp(found, found[kept], curve)[place]
