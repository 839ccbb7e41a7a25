"""Rates by hand, by group, by class and by trial; what nobody is a share of is undefined."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evenhand.errors import InputError
from evenhand.metrics import (
    accuracy,
    error_rate,
    f1,
    false_discovery_rate,
    false_negative_rate,
    false_omission_rate,
    false_positive_rate,
    negative_predictive_value,
    positive_predictive_value,
    precision,
    prevalence,
    rate_by_group,
    selection_rate,
    true_negative_rate,
    true_positive_rate,
    undefined_groups,
)

# TP 2, FP 1, TN 3, FN 2
LABEL = [1, 1, 0, 0, 0, 0, 1, 1]
PREDICTED = [1, 1, 1, 0, 0, 0, 0, 0]
BY_HAND = {
    selection_rate: 3 / 8,
    true_positive_rate: 2 / 4,
    false_positive_rate: 1 / 4,
    true_negative_rate: 3 / 4,
    false_negative_rate: 2 / 4,
    precision: 2 / 3,
    positive_predictive_value: 2 / 3,
    negative_predictive_value: 3 / 5,
    false_discovery_rate: 1 / 3,
    false_omission_rate: 2 / 5,
    prevalence: 4 / 8,
    f1: 4 / 7,
    accuracy: 5 / 8,
    error_rate: 3 / 8,
}
NAMES = [rate.__name__ for rate in BY_HAND]
CLASSED = [name for name in NAMES if name not in ("accuracy", "error_rate")]


@pytest.mark.parametrize(("rate", "value"), BY_HAND.items(), ids=NAMES)
def test_rates_by_hand(rate, value):
    assert rate(LABEL, PREDICTED) == pytest.approx(value)
    assert type(rate(LABEL, PREDICTED)) is float


@pytest.mark.parametrize("rate", BY_HAND)
def test_a_weight_of_two_is_two_examples(rate):
    weight = [1, 2, 3, 1, 1, 2, 1, 3]
    repeated = [np.repeat(values, weight) for values in (LABEL, PREDICTED)]
    assert rate(LABEL, PREDICTED, sample_weight=weight) == pytest.approx(rate(*repeated))


@pytest.mark.parametrize("name", NAMES)
def test_trials_and_groups_are_counted_together_as_one_by_one(name):
    rng = np.random.default_rng(0)
    label, predicted = rng.integers(0, 2, 50), rng.integers(0, 2, (2, 3, 50))
    masks, weight = rng.uniform(size=(50, 4)) < 0.5, rng.uniform(size=50)
    found = rate_by_group(name, label, predicted, sensitive_features=masks, sample_weight=weight)
    assert found.values.shape == found.support.shape == (2, 3, 4)
    single = next(rate for rate in BY_HAND if rate.__name__ == name)
    for *trial, group in np.ndindex(2, 3, 4):
        mask = masks[:, group]
        value = single(label[mask], predicted[tuple(trial)][mask], sample_weight=weight[mask])
        assert found.values[(*trial, group)] == pytest.approx(value)


@pytest.mark.parametrize("name", CLASSED)
def test_averages_are_over_each_class_against_the_rest(name):
    rng = np.random.default_rng(1)
    label, predicted = rng.choice(list("xyz"), 80), rng.choice(list("xyz"), 80)
    group = rng.choice(list("ab"), 80)
    by_class = np.array(
        [
            rate_by_group(name, label, predicted, sensitive_features=group, pos_label=positive).values
            for positive in "xyz"
        ]
    )
    macro = rate_by_group(name, label, predicted, sensitive_features=group, average="macro")
    assert macro.values == pytest.approx(by_class.mean(axis=0))
    if name in ("selection_rate", "prevalence"):
        with pytest.raises(InputError, match="neither better nor worse"):
            rate_by_group(name, label, predicted, sensitive_features=group, average="worst")
        return
    worst = rate_by_group(name, label, predicted, sensitive_features=group, average="worst")
    is_error = name.startswith("false_")
    assert worst.values == pytest.approx(by_class.max(axis=0) if is_error else by_class.min(axis=0))


def test_accuracy_is_of_all_classes_at_once():
    assert accuracy(["x", "y", "z"], ["x", "z", "z"]) == pytest.approx(2 / 3)
    with pytest.raises(InputError, match="accuracy counts all classes at once"):
        rate_by_group("accuracy", [0, 1, 2], [0, 1, 2], sensitive_features=list("aab"), average="macro")


def test_a_group_without_positives_has_no_tpr():
    label, predicted, group = [1, 1, 0, 0, 0, 0, 0, 0], [1, 1, 0, 1, 1, 0, 0, 0], list("aaaabbbb")
    found = rate_by_group("true_positive_rate", label, predicted, sensitive_features=group)
    assert found.as_dict() == pytest.approx({"a": 1.0, "b": math.nan}, nan_ok=True)
    assert found.support.tolist() == [2, 0]
    options = {"sensitive_features": group}
    assert undefined_groups("true_positive_rate", label, predicted, **options) == {"b": "no positive examples"}
    assert undefined_groups("false_positive_rate", label, predicted, **options) == {}


@pytest.mark.parametrize(
    ("rate", "label", "predicted"),
    [
        (true_positive_rate, [0, 0], [0, 1]),
        (false_negative_rate, [0, 0], [0, 1]),
        (false_positive_rate, [1, 1], [0, 1]),
        (true_negative_rate, [1, 1], [0, 1]),
        (precision, [0, 1], [0, 0]),
        (f1, [0, 0], [0, 0]),
    ],
)
def test_a_share_of_nobody_is_undefined(rate, label, predicted):
    assert math.isnan(rate(label, predicted))


def test_support_counts_the_examples_of_the_denominator_that_have_weight():
    weight = [1, 1, 1, 0]
    found = rate_by_group(
        "precision", [1, 0, 1, 1], [1, 1, 0, 1], sensitive_features=list("aaaa"), sample_weight=weight
    )
    assert found.support.tolist() == [2]


def test_weighted_rates_of_all_and_of_none_are_exact():
    weight = np.random.default_rng(2).uniform(size=30)
    label = np.arange(30) % 2
    assert true_positive_rate(label, label, sample_weight=weight) == 1.0
    assert false_positive_rate(label, label, sample_weight=weight) == 0.0
    assert accuracy(label, label, sample_weight=weight) == 1.0


def test_an_unknown_rate_names_the_nearest():
    with pytest.raises(InputError, match='did you mean "true_positive_rate"'):
        rate_by_group("true_positives_rate", [0], [0], sensitive_features=["a"])  # type: ignore[arg-type]
