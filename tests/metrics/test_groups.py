"""Groups: labels, masks, intersections and missing values; any metric by group."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from evenhand.errors import InputError
from evenhand.metrics import (
    MISSING,
    ByGroup,
    accuracy,
    by_group,
    demographic_parity_difference,
    groups_from_masks,
    intersections,
    rate_by_group,
)
from evenhand.metrics.groups import groups_of


@pytest.mark.parametrize(
    "values",
    [
        ["f", None, "m", float("nan")],
        pd.Series(["f", None, "m", np.nan]),
        pd.Series(["f", pd.NA, "m", pd.NA], dtype="string"),
        pl.Series(["f", None, "m", None]),
    ],
)
def test_a_missing_group_value_is_a_group(values):
    groups = groups_of(values, 4)
    assert groups.names == (MISSING, "f", "m")
    assert groups.masks.T.tolist() == [
        [False, True, False, True],
        [True, False, False, False],
        [False, False, True, False],
    ]


def test_numbers_keep_their_names_beside_a_missing_one():
    assert groups_of([1, 10, 2], 3).names == groups_of([1.0, 10.0, 2.0], 3).names == ("1", "10", "2")
    assert groups_of(pd.Series([1, None, 0.5]), 3).names == (MISSING, "0.5", "1")


def test_overlapping_groups_are_masks():
    masks = np.array([[True, True], [False, True], [False, False]])
    assert groups_of(masks, 3).names == ("0", "1")
    groups = groups_from_masks(masks, ["jewish", "muslim"])
    found = rate_by_group("selection_rate", [0, 1, 0], [1, 0, 1], sensitive_features=groups)
    assert found.as_dict() == {"jewish": 1.0, "muslim": 0.5}
    assert found.support.tolist() == [1, 2]


def test_numbers_in_two_columns_are_neither_masks_nor_labels():
    with pytest.raises(InputError, match=r"sensitive_features has shape \(3, 2\) and type int64; give one label"):
        groups_of(np.zeros((3, 2), dtype=int), 3)
    with pytest.raises(InputError, match="bool"):
        groups_from_masks(np.zeros((3, 2), dtype=int), ["a", "b"])
    with pytest.raises(InputError, match="2 different names"):
        groups_from_masks(np.zeros((3, 3), dtype=bool), ["a", "b", "a"])


def test_an_intersection_has_the_examples_of_all_its_groups():
    attributes = {"sex": ["f", "f", "m", None], "race": np.array([[1, 0], [1, 1], [0, 1], [1, 0]], dtype=bool)}
    groups = intersections(attributes)
    assert groups.names == ("(missing) & 0", "f & 0", "f & 1", "m & 1")  # nobody is m & 0: that is no group
    assert groups.masks.sum(axis=0).tolist() == [1, 2, 1, 1]
    assert groups_of(attributes, 4).names == groups.names
    with pytest.raises(InputError, match="no attribute"):
        intersections({})


def test_groups_of_another_sample_are_refused():
    with pytest.raises(InputError, match="sensitive_features has 3 examples and y_true 2"):
        demographic_parity_difference([0, 1], [0, 1], sensitive_features=list("abc"))
    with pytest.raises(InputError, match="race has 3 examples and y_true 2"):
        intersections({"sex": list("ab"), "race": list("abc")})


def test_a_metric_by_group_is_the_metric_of_its_members():
    rng = np.random.default_rng(0)
    label, predicted, weight = rng.choice(["no", "yes"], 60), rng.choice(["no", "yes"], 60), rng.uniform(size=60)
    masks = rng.uniform(size=(60, 3)) < 0.4
    found = by_group(accuracy, label, predicted, groups=masks, sample_weight=weight)
    for mask, value in zip(masks.T, found.values, strict=True):
        assert value == pytest.approx(accuracy(label[mask], predicted[mask], sample_weight=weight[mask]))
    assert found.support.tolist() == masks.sum(axis=0).tolist()


def test_a_group_without_the_positive_class_is_no_mistake():
    found = by_group(
        demographic_parity_difference,
        ["yes", "no", "no", "no"],
        ["yes", "no", "no", "no"],
        groups=list("aabb"),
        sensitive_features=list("xyxy"),
        pos_label="yes",
    )
    assert found.as_dict() == {"a": 1.0, "b": 0.0}


def test_values_of_several_trials_have_no_names():
    with pytest.raises(InputError, match="several runs"):
        ByGroup(("a", "b"), np.zeros((3, 2)), np.zeros((3, 2), dtype=int)).as_dict()
