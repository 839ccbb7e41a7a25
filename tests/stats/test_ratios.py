"""Ratios of proportions: Koopman's interval by another route, published numbers, linear forms and covariances."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import chi2

from evenhand.stats import TwoProportions, TwoWay, score_ratio
from evenhand.stats.subsets import RatioSums, gaps, levels

Z = 1.959963984540054


def side(p: float, n: int) -> TwoWay:
    """A proportion of one run of n units."""
    variance = p * (1 - p) / (n - 1)
    return TwoWay(p, variance, n - 1, 0.0, variance, 0.0, 1, n)


def apart(p: float, n: int, q: float, m: int) -> TwoProportions:
    first, second = side(p, n), side(q, m)
    variance = first.variance + second.variance
    return TwoProportions(TwoWay(p - q, variance, n + m - 2, 0.0, variance, 0.0, 1, n + m - 1), first, second, second)


def chi_square(x: int, n: int, y: int, m: int, ratio: float) -> float:
    """Koopman's statistic, with the likeliest proportions found numerically."""

    def loss(other: float) -> float:
        own = ratio * other
        parts = ((x, own), (n - x, 1 - own), (y, other), (m - y, 1 - other))
        return -sum(count * math.log(share) for count, share in parts if count)

    most = min(1.0, 1 / ratio)
    other = minimize_scalar(loss, bounds=(1e-12, most - 1e-12), method="bounded", options={"xatol": 1e-14}).x
    own = ratio * other
    return (x - n * own) ** 2 / (n * own * (1 - own)) + (y - m * other) ** 2 / (m * other * (1 - other))


@pytest.mark.parametrize(("x", "n", "y", "m"), [(36, 40, 16, 80), (3, 20, 9, 15), (1, 30, 2, 300), (19, 20, 150, 160)])
def test_the_interval_holds_the_ratios_that_koopmans_test_does_not_reject(x, n, y, m):
    low, high = score_ratio(x / n, n, y / m, m, Z)
    ratio, most = (x / n) / (y / m), chi2.ppf(0.95, 1)

    def off(at: float) -> float:
        return chi_square(x, n, y, m, math.exp(at)) - most

    expected = [math.exp(brentq(off, *sorted((math.log(ratio), math.log(ratio) + step)))) for step in (-6, 6)]
    assert (low, high) == pytest.approx(expected, rel=1e-4)


def test_koopmans_own_example():
    assert score_ratio(36 / 40, 40, 16 / 80, 80, Z) == pytest.approx((2.940, 7.152), abs=5e-4)


@pytest.mark.parametrize(("x", "n", "y", "m"), [(0, 12, 4, 40), (12, 12, 40, 40), (12, 12, 1, 40), (1, 2, 2, 2)])
def test_bounds_are_finite_and_hold_the_ratio_at_the_ends(x, n, y, m):
    low, high = score_ratio(x / n, n, y / m, m, Z)
    assert 0 <= low <= (x / n) / (y / m) < high < math.inf


def test_there_is_no_ratio_to_a_proportion_of_0():
    assert all(math.isnan(bound) for bound in score_ratio(0.5, 10, 0.0, 10, Z))
    both = apart(0.5, 10, 0.0, 10)
    assert math.isnan(both.ratio) and all(math.isnan(bound) for bound in both.ratio_bounds(0.025))
    assert both.linear_interval(0.8).bounds(0.025)[0] > -1


def test_swapped_sides_have_the_reciprocal_interval():
    low, high = score_ratio(0.3, 40, 0.7, 90, Z)
    assert score_ratio(0.7, 90, 0.3, 40, Z) == pytest.approx((1 / high, 1 / low), rel=1e-9)


def test_a_linear_form_of_one_run_is_price_and_bonetts():
    """Two pseudo-examples on each side, one an event: 3 of 20 against 9 of 40."""
    both = apart(3 / 20, 20, 9 / 40, 40)
    low, high = both.linear_interval(0.8).bounds(0.025)
    p, q = (3 / 20 * 19 + 1) / 21, (9 / 40 * 39 + 1) / 41  # effective sizes p(1 − p)/V are n − 1
    half = math.sqrt(p * (1 - p) / 21 + 0.64 * q * (1 - q) / 41)
    assert (low + high) / 2 == pytest.approx(p - 0.8 * q)
    assert (high - low) / 2 / half == pytest.approx(2.0, abs=0.05)  # t with Welch's degrees of freedom


@pytest.mark.parametrize("times", [0.8, 1.0, 2.5])
def test_the_variance_of_a_linear_form_has_the_covariance_of_runs(times):
    """Units in both runs, and runs that move both sides: against the variance of the linear form itself."""
    rng = np.random.default_rng(0)
    rows, runs = 300, 4
    group = rng.random(rows) < 0.4
    event = (rng.random((rows, 1)) < 0.4) ^ (rng.random((rows, runs)) < np.linspace(0.05, 0.3, runs))
    sums = RatioSums(event.astype(float), np.ones((rows, runs)))
    two = gaps(sums, group[None], ~group[None])
    both = TwoProportions(two.whole.at(0), two.inside.at(0), two.outside.at(0), two.outside.at(0))
    found = both.linear(times)
    means = [event[mask].mean(axis=0) for mask in (group, ~group)]
    value = means[0] - times * means[1]
    cells = np.zeros((rows, runs))
    for mask, sign, mean in ((group, 1.0, means[0]), (~group, -times, means[1])):
        cells[mask] = sign * (event[mask] - mean.mean()) / (runs * mask.sum())
    factor = [mask.sum() / (mask.sum() - 1) for mask in (group, ~group)]
    totals = cells.sum(axis=1)
    assert found.estimate == pytest.approx(value.mean())
    assert found.v_seed == pytest.approx(value.var(ddof=1) / runs)
    assert found.v_both == pytest.approx((cells**2).sum())
    assert found.v_example == pytest.approx(
        sum(times_ * (totals[mask] ** 2).sum() for times_, mask in zip(factor, (group, ~group), strict=True))
    )


def test_runs_that_move_sides_apart_make_the_ratio_less_certain():
    """Each run selects as many as the others: what one side gains the other loses, which no score test knows."""
    rng = np.random.default_rng(1)
    runs, half = 5, 400
    shift = np.array([-0.2, -0.1, 0.0, 0.1, 0.2])
    event = np.vstack([rng.random((half, runs)) < 0.5 + shift, rng.random((half, runs)) < 0.5 - shift]).astype(float)
    group = np.arange(2 * half) < half
    two = gaps(RatioSums(event, np.ones(event.shape)), group[None], ~group[None])
    both = TwoProportions(two.whole.at(0), two.inside.at(0), two.outside.at(0), two.outside.at(0))
    low, high = both.ratio_bounds(0.025)
    spread = both.linear(both.ratio).standard_error / both.first.estimate
    assert math.log(high / low) > 2 * 2.77 * spread
    plain = levels(RatioSums(event, np.ones(event.shape)), group[None]).at(0)
    assert plain.variance == pytest.approx(both.first.variance)


def test_against_everybody_the_interval_is_that_against_the_rest_carried_over():
    """p_g/p = 1/(π + (1 − π)/R)."""
    rest = apart(0.3, 100, 0.5, 300)
    share = 0.25
    everybody = TwoWay(0.25 * 0.3 + 0.75 * 0.5, 0.0006, 399, 0.0, 0.0006, 0.0, 1, 400)
    both = TwoProportions(rest.whole, rest.first, everybody, rest.second, share, True)
    low, high = both.ratio_bounds(0.025)
    carried = [1 / (share + (1 - share) / bound) for bound in rest.ratio_bounds(0.025)]
    assert both.ratio == pytest.approx(0.3 / 0.45)
    assert low <= carried[0] and high >= carried[1]
