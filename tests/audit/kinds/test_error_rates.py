"""Predictive values, F1, balanced accuracy and scores in audits: values, paired changes, complements, nulls."""

from __future__ import annotations

import json
import math

import numpy as np
import polars as pl
import pytest

import evenhand as eh
from evenhand.audit.estimands import Estimand, Subset, change
from evenhand.audit.kinds.prediction_tables import readings
from evenhand.audit.measures import measure_named
from evenhand.audit.measures.error_rates import ERROR_RATES
from evenhand.audit.runs.evidence import paired_evidence
from small_records import design, study

NAMES = [measure.name for measure in ERROR_RATES]
COMPLEMENTS = {
    "false_negative_rate": "true_positive_rate",
    "true_negative_rate": "false_positive_rate",
    "false_discovery_rate": "positive_predictive_value",
    "false_omission_rate": "negative_predictive_value",
}
OTHERS = [name for name in NAMES if name not in COMPLEMENTS and name != "prevalence"]


def table(n: int = 400, seed: int = 0, **columns) -> pl.DataFrame:
    """Predictions of two models for the same people in two groups."""
    rng = np.random.default_rng(seed)
    label, group, ease = rng.integers(0, 2, n), rng.choice(["a", "b"], n, p=[0.7, 0.3]), rng.normal(size=n)
    parts = []
    for model in ("new", "old"):
        positive = 1 / (1 + np.exp(-1.5 * (2 * label - 1) - ease - rng.normal(size=n)))
        part = {"id": np.arange(n), "y": label, "who": group, "p": positive, "said": (positive > 0.5).astype(int)}
        parts.append(pl.DataFrame({**part, "model": model, **columns}))
    return pl.concat(parts)


def audit(frame: pl.DataFrame, measures=NAMES, **options) -> eh.Results:
    columns = {"label": "y", "prediction": "said", "groups": "who", "measures": measures}
    return eh.audit(frame, **{**columns, **options})


def compared(frame: pl.DataFrame, measures=NAMES, **options) -> eh.Results:
    models = {"method": "model", "reference": "old", "example": "id"}
    return audit(frame, measures, **{"probability": "p", **models, **options})


@pytest.fixture(scope="module")
def two() -> eh.Results:
    return compared(table(), [*NAMES, *COMPLEMENTS.values()])


def test_they_are_computed_on_request_only():
    frame = table(100).filter(model="new")
    assert not set(audit(frame, ["default"]).estimates["measure"]) & set(NAMES)
    assert set(NAMES) < set(audit(frame, ["all"], probability="p").estimates["measure"])


def test_a_complement_mirrors_the_rate_that_is_judged(two):
    keys = ["comparison", "group", "method"]
    for name, judged in COMPLEMENTS.items():
        ours, theirs = (two.estimates.filter(measure=each).sort(keys, nulls_last=True) for each in (name, judged))
        total = 1 - theirs["comparison"].is_not_null().cast(int)  # a gap is minus the other's
        assert (ours["value"] - (total - theirs["value"])).abs().max() < 1e-12
        assert (ours["low"] - (total - theirs["high"])).abs().max() < 1e-9
        ours, theirs = (two.verdicts.filter(measure=each, reference="old") for each in (name, judged))
        ours, theirs = (
            each.filter(pl.col("contrast").is_not_null()).sort(keys, nulls_last=True) for each in (ours, theirs)
        )
        assert ours["contrast"].to_list() == pytest.approx(theirs["contrast"].to_list())
        assert ours["verdict"].is_null().all() and theirs["verdict"].is_not_null().all()
        assert ours["note"].str.contains(f"what decides is the {judged.replace('_', ' ')}").all()


def test_prevalence_is_shown_and_not_compared(two):
    shown = two.estimates.filter(measure="prevalence")
    assert set(shown["comparison"]) == {None, "gap"}
    assert two.verdicts.filter(measure="prevalence").is_empty()


@pytest.mark.parametrize("name", OTHERS)
def test_changes_and_gap_changes_are_differences_of_values(two, name):
    frame, sign = two.estimates.filter(measure=name), measure_named(name).direction
    values = {
        (row["method"], row["group"]): row["value"]
        for row in frame.filter(pl.col("comparison").is_null()).iter_rows(named=True)
    }
    gaps = {(row["method"], row["group"]): row["value"] for row in frame.filter(comparison="gap").iter_rows(named=True)}
    rows = two.verdicts.filter(pl.col("measure") == name, pl.col("contrast").is_not_null())
    assert set(rows["comparison"]) == {"change", "gap change"}
    for row in rows.iter_rows(named=True):
        known = values if row["comparison"] == "change" else gaps
        assert row["contrast"] == pytest.approx(sign * (known["new", row["group"]] - known["old", row["group"]]))
        assert row["low"] < row["contrast"] < row["high"]
        assert row["verdict"] is not None


def test_a_change_of_predictive_values_counts_the_examples_of_either_method_once():
    """The variance is that of s₁(y − p₁)/n₁ − s₂(y − p₂)/n₂ over the examples that either predicts positive."""
    tables = study(n=300, seeds=1)
    (reading,) = readings(*tables, design())
    measure = measure_named("positive_predictive_value")
    comparison = change(Estimand(measure, Subset("who", "b")), "lora", "full", measure.direction)
    found = paired_evidence(reading.rates, comparison, [])
    label = tables[0]["label"].to_numpy()
    inside = (tables[0]["attribute.who"].list.first() == "b").to_numpy()
    parts = []
    for method in ("full", "lora"):
        said = tables[2].filter(trial=f"{method}-0")["logits"].to_numpy().argmax(axis=1)
        selected = inside & (said == 1)
        value = label[selected].mean()
        parts.append((value, selected, np.where(selected, (label - value) / selected.sum(), 0.0)))
    (first, ours, moves), (second, theirs, others) = parts
    assert found.whole is not None
    assert found.whole.estimate == pytest.approx(first - second)
    count = int((ours | theirs).sum())
    assert found.whole.variance == pytest.approx(count / (count - 1) * ((moves - others) ** 2).sum())
    assert found.whole.units == count
    assert found.smallest == min(ours.sum(), theirs.sum())


@pytest.mark.parametrize("name", OTHERS)
def test_two_models_that_agree_are_equal_within_an_interval_of_some_width(name):
    frame = table().filter(model="old")
    twice = pl.concat([frame.with_columns(model=pl.lit(model)) for model in ("new", "old")])
    rows = compared(twice, [name], margins={name: 0.5}).verdicts.filter(pl.col("contrast").is_not_null())
    assert (rows["contrast"] == 0).all()
    wide = rows["high"] - rows["low"]
    if name in ("brier_score", "log_loss"):  # these two models claim the same of every example, whatever its label
        assert (wide == 0).all()
    else:
        assert (wide > 0).all() and (wide < 0.3).all()


def test_where_nobody_is_predicted_positive_a_predictive_value_is_null_with_the_reason():
    frame = table().with_columns(
        said=pl.when((pl.col("model") == "new") & (pl.col("who") == "b")).then(0).otherwise("said")
    )
    results = compared(frame)
    lacking = results.estimates.filter(pl.col("seed").is_null(), method="new", group="b")
    for name in ("positive_predictive_value", "false_discovery_rate"):
        rows = lacking.filter(measure=name)
        assert rows["value"].is_null().all()
        level = rows.filter(pl.col("comparison").is_null())
        assert "no examples predicted positive" in level["note"].item()
    row = results.verdicts.filter(measure="positive_predictive_value", comparison="change", group="b").row(
        0, named=True
    )
    assert (row["verdict"], row["contrast"]) == ("inconclusive", None)
    assert "defined in 0 of 1 runs (no examples predicted positive)" in row["note"]
    assert lacking.filter(pl.col("measure") == "f1_score", pl.col("comparison").is_null())["value"].item() == 0.0


def test_a_group_of_one_class_has_no_balanced_accuracy():
    frame = table().with_columns(y=pl.when(pl.col("who") == "b").then(1).otherwise("y"))
    rows = audit(frame.filter(model="new"), ["balanced_accuracy"]).estimates.filter(pl.col("seed").is_null(), group="b")
    assert rows["value"].is_null().all()
    assert "no negative examples" in rows.filter(pl.col("comparison").is_null())["note"].item()


def test_a_model_that_is_always_wrong_has_values_of_0_and_intervals_above():
    frame = table().filter(model="new").with_columns(said=1 - pl.col("y"))
    rows = audit(frame, ["positive_predictive_value", "balanced_accuracy", "f1_score"]).estimates
    levels = rows.filter(pl.col("seed").is_null(), pl.col("comparison").is_null())
    assert (levels["value"] == 0).all() and (levels["low"] == 0).all()
    assert ((levels["high"] > 0) & (levels["high"] < 0.15)).all()


def test_scores_need_probabilities():
    rows = audit(table().filter(model="new"), ["brier_score", "log_loss"]).estimates
    assert rows["value"].is_null().all()
    assert rows.filter(pl.col("comparison").is_null())["note"].str.contains("only labels were predicted").all()


def test_scores_need_margins_of_their_own():
    rows = compared(table(), ["brier_score", "log_loss"], margins={"default": 0.02, "log_loss": 0.1}).verdicts
    assert rows.filter(measure="brier_score")["margin"].is_null().all()
    assert (rows.filter(measure="log_loss")["margin"] == 0.1).all()
    with pytest.raises(eh.InputError, match="no contrast can be larger than 2"):
        compared(table(), margins={"brier_score": 2.5})


def test_a_certain_mistake_costs_the_largest_log_loss():
    frame = (
        table(60).filter(model="new").with_columns(p=pl.when(pl.col("id") == 0).then(1 - pl.col("y")).otherwise(0.5))
    )
    rows = audit(frame, ["log_loss"], probability="p").estimates
    whole = rows.filter(pl.col("group").is_null(), pl.col("seed").is_null())["value"].item()
    assert whole == pytest.approx((59 * math.log(2) - math.log(np.finfo(float).eps)) / 60)


def test_models_whose_rows_are_not_matched_are_compared_too():
    frame = table()
    apart = pl.concat(
        [frame.filter(model="new").sample(fraction=0.9, seed=0), frame.filter(model="old").head(300)]
    ).drop("id")
    results = audit(apart, OTHERS, probability="p", method="model", reference="old")
    rows = results.verdicts.filter(pl.col("contrast").is_not_null())
    assert rows["note"].str.contains("unpaired").all()
    assert set(rows["measure"]) == set(OTHERS) and (rows["high"] > rows["low"]).all()


def test_units_of_several_examples_make_intervals_longer():
    frame = table().with_columns(unit=pl.col("id") // 4)
    alone, together = (compared(frame, OTHERS, **options).verdicts for options in ({}, {"unit": "unit"}))
    for name in OTHERS:
        wide = [
            (part := rows.filter(measure=name))["high"].to_numpy() - part["low"].to_numpy()
            for rows in (alone, together)
        ]
        wide = [float(np.nansum(each)) for each in wide]
        assert wide[1] > 1.02 * wide[0], name


def test_against_everybody_and_a_named_group():
    for against in ("overall", "a"):
        rows = compared(table(), OTHERS, against=against).verdicts
        rows = rows.filter(pl.col("comparison") == "gap change", pl.col("contrast").is_not_null())
        assert set(rows["measure"]) == set(OTHERS) and (rows["high"] > rows["low"]).all()


def test_the_command_line_computes_what_is_named_and_reports_it(tmp_path, evenhand):
    path, out = tmp_path / "people.csv", tmp_path / "out"
    table().write_csv(path)
    columns = ("--label", "y", "--prediction", "said", "--probability", "p", "--group", "who", "--example", "id")
    models = ("--method", "model", "--reference", "old")
    done = evenhand("audit", path, *columns, *models, "--measure", "positive_predictive_value", "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    assert {row["measure"] for row in json.loads(done.stdout)["verdicts"]} == {"positive_predictive_value"}
    assert "positive predictive value" in (out / "report.html").read_text("utf-8")
    assert evenhand("verify", out).returncode == 0
    every = evenhand("audit", path, *columns, *models, "--measure", "all", "--json")
    assert set(NAMES) < {row["measure"] for row in json.loads(every.stdout)["estimates"]}


def test_a_policy_may_limit_a_predictive_value(tmp_path, evenhand):
    path, out, policy = tmp_path / "people.csv", tmp_path / "out", tmp_path / "policy.yaml"
    table().filter(model="new").write_csv(path)
    columns = ("--label", "y", "--prediction", "said", "--group", "who")
    evenhand("audit", path, *columns, "--measure", "positive_predictive_value", "--out", out)
    for least, code in ((0.3, 0), (0.99, 1)):
        policy.write_text(f"limits:\n- {{measure: positive_predictive_value, at least: {least}}}\n")
        assert evenhand("check", out, "--policy", policy).returncode == code
