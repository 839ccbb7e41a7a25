"""Why no subgroups are searched by calibration: a search finds something in many data where everybody is calibrated.

A debiased squared error near 0 is not normal: its influences are near 0 as well, and random signs of them show too
little of what chance does.
"""

from __future__ import annotations

import numpy as np
import pytest

from evenhand.audit.measures.run_data import BINS, bin_of
from evenhand.audit.subgroups.conjunctions import Conjunctions
from evenhand.audit.subgroups.contrasts import to_normal
from evenhand.audit.subgroups.findings import adjusted
from evenhand.metrics.pooled_bins import BinnedRun, pooled_squared_errors
from evenhand.stats.subsets import correction
from searched import attributes

pytestmark = pytest.mark.simulate
ROWS = 1500


def p_of_search(rng: np.random.Generator, gap: np.ndarray, bins: np.ndarray) -> float:
    """The p-value of the largest gap of squared calibration errors, by random signs of influences.

    Args:
        rng: the source of randomness.
        gap: confidence − outcome, float [R].
        bins: int [R].
    """
    conjunctions = Conjunctions(attributes(rng, ROWS, 5, 4), ROWS, 3, 30)
    added, t, df = np.zeros((len(conjunctions), ROWS)), np.zeros(len(conjunctions)), np.zeros(len(conjunctions))
    for place in range(len(conjunctions)):
        inside = conjunctions.members(place)
        for sign, rows in ((1, np.flatnonzero(inside)), (-1, np.flatnonzero(~inside))):
            run = BinnedRun(gap[rows], bins[rows], np.full(len(rows), 1 / len(rows)))
            (error,) = pooled_squared_errors([run], BINS)
            added[place, rows] = sign * error.influence
            t[place] += sign * error.value
        df[place] = inside.sum() - 1
    spread = np.sqrt(correction(df + 1) * (added**2).sum(axis=1))
    signs = 2.0 * rng.integers(0, 2, (ROWS, 199)) - 1
    drawn = to_normal(added @ signs / spread[:, None], df[:, None])
    return float(adjusted(to_normal(t / spread, df).max()[None], np.sort(drawn.max(axis=0)))[0])


def test_a_search_by_calibration_would_find_something_where_everybody_is_calibrated(repetitions):
    n, found = repetitions(100), 0
    for draw in range(n):
        rng = np.random.default_rng((draw, 6))
        positive = rng.random(ROWS) < 0.4
        log_odds = np.log(0.4 / 0.6) + 1.3 * (rng.normal(size=ROWS) + 1.3 * positive) - 1.3**2 / 2
        probability = 1 / (1 + np.exp(-log_odds))
        found += p_of_search(rng, probability - positive, bin_of(probability).astype(np.intp)) <= 0.05
    print(f"calibration: found in {found} of {n}")
    assert found / n > 0.1
