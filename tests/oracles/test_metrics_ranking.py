"""Areas and average precision against scikit-learn, BPSN and BNSP AUC against their definition, on random problems."""

from __future__ import annotations

import numpy as np
import pytest

from evenhand import metrics

sklearn = pytest.importorskip("sklearn.metrics")

PROBLEMS = 500


@pytest.fixture(autouse=True)
def quick_sklearn():
    """Without their checks of arguments, which take most of the time of a small problem."""
    from sklearn import config_context

    with config_context(skip_parameter_validation=True, assume_finite=True):
        yield


def problem(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]:
    """Labels, scores with ties in two of three problems, weights in one of two (some 0), and overlapping groups."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(5, 90))
    label = (rng.random(n) < rng.uniform(0.1, 0.9)).astype(int)
    label[:2] = 1, 0
    score = rng.normal(size=n) + rng.uniform(0, 2) * label
    weight = rng.choice([0.0, 0.5, 1.0, 2.7], n) if seed % 2 else None
    if weight is not None:
        weight[:2] = 1.0
    return label, np.round(score, seed % 3) if seed % 3 else score, weight, rng.random((n, 3)) < 0.4


def test_the_area_under_the_roc_curve():
    for seed in range(PROBLEMS):
        label, score, weight, _ = problem(seed)
        theirs = sklearn.roc_auc_score(label, score, sample_weight=weight)
        assert metrics.roc_auc(label, score, sample_weight=weight) == pytest.approx(theirs, abs=1e-12)


def test_average_precision():
    for seed in range(PROBLEMS):
        label, score, weight, _ = problem(seed)
        theirs = sklearn.average_precision_score(label, score, sample_weight=weight)
        assert metrics.average_precision(label, score, sample_weight=weight) == pytest.approx(theirs, abs=1e-12)


def test_each_class_of_several_is_set_against_the_rest():
    for seed in range(PROBLEMS // 10):
        rng = np.random.default_rng(seed)
        label, probability = rng.integers(0, 3, 40), rng.dirichlet(np.ones(3), 40)
        theirs = sklearn.roc_auc_score(label, probability, multi_class="ovr", average=None)
        ours = [metrics.roc_auc(label, probability[:, k], pos_label=k) for k in range(3)]
        assert ours == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize(
    ("metric", "positives_inside", "negatives_inside"),
    [(metrics.subgroup_auc, True, True), (metrics.bpsn_auc, False, True), (metrics.bnsp_auc, True, False)],
)
def test_areas_within_and_across_groups_are_shares_of_pairs(metric, positives_inside, negatives_inside):
    for seed in range(PROBLEMS):
        label, score, weight, masks = problem(seed)
        found = metric(label, score, sensitive_features=masks, sample_weight=weight)
        weight = np.ones(len(label)) if weight is None else weight
        for member, value in zip(masks.T, found.values, strict=True):
            ours = (label == 1) & (member == positives_inside)
            theirs = (label == 0) & (member == negatives_inside)
            pairs = weight[ours][:, None] * weight[theirs][None]
            first, second = score[ours][:, None], score[theirs][None]
            if not pairs.sum():
                assert np.isnan(value)
            else:
                in_order = ((first > second) + 0.5 * (first == second)) * pairs
                assert value == pytest.approx(in_order.sum() / pairs.sum(), abs=1e-12)


def test_without_positives_there_is_no_average_precision_and_scikit_learn_says_0():
    with pytest.warns(UserWarning, match="No positive class"):
        assert sklearn.average_precision_score([0, 0], [0.2, 0.3]) == 0
    assert np.isnan(metrics.average_precision([0, 0], [0.2, 0.3]))
