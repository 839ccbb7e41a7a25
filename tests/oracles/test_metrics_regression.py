"""Errors of predicted numbers against scikit-learn on random problems, by themselves and as an audit's estimates."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import evenhand
from evenhand import metrics

sklearn = pytest.importorskip("sklearn.metrics")

PROBLEMS = 500
PAIRS = (
    (metrics.mean_absolute_error, sklearn.mean_absolute_error),
    (metrics.root_mean_squared_error, sklearn.root_mean_squared_error),
    (metrics.r2_score, sklearn.r2_score),
)


def problem(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Labels and predictions on some scale, and weights in one of two problems."""
    rng = np.random.default_rng(seed)
    n, scale = int(rng.integers(2, 60)), 10.0 ** rng.integers(-3, 4)
    label = scale * rng.normal(size=n)
    predicted = label + scale * rng.exponential(size=n) * rng.choice([-1, 1], n)
    return label, predicted, rng.uniform(0.1, 3, n) if seed % 2 else None


def test_errors_agree_with_scikit_learn():
    for seed in range(PROBLEMS):
        label, predicted, weight = problem(seed)
        for ours, theirs in PAIRS:
            expected = theirs(label, predicted, sample_weight=weight)
            assert ours(label, predicted, sample_weight=weight) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_an_audit_estimates_what_scikit_learn_does_in_every_group():
    rng = np.random.default_rng(5)
    n = 400
    group, weight, label = rng.choice(list("abc"), n), rng.uniform(0.5, 2, n), rng.normal(50, 10, n)
    predicted = label + rng.normal(1, 4, n)
    frame = pl.DataFrame({"y": label, "guess": predicted, "g": group, "w": weight})
    results = evenhand.audit(frame, label="y", prediction="guess", groups="g", weight="w", task="regression")
    levels = results.estimates.filter(pl.col("comparison").is_null(), pl.col("seed").is_null())
    for ours, theirs in PAIRS:
        for row in levels.filter(measure=ours.__name__).iter_rows(named=True):
            inside = np.ones(n, dtype=bool) if row["group"] is None else group == row["group"]
            expected = theirs(label[inside], predicted[inside], sample_weight=weight[inside])
            assert row["value"] == pytest.approx(expected)
    whole = levels.filter(pl.col("group").is_null(), measure="mean_error")["value"].item()
    assert whole == pytest.approx(float(np.average(predicted - label, weights=weight)))
