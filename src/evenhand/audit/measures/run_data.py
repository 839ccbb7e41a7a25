"""One run's labels, predictions and weights, and the subset of examples a measure is computed over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from evenhand.audit.arrays.texts import Texts
from evenhand.metrics import bins as binned
from evenhand.stats.contrast import count_distinct

Level = Literal["everyone", "group", "attribute"]
Rate = Literal[
    "accuracy",
    "selection_rate",
    "true_positive_rate",
    "false_positive_rate",
    "false_negative_rate",
    "true_negative_rate",
    "prevalence",
]
"""Shares of examples that labels and groups determine: two methods have the same denominator."""
PredictiveValue = Literal[
    "positive_predictive_value", "negative_predictive_value", "false_discovery_rate", "false_omission_rate"
]
"""Shares of examples that predictions determine: two methods have denominators of their own."""
Base = Literal["all", "positive", "negative", "selected", "rejected"]

BASE: Mapping[Rate | PredictiveValue, Base] = {
    "accuracy": "all",
    "selection_rate": "all",
    "true_positive_rate": "positive",
    "false_positive_rate": "negative",
    "false_negative_rate": "positive",
    "true_negative_rate": "negative",
    "prevalence": "all",
    "positive_predictive_value": "selected",
    "negative_predictive_value": "rejected",
    "false_discovery_rate": "selected",
    "false_omission_rate": "rejected",
}
"""The examples that a rate is a share of."""
LACKING: Mapping[Base, str] = {
    "all": "test examples",
    "positive": "positive examples",
    "negative": "negative examples",
    "selected": "examples predicted positive",
    "rejected": "examples predicted negative",
}
"""What is missing where a rate is undefined, in words."""


@dataclass(frozen=True, eq=False)
class RunData:
    """Labels, predictions and weights of one run, from which measures are computed.

    Attributes:
        label, predicted: int [n], codes of classes; of values and of regression float [n], numbers.
        probabilities: float64 [n, C], or None.
        weight: float [n].
        positive: code of the positive class; None for a measure of all classes at once.
        unit: int [n], codes of the resampling units; None: each example is its own.
        texts: the translations, whose labels and predictions are genders; see `measures.translations`.
        classes: int [C], the codes of the classes that labels have; None: those of these labels.
    """

    label: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray | None
    weight: np.ndarray
    positive: int | None
    texts: Texts | None = None
    unit: np.ndarray | None = None
    classes: np.ndarray | None = None

    @cached_property
    def hit(self) -> np.ndarray:
        return self.predicted == self.label

    @cached_property
    def selected(self) -> np.ndarray:
        return self.predicted == self.positive

    @cached_property
    def calibration(self) -> tuple[np.ndarray, np.ndarray]:
        """Confidence − outcome of each example, float [n], and the bin of its confidence; needs probabilities."""
        values, outcome = confidence(self)
        return values - outcome, bin_of(values).astype(np.uint8)

    @cached_property
    def actual(self) -> np.ndarray:
        return self.label == self.positive

    def count(self, rows: np.ndarray) -> int:
        """The number of distinct resampling units among these examples, which is what supports a value."""
        return len(rows) if self.unit is None else count_distinct([self.unit[rows]])

    def outcome(self, rate: Rate | PredictiveValue) -> np.ndarray:
        """bool [n]: the examples that the rate counts in its numerator."""
        match rate:
            case "accuracy":
                return self.hit
            case "selection_rate" | "true_positive_rate" | "false_positive_rate":
                return self.selected
            case "false_negative_rate" | "true_negative_rate":
                return ~self.selected
            case "prevalence" | "positive_predictive_value" | "false_omission_rate":
                return self.actual
            case "negative_predictive_value" | "false_discovery_rate":
                return ~self.actual

    def base(self, rows: np.ndarray, base: Base) -> np.ndarray:
        """Those of `rows` that are in the rate's denominator."""
        if base == "all":
            return rows
        if base in ("selected", "rejected"):
            return rows[self.selected[rows] == (base == "selected")]
        return rows[self.actual[rows] == (base == "positive")]

    @cached_property
    def codes(self) -> np.ndarray:
        """int [C], the codes of the classes that a label can have; of two classes both, whatever the labels are."""
        if self.positive is not None and self.classes is None:
            return np.array([0, 1])
        return np.unique(self.label) if self.classes is None else self.classes


@dataclass(frozen=True, eq=False)
class RunSubset:
    """The examples of one run that a measure is computed over, as positions in the run.

    Attributes:
        level: everyone, one group, or an attribute's groups together.
        rows: the members (everyone, group), or all examples with the attribute (attribute).
        others: the group's complement.
        both: members and complement, ascending.
        members: by group (attribute).
        eligible: by the base of a rate, the indices of the groups with enough of it in every run.
    """

    level: Level
    rows: np.ndarray
    others: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    both: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    members: Sequence[np.ndarray] = ()
    eligible: Mapping[Base, Sequence[int]] = field(default_factory=dict)


BINS = 15
EDGES = binned.equal_width_edges(BINS)
NO_PROBABILITIES = "only labels were predicted, no probabilities"


def confidence(data: RunData) -> tuple[np.ndarray, np.ndarray]:
    """Confidence and outcome of each example, float [n]; needs probabilities.

    The form is that of the positive class where there is one (confidence P(ŷ = 1) against the share of positives), else
    top-label (the largest probability against accuracy).
    """
    probabilities = data.probabilities
    if probabilities is None:
        raise ValueError(NO_PROBABILITIES)
    if data.positive is not None:
        return probabilities[:, data.positive], data.actual.astype(float)
    return probabilities.max(axis=1), (probabilities.argmax(axis=1) == data.label).astype(float)


def bin_of(values: np.ndarray) -> np.ndarray:
    """The bin (lo, hi] of each confidence, int; of 15 of equal width, the first of which includes 0."""
    return binned.bin_of(values, EDGES)
