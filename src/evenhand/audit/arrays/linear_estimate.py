"""An estimate of one model that is a sum over texts, with the influence of each sampled text on it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class LinearEstimate:
    """A quantity of one model in linear form.

    Attributes:
        value: nan when undefined.
        influence: float [n], the influence of each example, Σ = 0.
        weights: float [n], each example's share of the sample, Σ = 1.
        max_unit_change: the most that one example can change it by; None where that has no bound.
        reason: why it is undefined.
        doubt: why it is shown and not judged.
    """

    value: float
    influence: np.ndarray
    weights: np.ndarray
    max_unit_change: float | None = None
    reason: str | None = None
    doubt: str | None = None

    @classmethod
    def undefined(cls, reason: str, size: int) -> LinearEstimate:
        """A quantity that is undefined for a sample of this size, with the reason."""
        return cls(math.nan, np.zeros(size), np.zeros(size), reason=reason)

    @classmethod
    def mean(cls, values: np.ndarray, width: float | None = None, doubt: str | None = None) -> LinearEstimate:
        """The mean of values [n] where they are finite; undefined where none is.

        Args:
            values: one per example.
            width: the length of the interval that values lie in; None where that has no bound.
            doubt: why it is shown and not judged.

        Example:
            >>> LinearEstimate.mean(np.array([0.0, 1.0, np.nan])).value
            0.5
        """
        defined = np.isfinite(values)
        number = int(defined.sum())
        if not number:
            return cls.undefined("it is undefined for every example", len(values))
        mean = float(values[defined].mean())
        influence = np.where(defined, values - mean, 0.0) / number
        return cls(mean, influence, defined / number, None if width is None else width / number, doubt=doubt)
