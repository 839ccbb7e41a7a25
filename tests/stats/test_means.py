"""The interval of a mean of skewed numbers: wider than t's on the side of the longer tail, by the expansion's term."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import skew

from evenhand.stats import TwoWay
from evenhand.stats.means import SkewedMean, skewness_of

MEAN = TwoWay(1.0, 0.04, df=math.inf, v_seed=0, v_example=0.04, v_both=0, runs=1, units=100)


def test_without_skewness_it_is_ts():
    assert SkewedMean(MEAN, 0.0).bounds(0.05) == pytest.approx(MEAN.bounds(0.05))


@pytest.mark.parametrize("skewness", [-0.3, 0.3])
def test_only_the_bound_of_the_longer_tail_moves(skewness):
    quantile = 1.6448536
    moved = 0.3 * (2 * quantile**2 + 1) / 6 * 0.2
    low, high = SkewedMean(MEAN, skewness).bounds(0.05)
    plain = MEAN.bounds(0.05)
    assert (plain[0] - low, high - plain[1]) == pytest.approx((0, moved) if skewness > 0 else (moved, 0))


def test_its_p_value_is_the_tail_at_which_a_bound_reaches_the_null():
    interval = SkewedMean(MEAN, -0.2)
    p = interval.p_greater(0.5)
    assert interval.bounds(p)[0] == pytest.approx(0.5)


def test_the_skewness_of_a_mean_is_that_of_its_numbers_over_the_root_of_their_count():
    numbers = np.random.default_rng(0).exponential(size=200)
    totals = (numbers - numbers.mean()) / len(numbers)
    assert skewness_of(totals, float(totals @ totals)) == pytest.approx(skew(numbers) / math.sqrt(len(numbers)))
    assert skewness_of(np.zeros(3), 0.0) == 0
