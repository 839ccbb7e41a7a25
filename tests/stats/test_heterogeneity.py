"""Pooling over settings against statsmodels, by hand, and at its edges."""

from __future__ import annotations

import numpy as np
import pytest

from evenhand.errors import InputError
from evenhand.stats.heterogeneity import pool
from evenhand.stats.student_t import t_quantile

EVENTS = np.array(
    [
        [4, 119, 11, 128],
        [6, 300, 29, 274],
        [3, 228, 11, 209],
        [62, 13536, 248, 12619],
        [33, 5036, 47, 5761],
        [180, 1361, 372, 1079],
        [8, 2537, 10, 619],
        [505, 87886, 499, 87892],
        [29, 7470, 45, 7232],
        [17, 1699, 65, 1600],
        [186, 50448, 141, 27197],
        [5, 2493, 3, 2338],
        [27, 16886, 29, 17825],
    ]
)
"""The BCG vaccine trials (Colditz et al. 1994): events and others, treated and control."""


def trials() -> tuple[np.ndarray, np.ndarray]:
    """Log risk ratios and their variances."""
    a, b, c, d = EVENTS.T
    return np.log(a / (a + b) / (c / (c + d))), 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)


def test_the_published_heterogeneity_of_the_bcg_trials():
    """Q = 152.233 on 12 degrees of freedom, I² = 92.1%, Paule and Mandel's τ² = .3181 (metafor)."""
    found = pool(*trials(), weights="inverse-variance")
    assert found.q == pytest.approx(152.233, abs=5e-4)
    assert found.i_squared == pytest.approx(1 - 12 / 152.233, abs=1e-6)
    assert found.tau_squared == pytest.approx(0.3181, abs=5e-5)
    assert found.estimate == pytest.approx(-0.715, abs=5e-4)
    assert found.q_p < 1e-20


def test_random_effects_agree_with_statsmodels():
    """Paule–Mandel with Hartung–Knapp–Sidik–Jonkman where its scale is above 1, below it the known variances'."""
    meta = pytest.importorskip("statsmodels.stats.meta_analysis")
    rng = np.random.default_rng(0)
    truncated = skipped = 0
    for _ in range(300):
        k = rng.integers(2, 12)
        v = rng.exponential(size=k) + 0.1
        y = 0.5 + np.sqrt(v) * rng.normal(size=k) + rng.choice([0.0, 0.5, 2.0]) * rng.normal(size=k)
        found = pool(y, v, weights="inverse-variance")
        theirs = meta.combine_effects(y, v, method_re="iterated", atol=1e-9, maxiter=200, use_t=True)
        if theirs.tau2 == 0 and theirs.q > k - 1:
            skipped += 1  # statsmodels' iteration passed the root by rounding, and then says 0
            continue
        assert found.tau_squared == pytest.approx(theirs.tau2, abs=1e-7)
        assert found.estimate == pytest.approx(theirs.mean_effect_re, abs=1e-7)
        assert found.q == pytest.approx(theirs.q, abs=1e-7)
        assert found.i_squared == pytest.approx(max(theirs.i2, 0.0), abs=1e-7)
        assert found.q_p == pytest.approx(theirs.test_homogeneity().pvalue, abs=1e-7)
        if theirs.scale_hksj_re >= 1:
            assert found.standard_error == pytest.approx(theirs.sd_eff_w_re_hksj, abs=1e-7)
            assert found.interval() == pytest.approx(
                theirs.conf_int_samples and theirs.conf_int(use_t=True)[3], abs=1e-7
            )
        else:
            truncated += 1
            assert found.standard_error == pytest.approx(theirs.sd_eff_w_re, abs=1e-7)
    assert 30 < truncated < 270 and skipped < 100


def test_weights_alike_are_the_t_interval_of_the_settings():
    y = np.array([0.01, 0.03, 0.02, 0.06])
    found = pool(y, np.array([1e-4, 1e-5, 3e-4, 2e-4]))
    assert found.estimate == pytest.approx(0.03)
    half = t_quantile(0.975, 3) * y.std(ddof=1) / 2
    assert found.interval() == pytest.approx((0.03 - half, 0.03 + half))
    assert found.df == 3


def test_equal_variances_by_hand():
    """y = 1, 2, 6 with v = 1: Q = 14, I² = 6/7, and τ² = s² − v = 6 for either weights."""
    for weights in ("equal", "inverse-variance"):
        found = pool(np.array([1.0, 2.0, 6.0]), np.ones(3), weights)
        assert found.q == pytest.approx(14)
        assert found.i_squared == pytest.approx(12 / 14)
        assert found.tau_squared == pytest.approx(6)
        assert found.q_p == pytest.approx(np.exp(-7))  # chi-squared, 2 degrees of freedom
        assert found.standard_error == pytest.approx(np.sqrt(7 / 3))
        # The 25% quantile of that chi-squared is −2·ln(.75).
        assert found.tau_squared_high == pytest.approx(14 / (-2 * np.log(0.75)) - 1)
        half = t_quantile(0.975, 2) * np.sqrt(found.tau_squared_high + 7 / 3)
        assert found.prediction() == pytest.approx((3 - half, 3 + half))


def test_settings_that_agree_have_no_heterogeneity():
    found = pool(np.array([0.01, 0.011, 0.012]), np.full(3, 1e-3), weights="inverse-variance")
    assert found.tau_squared == found.i_squared == 0.0
    assert found.q_p > 0.99
    assert found.standard_error == pytest.approx(np.sqrt(1e-3 / 3))


def test_the_scale_of_the_contrasts_does_not_matter():
    y, v = trials()
    one, other = pool(y, v), pool(1000 * y, 1e6 * v)
    assert other.interval() == pytest.approx(tuple(1000 * bound for bound in one.interval()))
    assert other.tau_squared == pytest.approx(1e6 * one.tau_squared)
    assert (other.q, other.i_squared) == pytest.approx((one.q, one.i_squared))


def test_the_p_value_agrees_with_the_bound():
    found = pool(*trials())
    for tail in (0.2, 0.05, 0.001):
        low, high = found.bounds(tail)
        assert found.p_greater(low) == pytest.approx(tail)
        assert found.p_greater(high) == pytest.approx(1 - tail)


def test_below_two_settings_there_is_no_interval_and_below_three_no_prediction():
    none, one = pool(np.empty(0), np.empty(0)), pool(np.array([0.1]), np.array([0.01]))
    two = pool(np.array([0.1, 0.2]), np.array([0.01, 0.01]))
    assert np.isnan(none.estimate) and "no setting" in str(none.reason)
    assert one.estimate == 0.1 and "one setting" in str(one.reason)
    for found in (none, one):
        numbers = (*found.interval(), found.q, found.tau_squared, found.i_squared, found.p_greater())
        assert np.isnan(numbers).all()
    assert np.isfinite(two.interval()).all()
    assert np.isnan(two.prediction()).all() and "two settings" in str(two.reason)


def test_a_variance_of_nothing_is_refused():
    with pytest.raises(InputError, match=r"above 0, and one is 0\.0"):
        pool(np.array([0.1, 0.2]), np.array([0.01, 0.0]))


def alike(k: int, variance: float, covariance: float) -> np.ndarray:
    """A covariance matrix of exchangeable settings."""
    return np.full((k, k), covariance) + (variance - covariance) * np.eye(k)


def test_what_settings_share_is_added_to_what_their_spread_shows():
    """By hand: y = 1, 2, 6 with v = 5 and covariances 4. Between settings the noise is v − c = 1, as in the test above
    without covariances; the mean has s²/k + c = 7/3 + 4."""
    y = np.array([1.0, 2.0, 6.0])
    found, apart = pool(y, np.full(3, 5.0), shared=alike(3, 5, 4)), pool(y, np.ones(3))
    assert (found.q, found.tau_squared, found.tau_squared_high) == pytest.approx(
        (apart.q, apart.tau_squared, apart.tau_squared_high)
    )
    assert found.variance == pytest.approx(7 / 3 + 4)
    half = np.sqrt(t_quantile(0.975, 2) ** 2 * 7 / 3 + t_quantile(0.975, np.inf) ** 2 * 4)
    assert found.interval() == pytest.approx((3 - half, 3 + half))
    wider = np.sqrt(half**2 + t_quantile(0.975, 2) ** 2 * found.tau_squared_high)
    assert found.prediction() == pytest.approx((3 - wider, 3 + wider))


def test_expected_variance_is_the_variance_of_the_mean():
    """E s²/k + c̄ against 1'Σ1/k², for unlike variances and covariances."""
    rng = np.random.default_rng(0)
    for k in (2, 3, 6):
        root = rng.normal(size=(k, 2 * k)) + 1
        covariance = root @ root.T
        # E of (y − ȳ)(y − ȳ)' is the centred covariance: its trace over k − 1 is E s².
        centred = covariance - covariance.mean(axis=0)
        expected = np.trace(centred - centred.mean(axis=1)[:, None]) / (k - 1) / k
        found = pool(np.zeros(k), np.diag(covariance), shared=covariance)
        assert expected + found.shared == pytest.approx(covariance.sum() / k**2)


def test_q_is_that_of_generalised_least_squares():
    rng = np.random.default_rng(1)
    for k in (2, 4, 9):
        root = rng.normal(size=(k, 2 * k)) + 0.5
        covariance, y = root @ root.T, rng.normal(size=k)
        inverse = np.linalg.inv(covariance)
        rest = y - inverse.sum(axis=0) @ y / inverse.sum()
        found = pool(y, np.diag(covariance), shared=covariance)
        assert found.q == pytest.approx(rest @ inverse @ rest)


def test_bounds_with_a_known_covariance_are_missed_at_most_as_often_as_they_say():
    """The miss rate of exchangeable normal estimates by quadrature over s², at every share of the covariance."""
    from scipy.integrate import quad
    from scipy.stats import chi2, norm

    for k in (2, 3, 5):
        for tail in (0.05, 0.003):
            missed = []
            for c in (0.0, 0.05, 0.5, 0.95, 1.0):
                t, z = t_quantile(tail, k - 1) ** 2, t_quantile(tail, np.inf) ** 2

                def miss(w, t=t, z=z, c=c, k=k):
                    half = np.sqrt(t * w / (k - 1) * (1 - c) / k + z * c)
                    return norm.sf(half / np.sqrt((1 - c) / k + c)) * chi2.pdf(w, k - 1)

                missed.append(sum(quad(miss, *part)[0] for part in ((0, 1e-3), (1e-3, 1), (1, 100))))
            assert max(missed) <= tail * (1 + 1e-4)
            assert missed[0] == pytest.approx(tail, rel=1e-4) and missed[-1] == pytest.approx(tail, rel=1e-4)


def test_one_setting_under_two_names_is_no_more_than_one_setting():
    found = pool(np.array([0.1, 0.1]), np.full(2, 0.01), shared=alike(2, 0.01, 0.01))
    half = 0.1 * t_quantile(0.975, np.inf)
    assert found.interval() == pytest.approx((0.1 - half, 0.1 + half))
    assert (found.q_p, found.i_squared, found.tau_squared) == pytest.approx((1.0, 0.0, 0.0), abs=1e-9)


def test_with_a_covariance_too_the_p_value_agrees_with_the_bound():
    y = np.array([0.01, 0.03, 0.02])
    found = pool(y, np.full(3, 1e-4), shared=alike(3, 1e-4, 5e-5), shared_df=40)
    for tail in (0.2, 0.05, 0.001):
        low, high = found.bounds(tail)
        assert found.p_greater(low) == pytest.approx(tail)
        assert found.p_greater(high) == pytest.approx(1 - tail)
    assert found.p_greater(found.estimate) == 0.5


def test_a_negative_covariance_makes_no_mean_more_certain():
    y, v = np.array([0.1, 0.3]), np.ones(2)
    assert pool(y, v, shared=alike(2, 1, -0.5)).variance == pool(y, v).variance


def test_precision_does_not_weigh_settings_that_share_examples():
    with pytest.raises(InputError, match='weights must be "equal" where settings share examples'):
        pool(np.array([0.1, 0.2]), np.ones(2), "inverse-variance", shared=alike(2, 1, 0.5))


def test_settings_that_agree_to_the_digit_have_an_interval_all_the_same():
    """Two near-identical methods may differ on one example in every setting."""
    found = pool(np.full(3, 0.001), np.full(3, 3e-6))
    assert found.interval() == pytest.approx((0.001 - 1.96e-3, 0.001 + 1.96e-3), abs=1e-6)
    assert found.p_greater() == pytest.approx(0.1587, abs=1e-4)
