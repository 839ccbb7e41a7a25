"""A quantity of one model with what each sampled text contributes to its error."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class LinearEstimate:
    """A quantity in linear form.

    Attributes:
        value: nan when undefined.
        influence: float [n], what each example contributes to its error, Σ = 0.
        weights: float [n], each example's share of it, Σ = 1.
        max_unit_change: what one example can change it by; None where that has no bound.
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
        """No value of so many examples, and why."""
        return cls(math.nan, np.zeros(size), np.zeros(size), reason=reason)

    @classmethod
    def mean(cls, values: np.ndarray, width: float | None = None, doubt: str | None = None) -> LinearEstimate:
        """The mean of values [n] where they are finite; undefined where none is.

        Args:
            values: one per example.
            width: of the range of a value; None where that has no bound.
            doubt: why it is not judged.

        Example:
            >>> LinearEstimate.mean(np.array([0.0, 1.0, np.nan])).value
            0.5
        """
        defined = np.isfinite(values)
        number = int(defined.sum())
        if not number:
            return cls.undefined("it is defined for no review", len(values))
        mean = float(values[defined].mean())
        influence = np.where(defined, values - mean, 0.0) / number
        return cls(mean, influence, defined / number, None if width is None else width / number, doubt=doubt)
