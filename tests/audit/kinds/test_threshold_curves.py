"""Rates over thresholds through the audit: the audit's own rates at the threshold in use, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

import evenhand as eh
from evenhand import records
from evenhand.audit.kinds.threshold_curves import IN_USE, SUFFIX
from evenhand.errors import InputError


def table(n: int = 160, seeds: int = 3, cut: float = 0.5, share: float = 1.0, seed: int = 0) -> pl.DataFrame:
    """Probabilities of two methods, and predictions by a threshold."""
    rng = np.random.default_rng(seed)
    label, group = rng.integers(0, 2, n), rng.choice(list("abc"), n)
    parts = []
    for run in range(seeds):
        rows = np.sort(rng.permutation(n)[: round(share * n)])
        for method in ("full", "lora"):
            score = 1.5 * (2 * label[rows] - 1) + 2 * rng.normal(size=len(rows))
            p = 1 / (1 + np.exp(-score))
            columns = {"id": rows, "y": label[rows], "p": p, "yhat": (p > cut).astype(int), "g": group[rows]}
            parts.append(pl.DataFrame({**columns, "unit": rows // 2}).with_columns(method=pl.lit(method), seed=run))
    return pl.concat(parts)


def audited(frame: pl.DataFrame, **how: Any) -> eh.Results:
    how = {"prediction": "yhat", "probability": "p", "thresholds": True, "reference": "full", **how}
    return eh.audit(frame, label="y", groups="g", method="method", seed="seed", example="id", **how)


def swept(results: eh.Results) -> pl.DataFrame:
    return results.curves.filter(pl.col("measure").str.ends_with(SUFFIX))


@pytest.mark.parametrize("how", [{}, {"unit": "unit"}])
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_at_the_threshold_in_use_they_are_the_audits_rates(share, how):
    results = audited(table(share=share), **how)
    assert records.validate(results.curves, "curves").equals(results.curves)
    over = results.estimates.filter(pl.col("seed").is_null(), pl.col("comparison").is_null())
    compared = 0
    for row in swept(results).filter(pl.col("x") == 0.5).iter_rows(named=True):
        rate = over.filter(
            pl.col("group").eq_missing(pl.lit(row["group"], pl.String)),
            measure=row["measure"].removesuffix(SUFFIX),
            method=row["method"],
        )
        if len(rate):
            compared += 1
            own = rate.row(0, named=True)
            assert (row["y"], row["low"], row["high"]) == pytest.approx((own["value"], own["low"], own["high"]))
    assert compared == 2 * 4 * 4  # methods, places, rates that are measures, too


def test_a_plain_audit_has_no_such_curves():
    results = audited(table(), thresholds=False)
    assert swept(results).is_empty() and results.curves.filter(measure=IN_USE).is_empty()
    assert "thresholds" not in results.provenance["study"]


@pytest.mark.parametrize("cut", [0.5, 0.3, 0.87])
def test_the_threshold_in_use_is_that_of_the_predictions(cut):
    for row in audited(table(cut=cut)).curves.filter(measure=IN_USE).iter_rows(named=True):
        assert row["x"] == pytest.approx(cut, abs=0.02) and row["y"] == 1.0


def test_predictions_of_no_single_threshold_agree_with_it_in_part():
    frame = table().with_columns(
        yhat=(pl.col("p") > pl.when(pl.col("g") == "a").then(0.2).otherwise(0.5)).cast(pl.Int64)
    )
    (full, lora) = audited(frame).curves.filter(measure=IN_USE)["y"]
    assert 0.5 < full < 1 and 0.5 < lora < 1


def test_rates_fall_with_the_threshold():
    rows = swept(audited(table()))
    for measure in ("selection_rate", "true_positive_rate", "false_positive_rate"):
        curve = rows.filter(pl.col("group").is_null(), measure=measure + SUFFIX, method="lora").sort("x")
        assert len(curve) == 101 and (curve["y"].diff().drop_nulls() <= 0).all()


def test_where_nobody_is_selected_there_is_no_predictive_value():
    rows = swept(audited(table(), measures=["accuracy"])).filter(measure="positive_predictive_value" + SUFFIX)
    assert rows["x"].max() < 1 and rows["y"].is_not_null().all()


@pytest.mark.parametrize("how", [{"probability": None}, {"label": "three"}])
def test_thresholds_need_probabilities_of_two_classes(how):
    frame = table().with_columns(three=pl.int_range(pl.len()) % 3, p0=0.2, p1=0.3, p2=0.5)
    how = {"y": "y", **how}
    label = how.pop("label", "y")
    frame = frame.with_columns(y=pl.col(label))
    if label == "three":
        frame = frame.with_columns(id=pl.int_range(pl.len()), seed=0, method=pl.lit("full"))
        how["probability"], how["prediction"], how["reference"] = ["p0", "p1", "p2"], None, None
    how.pop("y")
    with pytest.raises(InputError, match="thresholds need the probability of the positive one of two classes"):
        audited(frame, **how)


def test_other_positive_classes_are_swept_by_their_own_probability():
    frame = table()
    words = frame.with_columns(y=pl.col("y").replace_strict({0: "no", 1: "yes"}), yhat=None).drop("yhat")
    plain, named = audited(frame), audited(words, prediction=None, positive="yes")
    assert swept(plain).equals(swept(named))


def test_the_command_line_asks_for_them(evenhand, tmp_path):
    frame = table(n=60)
    frame.write_csv(tmp_path / "t.csv")
    done = evenhand(
        *("audit", str(tmp_path / "t.csv"), "--label", "y", "--probability", "p", "--group", "g", "--method", "method"),
        *("--seed", "seed", "--example", "id", "--reference", "full", "--thresholds", "--out", str(tmp_path / "out")),
    )
    assert done.returncode == 0, done.stderr
    assert len(swept(eh.Results.load(tmp_path / "out")))
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert '<section id="thresholds">' in page
    again = eh.Results.load(tmp_path / "out").audited_again()
    assert swept(again).equals(swept(eh.Results.load(tmp_path / "out")))
