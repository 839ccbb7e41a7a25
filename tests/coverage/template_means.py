"""Means over templates, each the mean over its examples, with the two-way variance of templates and examples.

Templates stand where runs stand in an audit: both they and the examples are samples.
"""

from __future__ import annotations

import numpy as np

from evenhand.audit.arrays.linear_estimate import LinearEstimate
from evenhand.audit.runs.items import ItemRuns
from evenhand.metrics.options.scores import distance_from_equal
from evenhand.stats.contrast import TwoWay


def mean_over_templates(values: np.ndarray, unit: np.ndarray | None = None) -> TwoWay:
    """The mean of values, float [templates, n]; `unit` are clusters of examples, int [n]."""
    return _over([LinearEstimate.mean(row) for row in values], unit)


def lean_over_templates(first: np.ndarray, second: np.ndarray, unit: np.ndarray | None = None) -> TwoWay:
    """The share of the first among guesses of either, float [templates, n] each, minus ½."""
    found = distance_from_equal(first, second)
    shares = np.full(first.shape[1], 1 / first.shape[1])
    leans = zip(found.lean, found.contributions, strict=True)
    return _over([LinearEstimate(float(lean), moves, shares) for lean, moves in leans], unit)


def _over(templates: list[LinearEstimate], unit: np.ndarray | None) -> TwoWay:
    codes = np.arange(len(templates[0].weights)) if unit is None else unit
    return ItemRuns.of([[one] for one in templates], [codes] * len(templates)).mean.whole
