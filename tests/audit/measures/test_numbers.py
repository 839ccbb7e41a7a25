"""Means, ranks and errors of numbers in one run: closed forms, and influences against derivatives and a jackknife."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from evenhand.audit.design import DeclaredMeasure, RegressionDesign
from evenhand.audit.measures.declared import declared_measure
from evenhand.audit.measures.numbers import MeanOfValues, RankOf
from evenhand.audit.measures.regression import CONSTANT, REGRESSION, regression_measures
from evenhand.audit.measures.run_data import RunData, RunSubset

N = 120
OF_EVERYONE = {
    "mean": MeanOfValues(),
    "mean of logarithms": MeanOfValues(logarithms=True),
    **{name: measure.influence for name, measure in REGRESSION.items()},
}


def run(seed: int = 0, weighted: bool = False) -> RunData:
    rng = np.random.default_rng(seed)
    label = rng.lognormal(0, 0.5, N)
    predicted = label * rng.lognormal(0.1, 0.3, N)
    weight = rng.uniform(0.5, 2, N) if weighted else np.ones(N)
    return RunData(label, predicted, None, weight, None)


def everyone(data: RunData) -> RunSubset:
    return RunSubset("everyone", np.arange(len(data.label)))


def two_groups(data: RunData, count: int = 40) -> tuple[RunSubset, RunSubset]:
    rows = np.arange(len(data.label))
    inside, outside = rows[:count], rows[count:]
    return RunSubset("group", inside, outside, rows), RunSubset("group", outside, inside, rows)


def without(data: RunData, row: int) -> RunData:
    kept = np.arange(len(data.label)) != row
    return RunData(data.label[kept], data.predicted[kept], None, data.weight[kept], None)


@pytest.mark.parametrize("name", OF_EVERYONE)
@pytest.mark.parametrize("weighted", [False, True])
def test_an_influence_is_the_derivative_by_an_examples_weight(name, weighted):
    data, measure = run(3, weighted), OF_EVERYONE[name]
    found = measure(data, everyone(data))
    assert found.influence.sum() == pytest.approx(0, abs=1e-12)
    assert found.weights.sum() == pytest.approx(1)
    step = 1e-6
    for row in range(0, N, 7):
        weight = data.weight * np.where(np.arange(N) == row, 1 + step, 1)
        moved = measure(RunData(data.label, data.predicted, None, weight, None), everyone(data)).value
        assert (moved - found.value) / step == pytest.approx(found.influence[row], abs=1e-5)


@pytest.mark.parametrize("name", ["root_mean_squared_error", "r2_score"])
def test_the_delta_methods_error_is_about_the_jackknifes(name):
    data, measure = run(1), REGRESSION[name].influence
    left_out = np.array([measure(each, everyone(each)).value for each in (without(data, row) for row in range(N))])
    jackknife = math.sqrt((N - 1) / N * float(((left_out - left_out.mean()) ** 2).sum()))
    delta = math.sqrt(N / (N - 1) * float((measure(data, everyone(data)).influence ** 2).sum()))
    assert delta == pytest.approx(jackknife, rel=0.05)


def test_a_rank_is_mann_whitneys_statistic_and_the_groups_ranks_add_up_to_one():
    data = run(2)
    data.predicted[::5] = 1.0  # ties
    inside, outside = (RankOf()(data, subset) for subset in two_groups(data))
    statistic = mannwhitneyu(data.predicted[:40], data.predicted[40:]).statistic
    assert inside.value == pytest.approx(statistic / (40 * 80))
    assert inside.value + outside.value == pytest.approx(1)


def test_the_influence_of_the_gap_of_ranks_is_that_of_its_placements():
    data = run(4)
    inside, outside = (RankOf()(data, subset) for subset in two_groups(data))
    gap = np.concatenate([inside.influence, -outside.influence])

    def of(weight: np.ndarray) -> float:
        ours, theirs = (
            RankOf()(RunData(data.label, data.predicted, None, weight, None), each) for each in two_groups(data)
        )
        return ours.value - theirs.value

    step = 1e-6
    for row in (0, 7, 45, 110):
        weight = np.where(np.arange(N) == row, 1 + step, 1.0)
        assert (of(weight) - of(np.ones(N))) / step == pytest.approx(gap[row], abs=1e-5)


def test_r2_of_equal_labels_is_undefined_with_its_reason():
    data = RunData(np.full(5, 2.0), np.arange(5.0), None, np.ones(5), None)
    found = REGRESSION["r2_score"].influence(data, everyone(data))
    assert math.isnan(found.value) and found.reason == CONSTANT


def test_a_model_without_errors_has_none_that_vary():
    data = RunData(np.arange(9.0), np.arange(9.0), None, np.ones(9), None)
    found = REGRESSION["root_mean_squared_error"].influence(data, everyone(data))
    assert found.value == 0 and not found.influence.any()


def test_one_more_value_moves_a_mean_as_far_as_the_range_allows():
    data = RunData(np.zeros(4), np.array([0.0, 0.0, 1.0, 1.0]), None, np.ones(4), None)
    found = MeanOfValues(limits=(0.0, 10.0))(data, everyone(data))
    assert found.steps is not None
    assert (found.steps.up, found.steps.down) == (9.5 / 4, 0.5 / 4)
    assert found.unbounded is None


def test_the_range_of_a_regression_is_that_of_its_errors():
    measures = regression_measures(RegressionDesign(label="y", prediction="guess", range=(1, 5), digits=2))
    assert measures["mean_absolute_error"].limits == (0, 4)
    assert measures["mean_error"].limits == (-4, 4)
    assert {name: measure.digits for name, measure in measures.items()}["r2_score"] == 3


@pytest.mark.parametrize(
    ("declared", "title", "limits"),
    [
        ({"range": (0, 10)}, "grade", (0, 10)),
        ({"range": (1, 10), "scale": "log"}, "log grade", (0, math.log(10))),
        ({"range": (0, 10), "scale": "log"}, "log grade", (-math.inf, math.log(10))),
        ({"range": (1, 10), "scale": "rank"}, "rank of grade", (0, 1)),
    ],
)
def test_a_column_of_values_is_a_measure_on_its_scale(declared, title, limits):
    measure = declared_measure(DeclaredMeasure(name="grade", kind="values", more_is="better", **declared))
    assert (measure.title, measure.limits) == (title, pytest.approx(limits))
    assert measure.direction == -1 and not measure.default_margin
