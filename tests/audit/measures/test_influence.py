"""Measures of one run: values against fairlearn and by hand, contributions against derivatives, nulls with reasons."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evenhand.audit.measures import list_measures, select
from evenhand.audit.measures.benchmarks import BENCHMARKS
from evenhand.audit.measures.calibration import BINS, bin_of, plug_in_effect, squared_effect
from evenhand.audit.measures.influence import Place, View, range_effect
from evenhand.audit.measures.membership import MEMBERSHIP
from evenhand.audit.measures.options import OPTIONS
from evenhand.audit.measures.predictions import PREDICTIONS
from evenhand.audit.measures.probes import PROBES
from evenhand.audit.measures.translations import TRANSLATIONS
from evenhand.errors import InputError


def view(label, predicted, probability=None, weight=None, positive: int | None = 1) -> View:
    label, predicted = np.asarray(label), np.asarray(predicted)
    if probability is not None:
        probability = np.asarray(probability, dtype=float)
        if probability.ndim == 1:
            probability = np.stack([1 - probability, probability], axis=1)
    weight = np.ones(len(label)) if weight is None else np.asarray(weight, dtype=float)
    return View(label, predicted, probability, weight, positive)


def everyone(run: View) -> Place:
    return Place("everyone", np.arange(len(run.label)))


def one_group(run: View, member) -> Place:
    return Place("group", np.flatnonzero(member), np.flatnonzero(~np.asarray(member)), np.arange(len(run.label)))


def between(run: View, group) -> Place:
    group = np.asarray(group)
    members = [np.flatnonzero(group == name) for name in sorted(set(group))]
    every = list(range(len(members)))
    return Place(
        "attribute",
        np.arange(len(group)),
        members=members,
        eligible={"all": every, "positive": every, "negative": every},
    )


def random_run(seed=0, n=90):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n)
    probability = np.clip(0.3 + 0.4 * label + rng.normal(0, 0.25, n), 0.01, 0.99)
    return view(label, (probability > 0.5).astype(int), probability), rng.choice(list("xyz"), n, p=[0.5, 0.3, 0.2])


def places(run, group):
    return {"everyone": everyone(run), "group": one_group(run, group == "z"), "attribute": between(run, group)}


def test_disparities_agree_with_fairlearn():
    fairlearn = pytest.importorskip("fairlearn.metrics")
    run, group = random_run()
    args = {"y_true": run.label, "y_pred": run.predicted, "sensitive_features": group}
    place = between(run, group)
    for name in ("demographic_parity_difference", "equalized_odds_difference"):
        assert PREDICTIONS[name].influence(run, place).value == pytest.approx(getattr(fairlearn, name)(**args))
    rest = {**args, "sensitive_features": group == "z"}
    for name in ("demographic_parity_difference", "equalized_odds_difference"):
        found = PREDICTIONS[name].influence(run, one_group(run, group == "z")).value
        assert found == pytest.approx(getattr(fairlearn, name)(**rest))


@pytest.mark.parametrize("name", list(PREDICTIONS))
def test_contributions_are_derivatives(name):
    """A contribution is what more weight on one example does to the value: ∂value/∂log w."""
    measure = PREDICTIONS[name]
    run, group = random_run(seed=3)
    for level in measure.levels:
        place = places(run, group)[level]
        effect = measure.influence(run, place)
        assert effect.contributions.sum() == pytest.approx(0, abs=1e-12)
        assert effect.shares.sum() == pytest.approx(1)
        if name == "calibration_error_squared":
            continue  # its debiasing term is left out of the influence; see the next test
        step = 1e-6
        for position in range(0, len(effect.rows), 7):
            weight = np.ones(len(run.label))
            weight[effect.rows[position]] += step
            moved = measure.influence(view(run.label, run.predicted, run.probabilities, weight), place).value
            assert (moved - effect.value) / step == pytest.approx(effect.contributions[position], abs=1e-5)


def test_the_variance_of_the_squared_calibration_error_is_that_of_its_jackknife():
    rng = np.random.default_rng(0)
    n = 1500
    probability = rng.uniform(size=n)
    label = (rng.uniform(size=n) < np.clip(probability + 0.15, 0, 1)).astype(int)
    run = view(label, label, probability)
    effect = squared_effect(run, everyone(run))
    left = [squared_effect(run, Place("everyone", np.delete(np.arange(n), i))).value for i in range(0, n, 3)]
    jackknife = (n - 1) * np.var(left)
    assert (effect.contributions**2).sum() == pytest.approx(jackknife, rel=0.1)


def test_a_group_without_positives_has_no_tpr():
    run = view([1, 1, 0, 0, 0, 0, 0, 0], [1, 1, 0, 1, 1, 0, 0, 0])
    found = PREDICTIONS["true_positive_rate"].influence(run, one_group(run, np.arange(8) >= 4))
    assert math.isnan(found.value)
    assert found.reason == "no positive examples"


def test_equalized_odds_is_undefined_where_a_rate_is():
    """The eight rows for which fairlearn says 1.0 and AIF360 .25."""
    run = view([1, 1, 0, 0, 0, 0, 0, 0], [1, 1, 0, 1, 1, 0, 0, 0])
    place = between(run, list("aaaabbbb"))
    assert math.isnan(PREDICTIONS["equalized_odds_difference"].influence(run, place).value)
    member = one_group(run, np.arange(8) >= 4)
    assert math.isnan(PREDICTIONS["equalized_odds_difference"].influence(run, member).value)


def test_two_groups_with_equal_selection_and_unequal_odds():
    """High: TP2 FP1 TN1 FN1, Low: TP1 FP2 TN1 FN1. DPD 0, EOD 1/6."""
    label = [1, 1, 0, 0, 1, 1, 0, 0, 0, 1]
    predicted = [1, 1, 1, 0, 0, 1, 1, 1, 0, 0]
    run = view(label, predicted)
    place = between(run, ["High"] * 5 + ["Low"] * 5)
    assert PREDICTIONS["demographic_parity_difference"].influence(run, place).value == 0
    assert PREDICTIONS["equalized_odds_difference"].influence(run, place).value == pytest.approx(1 / 6)


def test_overlapping_groups_share_their_examples():
    run = view([1, 0, 1, 0], [1, 1, 0, 0])
    place = Place(
        "attribute", np.arange(4), members=[np.array([0, 1, 2]), np.array([1, 2, 3])], eligible={"all": [0, 1]}
    )
    found = range_effect(run, place, "selection_rate")  # 2/3 of the first group, 1/3 of the second
    assert found.value == pytest.approx(1 / 3)
    assert found.contributions == pytest.approx([1 / 9, 1 / 9 - 2 / 9, -2 / 9 + 1 / 9, 1 / 9])


def test_worst_group_and_the_gap_between_best_and_worst():
    run = view([1] * 10, [1, 1, 1, 1, 0, 1, 1, 0, 0, 0])
    place = between(run, list("aaaaabbbbb"))
    assert PREDICTIONS["worst_group_accuracy"].influence(run, place).value == pytest.approx(0.4)
    assert PREDICTIONS["accuracy_difference"].influence(run, place).value == pytest.approx(0.4)


def test_the_known_calibration_errors_of_two_examples():
    binary = view([1, 1], [0, 1], [0.3, 0.7])
    assert plug_in_effect(binary, everyone(binary)).value == pytest.approx(0.5)
    top = view([1, 1], [0, 1], [0.3, 0.7], positive=None)
    assert plug_in_effect(top, everyone(top)).value == pytest.approx(0.2)


def test_the_known_calibration_error_of_one_bin_per_value():
    probability, label = [0.5, 0.5, 0.5, 0.6, 0.5, 0.6, 0.6, 0.6, 0.6], [0, 1, 0, 1, 0, 1, 1, 1, 0]
    run = view(label, label, probability)
    assert plug_in_effect(run, everyone(run)).value == pytest.approx(2 / 9)


def test_bins_are_open_below_and_closed_above():
    assert bin_of(np.array([0.0, 1 / BINS, 1 / BINS + 1e-9, 1.0])).tolist() == [0, 0, 1, BINS - 1]


def test_the_squared_error_of_calibrated_predictions_is_zero_on_average_and_the_plug_in_is_not():
    squared, plug_in = [], []
    for repetition in range(300):
        rng = np.random.default_rng(repetition)
        probability = rng.uniform(size=50)
        label = (rng.uniform(size=50) < probability).astype(int)
        run = view(label, label, probability)
        squared.append(squared_effect(run, everyone(run)).value)
        plug_in.append(plug_in_effect(run, everyone(run)).value)
    error = np.std(squared) / np.sqrt(300)
    assert abs(np.mean(squared)) < 3 * error
    assert np.mean(plug_in) == pytest.approx(0.17, abs=0.02)  # the known value at n = 50


def test_the_squared_error_subtracts_the_sample_variance_within_a_bin():
    probability, label = [0.41, 0.42, 0.43, 0.44], [0, 1, 1, 0]
    run = view(label, label, probability)
    gap = np.array(probability) - label
    assert squared_effect(run, everyone(run)).value == pytest.approx(gap.mean() ** 2 - gap.var(ddof=1) / 4)


def test_an_example_alone_in_its_bin_is_left_out_and_said():
    run = view([0, 1, 1], [0, 1, 1], [0.41, 0.42, 0.95])
    found = squared_effect(run, everyone(run))
    gap = np.array([0.41, 0.42 - 1])
    assert found.value == pytest.approx(gap.mean() ** 2 - gap.var(ddof=1) / 2)
    assert "1 of 3 examples" in str(found.reason)
    lonely = view([0, 1], [0, 1], [0.1, 0.9])
    assert math.isnan(squared_effect(lonely, everyone(lonely)).value)


def test_without_probabilities_there_is_no_calibration():
    run = view([0, 1], [0, 1])
    for effect in (plug_in_effect(run, everyone(run)), squared_effect(run, everyone(run))):
        assert math.isnan(effect.value)
        assert "no probabilities" in str(effect.reason)


def test_weights_count_as_repeated_examples():
    label, predicted, probability = [1, 0, 1, 0], [1, 1, 0, 0], [0.9, 0.6, 0.4, 0.2]
    weighted = view(label, predicted, probability, [2, 1, 1, 3])
    repeat = np.repeat(np.arange(4), [2, 1, 1, 3])
    repeated = view(np.array(label)[repeat], np.array(predicted)[repeat], np.array(probability)[repeat])
    for name in ("accuracy", "selection_rate", "true_positive_rate", "expected_calibration_error"):
        effect = PREDICTIONS[name].influence
        assert effect(weighted, everyone(weighted)).value == pytest.approx(effect(repeated, everyone(repeated)).value)


def test_every_measure_says_what_it_is():
    names = [name for name, summary in list_measures() if summary]
    assert names == [*PREDICTIONS, *TRANSLATIONS, *OPTIONS, *BENCHMARKS, *PROBES, *MEMBERSHIP]
    assert PREDICTIONS["accuracy"].direction == -1
    assert PREDICTIONS["equalized_odds_difference"].direction == 1
    assert all(PREDICTIONS[f"{rate}_rate"].direction == 0 for rate in ("selection", "true_positive", "false_positive"))


def test_an_unknown_measure_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match='"acuracy"; did you mean "accuracy"'):
        select(["acuracy"], "predictions")
    assert [measure.name for measure in select([], "predictions")] == list(PREDICTIONS)
