"""Across groups: extremes, gap, ratio, variance and Gini by hand; nobody is skipped silently."""

from __future__ import annotations

import numpy as np
import pytest

from evenhand.metrics import (
    FOUR_FIFTHS,
    best_group,
    group_gap,
    group_gini,
    group_ratio,
    group_variance,
    impact_ratios,
    worst_group,
)

SUMMARIES = [best_group, group_gap, group_gini, group_ratio, group_variance, worst_group]
RATES = np.array([0.2, 0.5, 0.4])


def test_the_summaries_of_three_rates():
    assert worst_group(RATES) == 0.2
    assert best_group(RATES) == 0.5
    assert worst_group(RATES, higher_is_better=False) == 0.5
    assert best_group(RATES, higher_is_better=False) == 0.2
    assert group_gap(RATES) == pytest.approx(0.3)
    assert group_ratio(RATES) == pytest.approx(0.4)
    assert group_variance(RATES) == pytest.approx(np.var(RATES))
    # |.2−.5| + |.2−.4| + |.5−.4| = .6, twice, over 2·9·mean
    assert group_gini(RATES) == pytest.approx(1.2 / (2 * 9 * RATES.mean()))


def test_the_gini_coefficient_of_one_who_has_everything():
    assert group_gini(np.array([0.0, 0.0, 0.0, 0.7])) == pytest.approx(3 / 4)
    assert group_gini(np.array([0.3, 0.3])) == 0.0


def test_impact_ratios_show_which_groups_fall_below_four_fifths():
    ratios = impact_ratios(RATES)
    assert ratios == pytest.approx([0.4, 1.0, 0.8])
    assert (ratios < FOUR_FIFTHS).tolist() == [True, False, False]
    left = impact_ratios(RATES, eligible=np.array([True, False, True]))
    assert left == pytest.approx([0.5, np.nan, 1.0], nan_ok=True)


@pytest.mark.parametrize("summary", SUMMARIES)
def test_an_undefined_group_makes_the_summary_undefined_unless_it_is_left_out(summary):
    values = np.array([0.2, np.nan, 0.4])
    assert np.isnan(summary(values))
    eligible = np.array([True, False, True])
    assert summary(values, eligible=eligible) == pytest.approx(summary(values[eligible]))


@pytest.mark.parametrize("summary", SUMMARIES)
def test_summaries_are_taken_trial_by_trial(summary):
    rng = np.random.default_rng(0)
    values, eligible = rng.uniform(size=(4, 5, 6)), rng.uniform(size=(4, 5, 6)) < 0.6
    found = summary(values, eligible=eligible)
    assert found.shape == (4, 5)
    for place in np.ndindex(4, 5):
        expected = summary(values[place][eligible[place]])
        assert found[place] == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("summary", [group_gap, group_gini, group_ratio, group_variance])
def test_one_group_differs_from_nobody(summary):
    assert np.isnan(summary(np.array([0.3])))
    assert np.isnan(summary(RATES, eligible=np.array([True, False, False])))
    assert np.isnan(worst_group(RATES, eligible=np.zeros(3, dtype=bool)))


def test_nothing_over_nothing_is_undefined():
    assert np.isnan(group_ratio(np.zeros(2)))
    assert np.isnan(group_gini(np.zeros(2)))
    assert np.isnan(impact_ratios(np.zeros(2))).all()
    assert group_ratio(np.array([0.0, 0.1])) == 0.0
