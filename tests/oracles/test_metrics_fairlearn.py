"""Rates and parity against fairlearn on random problems, and where Evenhand differs on purpose."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from evenhand import metrics
from evenhand.errors import InputError

fairlearn = pytest.importorskip("fairlearn.metrics")

PROBLEMS = 500
RATES = ("selection_rate", "true_positive_rate", "false_positive_rate")


@dataclass(frozen=True, eq=False)
class Problem:
    label: np.ndarray
    predicted: np.ndarray
    group: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.label)

    @property
    def options(self) -> dict[str, np.ndarray]:
        return {"sensitive_features": self.group, "sample_weight": self.weight}


def problem(seed: int) -> Problem:
    """Two or three groups, each with every kind of outcome, so that all rates are defined; weights in one of two."""
    rng = np.random.default_rng(seed)
    groups, n = 2 + (seed % 4 == 0), int(rng.integers(20, 120))
    share = rng.uniform(0.1, 0.9, size=(3, groups))
    group = np.concatenate([np.repeat(np.arange(groups), 4), rng.integers(0, groups, n)])
    label = (rng.uniform(size=len(group)) < share[0][group]).astype(int)
    chance = np.where(label == 1, share[1][group], share[2][group])
    predicted = (rng.uniform(size=len(group)) < chance).astype(int)
    label[: 4 * groups], predicted[: 4 * groups] = np.tile([0, 0, 1, 1], groups), np.tile([0, 1, 0, 1], groups)
    weight = rng.uniform(0.1, 3, len(group)) if seed % 2 else np.ones(len(group))
    return Problem(label, predicted, np.array(list("abc"))[group], weight)


@pytest.fixture(scope="module")
def problems() -> list[Problem]:
    return [problem(seed) for seed in range(PROBLEMS)]


@pytest.fixture(scope="module")
def frame(problems):
    """All problems in one frame, each a level of the control feature; without scikit-learn's slow checks."""
    from sklearn import config_context

    number = np.repeat(np.arange(PROBLEMS), [len(one) for one in problems])
    joined = {
        name: np.concatenate([getattr(one, name) for one in problems])
        for name in ("label", "predicted", "group", "weight")
    }
    with config_context(skip_parameter_validation=True, assume_finite=True):
        return fairlearn.MetricFrame(
            metrics={rate: getattr(fairlearn, rate) for rate in RATES},
            y_true=joined["label"],
            y_pred=joined["predicted"],
            sensitive_features={"group": joined["group"]},
            control_features={"problem": number},
            sample_params={rate: {"sample_weight": joined["weight"]} for rate in RATES},
        )


def test_rates_by_group(problems, frame):
    theirs = frame.by_group
    for number, one in enumerate(problems):
        for rate in RATES:
            ours = metrics.rate_by_group(rate, one.label, one.predicted, **one.options).as_dict()
            expected = theirs.loc[number][rate].dropna().to_dict()
            assert ours == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("method", ["between_groups", "to_overall"])
@pytest.mark.parametrize("kind", ["difference", "ratio"])
def test_parity(problems, frame, method, kind):
    theirs = (frame.difference if kind == "difference" else frame.ratio)(method=method)
    odds = theirs[["true_positive_rate", "false_positive_rate"]]
    worst = odds.max(axis=1) if kind == "difference" else odds.min(axis=1)
    expected = {
        "demographic_parity": theirs["selection_rate"],
        "equal_opportunity": theirs["true_positive_rate"],
        "equalized_odds": worst,
    }
    for name, values in expected.items():
        metric = getattr(metrics, f"{name}_{kind}")
        ours = [metric(one.label, one.predicted, **one.options, method=method) for one in problems]
        assert ours == pytest.approx(values.to_numpy(dtype=float), abs=1e-9)
    metric = getattr(metrics, f"equalized_odds_{kind}")
    ours = [metric(one.label, one.predicted, **one.options, method=method, agg="mean") for one in problems]
    assert ours == pytest.approx(odds.mean(axis=1).to_numpy(dtype=float), abs=1e-9)


def test_strata_are_control_features(problems, frame):
    first = problems[:100]
    number = np.repeat(np.arange(100), [len(one) for one in first])
    label, predicted, group, weight = (
        np.concatenate([getattr(one, name) for one in first]) for name in ("label", "predicted", "group", "weight")
    )
    options = {"sensitive_features": group, "sample_weight": weight, "min_support": 1}
    found = metrics.disparity("selection_rate", label, predicted, control_features=number, **options)
    assert found == pytest.approx(frame.difference()["selection_rate"].loc[:99].max(), abs=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_the_named_functions_take_the_same_keywords(seed):
    one = problem(seed)
    args = (one.label, one.predicted)
    for name in ("demographic_parity", "equal_opportunity", "equalized_odds"):
        for kind in ("difference", "ratio"):
            for method in ("between_groups", "to_overall"):
                options = {**one.options, "method": method}
                if name == "equalized_odds":
                    options["agg"] = "mean" if seed % 2 else "worst_case"
                theirs = getattr(fairlearn, f"{name}_{kind}")(*args, **options)
                assert getattr(metrics, f"{name}_{kind}")(*args, **options) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_a_group_against_its_complement_is_two_groups_of_theirs(seed):
    one = problem(seed)
    ours = metrics.against_complement(metrics.equalized_odds_difference, one.label, one.predicted, **one.options)
    for name, value in ours.as_dict().items():
        options = {"sensitive_features": one.group == name, "sample_weight": one.weight}
        theirs = fairlearn.equalized_odds_difference(one.label, one.predicted, **options)
        assert value == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_intersections_are_their_several_sensitive_features(seed):
    one = problem(seed)
    features = {"group": one.group, "half": np.arange(len(one)) % 2}
    options = {"sensitive_features": features, "sample_weight": one.weight}
    theirs = fairlearn.demographic_parity_difference(one.label, one.predicted, **options)
    assert metrics.demographic_parity_difference(one.label, one.predicted, **options) == pytest.approx(theirs, abs=1e-9)


def test_they_count_a_missing_rate_as_zero():
    label, predicted, group = [1, 1, 0, 0, 0, 0, 0, 0], [1, 1, 0, 1, 1, 0, 0, 0], list("aaaabbbb")
    assert fairlearn.equalized_odds_difference(label, predicted, sensitive_features=group) == 1.0
    assert math.isnan(metrics.equalized_odds_difference(label, predicted, sensitive_features=group))


def test_they_find_no_disparity_in_words():
    words, group = np.array(["no", "yes", "yes", "no"]), list("aabb")
    predicted = np.array(["yes", "yes", "no", "no"])
    assert fairlearn.demographic_parity_difference(words, predicted, sensitive_features=group) == 0.0
    with pytest.raises(InputError, match="pos_label"):
        metrics.demographic_parity_difference(words, predicted, sensitive_features=group)
    found = metrics.demographic_parity_difference(words, predicted, sensitive_features=group, pos_label="yes")
    assert found == 1.0


def test_they_drop_examples_whose_group_is_missing():
    label, predicted, group = [0, 1, 0, 1], [0, 1, 1, 1], np.array(["a", "a", "b", None], dtype=object)
    ours = metrics.rate_by_group("selection_rate", label, predicted, sensitive_features=group)
    assert ours.as_dict() == {metrics.MISSING: 1.0, "a": 0.5, "b": 1.0}


def test_they_skip_a_stratum_without_the_group():
    label, predicted = [0, 1, 0, 1, 1], [0, 1, 1, 1, 0]
    options = {"sensitive_features": list("ababa"), "control_features": list("xxyyz")}
    frame = fairlearn.MetricFrame(metrics=fairlearn.selection_rate, y_true=label, y_pred=predicted, **options)
    assert frame.difference().to_dict() == {"x": 1.0, "y": 0.0, "z": 0.0}
    assert math.isnan(metrics.demographic_parity_difference(label, predicted, **options))
