"""Reliability curves: everyone's and those of the worst-calibrated group, against plain NumPy."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from evenhand import records
from small_records import assessed, design, estimates, study


def curves(*tables) -> pl.DataFrame:
    """Rows of the table `curves` about reliability."""
    found = assessed(*tables).curves
    assert records.validate(found, "curves").equals(found)
    return found.filter(pl.col("measure").is_in(("reliability", "confidence")))


@pytest.fixture(scope="module")
def tables():
    return study()


def test_reliability_curves_pool_the_runs(tables):
    found = curves(*tables, design())
    found = found.filter(pl.col("group").is_null())
    histogram = found.filter(measure="confidence", method="lora")
    assert len(histogram) == 15 and histogram["y"].sum() == pytest.approx(1)
    curve = found.filter(measure="reliability", method="lora")
    assert ((curve["low"] <= curve["y"]) & (curve["y"] <= curve["high"])).all()
    frame = tables[2].filter(pl.col("trial").str.starts_with("lora")).join(tables[0], on="example")
    logits = frame["logits"].to_numpy().astype(float)
    positive = np.exp(logits[:, 1]) / np.exp(logits).sum(axis=1)
    inside = (positive > 14 / 15) & (positive <= 1)
    last = curve.sort("x").row(-1, named=True)
    assert last["x"] == pytest.approx(positive[inside].mean(), abs=1e-6)
    assert last["y"] == pytest.approx(frame["label"].to_numpy()[inside].mean())


def test_the_worst_calibrated_group_of_an_attribute_has_curves_of_its_own(tables):
    found = curves(*tables, design()).drop_nulls("group")
    (worst,) = found["group"].unique()
    errors = estimates(*tables, design(measures=("expected_calibration_error",)))
    means = errors.drop_nulls("seed").drop_nulls("group").group_by("group").agg(pl.col("value").mean())
    assert worst == means.sort("value")["group"][-1]
    of_group = tables[0].filter(pl.col("attribute.who").list.contains(worst))["example"]
    frame = tables[2].filter(pl.col("trial").str.starts_with("lora"), pl.col("example").is_in(of_group.to_list()))
    logits = frame["logits"].to_numpy().astype(float)
    positive = np.exp(logits[:, 1]) / np.exp(logits).sum(axis=1)
    histogram = found.filter(measure="confidence", method="lora").sort("x")["y"].to_numpy()
    assert histogram == pytest.approx(np.histogram(positive, np.linspace(0, 1, 16))[0] / len(positive))


def test_groups_too_small_to_judge_are_not_called_the_worst_calibrated(tables):
    sizes = [tables[0].filter(pl.col("attribute.who").list.contains(group)).height for group in "abc"]
    found = curves(*tables, design(support=sorted(sizes)[1])).drop_nulls("group")
    assert set(found["group"]) <= {group for group, size in zip("abc", sizes, strict=True) if size > min(sizes)}
    assert curves(*tables, design(support=max(sizes) + 1)).drop_nulls("group").is_empty()


def test_labels_only_have_no_curves():
    assert len(curves(*study(probabilities=False, n=100), design())) == 0
