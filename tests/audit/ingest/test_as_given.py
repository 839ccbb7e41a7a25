"""Claims about probabilities as given: one value in the metrics, the audit and the curve."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from evenhand.audit.ingest.table import audit, read_table
from evenhand.metrics import expected_calibration_error


@pytest.fixture(scope="module")
def edges() -> tuple[np.ndarray, list[str]]:
    """Labels, and probabilities k/15 and k/5 as a CSV has them: many lie on an edge of 15 bins."""
    texts = ["0.6", "0.8", "0.2", "0.4", "0.066666667", "0.933333333", "0.333333333", "0.666666667"] * 25
    rng = np.random.default_rng(0)
    return (rng.random(len(texts)) < np.array(texts, dtype=float)).astype(int), texts


@pytest.mark.parametrize("kind", ["csv", "float64", "float32", "float16"])
def test_the_calibration_error_of_an_audit_is_that_of_the_metric(tmp_path, edges, kind):
    label, texts = edges
    p = np.array(texts, dtype=float)
    if kind == "float16":
        p, texts = p.round(2), [f"{value:.2f}" for value in p]
    columns = {"y": label, "g": ["a", "b"] * (len(label) // 2)}
    if kind == "csv":
        pl.DataFrame({**columns, "p": texts}).write_csv(tmp_path / "t.csv")
        frame = read_table(tmp_path / "t.csv")
    else:
        frame = pl.DataFrame({**columns, "p": p.astype(kind)})
    results = audit(frame, label="y", probability="p", groups="g", measures=["expected_calibration_error"])
    rows = results.estimates.filter(pl.col("group").is_null(), pl.col("comparison").is_null(), seed=0)
    assert rows["value"].to_list() == pytest.approx([expected_calibration_error(label, p)], abs=1e-7)
    assert expected_calibration_error(label, p.astype(kind if kind != "csv" else float)) == pytest.approx(
        expected_calibration_error(label, p), abs=1e-7
    )


def test_equal_bins_of_fifths_and_fifteenths_have_the_error_known_by_hand(tmp_path):
    # .6 and .8 lie in the bins that they end, (8/15, 9/15] and (11/15, 12/15]: alone there, and each off by .2.
    p = np.repeat([0.6, 0.8], 50)
    label = np.concatenate([np.arange(50) < 40, np.arange(50) < 30]).astype(int)
    frame = pl.DataFrame({"y": label, "p": p, "g": ["a", "b"] * 50})
    results = audit(frame, label="y", probability="p", groups="g", measures=["expected_calibration_error"])
    rows = results.estimates.filter(pl.col("group").is_null(), pl.col("comparison").is_null(), seed=0)
    assert rows["value"].to_list() == pytest.approx([0.2], abs=1e-12)


def test_a_bin_of_one_unit_has_no_interval_and_costs_no_audit():
    # One unit of two examples, one of them tested in each seed, with different labels and one confidence.
    rows = [("u", "e0", 0, 0, 0.11), ("u", "e1", 1, 1, 0.12)]
    rows += [(f"v{i}", f"f{i}", seed, i % 2, 0.5 + 0.4 * (i % 2)) for i in range(40) for seed in (0, 1)]
    frame = pl.DataFrame(rows, schema=["unit", "id", "s", "y", "p"], orient="row").with_columns(g=pl.lit("a"))
    results = audit(frame, label="y", probability="p", groups="g", seed="s", example="id", unit="unit")
    points = results.curves.filter(pl.col("group").is_null(), pl.col("x") < 0.2, measure="reliability")
    assert points.select("y", "low", "high").rows() == [(0.5, None, None)]
