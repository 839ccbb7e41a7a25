"""The plane of accuracy and fairness shows every method once, with the numbers of the tables."""

from __future__ import annotations

import polars as pl
import pytest

from evenhand.errors import InputError
from evenhand.report.plane import plane_blocks, plane_chart, plane_points
from evenhand.report.reportable import levels


def test_each_method_is_one_point_with_its_estimates(simulate):
    results = simulate(methods=("full", "lora", "head"), seeds=3, n=300)
    points = plane_points(levels(results), "demographic_parity_difference")
    assert [point["m"] for point in points] == ["full", "lora", "head"]
    over = levels(results).filter(pl.col("seed").is_null(), pl.col("group").is_null())
    for point in points:
        for field, measure in (("c", "accuracy"), ("d", "demographic_parity_difference")):
            row = over.filter(measure=measure, method=point["m"]).row(0, named=True)
            assert point[field] == float(f"{row['value']:.4g}")


def test_a_disparity_is_drawn_from_0_and_accuracy_near_its_values(simulate):
    spec = plane_chart(levels(simulate(seeds=3, n=300)), simulate(seeds=3, n=300).design).to_dict()
    point = spec["layer"][-1]["encoding"]
    assert point["y"]["scale"]["zero"] and not point["x"]["scale"]["zero"]


def test_one_model_has_no_plane(simulate):
    results = simulate(methods=("model",), references=(), margins=(), seeds=1)
    assert plane_blocks(results) == []


def test_what_has_no_groups_is_refused_in_one_sentence(simulate):
    results = simulate(groups=(), seeds=3, n=300)
    with pytest.raises(InputError, match="there is no method of faces whose accuracy"):
        plane_chart(levels(results), results.design)
