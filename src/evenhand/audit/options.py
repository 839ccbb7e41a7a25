"""Intervals of what options say, over templates and examples: the means of `metrics` under the variance of `stats`.

Every example is asked in every template, and both are samples: of texts, and of the ways to ask. Templates stand where
runs stand elsewhere (`stats/contrast.py`): two-way clustered variance, with the few templates' degrees of freedom.
Quantities of a method minus those of its reference, example by example, give the contrast.
"""

from __future__ import annotations

import numpy as np

from evenhand.errors import InputError
from evenhand.metrics.options.scores import distance_from_equal
from evenhand.stats.contrast import TwoWay, by_unit, two_way


def mean_interval(values: np.ndarray, unit: np.ndarray | None = None) -> TwoWay:
    """The mean of a quantity over templates, each the mean over its examples: an effect, a flip rate, a mass.

    Args:
        values: float [T, n]; nan where it is undefined, and then the template has fewer examples.
        unit: int [n], clusters of examples; None: each is its own.

    Returns:
        With one template the variance holds the noise of the examples only. nan where a template has no example.

    Raises:
        InputError: values that are not [T, n], or units of another length.
    """
    values = _by_template(values, unit)
    defined = np.isfinite(values)
    number = defined.sum(axis=1, keepdims=True)
    if not number.all():
        return _undefined(values)
    known = np.where(defined, values, 0.0)
    mean = known.sum(axis=1, keepdims=True) / number
    return _over_templates(mean[:, 0], np.where(defined, values - mean, 0.0) / number, defined / number, unit)


def lean_interval(first: np.ndarray, second: np.ndarray, unit: np.ndarray | None = None) -> TwoWay:
    """`lean` of `distance_from_equal`: share of the first among guesses of either, minus ½, mean over templates.

    Args:
        first, second: float [T, n], the guess of each example that falls to either content.
        unit: int [n], clusters of examples.

    Returns:
        As `mean_interval`; nan also where a template never guesses either.

    Raises:
        InputError: as `mean_interval`.
    """
    guessed = _by_template(np.asarray(first, dtype=float) + second, unit)
    defined = np.isfinite(guessed)
    found = distance_from_equal(np.where(defined, first, 0.0), np.where(defined, second, 0.0))
    if np.isnan(found.lean).any():
        return _undefined(guessed)
    return _over_templates(found.lean, found.contributions, defined / defined.sum(axis=1, keepdims=True), unit)


def _over_templates(values: np.ndarray, moves: np.ndarray, shares: np.ndarray, unit: np.ndarray | None) -> TwoWay:
    if unit is not None:
        moves, shares = by_unit([unit] * len(values), list(moves), list(shares))
    return two_way(values, moves, shares)


def _undefined(values: np.ndarray) -> TwoWay:
    nan = float("nan")
    return TwoWay(nan, nan, nan, nan, nan, nan, runs=values.shape[0], units=values.shape[1])


def _by_template(values: np.ndarray, unit: np.ndarray | None) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or (unit is not None and len(unit) != values.shape[1]):
        raise InputError(
            f"values have the shape {values.shape}; they should be [templates, examples], with one unit per example"
        )
    return values
