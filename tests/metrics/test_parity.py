"""Parity: the known values, by hand, conditional on strata, over classes, and against the complement."""

from __future__ import annotations

import inspect
import math
from itertools import product

import numpy as np
import pytest

from evenhand import metrics
from evenhand.errors import InputError
from evenhand.metrics import (
    accuracy_difference,
    accuracy_ratio,
    against_complement,
    by_group,
    demographic_parity_difference,
    demographic_parity_ratio,
    disparity,
    equal_opportunity_difference,
    equal_opportunity_ratio,
    equalized_odds_difference,
    equalized_odds_ratio,
    predictive_parity_difference,
    predictive_parity_ratio,
    rate_by_group,
)

ONE_RATE = {
    demographic_parity_difference: "selection_rate",
    demographic_parity_ratio: "selection_rate",
    equal_opportunity_difference: "true_positive_rate",
    equal_opportunity_ratio: "true_positive_rate",
    predictive_parity_difference: "precision",
    predictive_parity_ratio: "precision",
    accuracy_difference: "accuracy",
    accuracy_ratio: "accuracy",
}
ALL = [*ONE_RATE, equalized_odds_difference, equalized_odds_ratio]
UNDEFINED = ([1, 1, 0, 0, 0, 0, 0, 0], [1, 1, 0, 1, 1, 0, 0, 0], list("aaaabbbb"))


def rows(counts: dict[tuple[str, int, int], int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, predictions and groups from counts of (group, label, predicted)."""
    group, label, predicted = zip(*(cell for cell, number in counts.items() for _ in range(number)), strict=True)
    return np.array(label), np.array(predicted), np.array(group)


def drawn(seed: int, n: int = 200, classes: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, classes, n), rng.integers(0, classes, n), rng.choice(list("abcd"), n)


def test_the_known_values_of_fairlearns_own_test_data():
    """Its 71 rows with the groups g_1, as counts."""
    label, predicted, group = rows(
        {
            ("aa", 0, 0): 7,
            ("aa", 0, 1): 7,
            ("aa", 1, 0): 7,
            ("aa", 1, 1): 15,
            ("ba", 0, 0): 6,
            ("ba", 0, 1): 6,
            ("ba", 1, 0): 5,
            ("ba", 1, 1): 18,
        }
    )
    args = {"sensitive_features": group}
    assert len(label) == 71
    assert demographic_parity_difference(label, predicted, **args) == pytest.approx(0.0746031746)
    assert demographic_parity_difference(label, predicted, **args, method="to_overall") == pytest.approx(0.0378269618)
    assert equalized_odds_difference(label, predicted, **args) == pytest.approx(0.1007905138)
    assert equalized_odds_difference(label, predicted, **args, agg="mean") == pytest.approx(0.0503952569)


def test_two_groups_with_equal_selection_and_unequal_odds():
    """High: TP2 FP1 TN1 FN1, Low: TP1 FP2 TN1 FN1."""
    label, predicted, group = rows(
        {
            ("High", 1, 1): 2,
            ("High", 0, 1): 1,
            ("High", 0, 0): 1,
            ("High", 1, 0): 1,
            ("Low", 1, 1): 1,
            ("Low", 0, 1): 2,
            ("Low", 0, 0): 1,
            ("Low", 1, 0): 1,
        }
    )
    assert demographic_parity_difference(label, predicted, sensitive_features=group) == 0
    assert demographic_parity_ratio(label, predicted, sensitive_features=group) == 1
    assert equalized_odds_difference(label, predicted, sensitive_features=group) == pytest.approx(1 / 6)
    # TPR 2/3 and 1/2, FPR 1/2 and 2/3
    assert equalized_odds_ratio(label, predicted, sensitive_features=group, agg="mean") == pytest.approx(3 / 4)


def test_max_minus_min_is_biased_upward():
    """Four groups of 150 with the same selection rate seem .08 apart."""
    predicted = np.random.default_rng(0).uniform(size=(4000, 600)) < 0.4
    group = np.repeat(list("abcd"), 150)
    found = disparity("selection_rate", np.zeros(600, dtype=int), predicted, sensitive_features=group)
    assert found.shape == (4000,)
    assert found.mean() == pytest.approx(0.082, abs=0.002)


def test_equalized_odds_is_undefined_where_a_rate_is():
    """The eight rows for which fairlearn says 1.0 and AIF360 .25."""
    label, predicted, group = UNDEFINED
    for method in ("between_groups", "to_overall", "to_complement"):
        assert math.isnan(equalized_odds_difference(label, predicted, sensitive_features=group, method=method))
        assert math.isnan(equalized_odds_ratio(label, predicted, sensitive_features=group, method=method))
    found = against_complement(equalized_odds_difference, label, predicted, sensitive_features=group)
    assert np.isnan(found.values).all()


def test_a_group_is_left_out_only_when_the_caller_says_so():
    label, predicted, group = rows(
        {("a", 1, 1): 3, ("a", 1, 0): 1, ("b", 1, 1): 1, ("b", 1, 0): 3, ("c", 0, 0): 4, ("d", 1, 0): 2}
    )
    args = {"sensitive_features": group}
    assert math.isnan(equal_opportunity_difference(label, predicted, **args))
    assert equal_opportunity_difference(label, predicted, **args, min_support=1) == pytest.approx(0.75)
    assert equal_opportunity_difference(label, predicted, **args, min_support=3) == pytest.approx(0.5)
    assert math.isnan(equal_opportunity_difference(label, predicted, **args, min_support=5))
    overall = equal_opportunity_difference(label, predicted, **args, min_support=3, method="to_overall")
    assert overall == pytest.approx(0.75 - 0.4)


@pytest.mark.parametrize("metric", ALL)
def test_one_group_differs_from_nobody(metric):
    label, predicted, _ = drawn(0)
    assert math.isnan(metric(label, predicted, sensitive_features=np.full(200, "a")))
    assert math.isnan(metric(label, predicted, sensitive_features=np.full(200, "a"), method="to_complement"))


@pytest.mark.parametrize("metric", ONE_RATE)
def test_methods_by_hand(metric):
    label, predicted, group = drawn(1)
    rate = ONE_RATE[metric]

    def values(masks):
        return rate_by_group(rate, label, predicted, sensitive_features=np.asarray(masks)).values

    member = np.stack([group == name for name in "abcd"], axis=1)
    ours, others, everyone = values(member), values(~member), values(np.ones((200, 1), dtype=bool))
    found = {
        method: metric(label, predicted, sensitive_features=group, method=method)
        for method in ("between_groups", "to_overall", "to_complement")
    }
    if metric.__name__.endswith("difference"):
        expected = [np.ptp(ours), np.abs(ours - everyone).max(), np.abs(ours - others).max()]
    else:
        expected = [
            ours.min() / ours.max(),
            np.minimum(ours / everyone, everyone / ours).min(),
            np.minimum(ours / others, others / ours).min(),
        ]
    assert list(found.values()) == pytest.approx(expected)
    each = against_complement(metric, label, predicted, sensitive_features=group)
    assert each.names == ("a", "b", "c", "d")
    worst = each.values.max() if metric.__name__.endswith("difference") else each.values.min()
    assert worst == pytest.approx(found["to_complement"])


def test_the_complement_of_overlapping_groups_is_everybody_else():
    masks = np.array([[1, 1], [1, 0], [0, 1], [0, 0]], dtype=bool)
    found = against_complement(demographic_parity_difference, [0, 1, 0, 1], [1, 0, 1, 1], sensitive_features=masks)
    assert found.as_dict() == pytest.approx({"0": 0.5, "1": 0.5})
    assert found.support.tolist() == [2, 2]


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("method", ["between_groups", "to_overall", "to_complement"])
def test_within_strata_the_worst_counts(metric, method):
    label, predicted, group = drawn(2, 600)
    weight = np.random.default_rng(3).uniform(size=600)
    strata = np.random.default_rng(4).choice(["x", "y", "z"], 600)
    options = {"sensitive_features": group, "method": method, "sample_weight": weight}
    found = metric(label, predicted, control_features=strata, **options)
    del options["sample_weight"]
    levels = by_group(metric, label, predicted, groups=strata, sample_weight=weight, **options)
    by_hand = [
        metric(
            label[inside],
            predicted[inside],
            sensitive_features=group[inside],
            method=method,
            sample_weight=weight[inside],
        )
        for inside in (strata == "x", strata == "y", strata == "z")
    ]
    assert levels.values == pytest.approx(by_hand)
    worst = max if metric.__name__.endswith("difference") else min
    assert found == pytest.approx(worst(by_hand))


def test_a_stratum_without_a_group_is_undefined():
    args = {"sensitive_features": list("abab"), "control_features": list("xxyy")}
    assert demographic_parity_difference([0, 1, 0, 1], [0, 1, 1, 1], **args) == 1.0
    args["sensitive_features"] = list("abaa")
    assert math.isnan(demographic_parity_difference([0, 1, 0, 1], [0, 1, 1, 1], **args))
    with pytest.raises(InputError, match="control_features has 2 examples"):
        demographic_parity_difference([0, 1, 0], [0, 1, 0], sensitive_features=list("aab"), control_features=["x", "y"])


@pytest.mark.parametrize("metric", [metric for metric in ALL if not metric.__name__.startswith("accuracy")])
def test_classes_are_compared_one_against_the_rest(metric):
    label, predicted, group = drawn(5, 400, classes=3)
    names = np.array(["young", "middle", "old"])
    label, predicted = names[label], names[predicted]
    by_class = [metric(label, predicted, sensitive_features=group, pos_label=name) for name in names]
    worst = max if metric.__name__.endswith("difference") else min
    assert metric(label, predicted, sensitive_features=group, average="worst") == pytest.approx(worst(by_class))
    assert metric(label, predicted, sensitive_features=group, average="macro") == pytest.approx(np.mean(by_class))


def test_a_class_that_is_never_true_makes_the_odds_undefined():
    label, predicted, group = [0, 1, 0, 1], [0, 1, 2, 1], list("aabb")
    assert math.isnan(equalized_odds_difference(label, predicted, sensitive_features=group, average="worst"))
    assert demographic_parity_difference(label, predicted, sensitive_features=group, average="worst") == 0.5


def test_the_positive_class_decides_the_ratio_but_not_the_difference():
    label, predicted, group = drawn(6)
    args = {"sensitive_features": group}
    flipped = demographic_parity_difference(1 - label, 1 - predicted, **args)
    assert flipped == pytest.approx(demographic_parity_difference(label, predicted, **args))
    by_name = demographic_parity_ratio(label, predicted, **args, pos_label=0)
    assert by_name == pytest.approx(demographic_parity_ratio(1 - label, 1 - predicted, **args))


def test_a_ratio_of_nothing_to_nothing_is_undefined():
    for method in ("between_groups", "to_overall", "to_complement"):
        assert math.isnan(demographic_parity_ratio([0, 1], [0, 0], sensitive_features=list("ab"), method=method))
        assert demographic_parity_difference([0, 1], [0, 0], sensitive_features=list("ab"), method=method) == 0.0


def test_intersections_find_what_each_attribute_hides():
    """Selection is the exclusive or of the two attributes."""
    sex, race = map(np.array, zip(*product("fm", "xy"), strict=True))
    predicted = ((sex == "f") ^ (race == "x")).astype(int)
    assert demographic_parity_difference(predicted, predicted, sensitive_features=sex) == 0
    assert demographic_parity_difference(predicted, predicted, sensitive_features=race) == 0
    both = {"sex": sex, "race": race}
    assert demographic_parity_difference(predicted, predicted, sensitive_features=both) == 1


@pytest.mark.parametrize("method", ["between_groups", "to_overall", "to_complement"])
def test_trials_are_compared_one_by_one(method):
    rng = np.random.default_rng(7)
    label, predicted, group = rng.integers(0, 2, 90), rng.integers(0, 2, (5, 90)), rng.choice(list("ab"), 90)
    found = disparity("f1", label, predicted, sensitive_features=group, method=method, kind="ratio")
    single = [disparity("f1", label, one, sensitive_features=group, method=method, kind="ratio") for one in predicted]
    assert found == pytest.approx(single)
    with pytest.raises(InputError, match="disparity takes them"):
        demographic_parity_difference(label, predicted, sensitive_features=group)


def test_unknown_options_are_refused():
    label, predicted, group = UNDEFINED
    with pytest.raises(InputError, match='method is "between"; it is one of between_groups, to_overall, to_comp'):
        demographic_parity_difference(label, predicted, sensitive_features=group, method="between")  # type: ignore[arg-type]
    with pytest.raises(InputError, match='agg is "max"; it is one of worst_case, mean'):
        equalized_odds_difference(label, predicted, sensitive_features=group, agg="max")  # type: ignore[arg-type]


@pytest.mark.parametrize("metric", ALL)
def test_neither_the_order_of_the_rows_nor_the_names_of_the_groups_matter(metric):
    label, predicted, group = drawn(8)
    weight = np.random.default_rng(9).uniform(size=200)
    order = np.random.default_rng(10).permutation(200)
    renamed = np.array([{"a": "z", "b": "y", "c": "x", "d": "w"}[name] for name in group])
    for method in ("between_groups", "to_overall", "to_complement"):
        found = metric(label, predicted, sensitive_features=group, sample_weight=weight, method=method)
        moved = metric(
            label[order],
            predicted[order],
            sensitive_features=renamed[order],
            sample_weight=weight[order],
            method=method,
        )
        assert found == pytest.approx(moved)


def test_every_metric_says_its_source_what_it_refuses_and_when_it_is_undefined():
    functions = [getattr(metrics, name) for name in metrics.__all__]
    of_labels = [
        function
        for function in functions
        if inspect.isfunction(function) and "y_true" in inspect.signature(function).parameters
    ]
    assert len(of_labels) > 30
    for function in of_labels:
        text = str(function.__doc__)
        for word in ("Source", "nan", "[n"):
            assert word in text, (function.__name__, word)
        assert "Raises" in text or "errors" in text, function.__name__  # its own, or those of another function
