"""Bounds of changes of rates: Wilson's where one side alone moved, a score interval's where clusters decide."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from evenhand.stats import FewRuns, Moved, RateChange, ScoreInterval, TwoWay, cluster_step, wilson

SHARES = st.floats(0.01, 0.6)


def share(p: float, units: int = 100) -> TwoWay:
    """A share of one run, all of whose variance is that of its units."""
    v = p * (1 - p) / units
    return TwoWay(p, v, df=units - 1, v_seed=0, v_example=v, v_both=0, runs=1, units=units)


def change(plus: float, minus: float, units: int = 100, step: float = 0.0) -> RateChange:
    """Of independent examples, some of which gained and others of which lost an outcome."""
    variance = (plus + minus - (plus - minus) ** 2) / units
    whole = TwoWay(plus - minus, variance, units - 1, v_seed=0, v_example=variance, v_both=0, runs=1, units=units)
    return RateChange(whole, (Moved(share(plus, units), share(minus, units), units),), step)


@given(p=SHARES, tail=st.floats(1e-4, 0.2))
def test_where_only_one_side_moved_the_farther_bound_is_wilson_s(p, tail):
    low, high = change(p, 0.0).bounds(tail)
    _, wilson_high = wilson(p, 100, -t.ppf(tail, 99))
    whole = FewRuns(change(p, 0.0).whole).half_width(tail)
    assert high == pytest.approx(p + max(wilson_high - p, whole), abs=1e-9)
    assert p - low >= whole - 1e-12


@given(plus=SHARES, minus=st.floats(0, 0.4), step=st.floats(-0.05, 0.05), tail=st.floats(1e-3, 0.2))
def test_bounds_are_never_inside_those_of_t_nor_of_a_score_interval(plus, minus, step, tail):
    found = change(plus, minus, step=step)
    low, high = found.bounds(tail)
    score = ScoreInterval(found.whole, up=max(step, 0.0), down=max(-step, 0.0))
    for other in (FewRuns(found.whole), score):
        least, most = other.bounds(tail)
        assert low <= least + 1e-12 and high >= most - 1e-12


@given(plus=SHARES, minus=st.floats(0, 0.4), step=st.floats(-0.02, 0.02), tail=st.floats(1e-3, 0.2))
def test_the_tail_at_a_bound_is_the_bound_s(plus, minus, step, tail):
    found = change(plus, minus, step=step)
    low, high = found.bounds(tail)
    assert found.p_greater(low) == pytest.approx(tail, rel=1e-4)
    assert found.p_greater(high) == pytest.approx(1 - tail, rel=1e-4)


@given(lost=st.integers(1, 49))
def test_the_step_of_whole_clusters_is_that_of_a_proportion(lost):
    units = 50
    contributions = (np.arange(units) < lost) / units - lost / units**2
    assert cluster_step(contributions) == pytest.approx((1 - 2 * lost / units) / units)
    assert cluster_step(-contributions) == pytest.approx(-(1 - 2 * lost / units) / units)


def test_without_variation_there_is_no_step_and_no_width():
    assert cluster_step(np.zeros(10)) == 0
    low, high = change(0.0, 0.0).bounds(0.05)
    assert low == high == 0


def test_distances_of_two_sides_are_added_as_squares():
    one = Moved(share(0.1), share(0.02), 100)
    whole = TwoWay(0.08, 0.0011, 99, v_seed=0, v_example=0.0011, v_both=0, runs=1, units=100)
    alone, both = RateChange(whole, (one,)), RateChange(whole, (one, one))
    below, above, even = one.distances(-t.ppf(0.01, 99))
    expected = math.sqrt(whole.variance * t.ppf(0.01, 99) ** 2) * math.hypot(below, above) / (math.sqrt(2) * even)
    low, high = both.bounds(0.01)
    assert 0.08 - low == pytest.approx(high - 0.08)  # what one side has above, the other has below
    assert high - 0.08 == pytest.approx(max(expected, FewRuns(whole).half_width(0.01)))
    assert alone.bounds(0.01)[1] > high
