"""ROC curves, areas and rates against scikit-learn on random problems, with ties and rare members."""

from __future__ import annotations

import numpy as np
import pytest

from evenhand import metrics

sklearn = pytest.importorskip("sklearn.metrics")

PROBLEMS = 500


def problem(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores, in two of three problems rounded, and membership, both kinds present."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 80))
    member = rng.random(n) < rng.uniform(0.1, 0.9)
    member[:2] = True, False
    score = rng.normal(size=n) + rng.uniform(0, 2) * member
    return (np.round(score, seed % 3) if seed % 3 else score), member


def test_the_curve():
    for seed in range(PROBLEMS):
        score, member = problem(seed)
        fpr, tpr, threshold = sklearn.roc_curve(member, score, drop_intermediate=False)
        ours = metrics.roc_curve(score, member)
        assert ours.false_positive_rate == pytest.approx(fpr, abs=1e-12)
        assert ours.true_positive_rate == pytest.approx(tpr, abs=1e-12)
        assert (ours.threshold == threshold).all()


def test_the_area():
    for seed in range(PROBLEMS):
        score, member = problem(seed)
        assert metrics.membership_auc(score, member) == pytest.approx(sklearn.roc_auc_score(member, score), abs=1e-12)


def test_the_area_of_one_class_is_undefined_there_too():
    with pytest.warns(UserWarning, match="Only one class"):
        assert np.isnan(sklearn.roc_auc_score([1, 1], [0.2, 0.3]))
    assert np.isnan(metrics.membership_auc([0.2, 0.3], [True, True]))


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3, 0.5])
def test_the_best_rate_of_the_curve_within_the_false_positives_allowed(alpha):
    """Where enough distinct non-members allow it; else the counts are those of the curve all the same."""
    for seed in range(PROBLEMS):
        score, member = problem(seed)
        fpr, tpr, _ = sklearn.roc_curve(member, score, drop_intermediate=False)
        place = np.flatnonzero(fpr <= alpha + 1e-12)[-1]
        ours = metrics.tpr_at_fpr(score, member, alpha)
        assert ours.true_positives / ours.members == pytest.approx(tpr[place])
        assert ours.false_positive_rate == pytest.approx(fpr[place])
        assert np.isnan(ours.true_positive_rate) == ((~member).sum() * alpha < 3)


def test_balanced_accuracy_at_the_threshold_of_the_other_target():
    for seed in range(100):
        rng = np.random.default_rng(seed)
        member = rng.random((2, 60)) < 0.5
        score = np.round(rng.normal(size=(2, 60)) + member, 1)
        fpr, tpr, threshold = sklearn.roc_curve(member[1], score[1], drop_intermediate=False)
        best = threshold[np.argmax(tpr - fpr)]
        theirs = sklearn.balanced_accuracy_score(member[0], score[0] >= best)
        assert metrics.attack_accuracy(score, member)[0] == pytest.approx(theirs)
