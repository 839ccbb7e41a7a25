"""A reading whose runs and items are given, not read from records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evenhand.audit.arrays.linear_estimate import LinearEstimate
from evenhand.audit.comparisons import Contrast, conclude
from evenhand.audit.estimands import Estimand, change
from evenhand.audit.kinds.items import ItemReading
from evenhand.audit.reading import Estimate

SUPPORT = 10


@dataclass(frozen=True, eq=False)
class GivenItems(ItemReading[Sequence[LinearEstimate]]):
    """Linear estimates, one per item, over the same reviews in every run; each review is a unit."""

    examples: ClassVar[str] = "reviews"
    missing: ClassVar[str] = "have no answers"
    one_method: ClassVar[str] = "has answers of one method only"
    other_sample: ClassVar[str] = "were asked about different reviews"

    def items(self, sample: Sequence[LinearEstimate], estimand: Estimand) -> Sequence[LinearEstimate]:
        """All that is given."""
        return sample

    def units(self, sample: Sequence[LinearEstimate], estimand: Estimand) -> np.ndarray:
        """Codes of the reviews."""
        return np.arange(len(sample[0].weights))

    def sampled(self, sample: Sequence[LinearEstimate], estimand: Estimand) -> Sequence[str]:
        """The reviews."""
        return [str(code) for code in self.units(sample, estimand)]


def given(sides: Mapping[str, Sequence[Sequence[LinearEstimate]]]) -> GivenItems:
    """The runs of methods, by run and item, on one fixed split."""
    samples = {(method, seed): items for method, runs in sides.items() for seed, items in enumerate(runs)}
    first = next(iter(samples.values()))
    names = np.array([f"{code:04d}" for code in range(len(first[0].weights))])
    return GivenItems("main", "test", list(sides), ["reference"], samples, {}, False, SUPPORT, names)


def contrast_of(reading: ItemReading, estimand: Estimand, direction: int = 1) -> Contrast:
    """The contrast of `method` with `reference`."""
    return conclude(reading.evidence(change(estimand, "method", "reference", direction)), reading.support)


def estimate_of(reading: ItemReading, estimand: Estimand, method: str = "method") -> Estimate:
    """The estimate over all runs of a method."""
    return dict(reading.estimates(estimand, method))[None]
