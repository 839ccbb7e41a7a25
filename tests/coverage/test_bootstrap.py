"""Bootstrap intervals of one run's group rates hold the population's: percentile and BCa, over cells and over units."""

from __future__ import annotations

import numpy as np
import pytest

from bounds import least, most
from evenhand.stats.bootstrap import (
    bca,
    bootstrap_counts,
    bootstrap_units,
    contingency,
    jackknife_counts,
    jackknife_units,
    percentile,
    shares,
)

GROUPS, RATES = (0.5, 0.3, 0.2), (0.8, 0.7, 0.6)


def cells_cover(repetitions: int, n: int, draws: int) -> tuple[np.ndarray, float]:
    """Coverage of accuracy per group, [2, G]: percentile, then BCa; and of a difference of two groups (BCa)."""
    held, between = np.zeros((2, len(GROUPS))), 0
    for repetition in range(repetitions):
        rng = np.random.default_rng(repetition)
        group = rng.choice(len(GROUPS), n, p=GROUPS)
        label = rng.integers(0, 2, n)
        hit = rng.random(n) < np.array(RATES)[group]
        cells = contingency(group[:, None] == np.arange(3), label, np.where(hit, label, 1 - label)[None])

        def accuracy(counts: np.ndarray, cells=cells) -> np.ndarray:
            return shares(counts, cells.predicted[0] == cells.label, cells.members)

        found, taken = bootstrap_counts(cells.counts, accuracy, draws, rng), jackknife_counts(cells.counts, accuracy)
        values = accuracy(cells.counts)
        low, high = percentile(found)
        held[0] += (low <= RATES) & (high >= RATES)
        for place, truth in enumerate(RATES):
            low, high = bca(values[place], found[:, place], taken[:, place], cells.counts)
            held[1, place] += low <= truth <= high
        gap = bca(values[0] - values[2], found[:, 0] - found[:, 2], taken[:, 0] - taken[:, 2], cells.counts)
        between += gap[0] <= RATES[0] - RATES[2] <= gap[1]
    return held / repetitions, between / repetitions


def units_cover(repetitions: int, clusters: int, draws: int) -> float:
    """Coverage of BCa for a mean of clustered, skewed values."""
    held = 0
    for repetition in range(repetitions):
        rng = np.random.default_rng(repetition)
        unit = np.repeat(np.arange(clusters), 3)
        value = rng.exponential(size=clusters)[unit] + 0.3 * rng.normal(size=len(unit))

        def mean(rows: np.ndarray, value=value) -> float:
            return float(value[rows].mean())

        low, high = bca(value.mean(), bootstrap_units(unit, mean, draws, rng), jackknife_units(unit, mean))
        held += low <= 1.0 <= high
    return held / repetitions


def test_intervals_of_cells():
    held, between = cells_cover(200, 400, 400)
    assert min(held.min(), between) >= least(0.93, 200)


def test_intervals_of_units():
    assert units_cover(100, 80, 300) >= least(0.93, 100)


@pytest.mark.simulate
@pytest.mark.parametrize("n", [150, 400, 1600])
def test_intervals_of_cells_at_every_size(n, repetitions):
    count = repetitions(2000)
    held, between = cells_cover(count, n, 2000)
    assert min(held.min(), between) >= least(0.935, count)
    assert max(held.max(), between) <= most(0.975, count)


@pytest.mark.simulate
def test_intervals_of_units_at_length(repetitions):
    n = repetitions(600)
    assert units_cover(n, 80, 400) >= least(0.93, n)
