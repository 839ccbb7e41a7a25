"""The verdict rule and its order; TOST against known numbers and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest

from evenhand.stats.equivalence import non_inferiority, tost, tost_independent, tost_paired, verdict

A, B = np.array([4, 7, 8, 6, 3, 2]), np.array([6, 8, 7, 10, 11, 9])


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-0.01, 0.01, "equivalent"),
        (0.005, 0.015, "equivalent"),  # surely there, and surely harmless
        (-0.015, -0.005, "equivalent"),
        (0.005, 0.03, "worse"),
        (0.03, 0.05, "worse"),
        (-0.03, -0.005, "better"),
        (-0.05, -0.03, "better"),
        (-0.03, 0.01, "not worse"),
        (-0.01, 0.03, "inconclusive"),
        (-0.05, 0.05, "inconclusive"),
        (-0.02, 0.01, "not worse"),  # the bounds of the margin are outside of it
        (-0.01, 0.02, "inconclusive"),
        (0.0, 0.03, "inconclusive"),
        (0.0, 0.0, "inconclusive"),  # without width
    ],
)
def test_the_order_of_the_rule(low, high, expected):
    assert verdict(low, high, 0.02) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(-0.01, 0.01, "inconclusive"), (0.001, 0.01, "worse"), (-0.02, -0.01, "better"), (-0.5, 0.01, "inconclusive")],
)
def test_without_a_margin_equivalent_and_not_worse_are_not_said(low, high, expected):
    assert verdict(low, high, None) == expected


def test_tost_gives_the_known_numbers():
    assert tost_independent(A, B, -1, 1) == pytest.approx(0.965097, abs=1e-6)
    assert tost_paired(A, B, -0.5, 0.5) == pytest.approx(0.954854, abs=1e-6)


def test_tost_agrees_with_statsmodels():
    weightstats = pytest.importorskip("statsmodels.stats.weightstats")
    assert tost_independent(A, B, -4, 1) == pytest.approx(weightstats.ttost_ind(A, B, -4, 1)[0])
    assert tost_paired(A, B, -4, 1) == pytest.approx(weightstats.ttost_paired(A, B, -4, 1)[0])


def test_equivalent_is_tost_at_the_intervals_level():
    """The 1 − 2α interval lies inside the margin exactly when TOST rejects at α."""
    from evenhand.stats.student_t import t_quantile

    for estimate in np.linspace(-0.03, 0.03, 13):
        half = t_quantile(0.95, 7) * 0.008
        inside = verdict(estimate - half, estimate + half, 0.02) == "equivalent"
        assert inside == (tost(estimate, 0.008, 7, -0.02, 0.02) < 0.05)


def test_non_inferiority_looks_at_one_side():
    assert non_inferiority(-1.0, 0.008, 7, 0.02) < 1e-6
    assert non_inferiority(0.02, 0.008, 7, 0.02) == pytest.approx(0.5)
