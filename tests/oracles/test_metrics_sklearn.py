"""Rates, the Brier score and reliability curves against scikit-learn on random problems."""

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


def problem(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Labels and predictions of two or three classes, some rare or absent, and weights in one of two."""
    rng = np.random.default_rng(seed)
    classes, n = int(rng.integers(2, 4)), int(rng.integers(8, 60))
    share = rng.dirichlet(np.ones(classes))
    label, predicted = rng.choice(classes, n, p=share), rng.choice(classes, n, p=share[::-1])
    return label, predicted, rng.uniform(0.1, 3, n) if seed % 2 else None


def close(ours, theirs) -> bool:
    ours, theirs = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    undefined = np.isnan(theirs)
    return bool((np.isnan(ours) == undefined).all() and (np.abs(ours - theirs)[~undefined] <= 1e-9).all())


def test_rates_of_each_class_against_the_rest():
    for seed in range(PROBLEMS):
        label, predicted, weight = problem(seed)
        matrices = sklearn.multilabel_confusion_matrix(label, predicted, sample_weight=weight)
        for positive, matrix in zip(np.union1d(label, predicted), matrices, strict=True):
            (tn, fp), (fn, tp) = matrix
            # Their weighted counts are differences, which leave 1e−16 where there is nothing.
            tn, fp, fn, tp = (value if value > 1e-9 else 0.0 for value in (tn, fp, fn, tp))
            with np.errstate(invalid="ignore"):
                shares = np.divide(
                    [tp + fp, tp, fp, tn, fn, tp, 2 * tp, *(tp, tn, fp, fn, tp + fn)],
                    [
                        *(tp + fp + tn + fn, tp + fn, fp + tn, fp + tn, tp + fn, tp + fp, 2 * tp + fp + fn),
                        *(tp + fp, tn + fn, tp + fp, tn + fn, tp + fp + tn + fn),
                    ],
                )
            options = {"pos_label": int(positive), "sample_weight": weight}
            ours = [
                rate(label, predicted, **options)
                for rate in (
                    metrics.selection_rate,
                    metrics.true_positive_rate,
                    metrics.false_positive_rate,
                    metrics.true_negative_rate,
                    metrics.false_negative_rate,
                    metrics.precision,
                    metrics.f1,
                    metrics.positive_predictive_value,
                    metrics.negative_predictive_value,
                    metrics.false_discovery_rate,
                    metrics.false_omission_rate,
                    metrics.prevalence,
                )
            ]
            assert close(ours, shares)


def test_precision_recall_f1_and_accuracy_by_name():
    for seed in range(PROBLEMS):
        label, predicted, weight = problem(seed)
        accuracy = sklearn.accuracy_score(label, predicted, sample_weight=weight)
        assert close(metrics.accuracy(label, predicted, sample_weight=weight), accuracy)
        assert close(metrics.error_rate(label, predicted, sample_weight=weight), 1 - accuracy)
        theirs = sklearn.precision_recall_fscore_support(
            label, predicted, sample_weight=weight, zero_division=np.nan, average=None
        )[:3]
        for metric, values in zip(
            (metrics.precision, metrics.true_positive_rate, metrics.f1), np.array(theirs), strict=True
        ):
            worst = metric(label, predicted, average="worst", sample_weight=weight)
            macro = metric(label, predicted, average="macro", sample_weight=weight)
            assert close([worst, macro], [values.min(), values.mean()])  # a class that is undefined makes both nan


def test_they_give_zero_where_a_rate_is_undefined():
    assert sklearn.precision_score([0, 1], [0, 0], zero_division=0.0) == 0.0
    assert np.isnan(metrics.precision([0, 1], [0, 0]))


def test_the_brier_score():
    for seed in range(PROBLEMS):
        rng = np.random.default_rng(seed)
        n, classes = int(rng.integers(5, 60)), int(rng.integers(3, 6))
        weight = rng.uniform(0.1, 3, n) if seed % 2 else None
        label, probability = rng.integers(0, 2, n), rng.uniform(size=n)
        theirs = sklearn.brier_score_loss(label, probability, sample_weight=weight, pos_label=1)
        assert close(metrics.brier_score(label, probability, sample_weight=weight), theirs)
        several, each = rng.integers(0, classes, n), rng.dirichlet(np.ones(classes), n)
        theirs = sklearn.brier_score_loss(
            several, each, sample_weight=weight, labels=range(classes), scale_by_half=False
        )
        assert close(metrics.brier_score(several, each, sample_weight=weight), theirs)


def test_balanced_accuracy_where_every_class_has_examples():
    for seed in range(PROBLEMS):
        label, predicted, weight = problem(seed)
        predicted = np.where(np.isin(predicted, label), predicted, label)  # theirs warns of classes without examples
        theirs = sklearn.balanced_accuracy_score(label, predicted, sample_weight=weight)
        assert close(metrics.balanced_accuracy(label, predicted, sample_weight=weight), theirs)


def test_balanced_accuracy_needs_weight_in_every_class_where_theirs_leaves_classes_out():
    label, predicted, weight = [0, 0, 1], [0, 1, 1], [1, 1, 0]
    with pytest.warns(UserWarning, match="classes not in y_true"):
        assert sklearn.balanced_accuracy_score(label, predicted, sample_weight=weight) == 0.5
    assert np.isnan(metrics.balanced_accuracy(label, predicted, sample_weight=weight))


def test_the_log_loss_with_certain_probabilities_among_them():
    for seed in range(PROBLEMS):
        rng = np.random.default_rng(seed)
        n, classes = int(rng.integers(5, 60)), int(rng.integers(3, 6))
        weight = rng.uniform(0.1, 3, n) if seed % 2 else None
        label, probability = rng.integers(0, 2, n), rng.uniform(size=n)
        probability[:3] = 0, 1, 1e-20
        theirs = sklearn.log_loss(label, probability, sample_weight=weight, labels=[0, 1])
        assert close(metrics.log_loss(label, probability, sample_weight=weight), theirs)
        several, each = rng.integers(0, classes, n), rng.dirichlet(np.full(classes, 0.05), n)
        theirs = sklearn.log_loss(several, each, sample_weight=weight, labels=range(classes))
        assert close(metrics.log_loss(several, each, sample_weight=weight), theirs)


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_reliability_curves(strategy):
    """Bins of equal mass are theirs where each holds the same number; theirs interpolate between examples."""
    from sklearn.calibration import calibration_curve

    for seed in range(PROBLEMS):
        rng = np.random.default_rng(seed)
        n_bins = int(rng.integers(2, 16))
        n = n_bins * int(rng.integers(1, 12))
        probability = rng.beta(0.7, 0.7, n)
        label = (rng.uniform(size=n) < probability).astype(int)
        ours = metrics.reliability_curve(label, probability, n_bins=n_bins, strategy=strategy)
        outcome, confidence = calibration_curve(label, probability, n_bins=n_bins, strategy=strategy, pos_label=1)
        filled = ours.count > 0
        assert close(ours.outcome[filled], outcome)
        assert close(ours.confidence[filled], confidence)


def test_bins_have_the_same_edges_as_theirs():
    from sklearn.calibration import calibration_curve

    label, probability = np.array([0, 1, 0, 1, 1]), np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    ours = metrics.reliability_curve(label, probability, n_bins=4)
    outcome, confidence = calibration_curve(label, probability, n_bins=4)
    assert close(ours.outcome, outcome)
    assert close(ours.confidence, confidence)
    assert ours.count.tolist() == [2, 1, 1, 1]
