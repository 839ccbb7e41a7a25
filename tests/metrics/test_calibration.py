"""Calibration errors: the known values, by hand, their bias by simulation, forms, bins, groups."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evenhand.errors import InputError
from evenhand.metrics import (
    adaptive_calibration_error,
    by_group,
    calibration_error_squared,
    calibration_gap,
    debiased_calibration_error,
    expected_calibration_error,
    overconfidence,
    reliability_curve,
    smooth_calibration_error,
    underconfidence,
)
from evenhand.metrics.bins import bin_gaps, bin_of, equal_mass_edges, equal_width_edges

ERRORS = [
    adaptive_calibration_error,
    calibration_error_squared,
    debiased_calibration_error,
    expected_calibration_error,
    overconfidence,
    smooth_calibration_error,
    underconfidence,
]


def drawn(seed: int, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and probabilities that claim too much."""
    rng = np.random.default_rng(seed)
    probability = rng.uniform(size=n)
    return (rng.uniform(size=n) < probability**1.5).astype(int), probability


def drawn_classes(seed: int, n: int = 200, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, classes, n), rng.dirichlet(np.ones(classes), n)


def test_the_known_error_of_one_bin_per_value():
    probability = [0.5, 0.5, 0.5, 0.6, 0.5, 0.6, 0.6, 0.6, 0.6]
    label = [0, 1, 0, 1, 0, 1, 1, 1, 0]
    bins = {"strategy": "quantile", "n_bins": len(label)}
    assert expected_calibration_error(label, probability, **bins) == pytest.approx(2 / 9)
    assert expected_calibration_error(label, probability, **bins, norm="l2") == pytest.approx(0.2236068)
    assert expected_calibration_error(label, probability, n_bins=10) == pytest.approx(2 / 9)


def test_the_known_errors_of_two_equal_bins():
    probability, label = [0.25, 0.25, 0.55, 0.75, 0.75], [0, 0, 1, 1, 1]
    found = [expected_calibration_error(label, probability, n_bins=2, norm=norm) for norm in ("l1", "l2", "max")]
    assert found == pytest.approx([0.29, 0.2918, 0.3167], abs=5e-5)


def test_the_forms_of_a_binary_model_differ():
    label, probability = [1, 1], [0.3, 0.7]
    assert expected_calibration_error(label, probability) == pytest.approx(0.5)
    assert expected_calibration_error(label, probability, form="top_label") == pytest.approx(0.2)
    both = np.array([[0.7, 0.3], [0.3, 0.7]])
    assert expected_calibration_error(label, both, form="top_label") == pytest.approx(0.2)
    assert expected_calibration_error(label, both, form="classwise") == pytest.approx(0.5)


@pytest.mark.parametrize(("n", "plug_in", "debiased"), [(50, 0.170, 0.056), (200, 0.086, 0.028), (2000, 0.029, 0.008)])
def test_a_calibrated_model_seems_miscalibrated_in_a_small_sample(n, plug_in, debiased):
    rng = np.random.default_rng(0)
    repetitions = 1_000_000 // n
    probability = rng.uniform(size=(repetitions, n))
    label = rng.uniform(size=probability.shape) < probability
    bins = bin_gaps(probability - label, bin_of(probability, equal_width_edges(15)), 15, np.full(n, 1 / n))
    assert bins.error("l1").mean() == pytest.approx(plug_in, abs=0.003)
    assert np.sqrt(np.maximum(bins.squared(), 0)).mean() == pytest.approx(debiased, abs=0.004)
    assert abs(bins.squared().mean()) < 4 * bins.squared().std() / np.sqrt(repetitions)


def test_the_textbook_variance_takes_away_too_much():
    """ȳ(1 − ȳ)/(n − 1) holds the variance of the confidence within the bin too. Calibrated data, 2 bins, n = 200."""
    rng = np.random.default_rng(1)
    probability = rng.uniform(size=(5000, 200))
    label = rng.uniform(size=probability.shape) < probability
    place = bin_of(probability, equal_width_edges(2))
    bins = bin_gaps(probability - label, place, 2, np.full(200, 1 / 200))
    share = bin_gaps(1.0 * label, place, 2, np.full(200, 1 / 200)).gap
    textbook = (bins.mass * (bins.gap**2 - share * (1 - share) / (bins.count - 1))).sum(axis=-1)
    assert textbook.mean() == pytest.approx(-0.00024, abs=0.00006)
    assert abs(bins.squared().mean()) < 0.00006
    # A uniform confidence in a bin of width 1/2 has variance 1/48, and a bin holds about 100.
    assert (textbook - bins.squared()).mean() == pytest.approx(-1 / 48 / 99, rel=0.02)


def test_a_known_miscalibration_is_found_without_bias():
    rng = np.random.default_rng(2)
    probability = rng.choice([0.3, 0.8], (4000, 60))
    label = rng.uniform(size=probability.shape) < probability - 0.2
    bins = bin_gaps(probability - label, bin_of(probability, equal_width_edges(15)), 15, np.full(60, 1 / 60))
    noise = bins.squared().std() / np.sqrt(4000)
    assert bins.squared().mean() == pytest.approx(0.04, abs=3 * noise)
    # The plug-in has the variances of the bins' means on top: .1·.9 and .6·.4, over 60.
    assert (bins.error("l2") ** 2).mean() == pytest.approx(0.04 + (0.09 + 0.24) / 60, abs=3 * noise)


def test_bins_are_open_below_and_closed_above_and_the_first_has_zero():
    edges = equal_width_edges(4)
    assert bin_of(np.array([0.0, 0.25, 0.2500001, 0.5, 0.75, 1.0]), edges).tolist() == [0, 0, 1, 1, 2, 3]


def test_bins_of_equal_mass_keep_equal_confidences_together():
    confidence = np.array([0.1, 0.2, 0.2, 0.2, 0.3, 0.9])
    edges = equal_mass_edges(confidence, 3)
    assert edges.tolist() == [0, 0.2, 0.2, 1]
    assert bin_of(confidence, edges).tolist() == [0, 0, 0, 0, 2, 2]
    distinct = bin_of(confidence, equal_mass_edges(confidence, 6))
    assert len(set(distinct.tolist())) == 4


def test_bins_of_equal_mass_hold_equal_weight():
    rng = np.random.default_rng(3)
    confidence, weight = rng.uniform(size=(3, 600)), rng.integers(0, 4, 600).astype(float)
    bins = bin_of(confidence, equal_mass_edges(confidence, 5, weight))
    for row in bins:
        masses = np.bincount(row, weight) / weight.sum()
        assert masses == pytest.approx(np.full(5, 0.2), abs=3 / weight.sum())


def test_every_norm_by_hand():
    label, probability = drawn(4)
    place = np.clip(np.ceil(probability * 15) - 1, 0, 14)
    gaps = np.array([probability[place == b].mean() - label[place == b].mean() for b in range(15)])
    masses = np.array([(place == b).mean() for b in range(15)])
    assert expected_calibration_error(label, probability) == pytest.approx(masses @ np.abs(gaps))
    assert expected_calibration_error(label, probability, norm="l2") == pytest.approx(np.sqrt(masses @ gaps**2))
    assert expected_calibration_error(label, probability, norm="max") == pytest.approx(np.abs(gaps).max())
    variances = [np.var((probability - label)[place == b], ddof=1) / (place == b).sum() for b in range(15)]
    squared = masses @ (gaps**2 - variances)
    assert calibration_error_squared(label, probability) == pytest.approx(squared)
    assert debiased_calibration_error(label, probability) == pytest.approx(np.sqrt(squared))


def test_an_example_alone_in_its_bin_is_left_out_of_the_debiased_error():
    pair = {"label": [1, 1, 0], "probability": [0.9, 0.9, 0.1]}
    assert calibration_error_squared(pair["label"], pair["probability"], n_bins=2) == pytest.approx(0.01 * 2 / 3)
    assert math.isnan(calibration_error_squared([1, 0], [0.9, 0.1], n_bins=2))
    assert math.isnan(debiased_calibration_error([1, 0], [0.9, 0.1], n_bins=2))


def test_the_debiased_error_below_zero_is_truncated_only_under_the_root():
    label, probability = [0, 1, 0, 1], [0.5] * 4
    assert calibration_error_squared(label, probability) == pytest.approx(-1 / 12)
    assert debiased_calibration_error(label, probability) == 0.0


@pytest.mark.parametrize(
    "error", [expected_calibration_error, overconfidence, underconfidence, smooth_calibration_error]
)
def test_a_weight_of_two_is_two_examples(error):
    label, probability = drawn(5, 60)
    weight = np.random.default_rng(6).integers(0, 4, 60)
    assert error(label, probability, sample_weight=weight) == pytest.approx(
        error(np.repeat(label, weight), np.repeat(probability, weight))
    )


@pytest.mark.parametrize("error", ERRORS)
def test_equal_weights_change_nothing_and_no_weight_is_undefined(error):
    label, probability = drawn(7)
    form = {"form": "positive"}
    weighted = error(label, probability, sample_weight=np.full(300, 0.3), **form)
    assert weighted == pytest.approx(error(label, probability, **form))
    assert math.isnan(error(label, probability, sample_weight=np.zeros(300), **form))


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
@pytest.mark.parametrize("form", ["positive", "top_label"])
def test_over_and_underconfidence_are_the_two_parts_of_the_error(form, strategy):
    label, probability = drawn(8)
    options = {"form": form, "strategy": strategy}
    parts = overconfidence(label, probability, **options), underconfidence(label, probability, **options)
    assert min(parts) > 0
    assert sum(parts) == pytest.approx(expected_calibration_error(label, probability, **options))


@pytest.mark.parametrize("error", ERRORS)
def test_classwise_is_the_mean_over_classes(error):
    label, probability = drawn_classes(9)
    found = [error((label == c).astype(int), probability[:, c], form="positive") for c in range(4)]
    mean = np.mean(found)
    if error is debiased_calibration_error:
        squares = [calibration_error_squared((label == c).astype(int), probability[:, c]) for c in range(4)]
        mean = np.sqrt(max(np.mean(squares), 0))
    assert error(label, probability, form="classwise") == pytest.approx(mean)


def test_classwise_norms_are_over_bins_and_classes_at_once():
    label, probability = drawn_classes(10)
    by_class = {
        norm: np.array(
            [expected_calibration_error((label == c).astype(int), probability[:, c], norm=norm) for c in range(4)]
        )
        for norm in ("l2", "max")
    }
    found = {norm: expected_calibration_error(label, probability, form="classwise", norm=norm) for norm in by_class}
    assert found["l2"] == pytest.approx(np.sqrt((by_class["l2"] ** 2).mean()))
    assert found["max"] == by_class["max"].max()


def test_the_adaptive_error_has_bins_of_equal_mass_in_each_class():
    label, probability = drawn_classes(11, n=150)
    by_hand = []
    for column in range(4):
        order = np.argsort(probability[:, column])
        gaps = (probability[:, column] - (label == column))[order].reshape(15, 10).mean(axis=1)
        by_hand.append(np.abs(gaps).mean())
    assert adaptive_calibration_error(label, probability) == pytest.approx(np.mean(by_hand))


def test_words_are_matched_with_columns_by_name():
    label, probability = drawn_classes(12)
    names = np.array(["young", "middle", "old", "very old"])
    for form in ("top_label", "classwise"):
        expected = expected_calibration_error(label, probability, form=form)
        assert expected_calibration_error(names[label], probability, form=form, labels=names.tolist()) == expected
    binary, column = drawn(13)
    words = np.array(["no", "yes"])[binary]
    found = expected_calibration_error(words, column, pos_label="yes")
    assert found == expected_calibration_error(binary, column)


def test_the_curve_draws_what_the_error_sums():
    label, probability = drawn(14)
    probability *= 0.8  # the last bins are empty
    curve = reliability_curve(label, probability, n_bins=10)
    assert curve.edges == pytest.approx(np.linspace(0, 1, 11))
    assert curve.count.sum() == 300
    assert curve.count[-1] == 0
    assert np.isnan(curve.outcome[-1])
    assert np.isnan(curve.confidence[-1])
    assert curve.mass == pytest.approx(curve.count / 300)
    gap = np.nansum(curve.mass * np.abs(curve.confidence - curve.outcome))
    assert gap == pytest.approx(expected_calibration_error(label, probability, n_bins=10))
    with pytest.raises(InputError, match="a curve per class"):
        reliability_curve(label, probability, form="classwise")


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_an_error_by_group_is_that_of_its_members(error, strategy):
    label, probability = drawn(15)
    masks = np.random.default_rng(16).uniform(size=(300, 3)) < 0.5
    options = {"form": "positive"}
    if error not in (adaptive_calibration_error, smooth_calibration_error):
        options["strategy"] = strategy
    found = by_group(error, label, probability, groups=masks, **options)
    assert found.values == pytest.approx([error(label[mask], probability[mask], **options) for mask in masks.T])


@pytest.mark.parametrize("metric", [expected_calibration_error, calibration_error_squared])
def test_the_gap_between_groups_by_hand(metric):
    label, probability = drawn(17)
    group = np.random.default_rng(18).choice(list("abc"), 300)
    errors = np.array([metric(label[group == name], probability[group == name]) for name in "abc"])
    others = np.array([metric(label[group != name], probability[group != name]) for name in "abc"])
    expected = {
        "between_groups": np.ptp(errors),
        "to_overall": np.abs(errors - metric(label, probability)).max(),
        "to_complement": np.abs(errors - others).max(),
    }
    for method, value in expected.items():
        found = calibration_gap(label, probability, sensitive_features=group, metric=metric, method=method)
        assert found == pytest.approx(value)
    with pytest.raises(InputError, match="method is"):
        calibration_gap(label, probability, sensitive_features=group, method="all")  # type: ignore[arg-type]


def test_a_group_without_an_error_is_left_out_only_when_the_caller_says_so():
    label, probability = drawn(19)
    group = np.where(np.arange(300) == 0, "alone", np.where(np.arange(300) < 150, "a", "b"))
    options = {"sensitive_features": group, "metric": calibration_error_squared}
    assert math.isnan(calibration_gap(label, probability, **options))
    assert calibration_gap(label, probability, **options, min_support=2) > 0


def test_what_is_no_probability_is_refused():
    with pytest.raises(InputError, match=r"y_prob is 1\.7 in row 1; probabilities lie between 0 and 1"):
        expected_calibration_error([0, 1], [0.2, 1.7])
    with pytest.raises(InputError, match="y_prob is nan in row 0"):
        expected_calibration_error([0, 1], [np.nan, 0.7])
    with pytest.raises(InputError, match=r"row 1 of y_prob sum to 1\.2, not to 1"):
        expected_calibration_error([0, 1], [[0.2, 0.8], [0.4, 0.8]], form="top_label")
    with pytest.raises(InputError, match="y_prob is not an array of numbers"):
        expected_calibration_error([0, 1], ["low", "high"])
    with pytest.raises(InputError, match=r"y_prob has shape \(1, 1, 1\)"):
        expected_calibration_error([0], [[[0.3]]])


def test_forms_and_labels_that_do_not_fit_are_refused():
    label, probability = drawn_classes(20)
    with pytest.raises(InputError, match='y_prob has 4 columns; the form "positive" takes the positive class\'s alone'):
        expected_calibration_error(label, probability)
    with pytest.raises(InputError, match="y_true has 3 labels and y_prob 2 rows"):
        expected_calibration_error([0, 1, 1], [0.3, 0.5])
    with pytest.raises(InputError, match=r"y_true has values other than 0 to 3, the 4 columns of y_prob; give labels"):
        expected_calibration_error(label + 1, probability, form="top_label")
    with pytest.raises(InputError, match="y_prob has 4 columns and labels names 2 classes"):
        expected_calibration_error(label, probability, form="top_label", labels=["a", "b"])
    with pytest.raises(InputError, match=r"y_true is 0 in row \d+, which is not among labels"):
        expected_calibration_error(label, probability, form="top_label", labels=[1, 2, 3, 4])
    with pytest.raises(InputError, match="one column per class; pos_label is for"):
        expected_calibration_error(label, probability, form="top_label", pos_label=1)
    with pytest.raises(InputError, match="labels name the columns"):
        expected_calibration_error([0, 1], [0.3, 0.5], labels=[0, 1])
    with pytest.raises(InputError, match="say which is the positive class"):
        expected_calibration_error(["no", "yes"], [0.3, 0.5])


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ({"form": "top"}, 'form is "top"; it is one of positive, top_label, classwise'),
        ({"norm": "l3"}, 'norm is "l3"; it is one of l1, l2, max'),
        ({"strategy": "width"}, 'strategy is "width"'),
        ({"n_bins": 0}, "n_bins is 0; a whole number of at least 1"),
        ({"n_bins": 2.5}, r"n_bins is 2\.5"),
    ],
)
def test_unknown_options_are_refused(option, sentence):
    with pytest.raises(InputError, match=sentence):
        expected_calibration_error([0, 1], [0.3, 0.5], **option)
