"""How far one more example can move a measure: checked by adding every example that there could be."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from evenhand.audit.measures.error_rates import ERROR_RATES
from evenhand.audit.measures.steps import LabelScores, Steps, combined
from run_data import everyone, view

MEASURES = {measure.name: measure.influence for measure in ERROR_RATES}
BOUNDED = (
    "positive_predictive_value",
    "negative_predictive_value",
    "false_discovery_rate",
    "f1_score",
    "balanced_accuracy",
)


def outcomes(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, and the predictions of two models that are mostly right."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n)
    first, second = (np.where(rng.random(n) < right, label, 1 - label) for right in (0.85, 0.75))
    return label, first, second


def value(name: str, label: np.ndarray, predicted: np.ndarray) -> float:
    run = view(label, predicted)
    return MEASURES[name](run, everyone(run)).value


def steps(name: str, label: np.ndarray, predicted: np.ndarray) -> Steps:
    run = view(label, predicted)
    found = MEASURES[name](run, everyone(run)).steps
    assert isinstance(found, Steps)
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", BOUNDED)
def test_no_further_example_moves_the_value_by_more_and_one_by_nearly_as_much(name, seed):
    label, predicted, _ = outcomes(seed)
    before, found = value(name, label, predicted), steps(name, label, predicted)
    moved = [
        value(name, np.append(label, y), np.append(predicted, said)) - before for y, said in product((0, 1), (0, 1))
    ]
    assert 0.85 * found.up <= max(moved) <= found.up
    assert 0.85 * found.down <= -min(moved) <= found.down


@pytest.mark.parametrize("name", BOUNDED)
def test_no_further_example_moves_a_change_by_more(name):
    label, first, second = outcomes(5)
    before = value(name, label, first) - value(name, label, second)
    both = combined([(1, steps(name, label, first)), (-1, steps(name, label, second))])
    assert isinstance(both, Steps)
    for y, said, other in product((0, 1), repeat=3):
        longer = np.append(label, y)
        after = value(name, longer, np.append(first, said)) - value(name, longer, np.append(second, other))
        assert -both.down <= after - before <= both.up


@pytest.mark.parametrize("name", ["brier_score", "log_loss"])
def test_scores_of_each_label_are_those_of_the_example_with_that_label(name):
    label, _, _ = outcomes(7)
    probability = np.random.default_rng(7).uniform(0.02, 0.98, len(label))
    run = view(label, (probability > 0.5).astype(int), probability)
    found = MEASURES[name](run, everyone(run))
    assert isinstance(found.steps, LabelScores)
    scores = found.steps.of_labels()
    assert scores.shape == (len(label), 2)
    assert scores[np.arange(len(label)), label].mean() == pytest.approx(found.value)
    swapped = view(1 - label, run.predicted, probability)
    other = MEASURES[name](swapped, everyone(swapped))
    assert scores[np.arange(len(label)), 1 - label].mean() == pytest.approx(other.value)


def test_scores_of_a_change_are_differences_under_each_label():
    first, second = (LabelScores(lambda rows=rows: np.array(rows)) for rows in ([[1.0, 2.0]], [[0.5, 3.0]]))
    both = combined([(-1, first), (1, second)])
    assert isinstance(both, LabelScores) and both.of_labels().tolist() == [[-0.5, 1.0]]
    assert combined([(1, None), (-1, None)]) is None
