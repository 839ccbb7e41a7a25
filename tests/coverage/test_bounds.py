"""Bounds of simulated shares are those of an exact binomial test, at every number of repetitions."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from bounds import LEVEL, LEVEL_OF_FEW, least, most


@pytest.mark.parametrize(("repetitions", "level"), [(20, LEVEL_OF_FEW), (30, LEVEL_OF_FEW), (40, LEVEL), (300, LEVEL)])
@pytest.mark.parametrize("share", [0.05, 0.9, 0.95])
def test_a_share_at_its_bound_is_accepted_and_the_next_one_rejected(share, repetitions, level):
    low, high = (round(bound(share, repetitions) * repetitions) for bound in (least, most))
    assert binomtest(low, repetitions, share, "less").pvalue >= level
    assert low == 0 or binomtest(low - 1, repetitions, share, "less").pvalue < level
    # `most` is the largest count that is not too large: only beyond it has chance less than the level.
    assert high == repetitions or binomtest(high + 1, repetitions, share, "greater").pvalue <= level
    assert binomtest(high, repetitions, share, "greater").pvalue > level


@pytest.mark.parametrize(("claimed", "true"), [(0.9, 0.6), (0.93, 0.65)])
def test_a_tenth_finds_a_coverage_that_is_far_too_low(claimed, true):
    found = binomtest(round(true * 30), 30, claimed, "less")
    assert true < least(claimed, 30) and found.pvalue < LEVEL_OF_FEW
