"""The score interval of a mean over runs, from how far one more unit can move the measure (`measures.steps`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evenhand.audit.measures.steps import LabelScores, Steps
from evenhand.audit.runs.allowance import Allowance, Difference, Sample, Term
from evenhand.stats.contrast import by_unit
from evenhand.stats.differences import Apart, Interval
from evenhand.stats.few_runs import Wider
from evenhand.stats.score_interval import ScoreInterval


class StepAllowance(Allowance):
    """One more example that the sample happened to miss."""

    def level(self, sample: Sample) -> Interval:
        return Wider(sample.mean, _score_interval(sample))

    def change(self, sample: Sample) -> Interval:
        return _score_interval(sample)

    def difference(self, difference: Difference, values: int = 1) -> Interval:
        first, apart = _score_interval(difference.first), _score_interval(difference.apart)
        return Apart(difference.whole, first, apart, difference.scale, difference.correlation_of_examples)


def _score_interval(sample: Sample) -> ScoreInterval:
    bounded = all(isinstance(step, Steps) for *_, step in sample.terms)
    found = _bounded(sample.units, sample.terms) if bounded else _scored(sample.units, sample.terms)
    return ScoreInterval(sample.mean, found.up, found.down)


def _bounded(units: Sequence[np.ndarray], runs: Sequence[Term]) -> Steps:
    """The mean step of an example × its unit's examples × the share of runs that test the unit."""
    counted = [weights > 0 for _, weights, _ in runs]
    (examples,) = by_unit(units, [each.astype(float) for each in counted])
    times = examples.sum(axis=0)
    together = float(times[times > 0].mean()) / len(runs)
    steps = [step for *_, step in runs if isinstance(step, Steps)]
    up, down = (float(np.mean([getattr(step, side) for step in steps])) * together for side in ("up", "down"))
    return Steps(up, down)


def _scored(units: Sequence[np.ndarray], runs: Sequence[Term]) -> Steps:
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
