"""Tests over runs and over discordant pairs: sizes and coverage at the sizes of a study."""

from __future__ import annotations

import numpy as np
import pytest

from bounds import least, most
from evenhand.stats.paired import agresti_min, corrected_resampled_t, mcnemar, sign_flip, t_over_runs


def sizes(runs: int, repetitions: int, alpha: float) -> tuple[float, float]:
    """How often the sign-flip and the t test find a mean above 0 where there is none, in skewed differences of
    symmetric law (a normal times a scale per run)."""
    flips = t = 0
    rng = np.random.default_rng(runs)
    for _ in range(repetitions):
        values = rng.normal(size=runs) * rng.exponential(size=runs)
        flips += sign_flip(values) <= alpha
        t += t_over_runs(values).p_greater() <= alpha
    return flips / repetitions, t / repetitions


def pairs_cover(plus: float, minus: float, pairs: int, repetitions: int) -> tuple[float, float]:
    """Coverage of Agresti and Min's interval, and how often the exact McNemar test finds the first larger at .05."""
    rng = np.random.default_rng(pairs)
    held = found = 0
    for first, second, _ in rng.multinomial(pairs, [plus, minus, 1 - plus - minus], size=repetitions).tolist():
        low, high = agresti_min(first, second, pairs)
        held += low <= plus - minus <= high
        found += mcnemar(first, second, "greater") <= 0.05
    return held / repetitions, found / repetitions


def splits_cover(repetitions: int, runs: int = 5, n: int = 250) -> tuple[float, float]:
    """Coverage of t over runs, plain and corrected: the difference of two means of a feature that training learns,
    on new splits of one sample, 20% tested."""
    held = np.zeros(2)
    for repetition in range(repetitions):
        rng = np.random.default_rng(repetition)
        x, y = rng.normal(size=n), rng.normal(size=n)
        differences = []
        for _ in range(runs):
            order = rng.permutation(n)
            test, train = order[: n // 5], order[n // 5 :]
            # Squared errors of two constants, one learned: its expectation is 1 + 1/|train|, the other's 1.
            differences.append(((y[test] - y[train].mean()) ** 2 - (x[test] - 0.0) ** 2).mean())
        truth = 1 / (n - n // 5)
        for place, found in enumerate(
            (t_over_runs(np.array(differences)), corrected_resampled_t(np.array(differences), n // 5, n - n // 5))
        ):
            low, high = found.interval()
            held[place] += low <= truth <= high
    return held[0] / repetitions, held[1] / repetitions


@pytest.mark.parametrize("runs", [5, 8])
def test_the_sign_flip_test_has_its_size(runs):
    """Exact: at a level that it can reach it is reached, whatever the scales of the runs."""
    alpha = 2 / 2**runs
    flips, _ = sizes(runs, 3000, alpha)
    assert flips == pytest.approx(alpha, abs=3 * np.sqrt(alpha / 3000))


@pytest.mark.parametrize("pairs", [40, 200])
@pytest.mark.parametrize(("plus", "minus"), [(0.05, 0.05), (0.15, 0.05), (0.01, 0.01)])
def test_agresti_mins_interval_covers(pairs, plus, minus):
    held, found = pairs_cover(plus, minus, pairs, 4000)
    assert held >= 0.94
    if plus == minus:
        assert found <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)


def test_the_corrected_t_covers_and_the_plain_one_does_not():
    plain, corrected = splits_cover(600)
    assert plain < 0.91
    assert corrected >= 0.93


@pytest.mark.simulate
def test_paired_tests_at_length(repetitions):
    n = repetitions(20_000)
    for runs in (5, 6, 8, 10):
        flips, _ = sizes(runs, n, 0.05)
        assert flips <= most(0.05, n, 0.0014)
    for pairs in (30, 100, 400):
        for plus, minus in ((0.02, 0.02), (0.1, 0.02), (0.3, 0.2)):
            held, _ = pairs_cover(plus, minus, pairs, n)
            assert held >= least(0.942, n, 0.1)
    n = repetitions(3000)
    _, corrected = splits_cover(n)
    assert corrected >= least(0.945, n, 0.1)
