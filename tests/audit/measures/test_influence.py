"""Measures of one run: values against fairlearn and by hand, influences against derivatives, nulls with reasons."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evenhand.audit.measures.influence import GapOf
from evenhand.audit.measures.predictions import PREDICTIONS
from evenhand.audit.measures.ratios import Between
from evenhand.audit.measures.run_data import RunSubset
from run_data import between, everyone, one_group, view

OF_ONE_SUBSET = [name for name, measure in PREDICTIONS.items() if not isinstance(measure.influence, Between)]
"""Measures with an influence in one subset; ratios are between two."""


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


@pytest.mark.parametrize("name", OF_ONE_SUBSET)
def test_influences_are_derivatives(name):
    """An influence is what more weight on one example does to the value: ∂value/∂log w."""
    measure = PREDICTIONS[name]
    run, group = random_run(seed=3)
    for level in measure.levels:
        place = places(run, group)[level]
        effect = measure.influence(run, place)
        assert effect.influence.sum() == pytest.approx(0, abs=1e-12)
        assert effect.weights.sum() == pytest.approx(1)
        if name == "calibration_error_squared":
            continue  # its debiasing term is left out of the influence; see the next test
        if name.endswith("_spread"):
            continue  # so are its debiasing term and its weights; tests/coverage/test_gaps.py has its error rates
        step = 1e-6
        for position in range(0, len(effect.rows), 7):
            weight = np.ones(len(run.label))
            weight[effect.rows[position]] += step
            moved = measure.influence(view(run.label, run.predicted, run.probabilities, weight), place).value
            assert (moved - effect.value) / step == pytest.approx(effect.influence[position], abs=1e-5)


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
    place = RunSubset(
        "attribute", np.arange(4), members=[np.array([0, 1, 2]), np.array([1, 2, 3])], eligible={"all": [0, 1]}
    )
    found = GapOf(("selection_rate",))(run, place)  # 2/3 of the first group, 1/3 of the second
    assert found.value == pytest.approx(1 / 3)
    assert found.influence == pytest.approx([1 / 9, 1 / 9 - 2 / 9, -2 / 9 + 1 / 9, 1 / 9])


def test_worst_group_and_the_gap_between_best_and_worst():
    run = view([1] * 10, [1, 1, 1, 1, 0, 1, 1, 0, 0, 0])
    place = between(run, list("aaaaabbbbb"))
    assert PREDICTIONS["worst_group_accuracy"].influence(run, place).value == pytest.approx(0.4)
    assert PREDICTIONS["accuracy_difference"].influence(run, place).value == pytest.approx(0.4)


def test_weights_count_as_repeated_examples():
    label, predicted, probability = [1, 0, 1, 0], [1, 1, 0, 0], [0.9, 0.6, 0.4, 0.2]
    weighted = view(label, predicted, probability, [2, 1, 1, 3])
    repeat = np.repeat(np.arange(4), [2, 1, 1, 3])
    repeated = view(np.array(label)[repeat], np.array(predicted)[repeat], np.array(probability)[repeat])
    for name in ("accuracy", "selection_rate", "true_positive_rate", "expected_calibration_error"):
        effect = PREDICTIONS[name].influence
        assert effect(weighted, everyone(weighted)).value == pytest.approx(effect(repeated, everyone(repeated)).value)
