"""Areas under curves of scores: closed forms, undefined values, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from evenhand.errors import InputError
from evenhand.metrics import average_precision, bnsp_auc, bpsn_auc, roc_auc, subgroup_auc


def test_normal_scores_have_the_binormal_area():
    """AUC = Φ(d/√(1 + sd²)); d = 1, sd = 2: .6726."""
    rng = np.random.default_rng(0)
    label = np.arange(400_000) % 4 == 0
    score = np.where(label, 1 + 2 * rng.normal(size=len(label)), rng.normal(size=len(label)))
    assert norm.cdf(1 / np.sqrt(5)) == pytest.approx(0.6726, abs=1e-4)
    assert roc_auc(label, score) == pytest.approx(norm.cdf(1 / np.sqrt(5)), abs=0.004)


def test_exponential_scores_have_the_area_of_their_rates():
    """AUC = λ₀/(λ₀ + λ₁)."""
    rng = np.random.default_rng(1)
    label = np.arange(400_000) % 2 == 0
    score = rng.exponential(np.where(label, 3.0, 1.0))
    assert roc_auc(label, score) == pytest.approx(0.75, abs=0.003)


def test_a_score_that_says_nothing_has_half_the_area_and_the_precision_of_the_share_of_positives():
    label = np.array([1, 0, 0, 0])
    assert roc_auc(label, np.zeros(4)) == 0.5
    assert average_precision(label, np.zeros(4)) == 0.25


def test_the_precision_of_uniform_scores_is_that_of_the_integral():
    """Positives have the density 2s, negatives 1: precision at s is 2π(1 − s²)/(…), integrated over recall."""
    rng = np.random.default_rng(2)
    label = np.arange(200_000) % 2 == 0
    score = np.where(label, np.sqrt(rng.random(len(label))), rng.random(len(label)))
    grid = (np.arange(100_000) + 0.5) / 100_000
    precision = (1 - grid**2) / ((1 - grid**2) + (1 - grid))
    assert average_precision(label, score) == pytest.approx((precision * 2 * grid).mean(), abs=0.003)


def test_a_group_scored_too_high_has_a_low_bpsn_and_a_high_bnsp():
    rng = np.random.default_rng(3)
    label, group = rng.integers(0, 2, 4000), rng.choice(["a", "b"], 4000)
    score = label + rng.normal(size=4000) + 1.0 * (group == "b")
    within, bpsn, bnsp = (
        metric(label, score, sensitive_features=group).as_dict() for metric in (subgroup_auc, bpsn_auc, bnsp_auc)
    )
    assert within["b"] == pytest.approx(within["a"], abs=0.04)
    assert bpsn["b"] < 0.55 < 0.9 < bnsp["b"]
    assert bpsn["b"] == bnsp["a"]  # of two groups each is the other's background


def test_a_group_without_one_of_the_classes_has_no_area():
    found = subgroup_auc([1, 0, 1, 1], [0.9, 0.1, 0.5, 0.4], sensitive_features=["a", "a", "b", "b"])
    assert found.as_dict()["a"] == 1.0
    assert np.isnan(found.as_dict()["b"])
    assert found.support.tolist() == [1, 0]
    assert np.isnan(roc_auc([1, 1], [0.1, 0.2]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: roc_auc([1, 0], [0.5]), r"y_score has shape \(1,\); one score per label, \(2,\), is needed"),
        (lambda: roc_auc([1, 0], [0.5, np.nan]), "y_score is nan in row 1; every row needs a score"),
        (lambda: roc_auc([0.9, 0.2], [1, 0]), "y_true holds 0.9, no class"),
        (lambda: roc_auc(["no", "yes"], [0.5, 0.4]), "say which is the positive class with pos_label"),
        (lambda: average_precision([1, 0], [0.5, 0.4], sample_weight=[1, -1]), "weight that is negative"),
        (lambda: bpsn_auc([1, 0], [0.5, 0.4], sensitive_features=["a"]), "sensitive_features"),
    ],
)
def test_what_cannot_be_ranked_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
