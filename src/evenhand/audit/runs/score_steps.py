"""The score interval of a mean over runs, from how far one more unit can move the measure (`measures.steps`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evenhand.audit.measures.steps import LabelScores, Steps
from evenhand.stats.contrast import TwoWay, by_unit
from evenhand.stats.score_interval import ScoreInterval

Valued = tuple[float, np.ndarray, Steps | LabelScores | None]
"""The value of one run with the weights of its examples, float [k], and how far one more example can move it."""


def score_interval(mean: TwoWay, units: Sequence[np.ndarray], runs: Sequence[Valued]) -> ScoreInterval | None:
    """The interval of the mean of some runs; None where some run says nothing of its steps.

    Args:
        mean: with its variance.
        units: of the examples of each run.
        runs: the values that it is the mean of.
    """
    steps = [step for *_, step in runs]
    if all(isinstance(step, Steps) for step in steps):
        found = _bounded(units, runs)
    elif all(isinstance(step, LabelScores) for step in steps):
        found = _scored(units, runs)
    else:
        return None
    return ScoreInterval(mean, found.up, found.down)


def _bounded(units: Sequence[np.ndarray], runs: Sequence[Valued]) -> Steps:
    """The mean step of an example × its unit's examples × the share of runs that test the unit."""
    counted = [weights > 0 for _, weights, _ in runs]
    (examples,) = by_unit(units, [each.astype(float) for each in counted])
    times = examples.sum(axis=0)
    together = float(times[times > 0].mean()) / len(runs)
    steps = [step for *_, step in runs if isinstance(step, Steps)]
    up, down = (float(np.mean([getattr(step, side) for step in steps])) * together for side in ("up", "down"))
    return Steps(up, down)


def _scored(units: Sequence[np.ndarray], runs: Sequence[Valued]) -> Steps:
    """The root mean square over units of how far each would move the mean if it came once more, with other labels."""
    present, up, down = [], [], []
    for value, weights, step in runs:
        assert isinstance(step, LabelScores)
        scores = step.of_labels()
        present.append((weights > 0).astype(float))
        up.append(weights * np.maximum(scores.max(axis=1) - value, 0.0))
        down.append(weights * np.maximum(value - scores.min(axis=1), 0.0))
    known, raised, lowered = by_unit(units, present, up, down)
    count = int((known > 0).any(axis=0).sum())
    sizes = [np.sqrt(((moved.sum(axis=0) / len(runs)) ** 2).sum() / count) for moved in (raised, lowered)]
    return Steps(*map(float, sizes))
