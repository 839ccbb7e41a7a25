"""Noise floors of calibration: outcomes redrawn from probabilities, as if the confidences were right.

The probabilities are the confidences themselves for the calibration of one group, and the curve of all groups together
(`pooled_curve`) for a gap in calibration between groups: permuting groups would ask for equal confidences too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from evenhand.stats.null import drawn_at_once


def redraw_outcomes(
    probability: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], draws: int, rng: np.random.Generator
) -> np.ndarray:
    """A measure over outcomes drawn from probabilities, [draws, ...].

    Args:
        probability: float [n], or [J, n] for J runs. The runs share each example's uniform number, as they share its
            true label; nan where a run did not test it, and then the outcome is False.
        statistic: from outcomes, bool [B, n] or [B, J, n], to values [B, ...]. Weights and bins are its own.
        draws: how many times outcomes are drawn.
        rng: the source of randomness.

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
        found.append(statistic(np.moveaxis(uniform < probability[..., None], -1, 0)))
    return np.concatenate(found)


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
