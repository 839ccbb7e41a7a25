"""The interface of what an interval allows for beyond the two-way variance.

A two-way variance knows what the sample shows. Some measures need more: a few rare examples may decide a mean of
scores, an area is skewed near its ends. Their influences say so, and `allowances.allowance_of` finds the rule. Rates
have rules of their own, which count events and discordant units: `evidence`, `gap_sides`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from evenhand.audit.measures.influence import Influence
from evenhand.audit.measures.steps import LabelScores, Steps
from evenhand.stats.contrast import TwoWay
from evenhand.stats.differences import Apart, Interval, correlation_of

Term = tuple[float, np.ndarray, Steps | LabelScores | None]
"""The value of one run with the weights of its examples, float [k], and how far one more example can move it."""


@dataclass(frozen=True, eq=False)
class Sample:
    """A mean over runs of one sample of examples: of a method's values, or of differences between two methods.

    Attributes:
        mean: with its two-way variance.
        contributions: float [U], what each unit contributes to the error of the mean.
        units: by run int [k], the units of the examples.
        terms: the values that it is the mean of, by run.
    """

    mean: TwoWay
    contributions: np.ndarray
    units: Sequence[np.ndarray]
    terms: Sequence[Term]


@dataclass(frozen=True, eq=False)
class Difference:
    """A difference between two samples: a gap, or a change between methods whose rows could not be matched.

    Attributes:
        whole: with its two-way variance.
        first, second: the samples.
        totals: float [U], what each unit contributes to the difference.
        apart: the second without the examples of the first, where it is everybody.
        scale: the error of the difference is so many times that of the first minus `apart`.
        overlaps: whether the first has examples in common with `apart`.
    """

    whole: TwoWay
    first: Sample
    second: Sample
    totals: np.ndarray
    apart: Sample
    scale: float = 1.0
    overlaps: bool = False

    @property
    def correlation(self) -> float:
        """The correlation of the samples' errors, from their variances and that of the difference."""
        variances = (np.array(mean.variance) for mean in (self.whole, self.first.mean, self.second.mean))
        return float(correlation_of(*variances))

    @property
    def correlation_of_examples(self) -> float:
        """That correlation where the samples have examples in common; else 0, though runs may move both samples."""
        return self.correlation if self.overlaps else 0.0


class Allowance(ABC):
    """What the intervals of a measure allow for beyond the two-way variance.

    Attributes:
        note: on comparisons whose interval allows for it; empty where that needs no note.
    """

    note: str = ""

    @abstractmethod
    def level(self, sample: Sample) -> Interval:
        """The interval of a value of one method."""

    @abstractmethod
    def change(self, sample: Sample) -> Interval:
        """The interval of a difference between two methods on the same examples."""

    @abstractmethod
    def difference(self, difference: Difference, values: int = 1) -> Interval:
        """The interval of a difference between two samples, each a mean of a sum of so many values of the measure."""

    def gap_change(self, difference: Difference, changes: Sequence[Interval]) -> Interval:
        """The interval of a change of a gap.

        Args:
            difference: the change within the group minus that within whom it is compared with.
            changes: the intervals of those within `first` and `apart`.
        """
        return Apart(difference.whole, changes[0], changes[1], difference.scale, difference.correlation_of_examples)

    def refused(self, influences: Sequence[Influence], samples: Sequence[Sample], word: str) -> tuple[str, ...]:
        """Why an estimate has no interval, as a note; empty where it has one.

        Args:
            influences: of all runs and sides.
            samples: that of a level, or the two of a difference.
            word: for what is counted.
        """
        return ()

    def caveats(self, difference: Difference) -> tuple[str, ...]:
        """Notes on the interval of an estimated difference."""
        return ()

    def doubts(self, influences: Sequence[Influence], difference: Difference, word: str) -> tuple[str, ...]:
        """Why a difference between two samples is shown and not judged; arguments as of `refused`."""
        return ()

    def doubts_on_change(
        self, influences: Sequence[Influence], change: Sample, levels: Callable[[], Sequence[Sample]], word: str
    ) -> tuple[str, ...]:
        """Why a change on the same examples is shown and not judged; `levels` computes the values of both methods."""
        return ()

    def doubts_on_gap_change(self, difference: Difference, on_changes: Sequence[str]) -> tuple[str, ...]:
        """Why a change of a gap is shown and not judged; by default the doubts on the changes that it consists of."""
        return tuple(dict.fromkeys(on_changes))
