"""The score interval: Wilson's for a proportion, the two-way one without steps, and p-values that fit its bounds."""

from __future__ import annotations

import numpy as np
import pytest

from evenhand.stats import ScoreInterval, TwoWay
from evenhand.stats.few_runs import FewRuns, Wider
from evenhand.stats.proportion import wilson
from evenhand.stats.runs_needed import bounds_after
from evenhand.stats.student_t import t_quantile


def share(events: int, n: int) -> ScoreInterval:
    """A proportion: one more example raises it by (1 − p)/n or lowers it by p/n."""
    p = events / n
    return ScoreInterval(TwoWay(p, p * (1 - p) / n, np.inf, 0, 0, 0, 1, n), (1 - p) / n, p / n)


@pytest.mark.parametrize("events", [0, 1, 5, 20])
def test_the_upper_bound_of_a_rare_event_is_wilsons(events):
    n, tail = 2000, 0.025
    _, high = share(events, n).bounds(tail)
    _, wilsons = wilson(events / n, n, -t_quantile(tail, np.inf))
    assert high == pytest.approx(wilsons, rel=0.01)


def test_its_bounds_are_never_inside_of_the_two_way_interval():
    for events in (0, 3, 50, 100):
        found = share(events, 100)
        low, high = found.bounds(0.05)
        least, most = found.whole.bounds(0.05)
        assert low <= least and high >= most


def test_a_mirrored_value_has_mirrored_bounds():
    few, many = share(3, 60), share(57, 60)
    low, high = few.bounds(0.05)
    assert many.bounds(0.05) == pytest.approx((1 - high, 1 - low))


def test_without_steps_it_is_the_two_way_interval():
    whole = TwoWay(0.1, 0.0004, 12, 0.0, 0.0004, 0.0, 1, 13)
    assert ScoreInterval(whole, 0.0, 0.0).bounds(0.05) == pytest.approx(whole.bounds(0.05))


@pytest.mark.parametrize("null", [-0.02, 0.0, 0.03, 0.2])
def test_at_its_p_value_a_bound_reaches_the_null(null):
    found = share(4, 80)
    p = found.p_greater(null)
    low, high = found.bounds(p if found.estimate > null else 1 - p)
    assert (low if found.estimate > null else high) == pytest.approx(null, abs=1e-6)


def test_more_runs_bring_its_bounds_closer_and_leave_the_step():
    whole = TwoWay(0.05, 5e-4, 4, 4e-4, 2e-4, 1e-4, 5, 300)
    interval = Wider(FewRuns(whole), ScoreInterval(whole, 0.01, 0.001))
    now = np.diff(interval.bounds(0.05))[0]
    low, high = bounds_after(interval, 40, 0.05)
    assert np.mean(high - low) < now
    assert np.mean(high - 0.05) > np.mean(0.05 - low)  # the larger step is upwards
