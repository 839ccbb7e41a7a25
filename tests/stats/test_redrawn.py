"""Outcomes redrawn by unit: how often a unit's outcomes go together, and the draws that follow it."""

from __future__ import annotations

import numpy as np
import pytest

from evenhand.stats.redrawn import redraw_outcomes, share_together


def drawn(
    rng: np.random.Generator, units: int, size: int, together: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Confidences that differ within a unit, outcomes, and units, in random order."""
    unit = np.repeat(np.arange(units), size)
    confidence = rng.uniform(0.1, 0.9, units * size)
    shared = rng.random(units)[unit]
    own = np.where((rng.random(units) < together)[unit], shared, rng.random(units * size))
    order = rng.permutation(len(unit))
    return confidence[order], (own < confidence)[order].astype(float), unit[order]


@pytest.mark.parametrize("together", [0.0, 0.3, 0.8])
def test_how_often_units_go_together_is_found(together):
    rng = np.random.default_rng(0)
    runs = [drawn(rng, 3000, 3, together) for _ in range(2)]
    assert share_together(*zip(*runs, strict=True)) == pytest.approx(together, abs=0.04)


def test_copies_always_go_together_and_single_examples_never():
    unit = np.repeat(np.arange(6), 2)
    confidence, outcome = np.full(12, 0.3), np.repeat([1.0, 0, 0, 1, 0, 0], 2)
    assert share_together([confidence], [outcome], [unit]) == 1
    assert share_together([confidence], [outcome], [np.arange(12)]) == 0


def test_redrawn_outcomes_of_a_unit_go_together_as_often_as_asked():
    rng = np.random.default_rng(1)
    unit, chance = np.repeat(np.arange(40), 2), np.repeat(rng.uniform(0.2, 0.8, 40), 2)
    outcomes = redraw_outcomes(chance, lambda drawn: drawn, 4000, rng, unit, 0.5)
    gaps = outcomes - chance
    correlation = (gaps[:, ::2] * gaps[:, 1::2]).mean() / (chance * (1 - chance)).mean()
    assert correlation == pytest.approx(0.5, abs=0.02)
    assert outcomes.mean(axis=0) == pytest.approx(chance, abs=0.04)
