"""Thresholds per group are those of fairlearn's ThresholdOptimizer: the rules, the rates and the random predictions."""

from __future__ import annotations

import numpy as np
import pytest
from fairlearn.postprocessing import ThresholdOptimizer
from sklearn.base import BaseEstimator, ClassifierMixin

from evenhand.errors import InputError
from evenhand.methods.group_thresholds import GroupThresholds
from evenhand.tasks.threshold_optimizer import RandomizedThreshold, optimize_thresholds

SIMPLE = (
    "demographic_parity",
    "true_positive_rate_parity",
    "false_positive_rate_parity",
    "true_negative_rate_parity",
    "false_negative_rate_parity",
)
OBJECTIVES = ("accuracy_score", "balanced_accuracy_score", "selection_rate", "true_positive_rate", "true_negative_rate")
CASES = [(constraint, objective) for constraint in SIMPLE for objective in OBJECTIVES] + [
    ("equalized_odds", objective) for objective in OBJECTIVES[:2]
]


class Scores(ClassifierMixin, BaseEstimator):
    """A classifier whose probability is the only feature."""

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict_proba(self, X):
        return np.column_stack([1 - X[:, 0], X[:, 0]])


def drawn(seed: int, n: int, decimals: int | None = None):
    """Scores that say less of a small group's labels than of the others', rounded so that some are alike."""
    rng = np.random.default_rng(seed)
    groups = rng.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1])
    labels = rng.binomial(1, np.select([groups == "a", groups == "b"], [0.5, 0.3], 0.6))
    spread = np.where(groups == "c", 2.0, 0.8)
    scores = 1 / (1 + np.exp(-(2 * labels - 1 + spread * rng.normal(size=n) - (groups == "c"))))
    return scores if decimals is None else scores.round(decimals), labels, groups


def fairlearn_of(spec: GroupThresholds, scores, labels, groups) -> ThresholdOptimizer:
    optimizer = ThresholdOptimizer(
        estimator=Scores().fit(None, None),
        constraints=spec.constraint,
        objective=spec.objective,
        grid_size=spec.grid_size,
        flip=spec.flip,
        prefit=True,
        predict_method="predict_proba",
    )
    return optimizer.fit(scores[:, None], labels, sensitive_features=groups)


def probability(rules: dict[str, RandomizedThreshold], scores, groups) -> np.ndarray:
    return np.array(
        [rules[group].probability(np.array([score]))[0] for score, group in zip(scores, groups, strict=True)]
    )


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("constraint", "objective"), CASES)
def test_rules_and_predictions_are_those_of_fairlearn(constraint, objective, flip):
    spec = GroupThresholds(attribute="g", constraint=constraint, objective=objective, flip=flip)
    for seed, n, decimals in ((0, 300, None), (1, 90, 1)):
        scores, labels, groups = drawn(seed, n, decimals)
        rules = optimize_thresholds(spec, scores, labels, groups)
        expected = fairlearn_of(spec, scores, labels, groups)
        theirs = expected.interpolated_thresholder_.interpolation_dict
        assert rules.keys() == theirs.keys()
        for name, rule in rules.items():
            other = theirs[name]
            assert rule.share == pytest.approx(other.p0, abs=1e-9)
            assert rule.ignored == pytest.approx(other.get("p_ignore", 0), abs=1e-9)
            for mine, operation in ((rule.first, other.operation0), (rule.second, other.operation1)):
                assert mine.value == pytest.approx(operation.threshold, abs=1e-12)
                assert mine.above == (operation.operator == ">")
        new, _, new_groups = drawn(7, 200, decimals)
        positive = probability(rules, new, new_groups)
        pmf = expected._pmf_predict(new[:, None], sensitive_features=new_groups)[:, 1]
        np.testing.assert_allclose(positive, pmf, atol=1e-9)
        predicted = positive >= np.random.RandomState(3).rand(len(new))
        said = expected.predict(new[:, None], sensitive_features=new_groups, random_state=3)
        assert (predicted == (said == 1)).all()


def test_the_constraint_holds_on_the_examples_that_thresholds_were_chosen_on():
    scores, labels, groups = drawn(2, 500)
    for constraint in ("demographic_parity", "equalized_odds", "true_positive_rate_parity"):
        rules = optimize_thresholds(GroupThresholds(attribute="g", constraint=constraint), scores, labels, groups)
        positive = probability(rules, scores, groups)
        for label in {"demographic_parity": (None,), "equalized_odds": (0, 1)}.get(constraint, (1,)):
            inside = np.ones(len(labels), dtype=bool) if label is None else labels == label
            rates = [positive[inside & (groups == name)].mean() for name in rules]
            assert max(rates) - min(rates) < 1e-9


def test_a_group_with_labels_of_one_class_is_refused_as_fairlearn_refuses_it():
    scores, labels, groups = drawn(0, 100)
    labels[groups == "c"] = 1
    spec = GroupThresholds(attribute="g")
    with pytest.raises(InputError, match="the group c has 16 validation examples, all of one class"):
        optimize_thresholds(spec, scores, labels, groups)
    with pytest.raises(ValueError, match="Degenerate labels"):
        fairlearn_of(spec, scores, labels, groups)
