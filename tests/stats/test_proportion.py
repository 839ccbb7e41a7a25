"""Wilson's interval, and contrasts with few discordant units."""

from __future__ import annotations

import numpy as np
import pytest

from evenhand.stats.contrast import two_way
from evenhand.stats.proportion import ProportionDifference, Widened, effective_size, proportion_interval, wilson


def pair(plus: int, minus: int, n: int = 200, runs: int = 1) -> ProportionDifference:
    """n paired units of which some are discordant, alike in every run."""
    difference = np.zeros(n)
    difference[:plus], difference[plus : plus + minus] = 1, -1

    def mean(outcome):
        value = outcome.mean()
        rows = np.tile((outcome - value) / n, (runs, 1))
        return two_way(np.full(runs, value), rows, np.full((runs, n), 1 / n))

    return ProportionDifference(mean(difference), mean(difference == 1), mean(difference == -1), float(n))


def test_wilson_agrees_with_statsmodels():
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    for count, n in [(0, 12), (3, 40), (12, 12), (55, 100)]:
        assert wilson(count / n, n, 1.959963984540054) == pytest.approx(
            proportion.proportion_confint(count, n, method="wilson"), abs=1e-9
        )


def test_the_effective_size_of_independent_examples_is_their_number():
    assert effective_size(0.3, 0.3 * 0.7 / 80, 1000) == pytest.approx(80)
    assert effective_size(0.3, 1e-12, 1000) == 1000
    assert effective_size(1.0, 0.0, 50) == 50


def test_a_perfect_proportion_has_an_interval_of_positive_width():
    mean = two_way(np.ones(3), np.zeros((3, 40)), np.full((3, 40), 1 / 40))
    low, high = proportion_interval(mean, 120.0)
    assert high == 1.0
    assert 0.8 < low < 0.95


def test_without_discordant_units_the_bounds_are_those_of_tangos_score_interval():
    found = pair(0, 0)
    low, high = found.bounds(0.025)
    square = 1.972  # t, 199 degrees of freedom
    assert high == pytest.approx(square**2 / (200 + square**2), rel=1e-3)
    assert low == pytest.approx(-high)


def test_one_run_is_near_newcombes_paired_interval():
    """Newcombe (1998), method 10 without the correlation term: differences of Wilson intervals."""
    found = pair(6, 1)
    low, high = found.bounds(0.025)
    assert found.estimate == pytest.approx(5 / 200)
    assert -0.01 < low < 0.005
    assert 0.045 < high < 0.06


@pytest.mark.parametrize(("plus", "minus"), [(0, 0), (1, 0), (4, 2), (0, 7)])
def test_the_p_value_agrees_with_the_bounds(plus, minus):
    found = pair(plus, minus, runs=3)
    for tail in (0.1, 0.01):
        low, high = found.bounds(tail)
        assert high > low
        if low > -1:
            assert found.p_greater(low) == pytest.approx(tail, rel=1e-3)
        assert found.p_greater(high) == pytest.approx(1 - tail, rel=1e-3)
    assert 0 < found.p_greater() < 1


def test_the_bounds_never_lie_inside_the_two_way_interval():
    found = pair(5, 3, runs=4)
    low, high = found.bounds(0.025)
    inner = found.whole.bounds(0.025)
    assert low <= inner[0] and high >= inner[1]


def test_a_widened_contrast_has_the_bounds_and_p_value_of_one_more_unit():
    whole = two_way(np.zeros(3), np.zeros((3, 50)), np.full((3, 50), 1 / 50))
    found = Widened(whole, 1 / 50)
    low, high = found.bounds(0.05)
    quantile = 1.6765509  # t, 49 degrees of freedom
    assert high == pytest.approx(quantile**2 / 50, rel=1e-4)
    assert low == -high
    assert found.p_greater(low) == pytest.approx(0.05)
    assert found.p_greater(high) == pytest.approx(0.95)
