"""The audit of benchmarks: planted preferences and gaps are found, values are the harness's, what is not judged."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from evenhand import records
from evenhand.audit.kinds.benchmarks import readings
from evenhand.audit.measures.benchmarks import BENCHMARKS
from evenhand.audit.reading import assess
from evenhand.audit.results import Results
from evenhand.errors import InputError
from evenhand.records import validate
from harness_records import PAIRS, QUESTIONS, document, tables, with_totals

METHODS = {"base": {}, "same": {}, "biased": {"share": 0.9}, "gap": {"gap": 0.5}}


def row(frame: pl.DataFrame, **where) -> dict:
    for name, value in where.items():
        frame = frame.filter(pl.col(name).eq_missing(pl.lit(value)))
    return frame.row(0, named=True)


def audit_of(trials, harness, design) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Estimates and verdicts of benchmarks, whose documents are no examples of a setting."""
    examples = records.TABLES["examples"].empty()
    found = assess(readings(examples, validate(trials, "trials"), validate(harness, "harness"), design), design)
    return found.estimates, found.verdicts


@pytest.fixture(scope="module")
def made():
    return tables(METHODS)


@pytest.fixture(scope="module")
def audit(made):
    return audit_of(*made)


def test_values_are_the_numbers_of_the_harness(made, audit):
    _, harness, _ = made
    estimates, _ = audit
    for row_ in harness.filter(pl.col("example").is_null()).iter_rows(named=True):
        _, method, seed = row_["trial"].split("-")
        where = {"method": method, "seed": int(seed), "condition": row_["task"], "group": None}
        assert row(estimates, measure=row_["metric"], **where)["value"] == pytest.approx(row_["value"])
    lean = row(estimates, measure="pct_stereotype", method="biased", condition=PAIRS, group=None, seed=0)["value"]
    where = {"measure": "pct_stereotype_distance", "method": "biased", "condition": PAIRS, "group": None, "seed": 0}
    assert row(estimates, **where)["value"] == pytest.approx(abs(lean - 0.5))


def test_a_planted_preference_is_worse_for_its_group_and_for_all(audit):
    _, verdicts = audit
    for group, verdict in ((None, "worse"), ("gender", "worse")):
        found = row(verdicts, measure="pct_stereotype_distance", method="biased", condition=PAIRS, group=group)
        assert found["verdict"] == verdict and found["runs"] == 3, found
    age = row(verdicts, measure="pct_stereotype_distance", method="biased", condition=PAIRS, group="age")
    assert age["verdict"] != "worse" and age["attribute"] == "bias_type"
    same = verdicts.filter(method="same")
    assert len(same) and not same["verdict"].is_in(["worse", "better"]).any()


def test_a_gap_between_he_and_she_is_found_and_not_taken_for_an_error(audit):
    estimates, verdicts = audit
    assert row(verdicts, measure="acc_gap", method="gap", condition=QUESTIONS)["verdict"] == "worse"
    assert row(verdicts, measure="acc", method="gap", condition=QUESTIONS, group=None)["verdict"] != "worse"
    gap = row(estimates, measure="acc_gap", method="gap", condition=QUESTIONS, seed=None)
    assert gap["low"] < 0.5 < gap["high"]
    he, she = (row(estimates, measure="acc", method="gap", group=g, seed=1)["value"] for g in ("male", "female"))
    assert row(estimates, measure="acc_gap", method="gap", seed=1)["value"] == pytest.approx(abs(he - she))


def test_families_are_of_benchmarks_and_of_groups(audit):
    _, verdicts = audit
    whole = row(verdicts, measure="pct_stereotype_distance", method="biased", group=None)["family"]
    assert whole == "pct_stereotype_distance by benchmark, biased vs base (1 contrast)"
    groups = row(verdicts, measure="pct_stereotype_distance", method="biased", group="age")["family"]
    assert "by group of a benchmark, biased vs base (2 contrasts" in groups


def test_what_has_no_direction_is_estimated_and_not_compared(audit):
    estimates, verdicts = audit
    measured = set(estimates["measure"])
    assert measured == {"pct_stereotype", "pct_stereotype_distance", "likelihood_diff", "acc", "acc_gap"}
    changes = verdicts.filter(comparison="change")
    assert set(changes["measure"]) == {name for name in measured if BENCHMARKS[name].direction}
    tasks = estimates["condition"].unique(maintain_order=True).to_list()
    assert tasks == [PAIRS, QUESTIONS]  # by measure; within one the design's order
    assert estimates.filter(measure="likelihood_diff")["group"].null_count() == len(METHODS) * 4


def test_groups_of_documents_have_gaps_and_gap_changes(audit):
    """CrowS-Pairs has two kinds of bias, whose gap changes are one number; Winogender has three pronouns."""
    estimates, verdicts = audit
    gaps, found = estimates.filter(comparison="gap"), verdicts.filter(comparison="gap change")
    assert set(gaps["measure"]) == {"pct_stereotype", "pct_stereotype_distance", "acc"}
    assert (gaps["low"] <= gaps["value"]).all() and (gaps["value"] <= gaps["high"]).all()
    assert set(found.filter(measure="acc", condition=QUESTIONS)["group"]) == {"male", "female", "neutral", None}
    by_method = found.filter(measure="pct_stereotype", condition=PAIRS).group_by("method").len()
    assert set(by_method["len"]) == {1}
    assert set(found.filter(measure="pct_stereotype")["verdict"]) <= {"different", "equivalent", "inconclusive"}
    assert found.filter(measure="acc")["disparity"].null_count() == 0


def test_a_gap_is_the_group_minus_the_documents_of_the_other_groups(audit):
    estimates, _ = audit
    for group in ("male", "female", "neutral"):
        levels = {
            name: row(
                estimates.filter(pl.col("comparison").is_null()), measure="acc", method="base", group=name, seed=0
            )["value"]
            for name in ("male", "female", "neutral")
        }
        others = [value for name, value in levels.items() if name != group]
        found = row(estimates.filter(comparison="gap"), measure="acc", method="base", group=group, seed=0)
        assert found["value"] == pytest.approx(levels[group] - np.mean(others))  # as many documents of each


def test_a_metric_of_the_harness_of_single_groups_has_no_rest():
    """BBQ's bias score of a category is a ratio, and the harness has none of all other categories."""
    assert not any(BENCHMARKS[name].gaps for name in ("amb_bias_score", "disamb_bias_score", "amb_bias_distance"))


def test_units_and_not_documents_are_what_varies():
    """Every document four times, as a template with its names exchanged: the interval does not believe them."""
    trials, harness, design = tables({"base": {}, "biased": {"share": 0.8}}, n=40)
    own = harness.drop_nulls("example").filter(task=PAIRS, metric="pct_stereotype")
    copies = pl.concat([own.with_columns(example=pl.col("example") + f"-{n}") for n in range(4)])
    widths = []
    for frame in (own, copies, copies.with_columns(unit=pl.col("example"))):
        estimates, _ = audit_of(trials, with_totals(frame.to_dicts()), design)
        found = row(estimates, measure="pct_stereotype", method="biased", group=None, seed=0)
        widths.append(found["high"] - found["low"])
    assert widths[1] == pytest.approx(widths[0]) and widths[2] < 0.6 * widths[0]


def test_few_units_are_shown_and_not_judged():
    trials, harness, design = tables({"base": {}, "biased": {"share": 1.0, "others": 1.0}}, n=40)
    three = harness.with_columns(
        unit=pl.when(pl.col("example").is_not_null()).then(pl.lit("u") + pl.col("example").str.slice(-1))
    )
    three = three.with_columns(unit=pl.col("unit").str.replace_all("[3-9]", "2"))
    _, verdicts = audit_of(trials, three, design)
    found = row(verdicts, measure="pct_stereotype_distance", condition=PAIRS, group=None)
    assert found["contrast"] > 0.2 and found["low"] is None and found["verdict"] == "inconclusive"
    assert "fewer than 10 units (templates, occupations, targets): shown, not judged" in found["note"]


def test_a_number_that_is_no_mean_is_shown_without_an_interval():
    trials, harness, design = tables({"base": {}, "other": {}}, n=40)
    bare = [
        {**document(trial, "stereoset_intrasentence", 0, "icat", 0.6, None, None), "example": None}
        for trial in trials["trial"]
    ]
    frame = pl.concat([harness, pl.DataFrame(bare, schema=dict(records.TABLES["harness"].columns))], how="diagonal")
    estimates, verdicts = audit_of(trials, frame, design)
    found = row(estimates, measure="icat", method="other", seed=None)
    assert found["value"] == pytest.approx(0.6) and found["low"] is None
    assert "shown without an interval" in found["note"] and "icat" not in set(verdicts["measure"])


def test_a_score_of_groups_apart_has_their_rows():
    """BBQ's bias scores are no means: those of a category are linearised apart, under a name of their own."""
    trials, harness, design = tables({"base": {}, "other": {}}, n=40)
    rows = []
    for trial in trials["trial"]:
        for number in range(40):
            category = ["category=Age", "category=SES"][number % 2 :][:1]
            unit, value = f"template-{number // 2}", 0.2 + (number % 5 - 2) / 10
            rows.append(
                document(
                    trial, "bbq", number, "amb_bias_score", value, unit, [*category, f"context_condition={number % 2}"]
                )
            )
            if number % 2 == 0:
                rows.append(document(trial, "bbq", number, "amb_bias_score_Age", value - 0.5, unit, category))
    estimates, verdicts = audit_of(trials, pl.concat([harness, with_totals(rows)], how="diagonal"), design)
    own = estimates.filter(pl.col("seed").is_null(), measure="amb_bias_score", method="base")
    assert own["group"].to_list() == [None, "Age"]
    assert own["value"].to_list() == pytest.approx([0.2, -0.3])
    assert row(estimates, measure="amb_bias_distance", method="base", group="Age", seed=None)["value"] == pytest.approx(
        0.3
    )
    assert set(verdicts.filter(condition="bbq")["measure"]) == {"amb_bias_distance"}


def test_a_failed_trial_and_other_documents_are_said(made):
    trials, harness, design = tables({"base": {}, "same": {}}, n=40)
    failed = trials.with_columns(
        status=pl.when(pl.col("trial") == "main-same-2").then(pl.lit("failed")).otherwise(pl.col("status")),
        reason=pl.when(pl.col("trial") == "main-same-2").then(pl.lit("the loss is not finite")),
    )
    estimates, verdicts = audit_of(failed, harness.filter(pl.col("trial") != "main-same-2"), design)
    assert "1 of 3 seeds were not scored" in row(estimates, measure="acc", method="same", seed=None)["note"]
    assert "seed 2 was scored with one method only" in row(verdicts, measure="acc", group=None)["note"]
    other = harness.with_columns(
        example=pl.when(pl.col("trial") == "main-same-1").then(pl.lit("x") + pl.col("example")).otherwise("example")
    )
    _, verdicts = audit_of(trials, other, design)
    assert "at seed 1 the methods were asked different documents" in row(verdicts, measure="acc", group=None)["note"]


def test_one_run_of_each_gives_verdicts_about_these_models():
    _, verdicts = audit_of(*tables({"base": {}, "biased": {"share": 1.0}}, seeds=(0,)))
    assert set(verdicts.drop_nulls("contrast")["scope"]) == {"these models"} and "worse" in verdicts["verdict"]


def test_a_table_that_lost_documents_is_refused(made):
    trials, harness, design = made
    with pytest.raises(InputError, match="the table harness is not whole"):
        audit_of(trials, harness.filter(pl.col("example").is_null() | (pl.col("value") > 0)), design)


def test_settings_are_pooled_benchmark_by_benchmark():
    methods = {"base": {}, "biased": {"share": 0.9, "others": 0.9}}
    _, verdicts = audit_of(*tables(methods, n=60, settings=("a", "b", "c")))
    pooled = verdicts.filter(pl.col("setting").is_null(), measure="pct_stereotype_distance")
    whole = row(pooled, condition=PAIRS, group=None)
    assert whole["verdict"] == "worse" and whole["runs"] == 3 and whole["note"].startswith("3 settings")
    assert set(verdicts.filter(pl.col("setting").is_null())["condition"]) == {PAIRS, QUESTIONS}


def test_only_measures_that_are_asked_for():
    trials, harness, design = tables({"base": {}, "same": {}}, n=20)
    estimates, verdicts = audit_of(trials, harness, design.model_copy(update={"measures": ("acc_gap",)}))
    assert set(estimates["measure"]) == set(verdicts["measure"]) == {"acc_gap"}


def test_results_keep_benchmarks_and_read_them_back(tmp_path):
    trials, harness, design = tables({"base": {}, "biased": {"share": 0.9}}, n=40)
    empty = {name: records.TABLES[name].empty() for name in ("examples", "predictions")}
    results = Results.compute(empty["examples"], trials, empty["predictions"], design, harness=harness)
    results.save(tmp_path)
    again = Results.load(tmp_path)
    assert again.harness.equals(results.harness) and len(again.harness) == len(harness)
    assert again.verdicts.equals(results.verdicts)
