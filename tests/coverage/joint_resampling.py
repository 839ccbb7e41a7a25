"""A rival of the interval of parity contrasts, kept to show why it is not used: it is too narrow where it counts.

Influences at the extreme groups overstate the variance of max − min near ties. Drawing the rates of all groups, runs
and both methods together, with the covariance that their examples give them, does not: the range is computed anew in
each draw, so that V_example and V_both are what ranges vary by. V_seed is that of the runs' values, as in
`stats/contrast.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evenhand.audit.estimands import Comparison
from evenhand.audit.runs.evidence import Both
from evenhand.audit.runs.influences import RunInfluences
from evenhand.stats.contrast import TwoWay, by_unit, degrees_of_freedom

DRAWS = 256


def joint_resampling(reader: RunInfluences, comparison: Comparison, pairs: Sequence[Both], shrunk: bool) -> TwoWay:
    """The contrast of two ranges over runs.

    Args:
        reader: of the runs.
        comparison: two methods' ranges (`Influence.between` has the groups' rates).
        pairs: of runs in which both are defined.
        shrunk: whether draws are around rates that are shrunk towards each other by as much as their noise says (James
            and Stein), which makes the variance at ties right; else around the observed ones.
    """
    unit, values, influence, codes = reader.evaluation.population.unit, [], [], []
    for ours, first, theirs, second in pairs:
        for run, one in ((ours, first), (theirs, second)):
            for group in (group for rate in one.between for group in rate):
                values.append(group.value)
                influence.append(group.influence)
                codes.append(unit[run.rows[group.rows]])
    (moves,) = by_unit(codes, influence)
    units = moves.shape[1]
    covariance = moves @ moves.T * units / (units - 1)
    widths = [len(rate) for rate in pairs[0][1].between]
    shape = (len(pairs), 2, sum(widths))
    centre = np.array(values).reshape(shape)
    runs = _range(centre, widths) @ np.array(comparison.signs)
    if shrunk:
        centre = _shrunk(centre, np.diag(covariance).reshape(shape), widths)
    root, vectors = np.linalg.eigh(covariance)
    normals = np.random.default_rng([1, len(values)]).normal(size=(DRAWS // 2, len(values)))
    noise = np.concatenate([normals, -normals]) @ (vectors * np.sqrt(np.clip(root, 0, None))).T
    drawn = _range(centre + noise.reshape(DRAWS, *shape), widths) @ np.array(comparison.signs)
    v_seed = float(runs.var(ddof=1)) / len(runs)
    v_example, v_both = float(drawn.mean(axis=1).var()), float(drawn.var(axis=0).sum()) / len(runs) ** 2
    variance = max(v_seed + v_example - v_both, v_example)
    df = degrees_of_freedom(variance, v_seed, len(runs), units)
    return TwoWay(float(runs.mean()), variance, df, v_seed, v_example, v_both, len(runs), units)


def _range(rates: np.ndarray, widths: Sequence[int]) -> np.ndarray:
    """The largest max − min over the rates, each of so many groups, along the last axis."""
    parts = np.split(rates, np.cumsum(widths)[:-1], axis=-1)
    return np.max([np.ptp(part, axis=-1) for part in parts], axis=0)


def _shrunk(rates: np.ndarray, variance: np.ndarray, widths: Sequence[int]) -> np.ndarray:
    parts = []
    ends = np.cumsum(widths)[:-1]
    for values, noise in zip(np.split(rates, ends, axis=-1), np.split(variance, ends, axis=-1), strict=True):
        groups, mean = values.shape[-1], values.mean(axis=-1, keepdims=True)
        spread = ((values - mean) ** 2).sum(axis=-1, keepdims=True)
        expected = noise.sum(axis=-1, keepdims=True) * (groups - 1) / groups
        parts.append(mean + np.clip(1 - expected / np.maximum(spread, 1e-12), 0, 1) * (values - mean))
    return np.concatenate(parts, axis=-1)
