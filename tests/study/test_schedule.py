"""Trials are scheduled longest first; the wall time lies between bounds that do not depend on the schedule."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenhand.study.schedule import ScheduledTrial, makespan

SECONDS = st.floats(0.125, 100, width=16)


def alone(*seconds: float) -> list[ScheduledTrial]:
    return [ScheduledTrial(one) for one in seconds]


@pytest.mark.parametrize(
    ("seconds", "count", "expected"),
    [
        ((), 4, 0.0),
        ((5,), 4, 5.0),
        ((1, 1, 1, 1), 2, 2.0),
        ((2, 3, 2), 2, 4.0),  # 3 and 2 start; the other 2 follows the first
        ((5, 5, 4, 4, 3, 3, 3), 3, 11.0),  # Graham's worst case: 9 is possible, and 11/9 = 4/3 − 1/9
    ],
)
def test_hand_worked_schedules(seconds, count, expected):
    assert makespan(alone(*seconds), count) == expected


def test_a_matched_trial_waits_for_its_reference():
    trials = [ScheduledTrial(9.0, after=1), ScheduledTrial(2.0), ScheduledTrial(3.0)]
    assert makespan(trials, 2) == 11.0, "2, then 9; the 3 runs beside them"
    assert makespan(trials, 1) == 14.0


def test_a_trial_of_two_accelerators_waits_until_two_are_free():
    trials = [ScheduledTrial(4.0), ScheduledTrial(3.0, accelerators=2), ScheduledTrial(1.0)]
    assert makespan(trials, 2) == 7.0, "4 beside 1, then 3 on both"
    with pytest.raises(ValueError, match="more accelerators than 1"):
        makespan(trials, 1)


def test_shares_of_an_accelerator_run_side_by_side():
    thirds = [ScheduledTrial(2.0, accelerators=1 / 3)] * 7
    assert makespan(thirds, 1) == 6.0
    assert makespan(thirds, 2) == 4.0
    assert makespan([*thirds[:1], ScheduledTrial(1.0)], 1) == 3.0, "a whole one has no room beside a third"


@given(st.lists(SECONDS, min_size=1, max_size=40), st.integers(1, 9))
def test_the_wall_time_is_at_least_the_longest_trial_and_the_mean_load_and_within_grahams_bound(seconds, count):
    found, load = makespan(alone(*seconds), count), sum(seconds) / count
    assert found >= max(*seconds, load) * (1 - 1e-9)
    assert found <= (load + (1 - 1 / count) * max(seconds)) * (1 + 1e-9)


@given(st.lists(SECONDS, min_size=1, max_size=6), st.integers(1, 3))
def test_longest_first_takes_at_most_four_thirds_of_the_best_schedule(seconds, count):
    best = min(
        max(sum(one for one, at in zip(seconds, places, strict=True) if at == place) for place in range(count))
        for places in product(range(count), repeat=len(seconds))
    )
    assert makespan(alone(*seconds), count) <= (4 / 3 - 1 / (3 * count)) * best * (1 + 1e-9)


@given(st.lists(st.tuples(SECONDS, st.sampled_from([0.25, 0.5, 1.0, 2.0])), min_size=1, max_size=20), st.data())
def test_chains_and_shares_keep_the_lower_bounds(kinds, data):
    trials = [
        ScheduledTrial(seconds, share, data.draw(st.none() | st.integers(0, index - 1)) if index else None)
        for index, (seconds, share) in enumerate(kinds)
    ]
    ends: list[float] = []
    for trial in trials:
        ends.append(trial.seconds + (0.0 if trial.after is None else ends[trial.after]))
    found = makespan(trials, 3)
    assert found >= max(ends) * (1 - 1e-9)
    assert found >= sum(trial.seconds * trial.accelerators for trial in trials) / 3 * (1 - 1e-9)
    assert found <= sum(trial.seconds for trial in trials) * (1 + 1e-9)
