"""Pooled means hold the mean over settings, prediction intervals a new setting, from few settings and few runs each.

The variances of the settings' contrasts are themselves estimates, with 4 degrees of freedom as five runs give them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from evenhand.stats.heterogeneity import Weights, pool

DF = 4
NOISE = {"alike": 1.0, "twofold": 2.0, "tenfold": 10.0}
"""Largest variance of a setting's contrast over its geometric mean."""


@dataclass(frozen=True)
class Found:
    """Coverage of the 95% interval of the mean, wrong lower bounds at 5%, coverage of the prediction interval."""

    mean: float
    wrong: float
    prediction: float


def simulate(settings: int, tau: float, noise: str, repetitions: int, weights: Weights = "equal") -> Found:
    """The truth is 0; settings differ by `tau` in units of their typical noise."""
    most = NOISE[noise]
    held = wrong = predicted = 0
    for repetition in range(repetitions):
        rng = np.random.default_rng([settings, repetition])
        variance = rng.permutation(np.geomspace(1 / most, most, settings))
        truth = tau * rng.normal(size=settings + 1)
        estimates = truth[:-1] + np.sqrt(variance) * rng.normal(size=settings)
        found = pool(estimates, variance * rng.chisquare(DF, size=settings) / DF, weights)
        low, high = found.interval()
        held += low <= 0 <= high
        wrong += found.bounds(0.05)[0] > 0
        low, high = found.prediction()
        predicted += low <= truth[-1] <= high
    return Found(held / repetitions, wrong / repetitions, predicted / repetitions)


def error(repetitions: int) -> float:
    """Two and a half standard errors of a simulated coverage of .94."""
    return 2.5 * float(np.sqrt(0.94 * 0.06 / repetitions))


@pytest.mark.parametrize("settings", [2, 3, 5])
@pytest.mark.parametrize("tau", [0.0, 1.0])
def test_the_mean_of_few_settings(settings, tau):
    for noise in NOISE:
        found = simulate(settings, tau, noise, 400)
        assert found.mean >= 0.94 - error(400), noise
        assert found.wrong <= 0.06 + error(400), noise


@pytest.mark.parametrize("settings", [3, 6])
def test_a_new_setting(settings):
    for tau in (0.0, 1.0, 3.0):
        assert simulate(settings, tau, "twofold", 400).prediction >= 0.94 - error(400), tau


def test_weighting_by_precision_covers_too_little_from_few_settings_of_unlike_precision():
    """Why equal weights are the default: two settings of which one is a hundred times as precise, and they differ."""
    weighted = simulate(2, 2.0, "tenfold", 600, "inverse-variance")
    assert weighted.wrong > 0.08
    assert simulate(2, 2.0, "tenfold", 600).wrong <= 0.05 + error(600)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [2, 3, 4, 6, 10])
@pytest.mark.parametrize("noise", list(NOISE))
def test_every_number_of_settings(settings, noise):
    for tau in (0.0, 0.5, 1.0, 3.0):
        found = simulate(settings, tau, noise, 1500)
        assert found.mean >= 0.94 - error(1500), tau
        assert found.wrong <= 0.06 + error(1500), tau
        if settings > 2:
            assert found.prediction >= 0.93 - error(1500), tau
        weighted = simulate(settings, tau, noise, 1500, "inverse-variance")
        if noise != "tenfold":
            assert weighted.mean >= 0.92 - error(1500), tau
