"""What units contribute to a number that is no mean."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evenhand.tasks.harness.linearization import linearized_values


def test_of_a_mean_each_document_contributes_itself():
    values = [0.0, 1.0, 1.0, 0.0, 1.0]
    found = linearized_values(values, list("abcde"), lambda all_of: sum(all_of) / len(all_of))
    assert found == pytest.approx(values)


def test_of_a_mean_a_unit_contributes_its_mean():
    values, units = [0.0, 1.0, 1.0, 1.0, 0.0, 0.0], list("aabbbc")
    found = linearized_values(values, units, lambda all_of: sum(all_of) / len(all_of))
    assert found == pytest.approx([1 / 2, 1 / 2, 2 / 3, 2 / 3, 2 / 3, 0])


def test_of_a_ratio_it_is_what_the_delta_method_gives():
    rng = np.random.default_rng(0)
    x, y = rng.binomial(1, 0.4, 300), rng.binomial(1, 0.7, 300)
    ratio = x.sum() / y.sum()

    def aggregate(pairs):
        over, under = zip(*pairs, strict=True)
        return sum(over) / sum(under)

    found = linearized_values(list(zip(x, y, strict=True)), [str(n) for n in range(300)], aggregate)
    assert found is not None and found.mean() == pytest.approx(ratio)
    assert found - ratio == pytest.approx((x - ratio * y) / y.mean(), abs=0.02)


def test_it_is_not_defined_where_the_number_is_not():
    assert linearized_values([1.0, 2.0], ["a", "a"], max) is None
    assert linearized_values([1.0, 2.0], ["a", "b"], lambda values: math.nan) is None
    assert linearized_values([0.0, 1.0], ["a", "b"], lambda values: 1 / sum(values)) is None
