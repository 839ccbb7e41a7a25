"""Wrong verdicts `worse` are as rare as promised over a family, and a harm of twice the detectable effect is found."""

from __future__ import annotations

import numpy as np
import pytest

from counting import false_worse, found_harm
from random_effects import REGIMES, World

ALPHA = 0.05


def most(repetitions: int) -> float:
    """alpha and two and a half standard errors of its simulation."""
    return ALPHA + 2.5 * float(np.sqrt(ALPHA * (1 - ALPHA) / repetitions))


@pytest.mark.parametrize("vary", [True, False])
def test_a_family_without_harm_is_rarely_called_worse(vary):
    for regime in ("examples", "seeds"):
        found = false_worse(World(runs=3, vary=vary, test=300, **REGIMES[regime]), "accuracy", 200)
        assert max(found.values()) <= most(200)


@pytest.mark.parametrize(("group", "harm"), [("a", 0.5), ("d", 1.2)])
def test_a_planted_harm_of_twice_the_detectable_effect_is_found(group, harm):
    where = (harm, 0.0, 0.0, 0.0) if group == "a" else (0.0, 0.0, 0.0, harm)
    share, ratio = found_harm(World(runs=5, test=400, harm=where), "accuracy", group, 100)
    assert 1.7 < ratio < 4.2
    assert share >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize("vary", [True, False])
@pytest.mark.parametrize("regime", list(REGIMES))
@pytest.mark.parametrize(
    "measure",
    [
        "accuracy",
        "accuracy_difference",
        "demographic_parity_difference",
        "equalized_odds_difference",
        "calibration_error_squared",
    ],
)
def test_false_verdicts_of_every_family(vary, regime, measure):
    for runs in (3, 5):
        found = false_worse(World(runs=runs, vary=vary, test=400, **REGIMES[regime]), measure, 400, seed=1)
        assert max(found.values()) <= most(400), (runs, found)
