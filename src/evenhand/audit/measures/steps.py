"""How far one more example can move a measure of one run, on which score intervals rest (`stats.score_interval`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Steps:
    """The most that one more example can raise and lower a value by, each at least 0."""

    up: float
    down: float

    @staticmethod
    def combined(parts: Sequence[tuple[int, Steps]]) -> Steps:
        """The steps of Σ coefficient · value: one example may raise one part and lower another at once."""
        raised = [
            (times * one.up, times * one.down) if times > 0 else (-times * one.down, -times * one.up)
            for times, one in parts
        ]
        return Steps(sum(up for up, _ in raised), sum(down for _, down in raised))


@dataclass(frozen=True, eq=False)
class LabelScores:
    """The score that each example of a mean would have under every label that it might have had.

    One more example, predicted as those of the sample are and with an unlikely label, moves the mean by as much as its
    score would be larger or smaller.

    Attributes:
        of_labels: computes them, float [k, C], a row for each example of the mean and a column for each class.
    """

    of_labels: Callable[[], np.ndarray]

    @staticmethod
    def combined(parts: Sequence[tuple[int, LabelScores]]) -> LabelScores:
        """The scores of Σ coefficient · value, of means of the same examples."""
        return LabelScores(lambda: sum((times * one.of_labels() for times, one in parts), np.zeros(())))


def combined(parts: Sequence[tuple[int, Steps | LabelScores | None]]) -> Steps | LabelScores | None:
    """Those of Σ coefficient · value, of parts of one kind; None where there are none."""
    bounded = [(times, one) for times, one in parts if times and isinstance(one, Steps)]
    if bounded:
        return Steps.combined(bounded)
    scores = [(times, one) for times, one in parts if times and isinstance(one, LabelScores)]
    return LabelScores.combined(scores) if scores else None
